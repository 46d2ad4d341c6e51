// Values of parameters as people write them: learning_rate=0.1, keep_prob=[0.9, 0.8].

/** The name and value of each assignment in a line. Throws a problem that names the one that is none. */
export function parseAssignments(line) {
  const pairs = split(line).map((one) => {
    const at = one.indexOf("=");
    if (at < 1) throw refusal(`"${one}" is no change. Write name=value, for example learning_rate=0.01.`);
    return [one.slice(0, at).trim(), parseValue(one.slice(at + 1))];
  });
  return Object.fromEntries(pairs); // which also takes a name such as __proto__ as any other
}

/** A value: JSON if it is some (0.1, true, null, [0.9, 0.8], "a text"), else the text itself. */
export function parseValue(text) {
  const plain = text.trim();
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain)) return Number(plain);
  try {
    return JSON.parse(plain);
  } catch {
    return plain;
  }
}

/** One object of changes for each line that has any. */
export function parseBranches(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean).map(parseAssignments);
}

/** At commas and semicolons outside of brackets and quotes. */
function split(line) {
  const parts = [""];
  let [depth, quoted] = [0, false];
  for (const sign of line) {
    if (sign === '"') quoted = !quoted;
    else if (!quoted && "[{".includes(sign)) depth += 1;
    else if (!quoted && "]}".includes(sign)) depth -= 1;
    if (depth === 0 && !quoted && ",;".includes(sign)) parts.push("");
    else parts[parts.length - 1] += sign;
  }
  return parts.map((one) => one.trim()).filter(Boolean);
}

function refusal(detail) {
  return Object.assign(new Error(detail), { detail, errors: [] });
}
