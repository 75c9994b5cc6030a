// The first page: a message makes a session.

import { request } from "./api.js";
import { Composer } from "./composer.js";
import { byId, h } from "./dom.js";
import { addressOf } from "./router.js";
import { text } from "./texts.js";

export class StartPage {
  #navigate;
  #changed;
  #composer;
  #session = null;

  constructor({ navigate, changed }) {
    this.#navigate = navigate;
    this.#changed = changed;
  }

  open() {
    byId("title").textContent = text("new_session");
    document.title = "qpty";
    const demo = document.body.dataset.agent === "demo";
    byId("conversation").replaceChildren(h("section", { class: "welcome" },
      h("h2", { text: text("welcome") }),
      h("p", { class: "muted", text: text("welcome_more") }),
      demo && h("p", { class: "remark", text: text("welcome_demo") })));
    this.#composer = new Composer({ place: byId("composer"), sessionId: () => this.#make(), draft: "new", asked: () => [] });
    this.#composer.addEventListener("send", ({ detail }) => this.#send(detail.text));
    this.#composer.focus();
  }

  attach(files) {
    this.#composer.attach(files);
  }

  close() {
    this.#composer.close();
    byId("conversation").replaceChildren();
  }

  /** Make the session, once: files may want it before the message does. */
  #make() {
    this.#session ??= request("POST", "/api/v1/sessions", { json: {} }).then(({ session_id: id }) => id);
    this.#session.catch(() => { this.#session = null; });
    return this.#session;
  }

  async #send(words) {
    try {
      const id = await this.#make();
      sessionStorage.setItem(`qpty.first.${id}`, words);
      this.#changed();
      this.#navigate(addressOf(id));
    } catch (error) {
      this.#composer.text = words;
      this.#composer.refuse(error.message);
    }
  }
}
