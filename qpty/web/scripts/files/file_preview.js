// One file, shown: an image, or the beginning of a text with everything hidden in it made visible.
//
// What is shown was written by a model's tools. Images are only ever the content of <img>, where no script of theirs runs;
// texts are text. Whatever is neither is offered for download.

import { ApiError, fetched, sessionUrl } from "../common/api.js";
import { button, h, icon, iconButton } from "../common/dom.js";
import { FrameQueue } from "../common/frame_queue.js";
import { longTime, size, text } from "../common/texts.js";
import { visibleName } from "./visible_name.js";
import { visible } from "../common/visible_text.js";

const IMAGES = /\.(png|jpe?g|gif|webp|svg)$/i;
const MOST_IMAGE_BYTES = 20e6;
/** Bytes that are asked for at once, and that are shown of one file at most. */
const PART = 256 * 1024;
const MOST_PARTS = 16;
/** Lines that are made at once, and characters of one line that stay together. */
const LINES = 400;
const LINE = 4000;
const LOOKED_AT = 8192;

/** Events: "back", "delete" (detail: the entry), "missing". */
export class FilePreview extends EventTarget {
  #session;
  #entry = null;
  #asking = null;
  #queue = new FrameQueue();
  #text = null;

  #name = h("h3", { class: "preview-name", dir: "auto", tabindex: "-1" });
  #facts = h("p", { class: "preview-facts muted" });
  #body = h("div", { class: "preview-body" });
  #download = h("a", { class: "icon", download: "" }, icon("download"));

