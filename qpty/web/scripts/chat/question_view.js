// The question that waits: a permission with exactly what would run, or a menu with its options.

import { toast } from "../common/announcements.js";
import { button, h, icon } from "../common/dom.js";
import { text } from "../common/texts.js";
import { argumentFacts } from "./tool_card.js";
import { visible } from "../common/visible_text.js";

/** Answers of a permission, with the button's kind. */
const ANSWERS = [["allow", "primary"], ["refuse", ""], ["always", ""]];

/** The base: a box that asks until it is answered, here or in another tab. */
class QuestionView {
  #send;
  #buttons = h("div", { class: "question-buttons" });
  #told = h("p", { class: "question-answer", hidden: true });
  #body;

  /** `send(frame)` sends the answer; resolves when it was typed. */
  constructor(heading, drawing, body, send) {
    this.#send = send;
    this.#body = body ?? h("div");
    const id = `question-${Math.random().toString(36).slice(2)}`;
    this.element = h("section", { class: "question", "aria-labelledby": id },
      h("h3", { id }, icon(drawing), h("span", {}, heading)), this.#body, this.#buttons, this.#told);
  }

  add(made) {
    this.#buttons.append(made);
  }

  async send(frame) {
    this.#enable(false);
    try {
      await this.#send(frame);
    } catch (error) {
      toast(error.message, { bad: true });
      this.#enable(error.code !== "question_gone");
    }
  }

  /** It was answered, or its turn ended without an answer. */
  close(words, outcome) {
    this.element.dataset.outcome = outcome;
    this.#buttons.hidden = true;
    this.#body.hidden = true; // the tool's card has it
    this.#told.hidden = false;
    this.#told.replaceChildren(...visible(words));
  }

  #enable(yes) {
    for (const made of this.#buttons.querySelectorAll("button")) made.disabled = !yes;
  }
}

/** A tool asks whether it may run. */
export class PermissionView extends QuestionView {
  constructor(event, send) {
    const { request_id: id, name, arguments: given, certain } = event;
    const calls = certain === false && Array.isArray(given?.tool_calls) ? given.tool_calls : null;
    super(visible(text("permission_asked", { name })), "warning", h("div", { class: "tool-facts" },
      certain === false && h("p", { class: "question-doubt", text: text(calls ? "permission_one_of" : "permission_uncertain") }),
      calls ? calls.map((call) => [h("strong", {}, visible(call.name)), argumentFacts(call.name, call.arguments)]).flat(2) : argumentFacts(name, given),
    ), send);
    this.summary = text("permission_asked", { name });
    for (const [answer, kind] of ANSWERS) {
      this.add(button(text(`answer_${answer}`), () => this.send({ type: "answer", request_id: id, answer }), { kind, data: { answer } }));
    }
    this.element.addEventListener("click", () => this.#checkRead());
    this.#checkRead();
  }

  /** What wasn't shown can't be allowed. */
  #checkRead() {
    const unread = this.element.querySelector(".unread") !== null;
    for (const made of this.element.querySelectorAll("[data-answer=allow], [data-answer=always]")) {
      made.disabled = unread;
      made.title = unread ? text("read_first") : "";
    }
  }

  answered({ answer }) {
    this.close(text(`answered_${answer}`), answer);
  }
}

/** The CLI shows a menu. */
export class MenuView extends QuestionView {
  #options;

  constructor({ request_id: id, title, options, selected }, send) {
    super(visible(title), "menu", null, send);
    this.#options = options;
    this.summary = title;
    options.forEach((option, index) => {
      const made = button("", () => this.send({ type: "choose", request_id: id, index }), { kind: index === selected ? "primary" : "" });
      made.replaceChildren(...visible(option));
      this.add(made);
    });
    this.add(button(text("menu_leave"), () => this.send({ type: "choose", request_id: id, index: null })));
  }

  answered({ index }) {
    this.close(index === null ? text("menu_left") : text("menu_chosen", { option: this.#options[index] ?? "?" }), "answered");
  }
}
