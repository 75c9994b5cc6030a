// A session's files beside its conversation: a tree, one file of it, and what is put there and taken away.

import { announce, toast } from "../common/announcements.js";
import { ApiError, request, sessionUrl } from "../common/api.js";
import { confirm } from "../common/dialog.js";
import { button, h, iconButton } from "../common/dom.js";
import { FileModel, isChanged } from "./file_model.js";
import { FilePreview } from "./file_preview.js";
import { FileTree } from "./file_tree.js";
import { Uploads } from "./file_upload.js";
import { openMenu } from "../common/menu.js";
import { text } from "../common/texts.js";
import { visibleName } from "./visible_name.js";

/** Milliseconds between two looks at the directory at least, however many tools end. */
const PAUSE = 1500;
const LOOK_AFTER = ["tool.completed", "turn.completed", "turn.failed", "hello"];

export class FilesView {
  #context;
  #session;
  #model = null;
  #tree = new FileTree();
  #preview;
  #uploads;
  #visible = false;
  #asking = null;
  #again = false;
  #timer = null;
  #looked = -Infinity;
  #opening = null;
  #closed = new AbortController();
  #chooser;
  #note = h("p", { class: "files-note muted", hidden: true });
  #place;

  /** `context`: see docs/page.md. */
  constructor(context) {
    this.#context = context;
    this.#session = context.sessionId;
    this.#opening = context.openPath ?? null;
    this.#preview = new FilePreview(this.#session);
    this.#uploads = new Uploads(this.#session);
    this.#chooser = h("input", { type: "file", multiple: true, hidden: true, "aria-label": text("upload"), on: { change: () => this.#chosen() } });
    this.#place = h("div", { class: "files-place" }, this.#note, this.#tree.element);
    this.element = h("div", { class: "files" },
      h("div", { class: "files-tools" }, button(text("upload"), () => this.#chooser.click(), { icon: "upload" }), this.#chooser,
        h("span", { class: "files-hint muted", text: text("drop_hint") }),
        iconButton("refresh", text("refresh"), () => this.refresh({ told: true }))),
      this.#uploads.element, h("div", { class: "files-body" }, this.#place, this.#preview.element));
    this.#listen();
  }

  show() {
    this.#visible = true;
    this.refresh();
  }

  hide() {
    this.#visible = false;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#asking?.abort();
    this.#asking = null;
    this.#again = false;
  }

  close() {
    this.hide();
    this.#closed.abort();
    this.#uploads.close();
    this.#preview.close();
  }

  /** Show a file. One that isn't known yet is looked for first. */
  open(path) {
    this.#opening = path;
    if (this.#model?.get(path)) this.#openNow();
    else if (this.#visible) this.refresh();
  }

  /** Look at the directory again. `told`: somebody asked for it, and hears of it. */
  async refresh({ told = false } = {}) {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#asking) {
      this.#again = true; // what this look saw may be older than what it is asked for
      return;
    }
    const asking = this.#asking = new AbortController();
    try {
      const model = FileModel.of(await this.#list("", true, asking.signal));
      if (model.truncated) await this.#fill(model, asking.signal);
      if (asking !== this.#asking) return;
      this.#model = model;
      this.#paint();
      if (told) announce(text("files_refreshed"));
    } catch (error) {
      if (asking !== this.#asking || error.name === "AbortError") return;
      if (!(error instanceof ApiError)) throw error;
      this.#say(error.message);
    } finally {
      if (asking === this.#asking) this.#asking = null;
      this.#looked = performance.now();
    }
    if (this.#again && this.#visible) {
      this.#again = false;
      await this.refresh({ told });
    }
  }

  #list(path, recursive, signal) {
    const query = new URLSearchParams({ recursive, path });
    return request("GET", `${sessionUrl(this.#session, "files")}?${query}`, { signal });
  }

  /** A listing that was cut may lack anything: what is unfolded is asked for by itself. */
  async #fill(model, signal) {
    for (const path of ["", ...this.#tree.unfolded]) {
      try {
        model.merge(path, await this.#list(path, false, signal));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error; // a directory that is gone has nothing in it
      }
    }
  }

  #listen() {
    const { signal } = this.#closed;
    const on = (target, type, listener) => target.addEventListener(type, (event) => listener(event.detail), { signal });
    for (const type of LOOK_AFTER) on(this.#context.connection, type, () => this.#soon());
    on(this.#context.connection, "turn.started", () => this.#model && this.#visible && this.#paint());
    on(this.#tree, "open", (entry) => this.open(entry.path));
    on(this.#tree, "unfold", (entry) => this.#unfolded(entry));
    on(this.#tree, "menu", ({ entry, anchor }) => this.#menu(entry, anchor));
    on(this.#tree, "delete", (entry) => this.#delete(entry));
    on(this.#preview, "back", () => this.#back());
    on(this.#preview, "delete", (entry) => this.#delete(entry));
    on(this.#preview, "missing", () => this.refresh());
    on(this.#uploads, "done", () => this.refresh());
    this.element.addEventListener("dragover", (event) => this.#dragged(event), { signal });
    this.element.addEventListener("dragleave", (event) => this.element.contains(event.relatedTarget) || this.element.classList.remove("drop-here"), { signal });
    this.element.addEventListener("drop", (event) => this.#dropped(event), { signal });
  }

  #soon() {
    if (!this.#visible || this.#timer !== null) return;
    const wait = Math.max(0, this.#looked + PAUSE - performance.now());
    this.#timer = setTimeout(() => this.refresh(), wait);
  }

  #paint() {
    const since = this.#context.turnStartedAt();
    this.#tree.show(this.#model, since);
    if (this.#model.empty) this.#say(text("no_files"));
    else if (this.#model.truncated) this.#say(text("files_truncated"));
    else this.#note.hidden = true;
    if (this.#opening !== null) this.#openNow();
    else if (this.#preview.path !== null) this.#showAgain(since);
  }

  #showAgain(since) {
    const entry = this.#model.get(this.#preview.path);
    if (entry?.kind === "file") this.#preview.show(entry, { changed: isChanged(entry, since) });
    else if (!this.#model.truncated) this.#back();
  }

  async #openNow() {
    const path = this.#opening;
    this.#opening = null;
    const entry = this.#model.get(path);
    if (entry?.kind !== "file") {
      toast(text("no_such_file", { name: path }), { bad: true });
      return;
    }
    this.#tree.select(path);
    this.element.classList.add("previewing");
    this.#preview.show(entry, { changed: isChanged(entry, this.#context.turnStartedAt()) });
    this.#preview.focus();
  }

  #back() {
    this.#preview.hide();
    this.element.classList.remove("previewing");
    this.#tree.focus();
    this.#tree.select(null);
  }

  async #unfolded(entry) {
    if (!this.#model.truncated) return;
    const model = this.#model;
    try {
      model.merge(entry.path, await this.#list(entry.path, false, this.#closed.signal));
      if (model === this.#model) this.#tree.show(model, this.#context.turnStartedAt());
    } catch (error) {
      if (error.name !== "AbortError" && !(error instanceof ApiError)) throw error;
    }
  }

  #say(words) {
    this.#note.textContent = words;
    this.#note.hidden = false;
  }

  #menu(entry, anchor) {
    const items = [];
    if (entry.kind === "file") {
      items.push({ icon: "file", label: text("open"), action: () => this.open(entry.path) });
      items.push({ icon: "download", label: text("download"), action: () => download(sessionUrl(this.#session, "files", entry.path)) });
    }
    items.push({ icon: "delete", label: text("delete"), danger: true, action: () => this.#delete(entry) });
    openMenu(anchor, items, text("file_menu", { name: entry.name }));
  }

  async #delete(entry) {
    const done = await confirm({
      title: text(entry.kind === "directory" ? "delete_directory" : "delete_file"), label: text("delete"),
      body: [h("p", {}, h("strong", { class: "quoted", dir: "auto" }, visibleName(entry.path))), h("p", { text: text("delete_for_good") })],
      submit: () => request("DELETE", sessionUrl(this.#session, "files", entry.path)),
    });
    if (!done) return;
    if (this.#preview.path === entry.path) this.#back();
    announce(text("file_deleted", { name: entry.name }));
    this.refresh();
  }

  #chosen() {
    this.#uploads.add([...this.#chooser.files]);
    this.#chooser.value = ""; // the same file may be chosen again
  }

  #dragged(event) {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    this.element.classList.add("drop-here");
  }

  #dropped(event) {
    this.element.classList.remove("drop-here");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    const items = [...event.dataTransfer.items].filter(({ kind }) => kind === "file");
    const files = items.filter((item) => !item.webkitGetAsEntry()?.isDirectory).map((item) => item.getAsFile()).filter(Boolean);
    if (files.length < items.length) toast(text("no_folders"), { bad: true });
    this.#uploads.add(files, this.#tree.directoryAt(event.target));
  }
}

/** Let the browser download something. */
function download(url) {
  const link = h("a", { href: url, download: "" });
  document.body.append(link);
  link.click();
  link.remove();
}
