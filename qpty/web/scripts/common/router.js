// Addresses of the page: `/`, `/sessions/{id}`, `/sessions/{id}/files`, `/sessions/{id}/terminal`.

const SESSION = /^\/sessions\/([0-9a-f-]{1,64})(?:\/(files|terminal))?$/;

/** What an address asks for: `{sessionId, view}`, both null on the first page; null for an address that is none. */
export function parse(path) {
  if (path === "/") return { sessionId: null, view: null };
  const found = SESSION.exec(path);
  return found && { sessionId: found[1], view: found[2] ?? null };
}

/** The address of a session, with a view beside it or none. */
export const addressOf = (sessionId, view = null) => `/sessions/${encodeURIComponent(sessionId)}${view ? `/${view}` : ""}`;

/** Follow the address: calls `show(route)` now, and whenever it changes. */
export class Router {
  #show;

  constructor(show) {
    this.#show = show;
    addEventListener("popstate", () => this.#now());
    document.addEventListener("click", (event) => this.#clicked(event));
    this.#now();
  }

  /** Go somewhere; `replace`: the way back doesn't lead here. */
  navigate(path, { replace = false } = {}) {
    if (path === location.pathname) return;
    history[replace ? "replaceState" : "pushState"](null, "", path);
    this.#now();
  }

  #now() {
    this.#show(parse(location.pathname));
  }

  /** Links of the page don't load it anew; with a key held, the browser does what it always does. */
  #clicked(event) {
    const link = event.target.closest?.("a[data-link]");
    if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    this.navigate(new URL(link.href).pathname);
  }
}
