// One turn: what was asked, and everything that came of it, in the order in which it came.

import { copyButton } from "../common/clipboard.js";
import { button, h, icon, iconButton } from "../common/dom.js";
import { MenuView, PermissionView } from "./question_view.js";
import { SegmentView } from "./segment_view.js";
import { hasText, longTime, seconds, shortTime, text } from "../common/texts.js";
import { ToolCard } from "./tool_card.js";
import { visible } from "../common/visible_text.js";

/** Characters of a person's message that are shown before it is opened. */
const MESSAGE_SHOWN = 4000;

/** What becomes of a turn, by what happens; anything else leaves it as it is. */
const STATUS = {
  "turn.queued": "queued",
  "turn.started": "running",
  "turn.completed": "completed",
  "turn.failed": "failed",
};

export class TurnView {
  #context;
  #message = h("div", { class: "message", hidden: true });
  #actions = h("div", { class: "message-actions" });
  #answer = h("div", { class: "answer" });
  #foot = h("footer", { class: "turn-foot", hidden: true });
  #segments = new Map();
  #tools = new Map();
  #questions = new Map();
  #asking = new Map(); // a permission's id → the card of the tool that it is for
  #asked = null;
  #askedAt = null;
  #changes = [];
  #working = h("p", { class: "working", hidden: true }, h("span", { class: "dots", "aria-hidden": "true" }), h("span", { text: text("working") }));

