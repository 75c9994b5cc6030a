// Messages on their way. Each has a key of its own, by which the server knows it again: so one whose acknowledgement
// was lost is sent once more, and typed once.

import { ApiError, request, sessionUrl } from "../common/api.js";
import { keep, kept } from "../common/tab_storage.js";

const KEPT = "qpty.outbox.";
const FIRST = "qpty.first.";

/** Raise what the server would say of a message that is longer than it takes: so long a frame ends the connection. */
export function checkLength(text) {
  const limit = Number(document.body.dataset.maxMessage);
  if (new TextEncoder().encode(text).length > limit) {
    throw new ApiError({ code: "message_too_long", message: `a message has at most ${limit} bytes` });
  }
}

/** Have a message sent when its session is opened next. */
export async function sendFirst(sessionId, text) {
  if (!keep(FIRST + sessionId, JSON.stringify({ key: newKey(), text }))) await sendUnseen(sessionId, text);
}

/** Take the message that waits for its session to be opened, as `{key, text}`; null if there is none. */
export function takeFirst(sessionId) {
  const entry = JSON.parse(kept(FIRST + sessionId));
  keep(FIRST + sessionId, null);
  return entry;
}

/**
 * Send a message to a session that isn't shown. Throws ApiError; then it is sent when the session is opened next, with
 * the same key: it may be that only the answer was lost.
 */
export async function sendUnseen(sessionId, text) {
  const key = newKey();
  try {
    await request("POST", sessionUrl(sessionId, "messages"), { json: { message: text, idempotency_key: key } });
  } catch (error) {
    keep(FIRST + sessionId, JSON.stringify({ key, text }));
    throw error;
  }
}

/** Events: "changed"; "refused" (detail: {text, error}): the server won't take it; the text goes back to the person. */
export class Outbox extends EventTarget {
  #connection;
  #name;
  #waiting;
  #sending = new Set();
  #ready = false;

  constructor(connection) {
    super();
    this.#connection = connection;
    this.#name = KEPT + connection.session;
    this.#waiting = JSON.parse(kept(this.#name) ?? "[]");
  }

  /** Texts that the server hasn't acknowledged yet. */
  get waiting() {
    return this.#waiting.map(({ text }) => text);
  }

  /** Send a message now, or as soon as there is a connection. `key`: if it may have been sent before. */
  send(text, key = newKey()) {
    this.#waiting.push({ key, text });
    this.#keep();
    this.flush();
  }

  /** The journal was caught up with: what waits isn't in it, so it may be sent (once more). */
  ready() {
    this.#ready = true;
    this.flush();
  }

  /** The connection was lost: what is in the journal has to be seen first. */
  unready() {
    this.#ready = false;
  }

  /** Give up: the session is gone. The texts that weren't sent. */
  end() {
    const texts = this.waiting;
    this.#ready = false;
    this.#waiting = [];
    this.#keep();
    return texts;
  }

  /** Send what waits, if it may be sent. */
  async flush() {
    if (!this.#ready) return;
    for (const entry of [...this.#waiting]) {
      if (this.#sending.has(entry.key)) return; // in order
      if (!(await this.#sent(entry))) return;
    }
  }

  /** A message is in the journal. */
  arrived(key) {
    this.#waiting = this.#waiting.filter((entry) => entry.key !== key);
    this.#keep();
  }

  async #sent({ key, text }) {
    this.#sending.add(key);
    try {
      await this.#connection.request({ type: "message", text, idempotency_key: key });
    } catch (error) {
      if (error.code === "offline") return false;
      this.dispatchEvent(new CustomEvent("refused", { detail: { text, error } }));
    } finally {
      this.#sending.delete(key);
    }
    this.arrived(key);
    return true;
  }

  #keep() {
    keep(this.#name, this.#waiting.length ? JSON.stringify(this.#waiting) : null);
    this.dispatchEvent(new Event("changed"));
  }
}

function newKey() {
  // Not `randomUUID`: that is for secure origins only, and this page may be served over plain HTTP in a home network.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