  constructor(session) {
    super();
    this.#session = session;
    this.#download.setAttribute("aria-label", text("download"));
    this.#download.title = text("download");
    this.element = h("section", { class: "preview", "aria-label": text("preview"), hidden: true },
      h("header", { class: "preview-head" },
        iconButton("back", text("back_to_files"), () => this.#tell("back")), this.#name, this.#download,
        iconButton("delete", text("delete"), () => this.#tell("delete", this.#entry))),
      this.#facts, this.#body);
  }

  /** The path of the file that is shown, or null. */
  get path() {
    return this.#entry?.path ?? null;
  }

  /** Show a file; anew if it is another one, or was changed since it was shown. */
  show(entry, { changed = false, again = false } = {}) {
    const before = this.#entry;
    this.#entry = entry;
    this.element.hidden = false;
    this.#name.replaceChildren(...visibleName(entry.path));
    this.#facts.replaceChildren(`${size(entry.size)} · ${longTime(entry.modified)}`, changed ? h("span", { class: "changed", text: text("changed") }) : "");
    this.#download.href = sessionUrl(this.#session, "files", entry.path);
    const same = before?.path === entry.path && before.modified === entry.modified && before.size === entry.size;
    if (same && !again) return;
    this.#load(before?.path === entry.path ? this.#body.scrollTop : 0);
  }

  /** Show none. */
  hide() {
    this.#stop();
    this.#entry = null;
    this.element.hidden = true;
    this.#body.replaceChildren();
  }

  focus() {
    this.#name.focus();
  }

  close() {
    this.hide();
    this.#queue.close();
  }

  #stop() {
    this.#asking?.abort();
    this.#asking = null;
    this.#text = null;
    this.#queue.close();
    this.#queue = new FrameQueue();
  }

  #load(scrolled) {
    this.#stop();
    const entry = this.#entry;
    if (entry.size === 0) this.#say(text("file_empty"));
    else if (IMAGES.test(entry.name)) this.#image(entry);
    else {
      this.#text = new TextParts(sessionUrl(this.#session, "files", entry.path), entry.size);
      this.#part({ first: true, scrolled });
    }
  }

  #image(entry) {
    if (entry.size > MOST_IMAGE_BYTES) return this.#say(text("image_too_large"));
    const url = `${sessionUrl(this.#session, "files", entry.path)}?modified=${encodeURIComponent(entry.modified)}`;
    const image = h("img", { src: url, alt: text("image_of", { name: entry.name }), on: { error: () => this.#say(text("image_broken")) } });
    this.#body.replaceChildren(h("div", { class: "preview-image" }, image));
  }

  async #part({ first = false, scrolled = 0 } = {}) {
    const asking = this.#asking = new AbortController();
    const parts = this.#text;
    try {
      const lines = await parts.read(asking.signal);
      if (asking !== this.#asking) return;
      if (lines === null) {
        this.#say(text("file_binary"));
        return;
      }
      if (first) this.#body.replaceChildren(h("pre", { class: "preview-text", tabindex: "0", "aria-label": text("content_of", { name: this.#entry.name }) }));
      this.#body.querySelector(".preview-more")?.remove();
      this.#write(lines, parts, scrolled);
    } catch (error) {
      if (asking !== this.#asking || error.name === "AbortError") return;
      if (!(error instanceof ApiError)) throw error;
      this.#say(error.message);
      if (error.code === "file_not_found") this.#tell("missing");
    }
  }

  #write(lines, parts, scrolled) {
    const place = this.#body.querySelector(".preview-text");
    for (let from = 0; from < lines.length; from += LINES) {
      this.#queue.add(() => {
        place.append(...lines.slice(from, from + LINES).map((line) => h("span", { class: line.begins ? "line" : "line on" }, visible(line.text))));
        if (scrolled) this.#body.scrollTop = scrolled;
      });
    }
    if (parts.ended) return;
    const more = parts.count >= MOST_PARTS
      ? h("p", { class: "muted", text: text("file_too_long", { shown: size(parts.read_bytes) }) })
      : button(text("more_text", { shown: size(parts.read_bytes), whole: size(this.#entry.size) }), () => this.#part());
    this.#queue.add(() => this.#body.append(h("div", { class: "preview-more" }, more)));
  }

  #say(words) {
    this.#body.replaceChildren(h("p", { class: "preview-note muted", text: words }),
      h("a", { class: "button", href: this.#download.href, download: "" }, icon("download"), h("span", { text: text("download") })));
  }

  #tell(type, detail = null) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** A file's text, part by part; a character that lies across two parts is put together. */
class TextParts {
  #url;
  #size;
  #decoder = new TextDecoder("utf-8");
  #etag = null;
  #open = false;

  constructor(url, whole) {
    this.#url = url;
    this.#size = whole;
    this.read_bytes = 0;
    this.count = 0;
  }

  get ended() {
    return this.read_bytes >= this.#size;
  }

  /** The lines of the next part: `{text, begins}`; null if it is no text. Throws ApiError. */
  async read(signal) {
    const from = this.read_bytes;
    const headers = { Range: `bytes=${from}-${from + PART - 1}` };
    if (this.#etag) headers["If-Range"] = this.#etag;
    const response = await fetched("GET", this.#url, { headers, signal });
    if (from > 0 && response.status !== 206) { // another file by now
      response.body?.cancel();
      throw new ApiError({ code: "file_changed", message: text("file_changed") });
    }
    this.#etag = response.headers.get("ETag");
    const bytes = await beginning(response, PART);
    this.read_bytes = from + bytes.length;
    this.count += 1;
    if (from === 0 && isBinary(bytes)) return null;
    const last = response.status === 200 ? bytes.length < PART : this.ended || bytes.length < PART;
    if (last) this.#size = this.read_bytes;
    return this.#lines(this.#decoder.decode(bytes, { stream: !last }));
  }

  #lines(whole) {
    const lines = [];
    const ended = whole.endsWith("\n");
    const found = (ended ? whole.slice(0, -1) : whole).split("\n");
    for (const [index, line] of found.entries()) {
      const text = line.endsWith("\r") ? line.slice(0, -1) : line;
      for (let from = 0; from === 0 || from < text.length; from += LINE) {
        lines.push({ text: text.slice(from, from + LINE), begins: from === 0 && !(index === 0 && this.#open) });
      }
    }
    this.#open = !ended;
    return lines;
  }
}

/** The first bytes of an answer, also of one that has more than was asked for. */
async function beginning(response, most) {
  if (response.status === 206) return new Uint8Array(await response.arrayBuffer());
  const reader = response.body.getReader();
  const chunks = [];
  let length = 0;
  while (length < most) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    length += value.length;
  }
  await reader.cancel();
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole.subarray(0, most);
}

/** Whether bytes are no text: a NUL, or much that isn't UTF-8. */
function isBinary(bytes) {
  const looked = bytes.subarray(0, LOOKED_AT);
  if (looked.includes(0)) return true;
  const decoded = new TextDecoder().decode(looked, { stream: true });
  return [...decoded].filter((character) => character === "\ufffd").length > decoded.length / 10;
}
