// One stretch of an answer: the blocks that the server rendered, and behind them, raw, what came since.

import { copyButton } from "../common/clipboard.js";
import { h } from "../common/dom.js";
import { nodesOf } from "./rendered_html.js";
import { text } from "../common/texts.js";

/** Characters of raw text that are shown behind the rendered blocks. */
const RAW_SHOWN = 4000;

export class SegmentView {
  #tail = h("div", { class: "tail", dir: "auto" });
  #raw = document.createTextNode("");
  #text = "";
  #upto = 0;
  #blocks = [];
  #dirty = false;
  #queue;
  #files;

  /** `queue`: the FrameQueue that paints; `files`: { url(path), open(path) } of the session's files. */
  constructor({ queue, files }) {
    this.#queue = queue;
    this.#files = files;
    this.#tail.append(this.#raw);
    this.element = h("div", { class: "segment markdown" }, this.#tail);
  }

  /** The text so far. */
  get text() {
    return this.#text;
  }

  /** More text came. */
  append(more) {
    this.#text += more;
    this.#paintTail();
  }

  /** The text comes again from its beginning. What was rendered of it stays until it is rendered again. */
  restart() {
    this.#text = "";
    this.#paintTail();
  }

  /** The whole text is known: what the CLI's own record has, if it could be read. */
  complete(whole) {
    if (!whole.startsWith(this.#text.slice(0, this.#upto))) this.#upto = Math.min(this.#upto, whole.length);
    this.#text = whole;
    this.#paintTail();
  }

  /** The blocks from `first` on are these; they cover the text up to `upto`. */
  patch({ first, blocks, upto }) {
    blocks.forEach((html, index) => this.#queue.add(() => this.#place(first + index, html), html.length));
    this.#queue.add(() => {
      for (const { element } of this.#blocks.splice(first + blocks.length)) element.remove();
      this.#upto = upto;
      this.#showTail();
    });
  }

  /** Put a block where it belongs; the same one isn't touched: a person may be selecting in it. */
  #place(index, html) {
    const before = this.#blocks[index];
    if (before?.html === html) return;
    const element = h("div", { class: "block" });
    element.append(nodesOf(html));
    this.#decorate(element);
    this.#blocks[index] = { html, element };
    if (before) before.element.replaceWith(element);
    else this.#tail.before(element);
  }

  #paintTail() {
    if (this.#dirty) return;
    this.#dirty = true;
    this.#queue.add(() => {
      this.#dirty = false;
      this.#showTail();
    });
  }

  /** Show what isn't rendered yet; of very much only the end, which a browser can lay out within a frame. */
  #showTail() {
    const from = Math.max(this.#upto, this.#text.length - RAW_SHOWN);
    this.#raw.data = (from > this.#upto ? "…" : "") + this.#text.slice(from);
  }

  #decorate(block) {
    for (const image of block.querySelectorAll("img.file")) image.src = this.#files.url(image.dataset.file);
    for (const link of block.querySelectorAll("a.file")) {
      link.href = this.#files.page(link.dataset.file);
      link.addEventListener("click", (event) => {
        event.preventDefault();
        this.#files.open(link.dataset.file);
      });
    }
    for (const table of block.querySelectorAll(".table-scroll")) reachable(table, text("table"));
    for (const code of block.querySelectorAll("pre.code:not(.middle, .last)")) {
      reachable(code, text("code"));
      code.before(h("div", { class: "code-bar" },
        h("span", { class: "code-language", text: code.dataset.language ?? "" }),
        copyButton(() => codeText(code), text("copy_code"))));
    }
  }
}

/** What may scroll has to be reached by the keyboard. */
function reachable(element, label) {
  element.tabIndex = 0;
  element.setAttribute("role", "group");
  element.setAttribute("aria-label", label);
}

/** The text of a code block as it was written, whatever it was cut into: marks of hidden characters undone. */
function codeText(pre) {
  const parts = [];
  for (let block = pre.closest(".block"); block; block = block.nextElementSibling) {
    const part = block.querySelector("pre.code");
    if (!part || (parts.length && !part.matches(".middle, .last"))) break;
    const copy = part.querySelector("code").cloneNode(true);
    for (const mark of copy.querySelectorAll(".hidden-character")) {
      mark.replaceWith(String.fromCodePoint(Number.parseInt(mark.title.slice(2), 16)));
    }
    parts.push(copy.textContent);
    if (!part.matches(".part")) break;
  }
  return parts.join("");
}
