// Dialogs: a native <dialog> with a form, whose submission may fail and then says so at the field.

import { ApiError } from "./api.js";
import { button, h } from "./dom.js";
import { text } from "./texts.js";

let numbers = 0;

/**
 * Ask for something. Resolves to what `submit()` returned, or to null if the dialog was left.
 *
 * `body`: nodes; `submit()`: does the work, may throw ApiError, which is shown and keeps the dialog open; `fields`: by
 * the name that the server has for each, a Field; `focus`: the element to begin at.
 */
export function ask({ title, body, label, kind = "primary", submit, fields = {}, focus = null }) {
  return new Promise((resolve) => {
    const id = `dialog-${++numbers}`;
    const before = document.activeElement;
    const problem = h("p", { class: "problem", role: "alert" });
    const done = h("button", { type: "submit", class: `button ${kind}`, text: label });
    const leave = button(text("cancel"), () => dialog.close());
    const form = h("form", { novalidate: true }, h("h2", { id, text: title }), h("div", { class: "dialog-body" }, body),
      problem, h("div", { class: "dialog-actions" }, leave, done));
    const dialog = h("dialog", { class: "dialog", "aria-labelledby": id, "data-keeps-escape": true }, form);
    let result = null;

    async function submitted(event) {
      event.preventDefault();
      if (done.disabled) return;
      problem.textContent = "";
      for (const field of Object.values(fields)) field.problem = "";
      done.disabled = true;
      try {
        result = await submit();
        dialog.close();
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        tell(error, fields, problem);
      } finally {
        done.disabled = false;
      }
    }

    form.addEventListener("submit", submitted);
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (before?.isConnected) before.focus({ preventScroll: true });
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
    (focus ?? leave).focus();
  });
}

/** Ask whether to go on; resolves to true or null. `submit` may do the work meanwhile. */
export function confirm({ title, body, label, kind = "danger", submit = async () => {} }) {
  return ask({ title, body, label, kind, submit: async () => {
    await submit();
    return true;
  } });
}

/** Names that the server has for one field. */
const SAME = { "system prompt": "system_prompt", "trusted tool": "trusted_tools" };

function tell(error, fields, problem) {
  const found = error.details?.problems ?? (error.details?.field ? [{ field: error.details.field, problem: error.told }] : []);
  let first = null;
  const elsewhere = [];
  for (const { field, problem: what } of found) {
    const name = String(field).split(".")[0];
    const place = fields[SAME[name] ?? name];
    if (!place) elsewhere.push(`${field}: ${what}`);
    else {
      place.problem = what;
      first ??= place;
    }
  }
  if (first) first.focus();
  if (!first || elsewhere.length) problem.textContent = elsewhere.join("; ") || error.message;
}

/** A control with its label, a hint, and what is wrong with it. */
export class Field {
  #problem;
  #control;

  /** `control`: an input, a select or a textarea; `hint`: a text below it, or null. */
  constructor(label, control, hint = null) {
    const id = `field-${++numbers}`;
    this.#control = control;
    control.id = id;
    this.#problem = h("p", { class: "problem", id: `${id}-problem` });
    const described = [hint && `${id}-hint`, `${id}-problem`].filter(Boolean).join(" ");
    control.setAttribute("aria-describedby", described);
    this.element = h("div", { class: "dialog-field" }, h("label", { for: id, text: label }), control,
      hint && h("p", { class: "hint muted", id: `${id}-hint`, text: hint }), this.#problem);
  }

  get value() {
    return this.#control.value;
  }

  set problem(what) {
    this.#problem.textContent = what;
    if (what) this.#control.setAttribute("aria-invalid", "true");
    else this.#control.removeAttribute("aria-invalid");
  }

  focus() {
    const fold = this.#control.closest("details");
    if (fold) fold.open = true;
    this.#control.focus();
  }
}
