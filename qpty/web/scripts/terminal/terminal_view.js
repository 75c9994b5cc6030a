// A session's terminal: what it shows now, its keyboard for who may take it over, and what it showed.
//
//   watching ──take over──▶ typing ──give back, hide, the terminal ends, the connection is lost──▶ watching

import { alarm, announce } from "../common/announcements.js";
import { ApiError } from "../common/api.js";
import { button, h } from "../common/dom.js";
import { KeyField, pieces } from "./keyboard.js";
import { Playback } from "./playback.js";
import { Screen } from "./screen.js";
import { text } from "../common/texts.js";

/** Characters in one frame of keys. */
const MOST_KEYS = 4096;
/** States in which the agent's own line editor reads, which knows pastes. */
const EDITS_LINES = new Set(["ready", "permission", "unknown"]);

let views = 0;

export class TerminalView {
  #connection;
  #id = `terminal-${++views}`;
  #screen = new Screen(text("screen"));
  #playback;
  #keys;
  #tabs;
  #panels;
  #take;
  #note;
  #warning;
  #problem = h("p", { class: "problem terminal-note", role: "alert" });
  #tab = "live";
  #visible = false;
  #watching = false;
  #live = false;
  #state = null;
  #keyboard = { taken: false, mine: false, allowed: false };
  #closed = new AbortController();

