// The first page: a message makes a session.

import { request } from "./common/api.js";
import { Composer } from "./chat/composer.js";
import { byId, h } from "./common/dom.js";
import { sendFirst, sendUnseen } from "./chat/outbox.js";
import { addressOf } from "./common/router.js";
import { text } from "./common/texts.js";

export class StartPage {
  #navigate;
  #changed;
  #composer;
  #session = null;
  #closed = false;

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
    this.#composer = new Composer({ place: byId("composer"), sessionId: () => this.#make(), draft: "new", asked: () => [], send: (words) => this.#send(words) });
    this.#composer.focus();
  }

  attach(files) {
    this.#composer.attach(files);
  }

  close() {
    this.#closed = true;
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
      if (this.#closed) { // the person went elsewhere meanwhile, and isn't called back
        await sendUnseen(id, words);
        this.#changed();
        return;
      }
      await sendFirst(id, words);
      this.#changed();
      this.#navigate(addressOf(id));
    } catch (error) {
      this.#composer.giveBack(words, error);
    }
  }
}
