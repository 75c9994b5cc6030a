// The dialogs for sessions: a new one, another title, and its end. Each does the request itself.

import { request, sessionUrl } from "../common/api.js";
import { ask, confirm, Field } from "../common/dialog.js";
import { h } from "../common/dom.js";
import { SessionForm } from "./session_form.js";
import { text } from "../common/texts.js";
import { visible } from "../common/visible_text.js";

const TITLE_CHARACTERS = 500;

/** Make a session with what the person chooses; resolves to `{session_id, created_at}`, or null. */
export function newSession() {
  const form = new SessionForm();
  form.load();
  return ask({
    title: text("new_session"), body: form.element, label: text("create_session"), fields: form.fields,
    focus: form.first,
    submit: () => request("POST", "/api/v1/sessions", { json: form.body }),
  });
}

/** Give a session another title; resolves to the session as it is then, or null. */
export function renameSession(session) {
  const input = h("input", { class: "field", type: "text", maxlength: TITLE_CHARACTERS, dir: "auto", autocomplete: "off", value: session.title ?? "" });
  const title = new Field(text("session_title"), input, text("session_title_hint"));
  const asked = ask({
    title: text("rename_session"), body: title.element, label: text("rename"), fields: { title }, focus: input,
    submit: () => request("PATCH", sessionUrl(session.session_id), { json: { title: title.value.trim() || null } }),
  });
  input.select();
  return asked;
}

/** Delete a session, once the person has read what goes with it; resolves to the session, or null. */
export async function deleteSession(session) {
  const files = h("li", { text: text("lost_files") });
  const body = [
    h("p", {}, h("strong", { class: "quoted", dir: "auto" }, visible(session.title ?? text("untitled")))),
    h("p", { text: text("delete_loses") }),
    h("ul", { class: "lost" },
      h("li", { text: text("lost_messages", { count: session.message_count }) }), files,
      h("li", { text: text("lost_recording") })),
    h("p", { text: text("delete_for_good") }),
  ];
  count(session, files);
  const done = await confirm({
    title: text("delete_session"), body, label: text("delete"),
    submit: () => request("DELETE", sessionUrl(session.session_id)),
  });
  return done ? session : null;
}

/** Say how many files there are, as soon as it is known; without, the sentence is true, too. */
async function count(session, place) {
  try {
    const { file_count: files, truncated } = await request("GET", sessionUrl(session.session_id, "files"));
    place.textContent = text(truncated ? "lost_files_many" : "lost_files_counted", { count: files });
  } catch {
    return;
  }
}
