// Files that go along with a message: put into the session's directory, under a name that nothing there has.

import { ApiError, fetched, sessionUrl } from "../common/api.js";
import { h, icon, iconButton } from "../common/dom.js";
import { size, text } from "../common/texts.js";
import { visible } from "../common/visible_text.js";

const MOST = 20;
const MOST_TRIES = 50;
/** Bytes of a name before its ending: a file system takes 255 for all of it. */
const LONGEST_STEM = 180;
/** Bytes of an image that is shown small beside its name. */
const THUMBNAIL = 20e6;

export class Attachments {
  #sessionId;
  #entries = new Map();
  #list = h("ul", { class: "attachments", "aria-label": text("attachments") });
  #problem = h("p", { class: "problem", role: "alert" });

  /** `sessionId()`: resolves to the session that the files go to. */
  constructor({ sessionId }) {
    this.#sessionId = sessionId;
    this.element = h("div", {}, this.#problem, this.#list);
  }

  get empty() {
    return this.#entries.size === 0;
  }

  /** Show files as attached. They are uploaded when the message is sent. */
  add(files) {
    this.#problem.textContent = "";
    const most = Number(document.body.dataset.maxUpload);
    for (const file of files) {
      if (this.#entries.size >= MOST) {
        this.#problem.textContent = text("too_many_files", { count: MOST });
        return;
      }
      if (file.size > most) {
        this.#problem.textContent = text("file_too_large", { name: file.name, limit: size(most) });
        continue;
      }
      this.#show(file);
    }
  }

  /** Put all of them into the session's directory; resolves to their names there. Throws ApiError; then none is lost. */
  async take() {
    const entries = [...this.#entries.values()];
    if (!entries.length) return [];
    const session = await this.#sessionId();
    for (const made of this.#list.querySelectorAll("button")) made.disabled = true;
    try {
      for (const entry of entries) entry.name ??= await upload(session, entry.file);
    } finally {
      for (const made of this.#list.querySelectorAll("button")) made.disabled = false;
    }
    this.close();
    return entries.map(({ name }) => name);
  }

  close() {
    for (const key of [...this.#entries.keys()]) this.#remove(key);
  }

  #show(file) {
    const key = Symbol(file.name);
    const image = file.type.startsWith("image/") && file.size <= THUMBNAIL ? URL.createObjectURL(file) : null;
    const element = h("li", { class: "attachment" },
      image ? h("img", { src: image, alt: "" }) : icon("file"),
      h("span", { class: "attachment-name" }, visible(file.name)),
      h("span", { class: "muted", text: size(file.size) }),
      iconButton("close", text("remove_file", { name: file.name }), () => this.#remove(key)));
    this.#entries.set(key, { file, element, image, name: null });
    this.#list.append(element);
  }

  #remove(key) {
    const { element, image } = this.#entries.get(key);
    this.#entries.delete(key);
    element.remove();
    if (image) URL.revokeObjectURL(image);
  }
}

/** Put a file under its name, or the next one that is free: `notes.txt`, `notes-2.txt`, … Returns the name. */
async function upload(session, file) {
  const given = named(file);
  for (let number = 1; number <= MOST_TRIES; number += 1) {
    const name = number === 1 ? given : given.replace(/(\.[^.]*)?$/, (end) => `-${number}${end}`);
    try {
      await fetched("PUT", sessionUrl(session, "files", name), { body: file, headers: { "If-None-Match": "*" } });
      return name;
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "name_taken") throw error;
    }
  }
  throw new ApiError({ code: "name_taken", message: `${given} and ${MOST_TRIES} names like it are taken` });
}

/** A name that is one, with nothing in it that a path or a prompt could stumble over, and short enough for any disk. */
function named(file) {
  const name = file.name.replace(/[\p{C}\\/`"'<>|*?:]/gu, "").replace(/^[\s.~-]+|[\s.]+$/g, "");
  const [, stem, end] = /^(.*?)(\.[^.]{1,16})?$/su.exec(name);
  const characters = [...stem];
  while (new TextEncoder().encode(characters.join("")).length > LONGEST_STEM) characters.pop();
  return characters.join("").trim() + (end ?? "") || "file";
}
