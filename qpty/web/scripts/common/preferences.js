// What a person chose for this browser: theme and language. Kept in localStorage; nothing of it goes to the server.

const THEMES = ["auto", "light", "dark"];
const LANGUAGES = ["en", "zh"];

/** "en" or "zh": what was chosen, else the first of the browser's languages that the page has. */
export function language() {
  const chosen = localStorage.getItem("qpty.language");
  if (LANGUAGES.includes(chosen)) return chosen;
  for (const tag of navigator.languages ?? []) {
    const found = LANGUAGES.find((name) => tag.toLowerCase().startsWith(name));
    if (found) return found;
  }
  return "en";
}

/** Take the other language; the page is loaded anew, as every text of it changes. */
export function switchLanguage() {
  localStorage.setItem("qpty.language", LANGUAGES[(LANGUAGES.indexOf(language()) + 1) % LANGUAGES.length]);
  location.reload();
}

/** "auto", "light" or "dark". */
export function theme() {
  const chosen = localStorage.getItem("qpty.theme");
  return THEMES.includes(chosen) ? chosen : "auto";
}

/** Take the next theme; returns it. `before_paint.js` does the same at the next visit. */
export function switchTheme() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  localStorage.setItem("qpty.theme", next);
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  return next;
}
