// What was said before the journal begins: inherited by a fork, brought by a client, or so long ago that its events
// aren't kept any more.

import { ApiError, request, sessionUrl } from "../common/api.js";
import { button, h } from "../common/dom.js";
import { text } from "../common/texts.js";
import { TurnView } from "./turn_view.js";

/** Messages that are asked for at once. */
const PAGE = 40;

/** More than any position. */
const NEWEST = 2 ** 31 - 1;

/** Characters that are rendered at once: as many as the server takes. */
const MOST_RENDERED = 1 << 20;

export class Earlier {
  #sessionId;
  #scroller;
  #context;
  #knows;
  #past = new Map();
  #raw = [];
  #next = undefined;
  #busy = false;
  #opened = false;
  #stop = new AbortController();
  #button = button(text("show_earlier"), () => this.load());
  #problem = h("p", { class: "problem", role: "alert" });
  #turns = h("div", { class: "earlier-turns" });

  /** `scroller`: in which this is; `knows(turnId)`: the turn that the journal tells of, if it does. */
  constructor({ sessionId, scroller, context, knows }) {
    this.#sessionId = sessionId;
    this.#scroller = scroller;
    this.#context = context;
    this.#knows = knows;
    this.#button.hidden = true;
    this.element = h("div", { class: "earlier" }, this.#button, this.#problem, this.#turns);
  }

  /** There is something earlier: show the newest of it, and offer the rest. */
  open() {
    if (this.#opened) return;
    this.#opened = true;
    this.load();
  }

  /** The journal tells of a turn after all: of what is shown here, only what was asked is taken along. */
  leaveTo(turn) {
    const past = this.#past.get(turn.id);
    if (!past) return;
    this.#past.delete(turn.id);
    past.element.remove();
    if (past.asked !== null) turn.addMessage({ role: "user", text: past.asked, created_at: past.askedAt });
  }

  reset() {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#opened = false;
    this.#busy = false;
    this.#next = undefined;
    this.#raw = [];
    this.#past.clear();
    this.#turns.replaceChildren();
    this.#offer(false);
  }

  close() {
    this.#stop.abort();
  }

  /** Show more, if there is any. */
  async load() {
    if (this.#busy) return;
    this.#busy = true;
    this.#problem.textContent = "";
    const { signal } = this.#stop;
    try {
      await this.#render(signal); // what a lost connection left
      let found = false;
      while (!found && this.#next !== null) found = await this.#showPage(signal);
      await this.#render(signal);
      this.#offer(this.#next !== null);
    } catch (error) {
      if (signal.aborted) return; // it was left, or begins anew
      if (!(error instanceof ApiError)) throw error;
      this.#problem.textContent = error.message;
      this.#offer(true);
    } finally {
      if (!signal.aborted) this.#busy = false;
    }
  }

  #offer(yes) {
    if (!yes && document.activeElement === this.#button) this.#scroller.focus({ preventScroll: true });
    this.#button.hidden = !yes;
  }

  /** Show one more page of messages; whether there was anything in it that wasn't shown. */
  async #showPage(signal) {
    const query = new URLSearchParams({ limit: PAGE, before: this.#next ?? NEWEST });
    const { messages, previous } = await request("GET", `${sessionUrl(this.#sessionId, "messages")}?${query}`, { signal });
    signal.throwIfAborted();
    this.#next = previous;
    const before = this.#past.size;
    this.#inPlace(() => this.#add(messages));
    return this.#past.size > before;
  }

  #add(messages) {
    const first = this.#turns.firstChild;
    const answered = [];
    for (const message of messages) {
      const id = message.turn_id;
      let turn = this.#knows(id) ?? this.#past.get(id);
      if (!turn) {
        turn = TurnView.ofThePast(id, this.#context);
        this.#past.set(id, turn);
        this.#turns.insertBefore(turn.element, first);
      }
      if (turn.addMessage(message)) answered.push(turn.segments[0]);
    }
    const last = first?.previousElementSibling;
    if (last) last.style.contentVisibility = "visible"; // the reader sees its end: its height mustn't be a guess
    this.#raw.push(...answered.reverse()); // the newest first: it is what the reader sees
  }

  /** Change something above what the reader looks at, which stays where it is. */
  #inPlace(change) {
    const turn = this.#turns.firstElementChild ?? this.element.nextElementSibling;
    const mark = turn?.querySelector(".answer") ?? turn; // its message may come with this page
    const top = mark?.getBoundingClientRect().top;
    change();
    if (mark) this.#scroller.scrollTop += mark.getBoundingClientRect().top - top;
  }

  async #render(signal) {
    for (; this.#raw.length; this.#raw.shift()) await renderSegment(this.#raw[0], signal);
  }
}

async function renderSegment(segment, signal) {
  const whole = segment.text;
  let first = 0;
  for (let from = 0; from < whole.length;) {
    const upto = cut(whole, from);
    const { blocks } = await request("POST", "/api/v1/markdown", { json: { text: whole.slice(from, upto) }, signal });
    signal.throwIfAborted();
    segment.patch({ first, blocks, upto });
    first += blocks.length;
    from = upto;
  }
}

/** Where to end a part of a text that begins at `from`: between two paragraphs, if it has to be cut. */
function cut(words, from) {
  const most = from + MOST_RENDERED;
  if (most >= words.length) return words.length;
  const paragraph = words.lastIndexOf("\n\n", most - 2);
  return paragraph > from ? paragraph + 2 : most;
}
