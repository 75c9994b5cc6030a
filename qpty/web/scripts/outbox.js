// Messages on their way. Each has a key of its own, by which the server knows it again: so one whose acknowledgement
// was lost is sent once more, and typed once.

const KEPT = "qpty.outbox.";

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
    this.#waiting = JSON.parse(sessionStorage.getItem(this.#name) ?? "[]");
  }

  /** Texts that the server hasn't acknowledged yet. */
  get waiting() {
    return this.#waiting.map(({ text }) => text);
  }

  /** Send a message now, or as soon as there is a connection. */
  send(text) {
    this.#waiting.push({ key: newKey(), text });
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
    if (this.#waiting.length) sessionStorage.setItem(this.#name, JSON.stringify(this.#waiting));
    else sessionStorage.removeItem(this.#name);
    this.dispatchEvent(new Event("changed"));
  }
}

function newKey() {
  // Not `randomUUID`: that is for secure origins only, and this page may be served over plain HTTP in a home network.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
