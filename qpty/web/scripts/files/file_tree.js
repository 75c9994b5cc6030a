// The tree of a session's files: what is unfolded, a bounded part of each directory, worked by pointer or keys.
//
// Rows are kept by their path, so that a refresh moves neither focus nor scrolling.

import { h, icon, iconButton } from "../common/dom.js";
import { isChanged, parentOf } from "./file_model.js";
import { size, text } from "../common/texts.js";
import { visibleName } from "./visible_name.js";

/** Entries of one directory that are shown at first, and that each "more" adds. */
const STEP = 200;
const INDENT = 1.1;

/** Events: "open" (a file; detail: its entry), "unfold" (detail: its entry), "menu" (detail: {entry, anchor}), "delete" (detail: its entry). */
export class FileTree extends EventTarget {
  #model = null;
  #since = null;
  #unfolded = new Set();
  #shown = new Map();
  #rows = new Map();
  #order = [];
  #at = null;
  #selected = null;

  constructor() {
    super();
    this.element = h("ul", { class: "tree", role: "tree", "aria-label": text("files"), data: { keepsEscape: "" }, on: { keydown: (event) => this.#key(event) } });
  }

  /** The paths of the directories that are unfolded. */
  get unfolded() {
    return [...this.#unfolded];
  }

  /** Show a model; `since`: files changed from there on (milliseconds) are marked, null marks none. */
  show(model, since) {
    this.#model = model;
    this.#since = since;
    for (const path of this.#unfolded) if (model.get(path)?.kind !== "directory") this.#unfolded.delete(path);
    this.#paint();
  }

  /** Unfold what leads to a path, and mark it as the one that is open; null marks none. */
  select(path) {
    this.#selected = path;
    for (let above = parentOf(path ?? ""); above; above = parentOf(above)) this.#unfolded.add(above);
    if (path !== null) this.#at = path;
    if (this.#model) this.#paint();
  }

  /** The path of the directory at an element of the tree: of that row, or of the one that its file is in. */
  directoryAt(element) {
    const path = element.closest?.("[role=treeitem]")?.dataset.path;
    if (path === undefined) return "";
    return this.#model?.get(path)?.kind === "directory" ? path : parentOf(path);
  }

  focus() {
    this.#rows.get(this.#at)?.element.focus();
  }

  #paint() {
    const focused = this.element.contains(document.activeElement) ? document.activeElement : null;
    const lost = focused?.closest("[role=treeitem]")?.dataset.path;
    const wanted = [];
    this.#collect(this.#model.root, 1, wanted);
    this.#order = wanted.map(({ key }) => key);
    let place = this.element.firstChild;
    for (const item of wanted) {
      const row = this.#row(item);
      if (row.element === place) place = place.nextSibling;
      else this.element.insertBefore(row.element, place);
    }
    const kept = new Set(this.#order);
    for (const [key, row] of this.#rows) {
      if (kept.has(key)) continue;
      row.element.remove();
      this.#rows.delete(key);
    }
    if (!kept.has(this.#at)) this.#at = this.#order[0] ?? null;
    for (const [key, row] of this.#rows) row.element.tabIndex = key === this.#at ? 0 : -1;
    if (focused && document.activeElement !== focused) {
      if (focused.isConnected) focused.focus({ preventScroll: true });
      else (this.#rows.get(this.#near(lost)) ?? this.#rows.get(this.#at))?.element.focus({ preventScroll: true });
    }
  }

  #collect(directory, level, into) {
    const limit = this.#shown.get(directory.path) ?? STEP;
    const { children } = directory;
    for (const [index, entry] of children.slice(0, limit).entries()) {
      const unfolded = entry.kind === "directory" && this.#unfolded.has(entry.path);
      into.push({ key: entry.path, entry, level, index, count: children.length, unfolded });
      if (unfolded) this.#collect(entry, level + 1, into);
    }
    if (children.length > limit) into.push({ key: `${directory.path}/`, more: directory, left: children.length - limit, level });
  }

  #row(item) {
    let row = this.#rows.get(item.key);
    if (!row) {
      row = item.more ? new MoreRow(() => this.#more(item.key)) : new EntryRow({
        act: () => this.#act(item.key),
        menu: (anchor) => this.#tell("menu", { entry: this.#model.get(item.key), anchor }),
      });
      this.#rows.set(item.key, row);
      row.element.dataset.path = item.key;
      row.element.addEventListener("focus", () => this.#moved(item.key));
    }
    row.show(item, {
      selected: item.key === this.#selected,
      changed: item.entry ? this.#isChanged(item.entry) : false,
    });
    return row;
  }

  #isChanged(entry) {
    if (this.#since === null) return false;
    return entry.kind === "directory" ? this.#model.changedWithin(entry, this.#since) : isChanged(entry, this.#since);
  }

  #act(path) {
    const entry = this.#model.get(path);
    if (entry?.kind === "directory") this.#unfold(path, !this.#unfolded.has(path));
    else if (entry?.kind === "file") this.#tell("open", entry);
  }

  #unfold(path, yes) {
    if (yes) this.#unfolded.add(path);
    else this.#unfolded.delete(path);
    this.#paint();
    if (yes) this.#tell("unfold", this.#model.get(path));
  }

  #more(key) {
    const directory = key.slice(0, -1);
    const shown = this.#shown.get(directory) ?? STEP;
    const first = this.#model.get(directory)?.children[shown];
    this.#shown.set(directory, shown + STEP);
    this.#paint();
    if (first) this.#to(first.path);
  }

  /** The row that takes the focus when the one it was in is gone: the next that is there in the directory, or above it. */
  #near(path = "") {
    const above = parentOf(path);
    return this.#order.find((key) => key > path && parentOf(key) === above) ?? (this.#rows.has(above) ? above : null);
  }

  #moved(key) {
    if (this.#at === key) return;
    const before = this.#rows.get(this.#at);
    if (before) before.element.tabIndex = -1;
    this.#at = key;
    this.#rows.get(key).element.tabIndex = 0;
  }

  #to(key) {
    this.#rows.get(key)?.element.focus();
  }

  #key(event) {
    if (event.target.getAttribute("role") !== "treeitem" || event.altKey || event.ctrlKey || event.metaKey) return;
    const at = this.#order.indexOf(this.#at);
    const entry = this.#model?.get(this.#at) ?? null;
    const unfolded = this.#unfolded.has(this.#at);
    const keys = {
      ArrowDown: () => this.#to(this.#order[Math.min(at + 1, this.#order.length - 1)]),
      ArrowUp: () => this.#to(this.#order[Math.max(at - 1, 0)]),
      Home: () => this.#to(this.#order[0]),
      End: () => this.#to(this.#order.at(-1)),
      ArrowRight: () => {
        if (entry?.kind === "directory") unfolded ? this.#to(this.#order[at + 1]) : this.#unfold(this.#at, true);
      },
      ArrowLeft: () => (unfolded ? this.#unfold(this.#at, false) : this.#to(parentOf(this.#at.replace(/\/$/, "")))),
      Enter: () => this.#press(),
      " ": () => this.#press(),
      Delete: () => entry && this.#tell("delete", entry),
      ContextMenu: () => this.#rows.get(this.#at).menu?.(),
      F10: () => event.shiftKey && this.#rows.get(this.#at).menu?.(),
    };
    if (!(event.key in keys)) return this.#find(event);
    event.preventDefault();
    keys[event.key]();
  }

  #press() {
    if (this.#at.endsWith("/")) this.#more(this.#at);
    else this.#act(this.#at);
  }

  /** A letter leads to the next name that begins with it. */
  #find(event) {
    if (event.key.length !== 1) return;
    const letter = event.key.toLocaleLowerCase();
    const at = this.#order.indexOf(this.#at);
    const from = [...this.#order.slice(at + 1), ...this.#order.slice(0, at)];
    const found = from.find((key) => this.#model.get(key)?.name.toLocaleLowerCase().startsWith(letter));
    if (found) this.#to(found);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** One file or directory. */
class EntryRow {
  #drawing = h("span", { class: "tree-icon" });
  #name = h("span", { class: "tree-name", dir: "auto" });
  #mark = h("span", { class: "changed", hidden: true, text: text("changed") });
  #size = h("span", { class: "tree-size muted" });
  #more;
  #shown = "";

  constructor({ act, menu }) {
    this.menu = () => menu(this.#more);
    this.#more = iconButton("more", "", (event) => {
      event.stopPropagation();
      this.menu();
    }, { tabindex: "-1", "aria-haspopup": "menu", "aria-expanded": "false" });
    this.element = h("li", { class: "tree-row", role: "treeitem", tabindex: "-1", on: { click: act } },
      this.#drawing, this.#name, this.#mark, this.#size, this.#more);
  }

  show({ entry, level, index, count, unfolded }, { selected, changed }) {
    const shown = JSON.stringify([entry.kind, entry.name, entry.size, level, index, count, unfolded, selected, changed]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const { element } = this;
    const directory = entry.kind === "directory";
    element.style.paddingInlineStart = `${(level - 1) * INDENT + 0.4}rem`;
    element.setAttribute("aria-level", level);
    element.setAttribute("aria-posinset", index + 1);
    element.setAttribute("aria-setsize", count);
    element.setAttribute("aria-selected", String(selected));
    if (directory) element.setAttribute("aria-expanded", String(unfolded));
    else element.removeAttribute("aria-expanded");
    element.classList.toggle("other", entry.kind === "other");
    element.title = entry.kind === "other" ? text("not_followed") : "";
    this.#drawing.replaceChildren(icon(directory ? "folder" : "file"));
    this.#name.replaceChildren(...visibleName(entry.name));
    this.#mark.hidden = !changed;
    this.#size.textContent = entry.kind === "file" ? size(entry.size) : "";
    const label = text("file_menu", { name: entry.name });
    this.#more.setAttribute("aria-label", label);
    this.#more.title = label;
  }
}

/** "Show more" at the end of a directory with very many entries. */
class MoreRow {
  constructor(act) {
    this.element = h("li", { class: "tree-row tree-more", role: "treeitem", tabindex: "-1", on: { click: act } });
  }

  show({ left, level }) {
    this.element.style.paddingInlineStart = `${(level - 1) * INDENT + 0.4}rem`;
    this.element.setAttribute("aria-level", level);
    this.element.setAttribute("aria-selected", "false");
    this.element.textContent = text("more_files", { count: left });
  }
}
