// The list of sessions: searched, followed, and shown as far as somebody scrolls.
//
// Every few seconds the first page is asked for again. It is the truth for its part of the list, and what is older stays
// as it was seen. Rows are kept by their session, so that nothing flickers, and focus and scrolling stay where they are.

import { announce, toast } from "../common/announcements.js";
import { ApiError, request, sessionUrl } from "../common/api.js";
import { h, icon, iconButton } from "../common/dom.js";
import { openMenu } from "../common/menu.js";
import { addressOf } from "../common/router.js";
import { deleteSession, newSession, renameSession } from "./session_dialogs.js";
import { stateText, toneOf } from "./session_state.js";
import { longTime, shortTime, text } from "../common/texts.js";
import { visible } from "../common/visible_text.js";

const PAGE = 50;
/** Rows in the document at most: what is older is found by searching. */
const MOST = 1000;
const REFRESH = 5000;
const TYPING = 250;

export class SessionList {
  #navigate;
  #renamed;
  #rows = new Map();
  #sessions = [];
  #next = null;
  #search = "";
  #current = null;
  #asking = null;
  #again = false;
  #loadingMore = false;
  #timer = null;
  #typing = null;
  #closed = new AbortController();

  #field = h("input", { class: "field", type: "search", maxlength: 200, "aria-label": text("search_sessions"), placeholder: text("search_sessions"), autocomplete: "off" });
  #list = h("ul", { class: "session-rows", "aria-label": text("sessions") });
  #note = h("p", { class: "session-note muted", hidden: true });
  #end = h("div", { class: "session-end" });
  #observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.#more());

