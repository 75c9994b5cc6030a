// The panel beside a conversation: a session's files, or its terminal.

import { byId } from "./common/dom.js";
import { FilesView } from "./files/files_view.js";
import { TerminalView } from "./terminal/terminal_view.js";
import { text } from "./common/texts.js";

const VIEWS = { files: FilesView, terminal: TerminalView };

export class Panel {
  #context;
  #views = new Map();
  #shown = null;

  /** `context`: what a view gets (see docs/page.md). */
  constructor(context) {
    this.#context = context;
  }

  /** The name of the view that is shown, or null. */
  get shown() {
    return this.#shown;
  }

  /** The view of a name, made if it isn't yet. */
  view(name) {
    if (!this.#views.has(name)) this.#views.set(name, new VIEWS[name](this.#context));
    return this.#views.get(name);
  }

  /** Show a view; null shows none. */
  show(name) {
    if (name === this.#shown) return;
    if (this.#shown) this.#views.get(this.#shown).hide();
    this.#shown = name;
    byId("layout").classList.toggle("with-panel", name !== null);
    byId("panel").hidden = name === null;
    for (const other of Object.keys(VIEWS)) byId(`show-${other}`).setAttribute("aria-pressed", String(other === name));
    if (name === null) {
      byId("panel-body").replaceChildren();
      return;
    }
    byId("panel-title").textContent = text(name);
    const view = this.view(name);
    byId("panel-body").replaceChildren(view.element);
    view.show();
  }

  close() {
    this.show(null);
    for (const view of this.#views.values()) view.close();
    this.#views.clear();
  }
}
