// One open session: its connection, its conversation, what is written to it, and the panel beside it.

import { toast } from "./common/announcements.js";
import { request, sessionUrl } from "./common/api.js";
import { Composer } from "./chat/composer.js";
import { Connection } from "./chat/connection.js";
import { Conversation } from "./chat/conversation.js";
import { byId, h } from "./common/dom.js";
import { Outbox, sendFirst, sendUnseen } from "./chat/outbox.js";
import { Panel } from "./panel.js";
import { addressOf } from "./common/router.js";
import { stateText, toneOf } from "./sessions/session_state.js";
import { text } from "./common/texts.js";
import { visible } from "./common/visible_text.js";

export class SessionPage {
  #id;
  #navigate;
  #changed;
  #saw;
  #connection = null;
  #conversation = null;
  #outbox = null;
  #composer = null;
  #panel = null;
  #info = null;
  #hello = null;
  #caughtUp = false;
  #closed = false;
  #listeners = new AbortController();

  /** `navigate(path)`; `changed()`: the list of sessions should look again; `saw(id, {state})`: it needn't for this. */
  constructor({ sessionId, navigate, changed, saw }) {
    this.#id = sessionId;
    this.#navigate = navigate;
    this.#changed = changed;
    this.#saw = saw;
  }

  get sessionId() {
    return this.#id;
  }

