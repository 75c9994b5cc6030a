// The start: puts the parts of the page together, and shows what the address asks for.

import { toast } from "./common/announcements.js";
import { ApiError, request } from "./common/api.js";
import { button, byId, h, icon } from "./common/dom.js";
import { takeFirst } from "./chat/outbox.js";
import { language, switchLanguage, switchTheme, theme } from "./common/preferences.js";
import { addressOf, Router } from "./common/router.js";
import { SessionList } from "./sessions/session_list.js";
import { SessionPage } from "./session_page.js";
import { StartPage } from "./start_page.js";
import { text, translate } from "./common/texts.js";

const NARROW = matchMedia("(max-width: 860px)");
const MIDDLE = matchMedia("(max-width: 1180px)");

/** Milliseconds until a session that couldn't be opened is tried again. */
const RETRY = 5000;

let page = null;

document.documentElement.lang = language() === "zh" ? "zh-Hans" : "en";
translate(document);
for (const place of document.querySelectorAll("[data-icon]")) place.prepend(icon(place.dataset.icon));
byId("agent-name").textContent = text(`agent_${document.body.dataset.agent}`, { version: document.body.dataset.agentVersion });

// -- the sidebar, which is a drawer where there is no room

function layOut() {
  const panel = !byId("panel").hidden;
  byId("layout").classList.toggle("narrow", NARROW.matches || (MIDDLE.matches && panel));
  openDrawer(false);
}

function openDrawer(yes) {
  const drawer = byId("layout").classList.contains("narrow");
  byId("layout").classList.toggle("drawer-open", drawer && yes);
  byId("scrim").hidden = !(drawer && yes);
  byId("sidebar").inert = drawer && !yes;
  byId("main").inert = drawer && yes;
  byId("skip").hidden = drawer && yes; // it leads to what can't be reached now
  byId("sidebar-open").setAttribute("aria-expanded", String(drawer && yes));
  if (drawer && yes) byId("sidebar-close").focus();
}

for (const query of [NARROW, MIDDLE]) query.addEventListener("change", layOut);
byId("sidebar-open").addEventListener("click", () => openDrawer(true));
function closeDrawer() {
  openDrawer(false);
  byId("sidebar-open").focus();
}

for (const id of ["sidebar-close", "scrim"]) byId(id).addEventListener("click", closeDrawer);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || !byId("layout").classList.contains("drawer-open")) return;
  if (document.querySelector("dialog[open], [popover]:popover-open")) return;
  event.preventDefault(); // it doesn't stop the turn that runs
  closeDrawer();
});

// -- what this browser prefers

function nameTheme() {
  const label = text(`theme_${theme()}`);
  byId("theme").title = label;
  byId("theme").setAttribute("aria-label", label);
}

nameTheme();
byId("theme").addEventListener("click", () => {
  switchTheme();
  nameTheme();
});
byId("language").textContent = text("language");
byId("language").addEventListener("click", switchLanguage);
byId("sign-out").hidden = document.body.dataset.signedIn !== "yes";
byId("sign-out").addEventListener("click", async () => {
  await request("POST", "/logout");
  location.assign("/");
});

// -- what the address asks for

const navigate = (path, options) => router.navigate(path, options);
const list = new SessionList({ place: byId("session-list"), navigate, renamed: (id, title) => id === page?.sessionId && page.renamed(title) });
const changed = () => list.refresh();

async function show(route) {
  const sessionId = route?.sessionId ?? null;
  if (page && route && page.sessionId === sessionId && sessionId !== null) {
    page.show(route.view);
    layOut();
    return;
  }
  openDrawer(false);
  page?.close();
  byId("waiting").replaceChildren();
  list.current(sessionId);
  if (route === null) {
    page = null;
    notFound();
  } else if (sessionId === null) {
    page = new StartPage({ navigate, changed });
    page.open();
  } else {
    page = new SessionPage({ sessionId, navigate, changed, saw: (id, changes) => list.saw(id, changes) });
    await openSession(page, route.view);
  }
  layOut();
}

async function openSession(opened, view) {
  byId("title").textContent = "";
  byId("conversation").replaceChildren(h("p", { class: "muted", text: text("loading") }));
  try {
    await opened.open(view);
  } catch (error) {
    if (opened !== page) return; // it was left while it was looked up
    if (!(error instanceof ApiError)) throw error;
    if (error.code === "session_not_found") notFound();
    else again(opened, view, error);
    return;
  }
  const first = takeFirst(opened.sessionId);
  if (first !== null) opened.send(first.text, first.key);
}

/** Say why a session can't be opened now, and try again: by itself, and when the person wants to. */
function again(opened, view, error) {
  const retry = () => {
    clearTimeout(timer);
    removeEventListener("online", retry);
    if (opened === page) openSession(opened, view);
  };
  const timer = setTimeout(retry, RETRY);
  addEventListener("online", retry);
  byId("conversation").replaceChildren(h("section", { class: "welcome" },
    h("p", { class: "problem", role: "alert", text: error.message }), button(text("open_again"), retry, { icon: "refresh" })));
}

function notFound() {
  byId("title").textContent = text("not_found");
  byId("composer").replaceChildren();
  byId("conversation").replaceChildren(h("section", { class: "welcome" },
    h("h2", { text: text("not_found") }), h("p", {}, text("not_found_more"), " ", h("a", { href: "/", "data-link": true, text: text("new_session") }))));
}

function toggle(view) {
  const pressed = byId(`show-${view}`).getAttribute("aria-pressed") === "true";
  navigate(addressOf(page.sessionId, pressed ? null : view));
}

byId("show-files").addEventListener("click", () => toggle("files"));
byId("show-terminal").addEventListener("click", () => toggle("terminal"));
byId("panel-close").addEventListener("click", () => {
  const view = ["files", "terminal"].find((name) => byId(`show-${name}`).getAttribute("aria-pressed") === "true");
  navigate(addressOf(page.sessionId));
  byId(`show-${view}`).focus();
});

// -- files dropped anywhere on the conversation

const main = byId("main");
const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
addEventListener("dragover", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault(); // a browser would leave the page for the file
  main.classList.toggle("drop-here", main.contains(event.target));
});
addEventListener("dragleave", (event) => event.relatedTarget === null && main.classList.remove("drop-here"));
addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  main.classList.remove("drop-here");
  if (!event.defaultPrevented && main.contains(event.target)) page?.attach?.([...event.dataTransfer.files]);
  event.preventDefault();
});

addEventListener("unhandledrejection", ({ reason }) => {
  if (reason instanceof ApiError) toast(reason.message, { bad: true });
});

const router = new Router((route) => show(route));
