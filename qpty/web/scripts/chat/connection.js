// One session's WebSocket, which comes back by itself.
//
//   connecting ──open──▶ open ──lost──▶ waiting ──after a while──▶ connecting
//        │                │
//        └──── ended ◀────┘   the session was deleted, or `close()`
//
// Where to go on is the follower's business: `follow` is asked at each opening. A frame that was sent and not answered
// when the socket was lost is refused with "offline": whoever sent it knows whether it may be sent again.

import { ApiError, request, sessionUrl } from "../common/api.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
/** Milliseconds that the server may take for an answer, until a socket that looks open is given up. */
const SILENCE = 20_000;
/** Milliseconds without any frame until the server is asked whether it is there. */
const REST = 25_000;

const DELETED = 4004;
const TOO_LARGE = 1009;

/**
 * Events: "state" (detail: {state, retryAt}), and one of each frame's type ("hello", "turn.started", "rendered",
 * "screen", …; detail: the frame), "event" for every frame of the journal.
 */
export class Connection extends EventTarget {
  #session;
  #follow;
  #ended = new AbortController();
  #socket = null;
  #waiting = new Map();
  #refs = 0;
  #failures = 0;
  #timer = null;
  #quiet = null;
  #rest = null;
  #greeted = false;

  /** `follow()` returns the frame by which the journal is followed, from where its reader stands. */
  constructor(session, follow) {
    super();
    this.#session = session;
    this.#follow = follow;
    this.state = "connecting";
    const { signal } = this.#ended;
    addEventListener("online", () => this.#retryNow(), { signal });
    addEventListener("offline", () => this.#socket && this.#lost(this.#socket, 0), { signal });
    document.addEventListener("visibilitychange", () => this.#retryNow(), { signal });
  }

  get session() {
    return this.#session;
  }

  open() {
    clearTimeout(this.#timer);
    this.#become("connecting");
    const url = new URL(sessionUrl(this.#session, "ws"), location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    this.#socket = socket;
    this.#greeted = false;
    this.#listen();
    socket.addEventListener("message", ({ data }) => this.#received(socket, data));
    socket.addEventListener("close", ({ code }) => this.#lost(socket, code));
  }

  /** End it for good. */
  close() {
    this.#end();
    this.#socket?.close(1000);
  }

  /**
   * Send a frame; resolves to its acknowledgement. Rejects with ApiError: the server's refusal, or "offline" if the
   * socket isn't open, or was lost before the answer came.
   */
  request(frame) {
    if (this.state !== "open") return Promise.reject(ApiError.offline());
    const ref = ++this.#refs;
    this.#socket.send(JSON.stringify({ ...frame, ref }));
    this.#listen();
    return new Promise((resolve, reject) => this.#waiting.set(ref, { resolve, reject }));
  }

  #received(socket, data) {
    if (socket !== this.#socket) return;
    clearTimeout(this.#quiet);
    this.#quiet = null;
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.request({ type: "ping" }).catch(() => {}), REST); // lost: `#lost` sees to it
    const frame = JSON.parse(data);
    switch (frame.type) {
      case "hello":
        this.#greeted = true;
        this.#failures = 0;
        this.#become("open");
        this.#tell("hello", frame);
        this.request(this.#follow()).catch((error) => this.#refused(socket, error));
        return;
      case "ack":
        this.#waiting.get(frame.ref)?.resolve(frame);
        this.#waiting.delete(frame.ref);
        if (this.#waiting.size) this.#listen();
        return;
      case "error": {
        const error = new ApiError(frame.error);
        this.#waiting.get(frame.ref)?.reject(error);
        this.#waiting.delete(frame.ref);
        return;
      }
      default:
        this.#tell(frame.type, frame);
        if ("time" in frame) this.#tell("event", frame);
    }
  }

  /** Give a socket up on which nothing comes although something should: a network that went away says nothing. */
  #listen() {
    this.#quiet ??= setTimeout(() => this.#lost(this.#socket, 0), SILENCE);
  }

  #refused(socket, error) {
    if (error.code !== "offline") this.#lost(socket, 0);
  }

  #lost(socket, code) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    socket.close();
    clearTimeout(this.#quiet);
    clearTimeout(this.#rest);
    this.#quiet = null;
    const why = code === TOO_LARGE ? new ApiError({ code: "message_too_long", message: "the frame was too large" }) : ApiError.offline();
    for (const { reject } of this.#waiting.values()) reject(why);
    this.#waiting.clear();
    if (this.state === "ended") return;
    if (code === DELETED) this.#gone();
    else if (this.#greeted) this.#wait();
    else this.#ask();
  }

  #wait() {
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#failures) * (0.5 + Math.random() / 2);
    this.#failures += 1;
    this.#become("waiting", performance.now() + wait);
    this.#timer = setTimeout(() => this.open(), wait);
  }

  /** A browser doesn't say why a socket was refused: ask in plain HTTP whether the session is there. */
  async #ask() {
    this.#wait();
    try {
      await request("GET", sessionUrl(this.#session), { signal: AbortSignal.any([this.#ended.signal, AbortSignal.timeout(SILENCE)]) });
    } catch (error) {
      if (!(error instanceof ApiError || error instanceof DOMException)) throw error;
      if (error.code === "session_not_found" && this.state !== "ended") this.#gone();
    }
  }

  #retryNow() {
    if (document.visibilityState === "visible" && this.state === "waiting") this.open();
  }

  #gone() {
    this.#end();
    this.#tell("gone", null);
  }

  #end() {
    clearTimeout(this.#timer);
    clearTimeout(this.#quiet);
    clearTimeout(this.#rest);
    this.#ended.abort();
    this.#become("ended");
  }

  #become(state, retryAt = null) {
    this.state = state;
    this.#tell("state", { state, retryAt });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
