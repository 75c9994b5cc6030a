// Characters that nobody sees, but that change what is read or run, as marks that everybody sees.

import { h } from "./dom.js";

// C0 but tab and newline, DEL, C1, soft hyphen, zero-width and bidi characters, variation-free fillers, tags.
const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e007f}]+/gu;

/** Of a run of hidden characters: how many are marked by their numbers; of the rest, how many there are. */
const NAMED = 8;

/** Nodes for a text in which what is hidden is marked by its number: `U+202E`. */
export function visible(text) {
  const nodes = [];
  let from = 0;
  for (const found of text.matchAll(HIDDEN)) {
    if (found.index > from) nodes.push(text.slice(from, found.index));
    const run = [...found[0]];
    for (const character of run.slice(0, NAMED)) nodes.push(mark(`U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`));
    if (run.length > NAMED) nodes.push(mark(`+${run.length - NAMED}`));
    from = found.index + found[0].length;
  }
  if (from < text.length) nodes.push(text.slice(from));
  return nodes;
}

const mark = (name) => h("span", { class: "hidden-character", title: name, text: name });
