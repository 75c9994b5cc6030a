// Where a page stands in a session's journal, and so from where it goes on when its connection comes back.
//
// Every event up to `lastSeq` was seen. But what the server rendered of a segment may not have come, and it renders only
// what it reads again: so the page follows from before the first segment that isn't fully rendered.

export class JournalPosition {
  #lastSeq = 0;
  #unrendered = new Map();
  #completed = new Set();
  #restarted = new Map(); // a segment whose text is told again → the number up to which it was

  /** Note an event; false if it was seen before. */
  take(event) {
    if (event.type === "journal.reset") {
      this.#unrendered.clear();
      this.#completed.clear();
      this.#restarted.clear();
      this.#lastSeq = event.first_seq - 1;
      return true;
    }
    const key = `${event.turn_id} ${event.segment}`;
    if (event.type === "message.delta" && this.#restarted.has(key)) {
      if (event.seq <= this.#restarted.get(key)) return false;
      this.#restarted.set(key, event.seq);
    } else if (event.seq <= this.#lastSeq) {
      return false;
    }
    this.#lastSeq = Math.max(this.#lastSeq, event.seq);
    switch (event.type) {
      case "message.completed":
        this.#completed.add(key);
        this.#restarted.delete(key);
      // falls through
      case "message.delta":
        if (!this.#unrendered.has(key)) this.#unrendered.set(key, event.seq);
        break;
      case "turn.completed":
      case "turn.failed":
        this.#forget(event.turn_id);
        break;
      default: // no text
    }
    return true;
  }

  /** What a turn left incomplete never will be complete. */
  #forget(turn) {
    for (const key of this.#unrendered.keys()) {
      if (!key.startsWith(`${turn} `) || this.#completed.has(key)) continue;
      this.#unrendered.delete(key);
      this.#restarted.delete(key);
    }
  }

  /**
   * The journal is followed anew, from `after` on: the text of segments that aren't complete is told again, joined
   * perhaps with what is new. Returns these segments, as `[turn, number]`: their text begins anew.
   */
  restart() {
    const open = [...this.#unrendered].filter(([key]) => !this.#completed.has(key));
    this.#restarted = new Map(open.map(([key, seq]) => [key, seq - 1]));
    return open.map(([key]) => key.split(" ")).map(([turn, number]) => [turn, Number(number)]);
  }

  /** Note that a segment came rendered to its end. */
  rendered({ turn_id: turn, segment }) {
    this.#unrendered.delete(`${turn} ${segment}`);
    this.#completed.delete(`${turn} ${segment}`);
  }

  /** The number of the newest event that was seen. */
  get lastSeq() {
    return this.#lastSeq;
  }

  /** The number after which to follow. */
  get after() {
    return Math.min(this.#lastSeq, ...[...this.#unrendered.values()].map((seq) => seq - 1));
  }
}
