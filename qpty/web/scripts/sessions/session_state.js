// How a session's state is shown: in a word, and in a tone for its dot.

import { hasText, text } from "../common/texts.js";

const TONES = { ready: "good", busy: "busy", starting: "busy", waiting: "busy", permission: "asks", menu: "asks", unknown: "bad", failed: "bad", exited: "bad" };

/** "good", "busy", "asks", "bad", or "" for what is nothing in particular. */
export const toneOf = (state) => TONES[state] ?? "";

/** The state in a word; a state that the page doesn't know as the server calls it. */
export const stateText = (state) => (hasText(`state_${state}`) ? text(`state_${state}`) : state);
