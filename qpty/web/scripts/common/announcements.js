// What is said to people besides the conversation: short notes on the page, and words for screen readers.

import { byId, h } from "./dom.js";

const SHOWN = 5000;
const MOST_TOASTS = 4;

/** Say something to screen readers when they have time. */
export function announce(words) {
  say(byId("polite"), words);
}

/** Say something to screen readers at once: a question waits, a turn failed. */
export function alarm(words) {
  say(byId("assertive"), words);
}

function say(region, words) {
  region.replaceChildren(h("p", { text: words })); // a new element: the same words twice are said twice
}

/** Show a short note for some seconds. `bad`: something didn't work. */
export function toast(words, { bad = false } = {}) {
  const place = byId("toasts");
  const note = h("div", { class: bad ? "toast bad" : "toast", text: words });
  place.append(note);
  while (place.children.length > MOST_TOASTS) place.firstChild.remove();
  setTimeout(() => note.remove(), bad ? 2 * SHOWN : SHOWN);
}
