import assert from "node:assert/strict";
import { test } from "node:test";

const JS = "../../../server/dashboard/static/js";
const { parseFilter } = await import(`${JS}/filter.js`);
const format = await import(`${JS}/format.js`);
const { Rows, better, MOST } = await import(`${JS}/rows.js`);
const { lineOf } = await import(`${JS}/yaml.js`);

const PARAMETERS = [
  { field: "p0", name: "lr", kind: "float" },
  { field: "p1", name: "my <param> x", kind: "float" },
  { field: "p2", name: "optimizer", kind: "choice" },
  { field: "p3", name: "state", kind: "choice" },
];
const ROWS = [
  { number: 0, state: "complete", score: 0.1, p0: 0.001, p1: 1, p2: "adam", p3: "on", tags: ["old"], worker: "gpu1", error: null },
  { number: 1, state: "pruned", score: null, p0: 0.1, p1: 2, p2: "sgd", p3: "off", tags: [], worker: "gpu2", error: null },
  { number: 12, state: "failed", score: null, p0: 0.02, p2: "sgd", tags: ["new", "old"], worker: "cpu", error: "CUDA out of memory" },
];

function numbers(text, objective = "dev_error") {
  const { test: fits, problems } = parseFilter(text, PARAMETERS, objective);
  assert.deepEqual(problems, [], text);
  return ROWS.filter(fits).map((row) => row.number);
}

test("a filter joins its terms", () => {
  assert.deepEqual(numbers(""), [0, 1, 12]);
  assert.deepEqual(numbers("state:complete"), [0]);
  assert.deepEqual(numbers("state:complete,pruned lr<0.01"), [0]);
  assert.deepEqual(numbers("lr>=0.02"), [1, 12]);
  assert.deepEqual(numbers("-state:failed"), [0, 1]);
  assert.deepEqual(numbers("state!=failed"), [0, 1]);
  assert.deepEqual(numbers("tag:old"), [0, 12]);
  assert.deepEqual(numbers("worker:gpu*"), [0, 1]);
  assert.deepEqual(numbers("optimizer=sgd -tag:old"), [1]);
  assert.deepEqual(numbers("dev_error<0.2"), [0]);
  assert.deepEqual(numbers("number:12"), [12]);
});

test("a name with signs stands in backticks or quotes, and a parameter of a column's name has a prefix", () => {
  assert.deepEqual(numbers("`my <param> x`>1"), [1]);
  assert.deepEqual(numbers('"my <param> x"<=1'), [0]);
  assert.deepEqual(numbers("param.state:off"), [1]);
});

test("a bare word is looked for in all texts, and a number is a trial", () => {
  assert.deepEqual(numbers("cuda"), [12]);
  assert.deepEqual(numbers('"out of"'), [12]);
  assert.deepEqual(numbers("12"), [12]);
});

test("what cannot be compared fits no order", () => {
  assert.deepEqual(numbers("score<1"), [0]);
  assert.deepEqual(numbers("`my <param> x`<10"), [0, 1]);
});

test("a filter that means nothing says so", () => {
  assert.match(parseFilter("learning:3", PARAMETERS).problems[0], /no column learning/);
  assert.match(parseFilter("lr<abc", PARAMETERS).problems[0], /needs a number/);
});

test("numbers are written one way", () => {
  const written = [0, 0.02131234, 1e-5, 1.5e-7, 12300, 1234567, 123456.7, -0.5, 1e12, null, NaN, Infinity, 0.1 + 0.2, 5];
  assert.deepEqual(written.map((one) => format.number(one)), ["0", "0.02131", "1e-5", "1.5e-7", "12,300", "1,234,567", "123,457", "−0.5", "1e12", "–", "NaN", "∞", "0.3", "5"]);
});

test("durations and ages are written one way", () => {
  assert.deepEqual([0.123, 9.96, 59.6, 200, 7500, 273600, null].map(format.duration), ["0.12 s", "10 s", "1 min", "3 min 20 s", "2 h 5 min", "3 d 4 h", "–"]);
  assert.equal(format.ago("2026-01-01T00:00:00Z", Date.parse("2026-01-01T02:30:00Z")), "2 h ago");
  assert.equal(format.bytes(1234567), "1.23 MB");
});

test("rows take increments, and a row that comes twice changes nothing", () => {
  const rows = new Rows({ rows: ROWS, parameters: PARAMETERS });
  const seen = [];
  rows.subscribe((changed, removed) => seen.push([changed.map((r) => r.number), removed.map((r) => r.number)]));
  rows.apply([{ ...ROWS[1] }]);
  rows.apply([{ ...ROWS[1], score: 0.05, state: "complete" }, { number: 13, state: "queued", score: null }]);
  assert.deepEqual(seen, [[[1, 13], [1]]]);
  assert.equal(rows.best().number, 1);
  assert.equal(rows.total, 14);
  assert.deepEqual(rows.all().map((r) => r.number), [0, 1, 12, 13]);
});

test("the better score comes first, whichever way, and what has none comes last", () => {
  const order = (direction) => [{ number: 0, score: null }, { number: 1, score: 2 }, { number: 2, score: 1 }].sort(better(direction)).map((r) => r.number);
  assert.deepEqual(order("minimize"), [2, 1, 0]);
  assert.deepEqual(order("maximize"), [1, 2, 0]);
});

test("a page that stays open for ever holds no more rows than MOST, and keeps the best and those that run", () => {
  const rows = new Rows({ rows: [{ number: 0, state: "complete", score: 0, finished_at: "x" }, { number: 1, state: "running", score: null }] });
  for (let from = 2; from < 3 * MOST; from += 1000) {
    rows.apply(Array.from({ length: 1000 }, (_, i) => ({ number: from + i, state: "complete", score: 1 + i, finished_at: "x" })));
    assert.ok(rows.byNumber.size <= MOST);
  }
  assert.ok(rows.byNumber.has(0) && rows.byNumber.has(1));
  assert.equal(rows.best().number, 0);
});

test("a row that is dropped with the increment that it came in is told as gone alone", () => {
  const ended = (number, score) => ({ number, state: "complete", score, finished_at: "x" });
  const rows = new Rows({ rows: Array.from({ length: MOST }, (_, i) => ended(i + 1, i)) });
  const seen = [];
  rows.subscribe((changed, removed) => seen.push([changed.map((r) => r.number), removed.filter((r) => r.number === 0).length]));
  rows.apply([ended(0, 1e9), ended(MOST + 1, -1)]);
  assert.deepEqual(seen, [[[MOST + 1], 1]]);
});

test("a mistake's place in a file is found", () => {
  const text = "name: a\nspace:\n  lr: {type: float, low: 1, high: 0}\n  lr2:\n    low: 3\nbudget: {max_trials: 0}";
  assert.equal(lineOf(text, "/space/lr/low"), 3);
  assert.equal(lineOf(text, "/space/lr2/low"), 5);
  assert.equal(lineOf(text, "/budget/max_trials"), 6);
  assert.equal(lineOf('{"space": {\n "a/b": {"low": 1}}}', "/space/a~1b/low"), 2);
  assert.equal(lineOf(text, "/nowhere"), null);
});