  /**
   * `context`: { queue, files, send(frame), branch(turnId, text), retry(text), takeOut(turnId) }: what a turn can ask of
   * its session.
   */
  constructor(id, context) {
    this.id = id;
    this.#context = context;
    this.status = "queued";
    this.startedAt = null;
    this.element = h("article", { class: "turn", data: { turnId: id, status: "queued" } }, this.#message, this.#answer, this.#working, this.#foot);
  }

  /** What was asked; null while it isn't known. */
  get asked() {
    return this.#asked;
  }

  /** When it was asked, as the server tells it. */
  get askedAt() {
    return this.#askedAt;
  }

  /** The question that waits, or null. */
  get question() {
    return [...this.#questions.values()].find((view) => !view.element.dataset.outcome) ?? null;
  }

  /** Take one of its events. */
  take(event) {
    if (event.type in STATUS) this.#become(STATUS[event.type]);
    else if (this.status === "queued" && event.type !== "notice") this.#become("running"); // its beginning isn't kept
    switch (event.type) {
      case "turn.queued":
        if (event.text !== undefined) this.#ask(event.text, event.time);
        break;
      case "turn.started":
        this.startedAt = Date.parse(event.time);
        this.#ask(event.text, event.time, event.changes);
        break;
      case "message.delta":
        this.#segment(event.segment).append(event.text);
        break;
      case "message.completed":
        this.#segment(event.segment).complete(event.text);
        if (!event.exact) this.#note("inexact", text("inexact"));
        break;
      case "tool.started":
        this.#addTool(event);
        break;
      case "tool.output":
        this.#tools.get(event.tool_id)?.print(event.text);
        break;
      case "tool.completed":
        this.#tools.get(event.tool_id)?.completed(event);
        break;
      case "permission.requested":
        this.#addQuestion(event.request_id, new PermissionView(event, this.#context.send));
        this.#asking.set(event.request_id, this.#tools.get(event.tool_id));
        this.#tools.get(event.tool_id)?.waits(true);
        break;
      case "menu.requested":
        this.#addQuestion(event.request_id, new MenuView(event, this.#context.send));
        break;
      case "permission.answered":
      case "menu.answered":
        this.#questions.get(event.request_id)?.answered(event);
        this.#asking.get(event.request_id)?.waits(false);
        break;
      case "notice":
        this.#note(event.code, event.text);
        break;
      case "turn.completed":
      case "turn.failed":
        this.#end(event);
        break;
      default: // a newer server tells more than this page shows
    }
    this.#working.hidden = this.status !== "running" || this.question !== null;
  }

  /** The text of a segment is told again from its beginning. */
  restart(number) {
    this.#segments.get(number)?.restart();
  }

  /** The server rendered a part of a segment. */
  rendered(frame) {
    this.#segment(frame.segment).patch(frame);
  }

  /** A turn as the list of messages has it: no journal tells of it any more, or it was inherited by a fork. */
  static ofThePast(id, context) {
    const turn = new TurnView(id, context);
    turn.#become("completed");
    turn.#working.hidden = true;
    return turn;
  }

  /** Add what a message says that isn't shown yet; whether it had an answer's text. */
  addMessage({ role, text: words, tools, created_at: time, exact }) {
    if (role === "user") {
      if (this.#asked === null) this.#ask(words, time);
      return false;
    }
    if (this.#segments.size || this.#tools.size) return false;
    for (const tool of tools ?? []) {
      this.#addTool(tool);
      this.#tools.get(tool.tool_id ?? tool.name)?.completed({ outcome: tool.outcome });
    }
    if (words === "") return false;
    const segment = this.#segment(0);
    segment.complete(words);
    if (!exact) this.#note("inexact", text("inexact"));
    this.#finish(time, null);
    return true;
  }

  /** Its segments, in order. */
  get segments() {
    return [...this.#segments.values()];
  }

  /** All that was said so far, as markdown. */
  get said() {
    return this.segments.map((segment) => segment.text).filter(Boolean).join("\n\n");
  }

  #become(status) {
    this.status = status;
    this.element.dataset.status = status;
    if (this.#asked !== null) this.#paintActions();
  }

  #ask(words, time, changes = []) {
    if (words !== this.#asked) this.#paintMessage(words);
    this.#asked = words;
    this.#askedAt = time;
    this.#changes = changes;
    this.#paintActions();
  }

  #paintMessage(words) {
    const shown = h("div", { class: "message-text", dir: "auto" }, visible(words.slice(0, MESSAGE_SHOWN)));
    const rest = words.length > MESSAGE_SHOWN && button(text("show_all"), () => {
      shown.replaceChildren();
      for (const node of visible(words)) shown.append(node); // they may be too many for one call
      rest.remove();
    });
    this.#message.hidden = false;
    this.#message.replaceChildren(h("h2", { class: "visually-hidden", text: text("you_said") }), shown, rest || "", this.#actions);
  }

  #paintActions() {
    const waits = this.status === "queued";
    const time = this.#askedAt;
    this.#actions.replaceChildren(...[
      waits && h("span", { class: "muted queued" }, icon("hourglass"), text("queued")),
      waits && iconButton("close", text("take_out"), () => this.#context.takeOut(this.id)),
      this.#changes.length > 0 && h("span", { class: "muted", title: this.#changes.join(", "), text: text("message_changed") }),
      h("time", { class: "muted", datetime: time, title: longTime(time), text: shortTime(time) }),
      copyButton(() => this.#asked, text("copy_message")),
      !waits && iconButton("edit", text("edit_message"), () => this.#edit(), { class: "icon edit" }),
    ].filter(Boolean));
  }

  /** Let the message be changed in its place; it goes on in a session of its own, and this one stays as it is. */
  #edit() {
    const words = h("textarea", { class: "field", rows: Math.min(12, this.#asked.split("\n").length + 1), "aria-label": text("edit_message"), value: this.#asked });
    const problem = h("p", { class: "problem", role: "alert" });
    const leave = () => {
      this.#paintMessage(this.#asked);
      this.#message.querySelector(".edit")?.focus();
    };
    const form = h("form", {
      class: "message-form",
      on: {
        submit: async (event) => {
          event.preventDefault();
          if (words.value.trim() === "") return;
          send.disabled = true;
          try {
            await this.#context.branch(this.id, words.value);
          } catch (error) {
            problem.textContent = error.message;
            send.disabled = false;
          }
        },
        keydown: (event) => {
          if (event.key !== "Escape") return;
          event.stopPropagation(); // it doesn't stop the turn that runs
          leave();
        },
      },
    }, words, h("p", { class: "muted", text: text("edit_explained") }), problem);
    const send = h("button", { type: "submit", class: "button primary", text: text("send_branch") });
    form.append(h("div", { class: "message-form-buttons" }, button(text("cancel"), leave), send));
    this.#message.replaceChildren(form);
    words.focus();
  }

  #segment(number) {
    let segment = this.#segments.get(number);
    if (!segment) {
      segment = new SegmentView(this.#context);
      this.#segments.set(number, segment);
      this.#answer.append(segment.element);
    }
    return segment;
  }

  #addTool(event) {
    const card = new ToolCard(event, this.#context.queue);
    this.#tools.set(event.tool_id ?? event.name, card);
    this.#answer.append(card.element);
  }

  #addQuestion(id, view) {
    if (this.#questions.has(id)) return;
    this.#questions.set(id, view);
    this.#answer.append(view.element);
  }

  #note(code, words) {
    this.#answer.append(h("p", { class: "notice", data: { code } }, icon("warning"),
      h("span", {}, visible(hasText(`notice_${code}`) ? text(`notice_${code}`) : words))));
  }

  #end(event) {
    for (const card of this.#tools.values()) card.over();
    const left = this.question;
    if (left) left.close(text("question_over"), "over");
    if (event.type === "turn.failed") this.#answer.append(this.#failure(event));
    else if (event.stop_reason === "interrupted") this.#answer.append(h("p", { class: "notice stopped" }, icon("stop"), text("stopped")));
    this.#finish(event.time, event.timings?.total ?? null);
  }

  #failure({ code, message }) {
    const known = hasText(`error_${code}`);
    return h("div", { class: "failure" },
      h("p", { class: "failure-head" }, icon("warning"), h("strong", { text: known ? text(`error_${code}`) : text("turn_failed") })),
      message && h("pre", { class: "failure-told", tabindex: "0", "aria-label": text("agent_said") }, visible(message)),
      this.#asked !== null && button(text("try_again"), () => this.#context.retry(this.#asked), { icon: "refresh" }));
  }

  #finish(time, taken) {
    this.#foot.hidden = this.#segments.size === 0;
    this.#foot.replaceChildren(
      copyButton(() => this.said, text("copy_answer")),
      h("time", { class: "muted", datetime: time, title: longTime(time), text: shortTime(time) }),
      taken === null ? "" : h("span", { class: "muted", text: seconds(taken) }));
  }
}
