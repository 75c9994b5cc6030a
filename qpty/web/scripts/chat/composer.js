// Where a person writes: a field that grows, files that come along, and the button that stops a turn.

import { toast } from "../common/announcements.js";
import { Attachments } from "./attachments.js";
import { h, iconButton } from "../common/dom.js";
import { checkLength } from "./outbox.js";
import { keep, kept } from "../common/tab_storage.js";
import { text } from "../common/texts.js";

const TALLEST = 240;

/**
 * Event: "stop". `send(text)`: send a message, which names its attachments; it may come after `close()`, when the upload
 * of these took longer.
 *
 * `sessionId()`: resolves to the session that files go to; it may make one. `draft`: the name under which what is
 * written here is kept for this tab. `asked()`: earlier messages, oldest first, for the arrow keys.
 */
export class Composer extends EventTarget {
  #field = h("textarea", { id: "composer-text", rows: "1", dir: "auto", placeholder: text("write"), "aria-label": text("write"), "aria-describedby": "composer-hint" });
  #problem = h("p", { class: "problem", id: "composer-problem", role: "alert" });
  #hint = h("p", { class: "composer-hint muted", id: "composer-hint", text: text("composer_hint") });
  #send;
  #stop;
  #attachments;
  #draft;
  #asked;
  #recalled = 0;
  #busy = false;
  #closed = false;
  #ended = false;
  #runs = false;
  #asks = false;
  #give;
  #attach;

  constructor({ place, sessionId, draft, asked, send }) {
    super();
    this.#give = send;
    this.#draft = `qpty.draft.${draft}`;
    this.#asked = asked;
    this.#attachments = new Attachments({ sessionId });
    this.#send = iconButton("send", text("send"), () => this.#submit(), { class: "icon send" });
    this.#stop = iconButton("stop", text("stop"), () => this.dispatchEvent(new Event("stop")), { class: "icon stop", hidden: true });
    const chooser = h("input", { type: "file", multiple: true, hidden: true, "aria-label": text("attach"), on: { change: () => this.#chosen(chooser) } });
    this.#attach = iconButton("attach", text("attach"), () => chooser.click());
    this.element = h("form", { class: "composer", on: { submit: (event) => { event.preventDefault(); this.#submit(); } } },
      this.#problem, this.#attachments.element,
      h("div", { class: "composer-box" },
        this.#attach, chooser, this.#field, this.#stop, this.#send),
      this.#hint);
    this.#field.addEventListener("keydown", (event) => this.#key(event));
    this.#field.addEventListener("input", () => this.#changed());
    this.#field.addEventListener("paste", (event) => this.#pasted(event));
    this.#field.value = kept(this.#draft) ?? "";
    place.replaceChildren(this.element);
    this.#changed();
  }

  /** What is written and not sent. */
  get text() {
    return this.#field.value;
  }

  set text(words) {
    this.#field.value = words;
    this.#changed();
  }

  focus() {
    this.#field.focus();
  }

  /** Whether there is something to stop, and what keeps a message from being sent, if anything does. */
  show({ running, asks }) {
    this.#stop.hidden = !running;
    this.#send.disabled = asks || this.#ended;
    [this.#runs, this.#asks] = [running, asks];
    if (!this.#busy) this.#showHint();
  }

  /** Say what went wrong with a message; goes away with the next word. */
  refuse(words) {
    this.#problem.textContent = words;
  }

  /** Attach files that were dropped somewhere on the page. */
  attach(files) {
    if (this.#busy || this.#ended) return; // the field says why
    this.#attachments.add(files);
    this.focus();
  }

  /** The session is gone: nothing can be sent any more, and what is written can still be copied. */
  end(words) {
    this.text = words;
    this.#field.readOnly = true;
    this.#send.disabled = this.#attach.disabled = true;
    this.#ended = true;
  }

  /** A message can't be sent: give it back, here or to whoever opens the session next. */
  giveBack(words, error) {
    if (this.#closed) {
      toast(error.message, { bad: true });
      return;
    }
    this.text = [words, this.text].filter(Boolean).join("\n\n");
    this.refuse(error.message);
  }

  close() {
    this.#closed = true;
    if (this.#busy) keep(this.#draft, null); // it is on its way, and will be sent
    else this.#attachments.close();
    this.element.remove();
  }

  async #submit() {
    if (this.#busy || this.#send.disabled) return;
    const words = this.text.trim();
    if (words === "" && this.#attachments.empty) return;
    this.#work(true);
    try {
      checkLength(words);
      const message = withNames(words, await this.#attachments.take());
      if (!this.#closed) this.text = "";
      this.#recalled = 0;
      this.#give(message);
    } catch (error) {
      if (this.#closed) keep(this.#draft, words);
      this.giveBack("", error);
    } finally {
      this.#work(false);
    }
  }

  /** While files are uploaded nothing is changed: what is shown is what will be sent. */
  #work(yes) {
    this.#busy = yes;
    const uploads = yes && !this.#attachments.empty;
    this.#field.readOnly = uploads || this.#ended;
    this.#attach.disabled = uploads || this.#ended;
    this.element.setAttribute("aria-busy", String(uploads));
    if (uploads) this.#hint.textContent = text("uploading_files");
    else this.#showHint();
  }

  #showHint() {
    this.#hint.textContent = text(this.#asks ? "answer_first" : this.#runs ? "composer_hint_running" : "composer_hint");
  }

  #key(event) {
    if (event.isComposing || event.keyCode === 229) return; // Enter chooses a character there
    const { key, shiftKey, altKey, ctrlKey, metaKey } = event;
    if (key === "Enter" && !shiftKey && !altKey) {
      event.preventDefault();
      this.#submit();
    } else if ((key === "ArrowUp" || key === "ArrowDown") && !shiftKey && !altKey && !ctrlKey && !metaKey) {
      if (this.#recall(key === "ArrowUp" ? 1 : -1)) event.preventDefault();
    }
  }

  /** Take an earlier message up again: only in an empty field, or on from one that was taken up and not changed. */
  #recall(step) {
    const asked = this.#asked();
    const shown = this.#recalled ? asked.at(-this.#recalled) : "";
    const next = this.#recalled + step;
    if (this.text !== shown || next < 0 || next > asked.length) return false;
    this.text = next ? asked.at(-next) : "";
    this.#recalled = next;
    this.#field.setSelectionRange(this.text.length, this.text.length);
    return true;
  }

  #changed() {
    this.#problem.textContent = "";
    if (!this.#closed) keep(this.#draft, this.text);
    this.#field.style.height = "auto";
    this.#field.style.height = `${Math.min(TALLEST, this.#field.scrollHeight)}px`;
  }

  #chosen(chooser) {
    this.attach([...chooser.files]);
    chooser.value = "";
  }

  #pasted(event) {
    const files = [...event.clipboardData.files];
    if (!files.length) return;
    event.preventDefault();
    this.attach(files);
  }
}

/** The agent is told of files by their names in its directory. */
function withNames(words, names) {
  if (!names.length) return words;
  const told = text("attached", { count: names.length, names: names.map((name) => `\`${name}\``).join(", ") });
  return words === "" ? told : `${words}\n\n${told}`;
}
