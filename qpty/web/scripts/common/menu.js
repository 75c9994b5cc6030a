// A menu that opens at a button: arrows move, Enter chooses, Escape and a click elsewhere leave it.

import { h, icon } from "./dom.js";

const GAP = 4;

/** Open a menu at `anchor`. `items`: `{label, icon, action, danger}`. Resolves when it is closed. */
export function openMenu(anchor, items, label) {
  return new Promise((resolve) => {
    const menu = h("div", { class: "menu", role: "menu", popover: "auto", "aria-label": label });
    const entries = items.map((item) => h("button", {
      type: "button", role: "menuitem", tabindex: "-1", class: item.danger ? "menu-item danger" : "menu-item",
      on: { click: () => choose(item) },
    }, icon(item.icon), h("span", { text: item.label })));
    let chosen = null;

    function choose(item) {
      chosen = item;
      menu.hidePopover();
    }

    function key(event) {
      const at = entries.indexOf(document.activeElement);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
      if (to === undefined) {
        if (event.key === "Tab") menu.hidePopover();
        if (event.key === "Escape") event.stopPropagation(); // it closes this, and stops no turn
        return;
      }
      event.preventDefault();
      entries.at(to % entries.length).focus();
    }

    function closed(event) {
      if (event.newState !== "closed") return;
      menu.remove();
      anchor.setAttribute("aria-expanded", "false");
      if (document.activeElement === document.body || document.activeElement === null) anchor.focus({ preventScroll: true });
      chosen?.action();
      resolve();
    }

    menu.append(...entries);
    menu.addEventListener("keydown", key);
    menu.addEventListener("toggle", closed);
    (anchor.closest("nav, aside, main") ?? document.body).append(menu); // it belongs to what it was opened in
    anchor.setAttribute("aria-expanded", "true");
    menu.showPopover();
    place(menu, anchor);
    entries[0].focus();
  });
}

/** Below the button where there is room, above it otherwise, and never outside the window. */
function place(menu, anchor) {
  const at = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = at.bottom + GAP + height <= innerHeight;
  menu.style.top = `${Math.max(GAP, below ? at.bottom + GAP : at.top - GAP - height)}px`;
  menu.style.left = `${Math.max(GAP, Math.min(at.right - width, innerWidth - width - GAP))}px`;
}