  /** `place` is filled; `navigate(path)` goes to an address; `renamed(id, title)`: a session has another title now. */
  constructor({ place, navigate, renamed = () => {} }) {
    this.#navigate = navigate;
    this.#renamed = renamed;
    place.replaceChildren(
      h("div", { class: "session-tools" },
        h("a", { class: "button primary", href: "/", "data-link": true }, icon("add"), h("span", { text: text("new_session") })),
        iconButton("tool", text("new_session_with_options"), () => this.#make(), { class: "icon session-options" })),
      h("div", { class: "session-search", role: "search", "data-keeps-escape": true }, icon("search"), this.#field),
      h("div", { class: "session-scroll" }, this.#list, this.#note, this.#end));
    const { signal } = this.#closed;
    this.#field.addEventListener("input", () => this.#typed(), { signal });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.refresh(), { signal });
    this.#observer.observe(this.#end);
    this.refresh();
  }

  /** Mark the open session; null marks none. */
  current(id) {
    this.#current = id;
    for (const [session, row] of this.#rows) row.mark(session === id);
  }

  /** Something is known of a session sooner than the server is asked again: its state, say. */
  saw(id, changes) {
    this.#sessions = this.#sessions.map((session) => (session.session_id === id ? { ...session, ...changes } : session));
    const seen = this.#sessions.find(({ session_id: other }) => other === id);
    if (seen) this.#rows.get(id)?.show(seen);
  }

  /** Look again now. */
  refresh() {
    if (this.#asking) {
      this.#again = true;
      return;
    }
    this.#ask();
  }

  close() {
    this.#closed.abort();
    this.#observer.disconnect();
    this.#asking?.abort();
    clearTimeout(this.#timer);
    clearTimeout(this.#typing);
  }

  async #ask({ searched = false } = {}) {
    clearTimeout(this.#timer);
    const asking = this.#asking = new AbortController();
    try {
      const page = await this.#page(null, asking.signal);
      if (asking !== this.#asking) return;
      if (searched) this.#sessions = [];
      this.#take(page);
      if (searched) announce(text("sessions_found", { count: this.#sessions.length }));
    } catch (error) {
      if (asking !== this.#asking || error.name === "AbortError") return;
      if (!(error instanceof ApiError)) throw error;
      if (!this.#sessions.length) this.#say(error.message);
    } finally {
      if (asking === this.#asking) {
        this.#asking = null;
        this.#later();
      }
    }
  }

  #later() {
    if (this.#closed.signal.aborted) return;
    const wait = this.#again ? 0 : REFRESH;
    this.#again = false;
    this.#timer = setTimeout(() => (document.visibilityState === "visible" ? this.#ask() : null), wait);
  }

  #page(cursor, signal) {
    const query = new URLSearchParams({ limit: PAGE });
    if (this.#search) query.set("search", this.#search);
    if (cursor) query.set("cursor", cursor);
    return request("GET", `/api/v1/sessions?${query}`, { signal });
  }

  #take({ sessions, next }) {
    const fresh = new Set(sessions.map(({ session_id: id }) => id));
    const last = sessions.at(-1);
    const older = next === null ? [] : this.#sessions.filter((session) => !fresh.has(session.session_id) && after(session, last));
    if (!older.length) this.#next = next;
    this.#sessions = [...sessions, ...older];
    this.#paint();
  }

  async #more() {
    if (this.#next === null || this.#loadingMore || this.#asking || this.#sessions.length >= MOST) return;
    this.#loadingMore = true;
    const search = this.#search;
    try {
      const { sessions, next } = await this.#page(this.#next, this.#closed.signal);
      if (search !== this.#search) return;
      const known = new Set(this.#sessions.map(({ session_id: id }) => id));
      this.#sessions.push(...sessions.filter(({ session_id: id }) => !known.has(id)));
      this.#next = next;
      this.#paint();
    } catch (error) {
      if (error.name !== "AbortError" && !(error instanceof ApiError)) throw error; // the next scroll tries again
    } finally {
      this.#loadingMore = false;
    }
    this.#observer.unobserve(this.#end); // so that it tells again if the end is still in view
    if (!this.#closed.signal.aborted) this.#observer.observe(this.#end);
  }

  #typed() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => {
      const search = this.#field.value.trim();
      if (search === this.#search) return;
      this.#search = search;
      this.#asking?.abort();
      this.#ask({ searched: true });
    }, TYPING);
  }

  #paint() {
    const focused = document.activeElement;
    const wanted = new Set();
    let place = this.#list.firstChild;
    for (const session of this.#sessions) {
      wanted.add(session.session_id);
      const row = this.#row(session);
      if (row.element === place) place = place.nextSibling;
      else this.#list.insertBefore(row.element, place);
    }
    for (const [id, row] of this.#rows) {
      if (wanted.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true }); // it was moved
    if (!this.#sessions.length) this.#say(text(this.#search ? "no_session_found" : "no_sessions"));
    else if (this.#sessions.length >= MOST && this.#next !== null) this.#say(text("more_sessions"));
    else this.#note.hidden = true;
  }

  #row(session) {
    const known = this.#rows.get(session.session_id);
    if (known) {
      if (known.title !== session.title) this.#renamed(session.session_id, session.title);
      known.show(session);
      return known;
    }
    const row = new Row(session, (anchor) => this.#menu(session.session_id, anchor));
    row.mark(session.session_id === this.#current);
    this.#rows.set(session.session_id, row);
    return row;
  }

  #say(words) {
    this.#note.textContent = words;
    this.#note.hidden = false;
  }

  #menu(id, anchor) {
    const session = this.#sessions.find(({ session_id: other }) => other === id);
    if (!session) return;
    openMenu(anchor, [
      { icon: "edit", label: text("rename"), action: () => this.#rename(session) },
      { icon: "download", label: text("export_markdown"), action: () => download(session, "markdown") },
      { icon: "download", label: text("export_json"), action: () => download(session, "json") },
      { icon: "delete", label: text("delete"), danger: true, action: () => this.#delete(session) },
    ], text("session_menu", { title: session.title ?? text("untitled") }));
  }

  async #make() {
    const made = await newSession();
    if (!made) return;
    this.refresh();
    this.#navigate(addressOf(made.session_id));
  }

  async #rename(session) {
    const renamed = await renameSession(session);
    if (!renamed) return;
    this.#sessions = this.#sessions.map((other) => (other.session_id === renamed.session_id ? renamed : other));
    this.#paint();
    this.refresh();
  }

  async #delete(session) {
    const id = session.session_id;
    const at = this.#sessions.findIndex(({ session_id: other }) => other === id);
    if (!await deleteSession(session)) return;
    this.#sessions = this.#sessions.filter(({ session_id: other }) => other !== id);
    this.#paint();
    const neighbour = this.#sessions[at] ?? this.#sessions[at - 1];
    (neighbour ? this.#rows.get(neighbour.session_id) : { focus: () => this.#field.focus() }).focus();
    toast(text("session_deleted"));
    if (id === this.#current) this.#navigate("/");
    this.refresh();
  }
}

/** Whether a session comes after another in the list: newest activity first, then by id. */
function after(session, other) {
  if (session.last_activity !== other.last_activity) return session.last_activity < other.last_activity;
  return session.session_id > other.session_id;
}

/** Let the browser download what was said in a session. */
function download(session, format) {
  const link = h("a", { href: `${sessionUrl(session.session_id, "export")}?format=${format}`, download: "" });
  document.body.append(link);
  link.click();
  link.remove();
}

/** One session in the list. */
class Row {
  #link;
  #title = h("span", { class: "session-title", dir: "auto" });
  #state = h("span", { class: "state" });
  #client = h("span", { class: "session-client" });
  #time = h("time", {});
  #more;
  #shown = "";

  constructor(session, menu) {
    this.#link = h("a", { class: "session-link", href: addressOf(session.session_id), "data-link": true },
      this.#title, h("span", { class: "session-facts" }, this.#state, this.#client, this.#time));
    this.#more = iconButton("more", "", () => menu(this.#more), { "aria-haspopup": "menu", "aria-expanded": "false" });
    this.element = h("li", { class: "session-row", data: { id: session.session_id } }, this.#link, this.#more);
    this.show(session);
  }

  show(session) {
    const { title, state, client, last_activity: time } = session;
    this.title = title;
    const shown = JSON.stringify([title, state, shortTime(time)]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#title.replaceChildren(...visible(title ?? text("untitled")));
    this.#title.classList.toggle("untitled", title === null);
    this.#state.dataset.tone = toneOf(state);
    this.#state.textContent = stateText(state);
    this.#client.textContent = client === null ? "" : text(client === "messages" ? "client_anthropic" : "client_openai");
    this.#time.dateTime = time;
    this.#time.title = longTime(time);
    this.#time.textContent = shortTime(time);
    const label = text("session_menu", { title: title ?? text("untitled") });
    this.#more.setAttribute("aria-label", label);
    this.#more.title = label;
  }

  mark(current) {
    if (current) this.#link.setAttribute("aria-current", "page");
    else this.#link.removeAttribute("aria-current");
  }

  focus() {
    this.#link.focus();
  }
}