  /** Look the session up and open it; resolves when it is shown. Throws ApiError. */
  async open(view) {
    this.#info = await request("GET", sessionUrl(this.#id), { signal: this.#listeners.signal });
    if (this.#closed) return;
    this.#connection = new Connection(this.#id, () => this.#conversation.follow());
    this.#conversation = new Conversation({
      sessionId: this.#id,
      place: byId("conversation"),
      scroller: byId("scroller"),
      toEnd: byId("to-end"),
      inherited: this.#info.parent_id !== null || this.#info.client !== null,
      context: {
        files: {
          url: (path) => sessionUrl(this.#id, "files", path),
          page: () => addressOf(this.#id, "files"),
          open: (path) => this.#openFile(path),
        },
        send: (frame) => this.#connection.request(frame),
        branch: (turnId, words) => this.#branch(turnId, words),
        retry: (words) => this.send(words),
        takeOut: (turnId) => this.#interrupt(turnId),
      },
    });
    this.#outbox = new Outbox(this.#connection);
    this.#composer = new Composer({
      place: byId("composer"),
      sessionId: async () => this.#id,
      draft: this.#id,
      asked: () => this.#conversation.asked,
      send: (words) => this.#send(words),
    });
    this.#panel = new Panel({
      sessionId: this.#id,
      connection: this.#connection,
      info: this.#info,
      turnStartedAt: () => this.#conversation.newest?.startedAt ?? null,
      openPath: null,
    });
    this.#listen();
    byId("bar-actions").hidden = false;
    this.#paintTitle();
    this.show(view);
    this.#connection.open();
    this.#composer.focus();
  }

  /** Show a view beside the conversation, or none. */
  show(view) {
    this.#panel?.show(view);
  }

  /** The list of sessions heard something new of this one. */
  renamed(title) {
    if (!this.#info) return;
    this.#info = { ...this.#info, title };
    this.#paintTitle();
  }

  /** Send a message; with its key, if it has one already. */
  send(words, key = undefined) {
    this.#outbox.send(words, key);
    this.#conversation.toEnd();
  }

  /** What was written is to be sent, here or, if the person went elsewhere while files were uploaded, unseen. */
  async #send(words) {
    if (!this.#closed) {
      this.send(words);
      return;
    }
    try {
      await sendUnseen(this.#id, words);
      this.#changed();
    } catch (error) {
      this.#composer.giveBack(words, error);
    }
  }

  /** Attach files that were dropped on the page. */
  attach(files) {
    this.#composer?.attach(files);
  }

  /** Stop the turn that runs. */
  stop() {
    if (this.#conversation?.running) this.#interrupt(this.#conversation.running.id);
  }

  close() {
    this.#closed = true;
    this.#listeners.abort();
    this.#panel?.close();
    this.#composer?.close();
    this.#connection?.close();
    this.#conversation?.close();
    byId("bar-actions").hidden = true;
    byId("state").hidden = true;
    byId("banner").hidden = true;
  }

  #listen() {
    const { signal } = this.#listeners;
    const on = (target, type, listener) => target.addEventListener(type, (event) => listener(event.detail), { signal });
    on(this.#connection, "hello", (hello) => this.#greeted(hello));
    on(this.#connection, "event", (event) => {
      this.#conversation.take(event);
      this.#catchUp();
    });
    on(this.#connection, "rendered", (frame) => this.#conversation.rendered(frame));
    on(this.#connection, "state", (state) => this.#connectionIs(state));
    on(this.#connection, "gone", () => this.#gone());
    on(this.#conversation, "changed", () => this.#paintState());
    on(this.#conversation, "asked", (event) => this.#asked(event));
    on(this.#outbox, "changed", () => this.#paintWaiting());
    on(this.#outbox, "refused", ({ text: words, error }) => this.#refused(words, error));
    on(this.#composer, "stop", () => this.stop());
    document.addEventListener("keydown", (event) => this.#key(event), { signal });
    this.#paintWaiting();
  }

  #greeted(hello) {
    this.#hello = hello;
    this.#caughtUp = false;
    this.#conversation.hello(hello);
    this.#catchUp();
  }

  /** Once everything up to the greeting was seen, what isn't in the journal may be sent again. */
  #catchUp() {
    if (this.#caughtUp || this.#conversation.lastSeq < this.#hello.last_seq) return;
    this.#caughtUp = true;
    this.#outbox.ready();
  }

  #connectionIs({ state, retryAt }) {
    if (state !== "open") this.#outbox?.unready();
    const banner = byId("banner");
    banner.hidden = state === "open" || state === "ended" || retryAt === null;
    if (retryAt !== null) banner.textContent = text("offline");
    if (state === "connecting" && this.#hello) {
      banner.hidden = false;
      banner.textContent = text("reconnecting");
    }
  }

  #asked(event) {
    if (event.idempotency_key) this.#outbox.arrived(event.idempotency_key);
    if (this.#info.title === null) this.#learnTitle();
    this.#changed();
  }

  /** The server names a session by its first message. */
  async #learnTitle() {
    try {
      const { title } = await request("GET", sessionUrl(this.#id), { signal: this.#listeners.signal });
      this.renamed(title);
    } catch (error) {
      if (!this.#closed) throw error;
    }
  }

  #refused(words, error) {
    this.#composer.text = [words, this.#composer.text].filter(Boolean).join("\n\n");
    this.#composer.refuse(error.message);
  }

  async #interrupt(turnId) {
    try {
      await this.#connection.request({ type: "interrupt", turn_id: turnId });
    } catch (error) {
      toast(error.message, { bad: true });
    }
  }

  /** Send a changed message to a copy of this session, from where it was asked. */
  async #branch(turnId, words) {
    const json = { before_turn_id: turnId, copy_files: true };
    const { session_id: id } = await request("POST", sessionUrl(this.#id, "fork"), { json });
    if (this.#closed) {
      await sendUnseen(id, words);
    } else {
      await sendFirst(id, words);
      this.#navigate(addressOf(id));
    }
    this.#changed();
  }

  #openFile(path) {
    this.#navigate(addressOf(this.#id, "files"));
    this.#panel.view("files").open(path);
  }

  #gone() {
    byId("banner").hidden = false;
    byId("banner").textContent = text("session_gone");
    this.#composer.end([...this.#outbox.end(), this.#composer.text].filter(Boolean).join("\n\n"));
    this.#changed();
  }

  #key(event) {
    if (event.key !== "Escape" || event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    if (event.target.closest?.("[data-keeps-escape]")) return;
    this.stop();
  }

  #paintTitle() {
    const title = this.#info.title ?? text("untitled");
    byId("title").replaceChildren(...visible(title));
    document.title = `${this.#conversation?.question ? "(?) " : ""}${title} · qpty`;
  }

  #paintState() {
    const { state, detail, running, queued, question } = this.#conversation;
    const shown = byId("state");
    shown.hidden = !state;
    if (state) {
      shown.dataset.tone = toneOf(state);
      shown.textContent = stateText(state);
      shown.title = detail ?? "";
      this.#saw(this.#id, { state });
    }
    this.#paintTitle();
    this.#composer.show({ running: running !== null, asks: question !== null, queued });
  }

  /** Messages that the server hasn't acknowledged are shown where they will be. */
  #paintWaiting() {
    const place = byId("waiting");
    place.replaceChildren(...this.#outbox.waiting.map((words) =>
      h("div", { class: "message waiting" }, h("div", { class: "message-text", dir: "auto" }, visible(words)), h("span", { class: "muted", text: text("sending") }))));
  }
}
