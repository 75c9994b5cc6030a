// A terminal's screen as the server sees it: rows of runs, painted into a grid of columns. No terminal emulator.
//
// The grid is text: a screen reader can walk it, and it can be selected. It is no live region, which would never be still.

import { h } from "../common/dom.js";
import { isLight, nameOf, ownColour } from "./screen_colours.js";

/** Pixels of a character's height; between these a screen is made to fit the width that it has. */
const SMALLEST = 7;
const LARGEST = 14;
const LINE_HEIGHT = 1.25;

/** Columns of the element by which a column's width is measured. */
const PROBE_COLUMNS = 10;

const PLAIN = /^[\x20-\x7e]*$/;
const COMBINING = /^[\p{M}\u200b-\u200f\u2060\ufe00-\ufe0f]/u;
const WIDE = /^(?:\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}])/u;

export class Screen {
  #grid = h("div", { class: "screen-grid", translate: "no" });
  #cursor = h("div", { class: "screen-cursor", hidden: true });
  #probe = h("div", { class: "screen-probe", "aria-hidden": "true" });
  #rows = [];
  #elements = [];
  #dirty = new Set();
  #state = null;
  #frame = null;
  #resized;

  constructor(label) {
    this.element = h("div", { class: "screen", role: "group", tabindex: "0", dir: "ltr", lang: "", "aria-label": label },
      h("div", { class: "screen-page" }, this.#grid, this.#cursor, this.#probe));
    this.#resized = new ResizeObserver(() => this.#fit());
    this.#resized.observe(this.element);
  }

  /** Whether anything was seen yet. */
  get empty() {
    return this.#state === null;
  }

  /** What is on it, as text. */
  get text() {
    return this.#rows.map((row) => row.map((run) => run.text).join("")).join("\n");
  }

  /** Take a frame of the server's in; it is painted with the browser's next picture. The first one must be full. */
  apply(update) {
    if (this.#state === null && !update.full) return;
    if (update.full) this.#rows = Array.from({ length: update.lines }, () => []);
    for (const [number, row] of Object.entries(update.rows)) {
      this.#rows[number] = row;
      this.#dirty.add(Number(number));
    }
    if (update.full) for (const number of this.#rows.keys()) this.#dirty.add(number);
    const resized = this.#state?.columns !== update.columns;
    this.#state = update;
    if (resized) this.#fit();
    this.#frame ??= requestAnimationFrame(() => this.#paint());
  }

  /** Put something where the cursor is, such as the field that takes what is typed. */
  follow(element) {
    this.#grid.parentElement.append(element);
  }

  close() {
    this.#resized.disconnect();
    cancelAnimationFrame(this.#frame);
  }

  #paint() {
    this.#frame = null;
    while (this.#elements.length > this.#rows.length) this.#elements.pop().remove();
    while (this.#elements.length < this.#rows.length) {
      const row = h("div", { class: "screen-row" });
      this.#elements.push(row);
      this.#grid.append(row);
    }
    for (const number of this.#dirty) {
      if (number < this.#rows.length) this.#elements[number].replaceChildren(...this.#rows[number].flatMap(painted));
    }
    this.#dirty.clear();
    this.#paintCursor();
  }

  #paintCursor() {
    const { columns, cursor_column: column, cursor_line: line, cursor_hidden: hidden, live } = this.#state;
    this.#cursor.hidden = hidden || !live;
    const page = this.#grid.parentElement;
    page.style.setProperty("--cursor-column", Math.min(column, columns - 1));
    page.style.setProperty("--cursor-line", line);
  }

  /** Choose the size of characters with which all columns fit; where that is too small, the screen scrolls. */
  #fit() {
    if (!this.#state || !this.element.clientWidth) return;
    const page = this.#grid.parentElement;
    const size = parseFloat(getComputedStyle(page).fontSize);
    const perPixel = this.#probe.getBoundingClientRect().width / PROBE_COLUMNS / size;
    const style = getComputedStyle(this.element);
    const room = this.element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const fits = Math.floor((room / this.#state.columns / perPixel) * 10) / 10;
    page.style.fontSize = `${Math.min(LARGEST, Math.max(SMALLEST, fits))}px`;
    page.style.lineHeight = String(LINE_HEIGHT);
    page.style.width = `${this.#state.columns}ch`;
  }
}

/** A run as elements: plain letters stand in the grid by themselves, anything else gets the columns that it has. */
function painted(run) {
  const parts = PLAIN.test(run.text) ? [run.text] : [...new Intl.Segmenter().segment(run.text)].map(({ segment }) => cell(segment));
  const { fg = "default", bg = "default", bold, italic, underline, reverse } = run;
  const ground = reverse ? (fg === "default" ? "text" : fg) : bg;
  const ink = reverse ? (bg === "default" ? "ground" : bg) : fg;
  if (ink === "default" && ground === "default" && !bold && !italic && !underline) return parts;
  const names = [bold && "bold", italic && "italic", underline && "underline"];
  const [inkName, groundName] = [nameOf(ink), nameOf(ground)];
  if (ink !== "default" && inkName) names.push(`ink-${inkName}`);
  if (ground !== "default" && groundName) names.push(`on-${groundName}`);
  const element = h("span", { class: names.filter(Boolean).join(" ") || null }, ...parts);
  if (!inkName) element.style.color = ownColour(ink, { ink: ground === "default" });
  if (!groundName) {
    element.style.backgroundColor = ownColour(ground);
    element.style.color = isLight(ground) ? "var(--ground-ink)" : "var(--text-ink)";
  }
  return [element];
}

/** One character that isn't of the plain ones: fonts differ in its width, and the grid must not. */
function cell(character) {
  if (PLAIN.test(character)) return character;
  if (COMBINING.test(character)) return character;
  const wide = WIDE.test(character) || character.includes("\ufe0f");
  return h("span", { class: wide ? "cell wide-cell" : "cell", text: character });
}
