// What a person types, as a terminal would send it: keys, text of input methods, pastes.

import { h } from "../common/dom.js";

const ESC = "\x1b";

/** Keys that are sequences of their own; `~` ones take a modifier as a second number, letters as `1;m`. */
const LETTERS = { ArrowUp: "A", ArrowDown: "B", ArrowRight: "C", ArrowLeft: "D", Home: "H", End: "F" };
const NUMBERS = { Insert: 2, Delete: 3, PageUp: 5, PageDown: 6, F5: 15, F6: 17, F7: 18, F8: 19, F9: 20, F10: 21, F11: 23, F12: 24 };
const FUNCTIONS = { F1: "P", F2: "Q", F3: "R", F4: "S" };
const PLAIN = { Enter: "\r", Tab: "\t", Backspace: "\x7f", Escape: ESC };
const CONTROLS = { " ": "\0", "@": "\0", "[": "\x1b", "\\": "\x1c", "]": "\x1d", "^": "\x1e", "_": "\x1f", "?": "\x7f" };

/**
 * What a terminal sends for a key; null for one that is the browser's, or that makes text by itself.
 *
 * Ctrl+Shift+letter is left to the browser (copy, paste), and so is whatever has the system's key in it.
 */
export function sequenceOf({ key, ctrlKey, altKey, shiftKey, metaKey, getModifierState }) {
  if (metaKey || getModifierState?.("AltGraph")) return null;
  const modifier = 1 + (shiftKey ? 1 : 0) + (altKey ? 2 : 0) + (ctrlKey ? 4 : 0);
  if (key in LETTERS) return modifier === 1 ? `${ESC}[${LETTERS[key]}` : `${ESC}[1;${modifier}${LETTERS[key]}`;
  if (key in NUMBERS) return modifier === 1 ? `${ESC}[${NUMBERS[key]}~` : `${ESC}[${NUMBERS[key]};${modifier}~`;
  if (key in FUNCTIONS) return modifier === 1 ? `${ESC}O${FUNCTIONS[key]}` : `${ESC}[1;${modifier}${FUNCTIONS[key]}`;
  if (key === "Tab" && shiftKey) return `${ESC}[Z`;
  if (key in PLAIN) return (altKey ? ESC : "") + (key === "Backspace" && ctrlKey ? "\b" : PLAIN[key]);
  if ([...key].length !== 1) return null;
  if (ctrlKey) {
    if (shiftKey && /\p{L}/u.test(key)) return null;
    const letter = key.toLowerCase();
    const control = letter >= "a" && letter <= "z" ? String.fromCharCode(letter.charCodeAt(0) - 96) : CONTROLS[key];
    return control === undefined ? null : (altKey ? ESC : "") + control;
  }
  return altKey ? ESC + key : null;
}

/**
 * What a terminal sends for a pasted text: without characters that could end the paste, or do anything else.
 *
 * `marked`: the program that reads knows pastes: then lines stay lines, and nothing is entered by itself.
 */
export function pasteOf(pasted, { marked }) {
  const clean = pasted.replace(/\r\n?|\n/g, "\r").replace(/[\x00-\x08\x0a-\x0c\x0e-\x1f\x7f-\x9f]/g, "");
  return marked && clean.includes("\r") ? `${ESC}[200~${clean}${ESC}[201~` : clean;
}

/** A field that nobody sees, and that takes what is typed. Events: "keys" (detail: the text), "leave". */
export class KeyField extends EventTarget {
  #composing = false;
  #marked;

  /** `marked()`: whether the program that reads now knows pastes. */
  constructor({ label, describedBy, marked }) {
    super();
    this.#marked = marked;
    this.element = h("textarea", {
      class: "key-field", rows: "1", autocapitalize: "off", autocomplete: "off", autocorrect: "off", spellcheck: "false",
      "aria-label": label, "aria-describedby": describedBy, data: { keepsEscape: "" },
      on: {
        keydown: (event) => this.#key(event),
        input: (event) => event.isComposing || this.#flush(),
        compositionstart: () => { this.#composing = true; this.element.classList.add("composing"); },
        compositionend: () => { this.#composing = false; this.element.classList.remove("composing"); this.#flush(); },
        paste: (event) => this.#paste(event),
      },
    });
  }

  #key(event) {
    if (event.isComposing || this.#composing || event.keyCode === 229) return;
    if (event.key === "Enter" && event.ctrlKey && event.shiftKey) {
      event.preventDefault();
      this.dispatchEvent(new Event("leave"));
      return;
    }
    const modifiers = { getModifierState: (name) => event.getModifierState(name) };
    const { key, ctrlKey, altKey, shiftKey, metaKey } = event;
    const sequence = sequenceOf({ key, ctrlKey, altKey, shiftKey, metaKey, ...modifiers });
    if (sequence === null) return;
    event.preventDefault();
    this.#send(sequence);
  }

  #paste(event) {
    event.preventDefault();
    const words = event.clipboardData.getData("text/plain");
    if (words) this.#send(pasteOf(words, { marked: this.#marked() }));
  }

  #flush() {
    const words = this.element.value;
    this.element.value = "";
    if (words) this.#send(words.replace(/\n/g, "\r"));
  }

  #send(words) {
    if (words) this.dispatchEvent(new CustomEvent("keys", { detail: words }));
  }
}

/** A text in pieces that fit into a frame, no character cut in two. */
export function* pieces(words, most) {
  let piece = "";
  for (const character of words) {
    if (piece.length + character.length > most) {
      yield piece;
      piece = "";
    }
    piece += character;
  }
  if (piece) yield piece;
}
