// Playing a session's recording: play, pause, seek, faster. Pauses in it are shortened.

import { ApiError, sessionUrl } from "../common/api.js";
import { button, h, icon, iconButton, reducedMotion } from "../common/dom.js";
import { RecordedLooks } from "./recorded_looks.js";
import { Screen } from "./screen.js";
import { text } from "../common/texts.js";

const SPEEDS = [1, 2, 4, 8];
/** Milliseconds between two pictures where less motion is wanted. */
const CALM = 1000;

export class Playback {
  #sessionId;
  #screen = new Screen(text("recorded_screen"));
  #looks = new RecordedLooks();
  #place = 0;
  #shown = -1;
  #speed = 1;
  #frame = null;
  #ticked = 0;
  #painted = 0;
  #reading = null;
  #play;
  #slider;
  #time = h("span", { class: "playback-time" });
  #note = h("p", { class: "terminal-note muted", role: "status" });
  #controls;

  constructor(sessionId) {
    this.#sessionId = sessionId;
    this.#play = iconButton("play", text("play"), () => (this.#frame === null ? this.play() : this.pause()));
    this.#slider = h("input", { type: "range", class: "playback-slider", min: "0", max: "0", step: "0.1", value: "0", "aria-label": text("position"),
      on: { input: () => this.seek(Number(this.#slider.value)) } });
    const speed = h("select", { class: "playback-speed", "aria-label": text("speed"), on: { change: () => { this.#speed = Number(speed.value); } } },
      SPEEDS.map((factor) => h("option", { value: String(factor), text: `${factor}×` })));
    const download = h("a", { class: "icon", href: sessionUrl(sessionId, "recording"), download: "", title: text("download_recording"), "aria-label": text("download_recording") },
      icon("download"));
    this.#controls = h("div", { class: "playback-controls", role: "group", "aria-label": text("playback"), hidden: true },
      this.#play, this.#slider, this.#time, speed, download);
    this.element = h("div", { class: "playback" },
      h("div", { class: "terminal-bar" }, button(text("refresh"), () => this.read(), { icon: "refresh" }), this.#note),
      this.#screen.element, this.#controls);
    this.#screen.element.hidden = true;
  }

  show() {
    if (!this.#looks.count && !this.#reading) this.read();
  }

  hide() {
    this.pause();
  }

  close() {
    this.pause();
    this.#reading?.abort();
    this.#screen.close();
  }

  /** Read the recording, anew: there may be more of it by now. */
  async read() {
    this.pause();
    this.#reading?.abort();
    const reading = this.#reading = new AbortController();
    const looks = new RecordedLooks();
    this.#note.textContent = text("loading");
    try {
      await looks.read(this.#sessionId, { signal: reading.signal, more: () => reading === this.#reading && this.#more(looks) });
      if (reading === this.#reading) this.#note.textContent = "";
    } catch (error) {
      if (reading !== this.#reading || error.name === "AbortError") return;
      if (!(error instanceof ApiError)) throw error;
      this.#note.textContent = error.message;
    } finally {
      if (reading === this.#reading) this.#reading = null;
    }
  }

  play() {
    if (this.#place >= this.#looks.length) this.#place = 0;
    this.#ticked = performance.now();
    this.#frame = requestAnimationFrame((now) => this.#tick(now));
    this.#paintPlay();
  }

  pause() {
    if (this.#frame === null) return;
    cancelAnimationFrame(this.#frame);
    this.#frame = null;
    this.#paintPlay();
  }

  /** Go to a place, in seconds of playing. */
  seek(place) {
    this.#place = Math.max(0, Math.min(place, this.#looks.length));
    const number = this.#looks.at(this.#place);
    if (number >= 0 && number !== this.#shown) {
      const from = number > this.#shown ? this.#shown : -1;
      for (const look of this.#looks.between(from, number)) this.#screen.apply(look);
      this.#shown = number;
    }
    this.#paintTime();
  }

  /** More of it was read. What is seen stays, where it is the same recording, only longer. */
  #more(looks) {
    if (looks !== this.#looks) {
      this.#looks = looks;
      this.#shown = -1;
    }
    this.#slider.max = String(Math.ceil(looks.length * 10) / 10); // a step of the slider, or its end isn't reached
    const any = looks.count > 0;
    this.#controls.hidden = this.#screen.element.hidden = !any;
    if (any && this.#frame === null) this.seek(this.#place);
  }

  #tick(now) {
    const passed = now - this.#ticked;
    this.#ticked = now;
    this.#place += (Math.max(0, passed) / 1000) * this.#speed;
    const ended = this.#place >= this.#looks.length && this.#reading === null;
    if (ended || !reducedMotion() || now - this.#painted >= CALM) {
      this.#painted = now;
      this.seek(this.#place);
    }
    if (ended) {
      this.#frame = null;
      this.#paintPlay();
    } else {
      this.#frame = requestAnimationFrame((next) => this.#tick(next));
    }
  }

  #paintPlay() {
    const playing = this.#frame !== null;
    const label = text(playing ? "pause" : "play");
    this.#play.replaceChildren(icon(playing ? "pause" : "play"));
    this.#play.title = label;
    this.#play.setAttribute("aria-label", label);
  }

  #paintTime() {
    const now = clock(this.#looks.timeOf(this.#shown));
    const whole = clock(this.#looks.duration);
    this.#slider.value = String(this.#place);
    this.#slider.setAttribute("aria-valuetext", text("time_of", { now, whole }));
    this.#time.textContent = `${now} / ${whole}`;
  }
}

/** Seconds as a player shows them. */
function clock(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [hours, minutes, rest] = parts.map((part) => String(part).padStart(2, "0"));
  return parts[0] ? `${parts[0]}:${minutes}:${rest}` : `${Number(minutes)}:${rest}`;
}
