// A tool at work: its name, what it is for, what it was given, what it printed, how it ended.

import { copyButton } from "../common/clipboard.js";
import { h, icon } from "../common/dom.js";
import { hasText, seconds, text } from "../common/texts.js";
import { visible } from "../common/visible_text.js";

/** Characters of output that are shown at once, and that each "more" adds. */
const OUTPUT_SHOWN = 20_000;
const BRIEF = 160;

export class ToolCard {
  #outcome = h("span", { class: "tool-outcome" });
  #brief = h("span", { class: "tool-brief" });
  #facts = h("div", { class: "tool-facts" });
  #output = h("pre", { class: "tool-output", tabindex: "0", hidden: true });
  #more = h("button", { type: "button", class: "button", hidden: true, on: { click: () => this.#show(10 * OUTPUT_SHOWN) } });
  #printed = "";
  #shown = 0;
  #room = OUTPUT_SHOWN;
  #dirty = false;
  #queue;

  /** `event`: a "tool.started", or what a message's summary has of a tool. */
  constructor(event, queue) {
    this.#queue = queue;
    this.element = h("details", { class: "tool", data: { outcome: "running" } },
      h("summary", {}, icon("tool"), h("span", { class: "tool-name" }, visible(event.name)), this.#brief, this.#outcome),
      h("div", { class: "tool-body" }, this.#facts, this.#output, this.#more));
    this.#output.setAttribute("aria-label", text("tool_output"));
    this.#describe(event);
    this.#end("running");
  }

  /** More was printed. */
  print(more) {
    this.#printed += more;
    if (this.#dirty) return;
    this.#dirty = true;
    this.#queue.add(() => {
      this.#dirty = false;
      this.#show(0);
    });
  }

  /** It waits for an answer, or doesn't any more. */
  waits(yes) {
    this.#end(yes ? "waiting" : "running");
  }

  /** It ended. */
  completed({ outcome, seconds: taken }) {
    this.#end(outcome, taken);
  }

  /** Its turn ended; nothing more will be heard of it. */
  over() {
    if (["running", "waiting"].includes(this.element.dataset.outcome)) this.#end("interrupted");
  }

  #describe({ name, arguments: given, purpose, server, trusted }) {
    this.#brief.replaceChildren(...visible(cut(purpose ?? brief(given), BRIEF)));
    this.#facts.append(...[
      purpose && fact("tool_purpose", h("span", {}, visible(purpose))),
      server && fact("tool_server", h("span", {}, visible(server))),
      ...argumentFacts(name, given),
      trusted !== undefined && fact("tool_trusted", h("span", { text: text(trusted ? "tool_trusted_yes" : "tool_trusted_no") })),
    ].filter(Boolean));
  }

  #end(outcome, taken = null) {
    this.element.dataset.outcome = outcome ?? "unknown";
    const key = `outcome_${outcome}`;
    this.#outcome.textContent = [hasText(key) ? text(key) : "", taken ? seconds(taken) : ""].filter(Boolean).join(" · ");
  }

  #show(room) {
    this.#room += room;
    const next = this.#printed.slice(this.#shown, this.#room);
    if (next) {
      for (const node of visible(next)) this.#output.append(node); // they may be too many for one call
      this.#shown += next.length;
    }
    this.#output.hidden = this.#printed === "";
    const left = this.#printed.length - this.#shown;
    this.#more.hidden = left === 0;
    this.#more.textContent = text("more_output", { count: left });
  }
}

/** Nodes that show a tool's arguments, as a person has to read them before allowing the tool. */
export function argumentFacts(name, given) {
  if (given === null || given === undefined) return [h("p", { class: "muted", text: text("arguments_unknown") })];
  return Object.entries(given).map(([key, value]) => {
    const shown = typeof value === "string" ? value : JSON.stringify(value, null, 2);
    const long = shown.includes("\n") || shown.length > 60 || key === "command";
    const box = h(long ? "pre" : "code", { class: "argument", dir: "ltr" }, visible(shown.slice(0, OUTPUT_SHOWN)));
    if (!long) return fact(null, box, key);
    box.tabIndex = 0;
    box.setAttribute("aria-label", key);
    return fact(null, h("div", { class: "argument-box" }, box, copyButton(() => shown), rest(box, shown)), key);
  });
}

/** A button for what of an argument isn't shown, null if all is. It says how much that is. */
function rest(box, shown) {
  let room = OUTPUT_SHOWN;
  const label = () => text("more_output", { count: shown.length - room });
  if (shown.length <= room) return null;
  const more = h("button", { type: "button", class: "button unread", text: label(), on: { click: () => {
    for (const node of visible(shown.slice(room, room += 10 * OUTPUT_SHOWN))) box.append(node); // too many for one call
    if (room >= shown.length) more.remove();
    else more.textContent = label();
  } } });
  return more;
}

function fact(key, node, label = key && text(key)) {
  return h("div", { class: "fact" }, h("div", { class: "fact-name" }, visible(label)), node);
}

/** The one argument that says most. */
function brief(given) {
  for (const key of ["command", "path", "query", "url", "content"]) {
    if (typeof given?.[key] === "string") return given.path && key === "command" ? `${given.command} ${given.path}` : given[key];
  }
  const path = given?.operations?.[0]?.path ?? given?.operations?.[0]?.image_paths?.[0];
  return typeof path === "string" ? path : "";
}

const cut = (words, most) => (words.length > most ? `${words.slice(0, most)}…` : words);
