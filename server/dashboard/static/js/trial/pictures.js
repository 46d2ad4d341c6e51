// Examples that are pictures: a canvas from the bytes that came with the error analysis.

import { el } from "../dom.js";
import { rgba } from "./pixels.js";

/** The picture of a row, or null if there is none. */
export function drawn(pictures, row) {
  const bytes = pictures?.pixels?.[row];
  if (!bytes) return null;
  const { width, height, channels } = pictures;
  const canvas = el("canvas", { width, height, "aria-hidden": "true" });
  const image = new ImageData(rgba(bytes, channels), width, height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
