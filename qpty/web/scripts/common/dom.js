// Elements, made of texts and never of HTML. What the server rendered goes through `rendered_html.js` alone.

/**
 * Make an element: `h("button", { class: "icon", type: "button", on: { click } }, "Save")`.
 *
 * `on`: listeners by event; `data`: data attributes; `text`: its text; true and false set or leave out an attribute;
 * null and undefined leave it out. Children: nodes, texts, or arrays of them; null and false are passed over.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  for (const child of children.flat()) if (child !== null && child !== undefined && child !== false) element.append(child);
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  switch (name) {
    case "on":
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
      break;
    case "data":
      for (const [key, item] of Object.entries(value)) if (item !== undefined && item !== null) element.dataset[key] = item;
      break;
    case "text":
      element.textContent = value;
      break;
    case "value":
      element.value = value;
      break;
    default:
      if (name === "style" || name.startsWith("on")) throw new Error(`h() takes no ${name}`);
      element.setAttribute(name, value === true ? "" : value);
  }
}

/** The element with an id. Throws if the page has none: the shell and the scripts belong together. */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element;
}

/** A button with a word on it. `kind`: "primary", "danger" or nothing. */
export function button(label, listener, { kind = "", icon: name = null, ...attributes } = {}) {
  return h("button", { type: "button", class: `button ${kind}`.trim(), on: { click: listener }, ...attributes },
    name && icon(name), h("span", { text: label }));
}

/** A button with a drawing on it; its label is for the pointer's tip and for screen readers. */
export function iconButton(name, label, listener, attributes = {}) {
  return h("button", { type: "button", class: "icon", title: label, "aria-label": label, on: { click: listener }, ...attributes },
    icon(name));
}

const PATHS = {
  add: "M12 5v14M5 12h14",
  attach: "M20 11.5l-8 8a5 5 0 01-7-7l8.5-8.5a3.3 3.3 0 014.7 4.7L10 17a1.7 1.7 0 01-2.4-2.4l7.4-7.4",
  back: "M15 5l-7 7 7 7",
  book: "M5 4h9a4 4 0 014 4v12H8a3 3 0 01-3-3zM5 17a3 3 0 013-3h10",
  check: "M5 12.5l4.5 4.5L19 7.5",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h10v11H9zM5 15V4h10",
  delete: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.5 11v5.5M13.5 11v5.5",
  down: "M12 5v14M6 13l6 6 6-6",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  edit: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  file: "M7 3h7l4 4v14H7zM14 3v4h4",
  folder: "M3 6h6l2 2h10v11H3z",
  hourglass: "M7 4h10M7 20h10M8 4c0 5 4 5 4 8s-4 3-4 8M16 4c0 5-4 5-4 8s4 3 4 8",
  keyboard: "M3 7h18v10H3zM7 11h.01M11 11h.01M15 11h.01M8 14h8",
  leave: "M14 4h5v16h-5M4 12h11M11 8l4 4-4 4",
  menu: "M4 7h16M4 12h16M4 17h16",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  pause: "M9 5v14M15 5v14",
  play: "M8 5l11 7-11 7z",
  refresh: "M19 8a8 8 0 10.5 6M19 3v5h-5",
  search: "M11 5a6 6 0 110 12 6 6 0 010-12M15.5 15.5L20 20",
  send: "M12 19V6M6 11l6-6 6 6",
  stop: "M7 7h10v10H7z",
  terminal: "M4 5h16v14H4zM7 9l3 3-3 3M12 15h4",
  theme: "M12 4a8 8 0 100 16zM12 4a8 8 0 010 16",
  tool: "M14 7a4 4 0 015-3l-2.5 3 .5 2 2 .5 3-2.5a4 4 0 01-5 5L9 20a2 2 0 01-3-3z",
  upload: "M12 17V5M7 9l5-5 5 5M5 20h14",
  warning: "M12 4l9 16H3zM12 10v5M12 17.5h.01",
};

/** A drawing, hidden from screen readers. */
export function icon(name) {
  const path = PATHS[name];
  if (!path) throw new Error(`there is no icon ${name}`);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "drawing");
  svg.setAttribute("aria-hidden", "true");
  const drawing = document.createElementNS("http://www.w3.org/2000/svg", "path");
  drawing.setAttribute("d", path);
  svg.append(drawing);
  return svg;
}

/** Whether the person asked for less motion. */
export const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
