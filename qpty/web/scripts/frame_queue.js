// Work on the page, cut into frames: the person's typing and scrolling come first.

const BUDGET = 8;

/** Jobs in order; in each frame as many as fit into some milliseconds. */
export class FrameQueue {
  #jobs = [];
  #frame = null;
  #after = new Set();

  /** Do `job` soon. */
  add(job) {
    this.#jobs.push(job);
    this.#frame ??= requestAnimationFrame(() => this.#run());
  }

  /** Call `listener` after each frame in which something was done. */
  afterEach(listener) {
    this.#after.add(listener);
  }

  get length() {
    return this.#jobs.length;
  }

  close() {
    if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    this.#jobs = [];
    this.#after.clear();
  }

  #run() {
    const end = performance.now() + BUDGET;
    let done = 0;
    try {
      while (done < this.#jobs.length && performance.now() < end) this.#jobs[done++]();
    } finally {
      this.#jobs.splice(0, Math.max(done, 1)); // a job that throws isn't done again
      this.#frame = this.#jobs.length ? requestAnimationFrame(() => this.#run()) : null;
    }
    for (const listener of this.#after) listener();
  }
}
