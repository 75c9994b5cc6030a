// A session's conversation: its journal's events, turn by turn, and what was said before the journal begins.

import { alarm, announce } from "../common/announcements.js";
import { h } from "../common/dom.js";
import { FrameQueue } from "../common/frame_queue.js";
import { Earlier } from "./earlier.js";
import { JournalPosition } from "./journal_position.js";
import { hasText, text } from "../common/texts.js";
import { TurnView } from "./turn_view.js";
import { visible } from "../common/visible_text.js";

/** Pixels from the end within which a reader counts as being at the end, and goes along with it. */
const NEAR = 60;

/** Characters of an answer that are read out when it is complete. */
const READ_OUT = 1000;

/**
 * Events: "changed" (what `state`, `question`, `running`, `queued` say is another), "asked" (a message began to wait;
 * detail: its event).
 */
export class Conversation extends EventTarget {
  #place;
  #scroller;
  #context;
  #queue = new FrameQueue();
  #turns = new Map();
  #position = new JournalPosition();
  #earlier;
  #atEnd = true;
  #top = 0;
  #resized;
  #toEnd;
  #caughtUp = 0;
  #telling = null;
  #goesBack;

  /** `context`: what turns can ask for (see TurnView), but for the queue; `place`, `scroller`, `toEnd`: elements. */
  constructor({ sessionId, place, scroller, toEnd, inherited, context }) {
    super();
    this.#place = place;
    this.#scroller = scroller;
    this.#toEnd = toEnd;
    this.#context = { ...context, queue: this.#queue };
    this.#goesBack = inherited;
    this.#earlier = new Earlier({ sessionId, scroller, context: this.#context, knows: (id) => this.#turns.get(id) });
    this.state = null;
    place.replaceChildren(this.#earlier.element);
    this.#resized = new ResizeObserver(() => this.#atEnd && this.toEnd());
    for (const element of [place, scroller]) this.#resized.observe(element);
    this.onScroll = () => this.#scrolled();
    scroller.addEventListener("scroll", this.onScroll, { passive: true });
    this.onToEnd = () => this.toEnd();
    toEnd.addEventListener("click", this.onToEnd);
  }

  /** The frame by which the journal is followed, from where this stands. */
  follow() {
    for (const [turn, segment] of this.#position.restart()) this.#turns.get(turn)?.restart(segment);
    return { type: "follow", after: this.#position.after, compact: true, rendered: true };
  }

  /** Take an event of the journal. */
  take(event) {
    if (!this.#position.take(event)) return;
    switch (event.type) {
      case "journal.reset":
        this.#reset(event);
        break;
      case "session.state":
        this.state = event.state;
        this.detail = event.detail ?? "";
        break;
      case "session.revived":
        if (event.context === "lost") this.#remark(text("context_lost"));
        break;
      default:
        if (event.turn_id) this.#takeTurn(event);
        else if (event.type === "notice") this.#remark(hasText(`notice_${event.code}`) ? text(`notice_${event.code}`) : event.text);
    }
    this.#lookBack();
    if (event.type === "turn.queued") this.dispatchEvent(new CustomEvent("asked", { detail: event }));
    if (event.type !== "message.delta" && event.type !== "tool.output") this.#changed();
  }

  /** Take a part of the text that the server rendered. */
  rendered(frame) {
    this.#turns.get(frame.turn_id)?.rendered(frame);
    if (frame.complete) this.#position.rendered(frame);
  }

  /** A new socket said where the session stands. What comes up to there is history, and not read out. */
  hello({ state, last_seq: last }) {
    this.state = state;
    this.#caughtUp = last;
    this.#lookBack();
    this.#changed();
  }

  get lastSeq() {
    return this.#position.lastSeq;
  }

  /** The turn that runs, or null. */
  get running() {
    return [...this.#turns.values()].find((turn) => turn.status === "running") ?? null;
  }

  get newest() {
    return [...this.#turns.values()].at(-1) ?? null;
  }

  get queued() {
    return [...this.#turns.values()].filter((turn) => turn.status === "queued").length;
  }

  /** The question that waits, or null. */
  get question() {
    return this.running?.question ?? null;
  }

  /** What a person asked, oldest first. */
  get asked() {
    return [...this.#turns.values()].map((turn) => turn.asked).filter((words) => words !== null);
  }

  /** Go to the end, and along with it from now on. */
  toEnd() {
    this.#atEnd = true;
    this.#toEnd.hidden = true;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  close() {
    clearTimeout(this.#telling);
    this.#queue.close();
    this.#resized.disconnect();
    this.#earlier.close();
    this.#scroller.removeEventListener("scroll", this.onScroll);
    this.#toEnd.removeEventListener("click", this.onToEnd);
    this.#place.replaceChildren();
  }

  /** Tell of what is another now, once for all the events of a moment. */
  #changed() {
    this.#telling ??= setTimeout(() => {
      this.#telling = null;
      this.dispatchEvent(new Event("changed"));
    });
  }

  #takeTurn(event) {
    let turn = this.#turns.get(event.turn_id);
    if (!turn) {
      turn = new TurnView(event.turn_id, this.#context);
      this.#turns.set(event.turn_id, turn);
      this.#place.append(turn.element);
      this.#earlier.leaveTo(turn);
      this.#goesBack ||= event.type !== "turn.queued" && event.type !== "turn.started"; // its beginning isn't kept
    }
    turn.take(event);
    if (event.seq > this.#caughtUp) this.#tell(event, turn);
  }

  /** Read out what a person who doesn't look should know. */
  #tell(event, turn) {
    switch (event.type) {
      case "permission.requested":
      case "menu.requested":
        alarm(turn.question?.summary ?? "");
        break;
      case "turn.completed":
        announce(text("answer_complete", { answer: event.text.slice(0, READ_OUT) }));
        break;
      case "turn.failed":
        alarm(text("turn_failed"));
        break;
      default: // is read where it is
    }
  }

  /** The journal doesn't reach back to where this stood: begin anew, from what is kept. */
  #reset({ snapshot, first_seq: first }) {
    this.#turns.clear();
    this.#place.replaceChildren(this.#earlier.element);
    this.#earlier.reset();
    this.#goesBack = true;
    this.state = snapshot.state;
    if (snapshot.question && snapshot.question.seq < first) this.#takeTurn(snapshot.question);
  }

  /** Show what was said before, if anything was: once the journal told of the turns that it knows. */
  #lookBack() {
    if (!this.#goesBack || this.#position.lastSeq < this.#caughtUp) return;
    this.#goesBack = false;
    this.#earlier.open();
  }

  #remark(words) {
    this.#place.append(h("p", { class: "remark" }, visible(words)));
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    if (scrollHeight - scrollTop - clientHeight < NEAR) this.#atEnd = true;
    else if (scrollTop < this.#top) this.#atEnd = false; // who went up; else the text grew since it was scrolled
    this.#top = scrollTop;
    this.#toEnd.hidden = this.#atEnd;
  }
}
