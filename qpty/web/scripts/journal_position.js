// Where a page stands in a session's journal, and so from where it goes on when its connection comes back.
//
// Every event up to `lastSeq` was seen. But what the server rendered of a segment may not have come, and it renders only
// what it reads again: so the page follows from before the first segment that isn't fully rendered.

export class JournalPosition {
  #lastSeq = 0;
  #unrendered = new Map();
  #completed = new Set();

  /** Note an event; false if it was seen before. */
  take(event) {
    if (event.type === "journal.reset") {
      this.#unrendered.clear();
      this.#completed.clear();
      this.#lastSeq = event.first_seq - 1;
      return true;
    }
    if (event.seq <= this.#lastSeq) return false;
    this.#lastSeq = event.seq;
    const key = `${event.turn_id} ${event.segment}`;
    switch (event.type) {
      case "message.completed":
        this.#completed.add(key);
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
      if (key.startsWith(`${turn} `) && !this.#completed.has(key)) this.#unrendered.delete(key);
    }
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
