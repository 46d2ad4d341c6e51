// Pixels from base64.

/** Red, green, blue and opacity of each pixel, from base64 of a byte for each pixel and channel. */
export function rgba(text, channels) {
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const found = new Uint8ClampedArray((bytes.length / channels) * 4);
  for (let pixel = 0; pixel * channels < bytes.length; pixel += 1) {
    for (let c = 0; c < 3; c += 1) found[4 * pixel + c] = bytes[pixel * channels + (channels === 3 ? c : 0)];
    found[4 * pixel + 3] = 255;
  }
  return found;
}
