// The filter box: `state:complete lr<0.01 tag:old -worker:gpu1 diverged`. Pure: words in, a test of rows out.

const TERM = /(-?)(?:(`[^`]+`|"[^"]+"|[^\s:=<>!"`]+)(:|<=|>=|!=|==|=|<|>))?("[^"]*"|[^\s"]+)/g;
const COLUMNS = {
  number: "number", trial: "number", state: "state", mode: "mode", score: "score", value: "score", best: "so_far",
  epochs: "epochs", epoch: "epochs", seconds: "seconds", worker: "worker", attempt: "attempt", error: "error",
  tag: "tags", tags: "tags", sampler: "sampler", round: "round", parent: "parent", invalid: "invalid",
  pruned_at: "pruned_at",
};

/**
 * `{test(row), problems: [sentence]}`. Terms are joined by "and"; `a,b` after a colon means one of them; `-` negates.
 * `parameters` are those of the rows; a name with signs stands in backticks or quotes. A bare word is looked for in all texts.
 */
export function parseFilter(text, parameters = [], objective = "") {
  const fields = new Map(Object.entries(COLUMNS));
  if (objective) fields.set(objective.toLowerCase(), "score");
  for (const { name, field } of parameters) if (!fields.has(name.toLowerCase())) fields.set(name.toLowerCase(), field);
  for (const { name, field } of parameters) fields.set(`param.${name}`.toLowerCase(), field);
  const [tests, problems] = [[], []];
  for (const [, minus, rawName, sign, rawValue] of text.matchAll(TERM)) {
    const value = rawValue.replace(/^"|"$/g, "");
    const found = rawName ? named(fields, rawName, sign, value, problems) : word(value);
    if (found) tests.push(minus ? (row) => !found(row) : found);
  }
  return { test: (row) => tests.every((f) => f(row)), problems };
}

function named(fields, rawName, sign, value, problems) {
  const name = rawName.replace(/^["`]|["`]$/g, "");
  const field = fields.get(name.toLowerCase());
  if (field === undefined) {
    problems.push(`There is no column ${name}.`);
    return null;
  }
  const order = ORDERS[sign];
  if (!order) return sign === "!=" ? not(among(field, value)) : among(field, value);
  const limit = Number(value);
  if (value === "" || Number.isNaN(limit)) {
    problems.push(`${name} ${sign} needs a number, not “${value}”.`);
    return null;
  }
  return (row) => typeof row[field] === "number" && order(row[field], limit);
}

const ORDERS = {
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
};
const not = (f) => (row) => !f(row);

function among(field, value) {
  const wanted = value.toLowerCase().split(",").filter((one) => one !== "").map((one) => [one, one === "" ? NaN : Number(one)]);
  return (row) => wanted.some(([one, n]) => [row[field] ?? ""].flat().some((has) => equal(has, one, n)));
}

function equal(has, one, n) {
  if (typeof has === "number" && !Number.isNaN(n)) return has === n;
  const text = String(has).toLowerCase();
  return one.endsWith("*") ? text.startsWith(one.slice(0, -1)) : text === one;
}

function word(value) {
  const wanted = value.toLowerCase();
  return (row) =>
    Object.entries(row).some(([, has]) => [has].flat().some((one) => typeof one !== "number" && String(one ?? "").toLowerCase().includes(wanted))) ||
    String(row.number) === wanted;
}
