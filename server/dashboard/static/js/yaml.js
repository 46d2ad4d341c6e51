// Where in a text of YAML or JSON a JSON pointer leads: good enough to jump there.

/** The number of the line, from 1, at which the last part of the pointer that can be found stands; null if none can. */
export function lineOf(text, pointer) {
  const parts = pointer.split("/").slice(1).map((one) => one.replaceAll("~1", "/").replaceAll("~0", "~"));
  const lines = text.split("\n");
  let [from, found] = [0, null];
  for (const one of parts) {
    const at = lines.findIndex((line, i) => i >= from && isKey(line, one));
    if (at < 0) break;
    [from, found] = [at, at + 1];
  }
  return found;
}

function isKey(line, name) {
  const plain = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`(^|[\\s{,])["']?${plain}["']?\\s*:`).test(line);
}
