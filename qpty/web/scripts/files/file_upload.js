// Uploads to a session's directory, one after the other, each with its progress. `fetch` tells none, so XMLHttpRequest.

import { alarm, announce } from "../common/announcements.js";
import { ApiError, sessionUrl } from "../common/api.js";
import { ask } from "../common/dialog.js";
import { h, iconButton } from "../common/dom.js";
import { size, text } from "../common/texts.js";
import { visibleName } from "./visible_name.js";

/** Events: "done" (something is there that wasn't). */
export class Uploads extends EventTarget {
  #session;
  #waiting = [];
  #running = null;

  constructor(session) {
    super();
    this.#session = session;
    this.element = h("ul", { class: "uploads", "aria-label": text("uploads"), hidden: true });
  }

  /** Put files into a directory ("" is the session's own). */
  add(files, directory = "") {
    const most = Number(document.body.dataset.maxUpload) || Infinity;
    for (const file of files) {
      const upload = new Upload(file, directory, () => this.#leave(upload));
      this.element.append(upload.element);
      if (file.size > most) upload.fail(text("file_too_large", { name: file.name, limit: size(most) }));
      else this.#waiting.push(upload);
    }
    this.element.hidden = this.element.children.length === 0;
    this.#next();
  }

  /** Stop all. */
  close() {
    this.#waiting = [];
    this.#running?.stop();
    this.element.replaceChildren();
  }

  async #next() {
    if (this.#running || !this.#waiting.length) return;
    const upload = this.#running = this.#waiting.shift();
    try {
      await this.#put(upload);
    } finally {
      this.#running = null;
      this.#next();
    }
  }

  async #put(upload) {
    try {
      await this.#tried(upload);
      announce(text("uploaded", { name: upload.file.name }));
      this.#remove(upload);
      this.dispatchEvent(new CustomEvent("done"));
    } catch (error) {
      if (error.name === "AbortError") this.#remove(upload);
      else if (!(error instanceof ApiError)) throw error;
      else upload.fail(error.message);
    }
  }

  async #tried(upload) {
    const url = sessionUrl(this.#session, "files", upload.path);
    try {
      await upload.send(url, { replace: false });
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "name_taken") throw error;
      if (!await mayReplace(upload)) throw new DOMException("it was left", "AbortError");
      await upload.send(url, { replace: true });
    }
  }

  #leave(upload) {
    if (upload === this.#running) upload.stop();
    else {
      this.#waiting = this.#waiting.filter((other) => other !== upload);
      this.#remove(upload);
    }
  }

  #remove(upload) {
    upload.element.remove();
    this.element.hidden = this.element.children.length === 0;
  }
}

function mayReplace(upload) {
  return ask({
    title: text("replace_file"), kind: "danger", label: text("replace"),
    body: h("p", {}, text("replace_more"), " ", h("strong", { class: "quoted", dir: "auto" }, visibleName(upload.path))),
    submit: async () => true,
  });
}

/** One file on its way. */
class Upload {
  #bar = h("progress", { max: 1, value: 0 });
  #problem = h("span", { class: "problem" });
  #asking = null;

  constructor(file, directory, leave) {
    this.file = file;
    this.path = directory ? `${directory}/${file.name}` : file.name;
    this.#bar.setAttribute("aria-label", text("uploading", { name: file.name }));
    this.element = h("li", { class: "upload" }, h("span", { class: "upload-name", dir: "auto" }, visibleName(file.name)), this.#bar, this.#problem,
      iconButton("close", text("remove_file", { name: file.name }), leave));
  }

  stop() {
    this.#asking?.abort();
  }

  fail(words) {
    this.#problem.textContent = words;
    this.#bar.hidden = true;
    alarm(`${this.file.name}: ${words}`);
  }

  /** Send it. Throws ApiError; AbortError if it was stopped. */
  send(url, { replace }) {
    return new Promise((resolve, reject) => {
      const asking = this.#asking = new XMLHttpRequest();
      asking.open("PUT", url);
      if (!replace) asking.setRequestHeader("If-None-Match", "*");
      asking.upload.addEventListener("progress", ({ loaded, total }) => { this.#bar.value = total ? loaded / total : 1; });
      asking.addEventListener("load", () => (asking.status < 300 ? resolve() : reject(refusal(asking))));
      asking.addEventListener("error", () => reject(ApiError.offline()));
      asking.addEventListener("abort", () => reject(new DOMException("it was stopped", "AbortError")));
      asking.send(this.file);
    });
  }
}

function refusal(asked) {
  try {
    return new ApiError(JSON.parse(asked.responseText).error, asked.status);
  } catch {
    return new ApiError({ code: "unknown", message: asked.statusText || String(asked.status) }, asked.status);
  }
}
