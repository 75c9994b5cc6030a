// Copying, with a word on whether it worked.

import { announce, toast } from "./announcements.js";
import { icon, iconButton } from "./dom.js";
import { text } from "./texts.js";

const SHOWN = 1500;

/** A button that copies what `read()` returns. */
export function copyButton(read, label = text("copy")) {
  const made = iconButton("copy", label, async () => {
    try {
      await navigator.clipboard.writeText(read());
    } catch { // not a secure origin, or forbidden: the person can still do it
      toast(text("copy_failed"), { bad: true });
      return;
    }
    announce(text("copied"));
    made.replaceChildren(icon("check"));
    setTimeout(() => made.replaceChildren(icon("copy")), SHOWN);
  });
  return made;
}
