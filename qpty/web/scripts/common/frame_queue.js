// Work on the page, cut into frames: the person's typing and scrolling come first.

const BUDGET = 8;
const FRAME = 16;
const HEAVY = 20_000;
const HIDDEN_PAUSE = 100;

/** Jobs in order; in each frame as many as fit into some milliseconds. */
export class FrameQueue {
  #jobs = [];
  #frame = null;
  #timer = null;
  #soon = false;
  #ran = 0;
  #closed = new AbortController();

  constructor() {
    document.addEventListener("visibilitychange", () => this.#schedule(), { signal: this.#closed.signal });
  }

  /** Do `job` soon. `weight`: characters of HTML that the browser has to lay out after it, in the same frame. */
  add(job, weight = 0) {
    this.#jobs.push({ job, weight });
    if (this.#frame !== null || this.#timer !== null || this.#soon) return;
    if (document.hidden || performance.now() - this.#ran < FRAME) {
      this.#schedule();
    } else { // it rested: what comes now is in the very next picture
      this.#soon = true;
      queueMicrotask(() => this.#run());
    }
  }

  close() {
    this.#closed.abort();
    this.#jobs = [];
    this.#schedule();
  }

  /** Run in the next frame; in a tab that nobody sees there are none, and work mustn't pile up there. */
  #schedule() {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    this.#frame = this.#timer = null;
    if (!this.#jobs.length) return;
    if (document.hidden) this.#timer = setTimeout(() => this.#run(), HIDDEN_PAUSE);
    else this.#frame = requestAnimationFrame(() => this.#run());
  }

  #run() {
    this.#soon = false;
    this.#ran = performance.now();
    const end = performance.now() + BUDGET;
    let [done, weight] = [0, 0];
    try {
      while (done < this.#jobs.length && weight < HEAVY && performance.now() < end) {
        weight += this.#jobs[done].weight;
        this.#jobs[done++].job();
      }
    } finally {
      this.#jobs.splice(0, Math.max(done, 1)); // a job that throws isn't done again
      this.#schedule();
    }
  }
}