  /** `context`: see docs/page.md. */
  constructor(context) {
    this.#connection = context.connection;
    this.#state = context.info.state;
    this.#playback = new Playback(context.sessionId);
    this.#keys = new KeyField({ label: text("keyboard_field"), describedBy: `${this.#id}-warning`, marked: () => EDITS_LINES.has(this.#state) });
    this.#take = button(text("take_keyboard"), () => this.#ask(true), { icon: "keyboard", disabled: true, "aria-describedby": `${this.#id}-note` });
    this.#note = h("p", { class: "terminal-note muted", id: `${this.#id}-note`, role: "status" });
    this.#warning = h("div", { class: "keyboard-warning", hidden: true },
      h("p", { id: `${this.#id}-warning`, text: text("keyboard_yours") }),
      button(text("give_keyboard_back"), () => this.#ask(false), { kind: "primary" }));
    this.#tabs = { live: this.#tabOf("live", text("live")), recording: this.#tabOf("recording", text("recording")) };
    this.#panels = {
      live: this.#panelOf("live", h("div", { class: "terminal-bar" }, this.#take, this.#note), this.#warning, this.#problem, this.#screen.element),
      recording: this.#panelOf("recording", this.#playback.element),
    };
    this.element = h("div", { class: "terminal" },
      h("div", { class: "terminal-tabs", role: "tablist", "aria-label": text("terminal"), on: { keydown: (event) => this.#tabKey(event) } }, ...Object.values(this.#tabs)),
      ...Object.values(this.#panels));
    this.#screen.follow(this.#keys.element);
    this.#screen.element.hidden = true;
    this.#keys.element.hidden = true;
    this.#listen();
    this.#choose("live");
  }

  show() {
    this.#visible = true;
    this.#watch();
    if (this.#tab === "recording") this.#playback.show();
  }

  hide() {
    this.#visible = false;
    if (this.#keyboard.mine) this.#ask(false);
    this.#playback.hide();
    this.#watch();
  }

  close() {
    this.hide();
    this.#closed.abort();
    this.#screen.close();
    this.#playback.close();
  }

  #listen() {
    const { signal } = this.#closed;
    const on = (target, type, listener) => target.addEventListener(type, (event) => listener(event.detail), { signal });
    on(this.#connection, "hello", ({ keyboard, state }) => {
      this.#state = state;
      this.#watching = false;
      this.#keyboardIs({ ...keyboard, mine: false });
      this.#watch();
    });
    on(this.#connection, "state", ({ state }) => {
      if (state === "open") return;
      this.#watching = this.#live = false;
      this.#keyboardIs({ taken: false, mine: false, allowed: false });
    });
    on(this.#connection, "session.state", ({ state }) => { this.#state = state; });
    on(this.#connection, "keyboard", (frame) => this.#keyboardIs(frame));
    on(this.#connection, "screen", (update) => this.#seen(update));
    on(document, "visibilitychange", () => this.#watch());
    on(this.#keys, "keys", (words) => this.#type(words));
    on(this.#keys, "leave", () => this.#ask(false));
    this.#screen.element.addEventListener("click", () => {
      if (this.#keyboard.mine && getSelection().isCollapsed) this.#keys.element.focus();
    }, { signal });
  }

  /** Have screens while they can be seen, and only then. */
  #watch() {
    const wanted = this.#visible && this.#tab === "live" && document.visibilityState === "visible" && this.#connection.state === "open";
    if (wanted === this.#watching) return;
    this.#watching = wanted;
    if (this.#connection.state === "open") this.#send({ type: "screen", watch: wanted });
  }

  #seen(update) {
    if (!this.#watching) return; // it was on its way when this was left
    this.#live = update.live;
    this.#screen.apply(update);
    this.#paint();
  }

  #keyboardIs({ taken, mine, allowed }) {
    const before = this.#keyboard;
    this.#keyboard = { taken, mine, allowed };
    this.#paint();
    if (mine && !before.mine) {
      this.#keys.element.focus();
      alarm(text("keyboard_yours"));
    } else if (before.mine && !mine) {
      announce(text("keyboard_given_back"));
      if (this.#visible) this.#take.focus();
    }
  }

  #paint() {
    const { taken, mine, allowed } = this.#keyboard;
    this.#screen.element.hidden = this.#screen.empty || (!this.#live && this.#screen.text.trim() === "");
    this.#screen.element.classList.toggle("asleep", !this.#live);
    this.#panels.live.classList.toggle("typing", mine);
    this.#warning.hidden = this.#keys.element.hidden = !mine;
    this.#take.hidden = mine;
    this.#take.disabled = !this.#live || !allowed || taken;
    if (mine) this.#problem.textContent = "";
    this.#note.textContent = mine ? "" : this.#why();
  }

  /** Why the keyboard can't be taken now, if it can't. */
  #why() {
    if (this.#connection.state !== "open") return text("terminal_offline");
    if (!this.#live) return text("terminal_asleep");
    if (this.#keyboard.taken) return text("keyboard_elsewhere");
    return this.#keyboard.allowed ? "" : text("keyboard_not_allowed");
  }

  #ask(take) {
    this.#send({ type: "keyboard", take });
  }

  #type(words) {
    for (const piece of pieces(words, MOST_KEYS)) this.#send({ type: "keys", text: piece });
  }

  async #send(frame) {
    try {
      await this.#connection.request(frame);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code !== "offline") this.#problem.textContent = error.message;
    }
  }

  // -- tabs

  #tabOf(name, label) {
    return h("button", { type: "button", class: "tab", role: "tab", id: `${this.#id}-tab-${name}`, "aria-controls": `${this.#id}-${name}`, text: label,
      on: { click: () => this.#choose(name) } });
  }

  #panelOf(name, ...children) {
    return h("div", { class: "terminal-panel", role: "tabpanel", id: `${this.#id}-${name}`, "aria-labelledby": `${this.#id}-tab-${name}` }, ...children);
  }

  #choose(name) {
    if (name !== "live" && this.#keyboard.mine) this.#ask(false);
    this.#tab = name;
    for (const [other, tab] of Object.entries(this.#tabs)) {
      tab.setAttribute("aria-selected", String(other === name));
      tab.tabIndex = other === name ? 0 : -1;
      this.#panels[other].hidden = other !== name;
    }
    this.#watch();
    if (name === "recording" && this.#visible) this.#playback.show();
    else this.#playback.hide();
    this.#paint();
  }

  #tabKey(event) {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    this.#choose(this.#tab === "live" ? "recording" : "live");
    this.#tabs[this.#tab].focus();
  }
}
