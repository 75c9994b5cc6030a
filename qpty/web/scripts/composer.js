// Where a person writes: a field that grows, files that come along, and the button that stops a turn.

import { Attachments } from "./attachments.js";
import { h, iconButton } from "./dom.js";
import { text } from "./texts.js";

const TALLEST = 240;

/**
 * Events: "send" (detail: {text}: the message with its attachments named), "stop".
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

  constructor({ place, sessionId, draft, asked }) {
    super();
    this.#draft = `qpty.draft.${draft}`;
    this.#asked = asked;
    this.#attachments = new Attachments({ sessionId });
    this.#send = iconButton("send", text("send"), () => this.#submit(), { class: "icon send" });
    this.#stop = iconButton("stop", text("stop"), () => this.dispatchEvent(new Event("stop")), { class: "icon stop", hidden: true });
    const chooser = h("input", { type: "file", multiple: true, hidden: true, "aria-label": text("attach"), on: { change: () => this.#chosen(chooser) } });
    this.element = h("form", { class: "composer", on: { submit: (event) => { event.preventDefault(); this.#submit(); } } },
      this.#problem, this.#attachments.element,
      h("div", { class: "composer-box" },
        iconButton("attach", text("attach"), () => chooser.click()), chooser, this.#field, this.#stop, this.#send),
      this.#hint);
    this.#field.addEventListener("keydown", (event) => this.#key(event));
    this.#field.addEventListener("input", () => this.#changed());
    this.#field.addEventListener("paste", (event) => this.#pasted(event));
    this.#field.value = sessionStorage.getItem(this.#draft) ?? "";
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
    this.#send.disabled = asks;
    this.#hint.textContent = text(asks ? "answer_first" : running ? "composer_hint_running" : "composer_hint");
  }

  /** Say what went wrong with a message; goes away with the next word. */
  refuse(words) {
    this.#problem.textContent = words;
  }

  /** Attach files that were dropped somewhere on the page. */
  attach(files) {
    this.#attachments.add(files);
    this.focus();
  }

  close() {
    this.#attachments.close();
    this.element.remove();
  }

  async #submit() {
    if (this.#busy || this.#send.disabled) return;
    const words = this.text.trim();
    if (words === "" && this.#attachments.empty) return;
    this.#busy = true;
    try {
      const names = await this.#attachments.take();
      this.dispatchEvent(new CustomEvent("send", { detail: { text: withNames(words, names) } }));
      this.text = "";
      this.#recalled = 0;
    } catch (error) {
      this.refuse(error.message);
    } finally {
      this.#busy = false;
    }
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
    sessionStorage.setItem(this.#draft, this.text);
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
