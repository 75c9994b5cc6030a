// Names in one line: a line break or a tab in a file's name is marked like any other character that nobody sees.

import { h } from "../common/dom.js";
import { visible } from "../common/visible_text.js";

/** Nodes for a name, as `visible` gives them, with marks for tabs and line breaks, too. */
export function visibleName(name) {
  return name.split(/([\n\t])/).flatMap((part) => {
    if (part !== "\n" && part !== "\t") return visible(part);
    const mark = part === "\n" ? "U+000A" : "U+0009";
    return [h("span", { class: "hidden-character", title: mark, text: mark })];
  });
}
