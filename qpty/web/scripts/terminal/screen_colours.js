// Colours of a terminal's cells that aren't named ones, made legible on the screen's dark ground.

/** The sixteen colours that every palette begins with, as the server spells them where a program chose by number. */
const PALETTE = {
  "000000": "black", cd0000: "red", "00cd00": "green", cdcd00: "brown", "0000ee": "blue", cd00cd: "magenta", "00cdcd": "cyan", e5e5e5: "white",
  "7f7f7f": "brightblack", ff0000: "brightred", "00ff00": "brightgreen", ffff00: "brightbrown", "5c5cff": "brightblue", ff00ff: "brightmagenta", "00ffff": "brightcyan", ffffff: "brightwhite",
};

const HEX = /^[0-9a-f]{6}$/;

/** The luminance of `--ground-ink` in terminal.css. */
const GROUND = 0.0085;
const CONTRAST = 4.5;
const STEP = 0.1;

const legibles = new Map();
const MOST = 1000;

/** A colour's name, if it has one: of the palette, or as it was given. Null for one of its own. */
export function nameOf(colour) {
  if (colour in PALETTE) return PALETTE[colour];
  return /^[a-z]+$/.test(colour) && !HEX.test(colour) ? colour : null;
}

/** A colour of its own as CSS takes it; `ink`: letters are drawn with it on the screen's ground. Null for what is none. */
export function ownColour(colour, { ink = false } = {}) {
  if (!HEX.test(colour)) return null;
  if (!ink) return `#${colour}`;
  let found = legibles.get(colour);
  if (!found) {
    if (legibles.size >= MOST) legibles.clear();
    legibles.set(colour, (found = legible(colour)));
  }
  return found;
}

/** Whether dark letters are read better on a ground than light ones. */
export const isLight = (colour) => HEX.test(colour) && luminance(channels(colour)) > 0.18;

const channels = (colour) => [0, 2, 4].map((at) => parseInt(colour.slice(at, at + 2), 16));

function luminance(parts) {
  const [red, green, blue] = parts.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function legible(colour) {
  let parts = channels(colour);
  while ((luminance(parts) + 0.05) / (GROUND + 0.05) < CONTRAST) parts = parts.map((part) => part + (255 - part) * STEP);
  return `rgb(${parts.map(Math.round).join(" ")})`;
}
