// A recording as looks at the screen, read as it comes: any moment is a full one and what changed since.

import { ApiError, fetched, sessionUrl } from "../common/api.js";

/** Seconds that a pause takes at most: people don't watch a screen on which nothing happens. */
const LONGEST_PAUSE = 2;

export class RecordedLooks {
  #looks = [];
  #places = [];

  /** Seconds that playing takes, as far as it was read. */
  get length() {
    return this.#places.at(-1) ?? 0;
  }

  /** Seconds that it all took. */
  get duration() {
    return this.#looks.at(-1)?.time ?? 0;
  }

  get count() {
    return this.#looks.length;
  }

  /** Read a session's recording; `more()` is called whenever there is more of it. Throws ApiError. */
  async read(sessionId, { signal, more }) {
    const response = await fetched("GET", sessionUrl(sessionId, "recording/screens"), { signal });
    let rest = "";
    let whole = false;
    try {
      for await (const chunk of texts(response.body)) {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop();
        for (const line of lines) whole = this.#take(JSON.parse(line)) || whole;
        more();
      }
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw ApiError.offline();
    }
    if (!whole) throw ApiError.offline();
  }

  /** Whether it was the last line. */
  #take(line) {
    if (line.type === "screen") {
      const before = this.#looks.at(-1);
      const pause = before ? Math.min(LONGEST_PAUSE, Math.max(0, line.time - before.time)) : 0;
      this.#places.push(this.length + pause);
      this.#looks.push(line);
    }
    return line.type === "end";
  }

  /** The number of the look that is seen at a place in seconds; -1 if there is none. */
  at(place) {
    let low = 0;
    let high = this.#places.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#places[middle] <= place) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Seconds since the recording's beginning at a look. */
  timeOf(number) {
    return this.#looks[number]?.time ?? 0;
  }

  /** What has to be painted to see look `number`, where `shown` is seen now (-1: nothing). */
  *between(shown, number) {
    let first = number;
    while (first > 0 && !this.#looks[first].full && first !== shown + 1) first -= 1;
    for (let next = first; next <= number; next += 1) yield this.#looks[next];
  }
}

async function* texts(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {}); // it may have ended by itself
  }
}
