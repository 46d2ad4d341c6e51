// The parts of a trial's page, and of comparisons, that need no page.

import assert from "node:assert/strict";
import { test } from "node:test";

const js = "../../../server/dashboard/static/js";
const { hasEnded, isStream, PARTS, stale, staleByEvents, staleByRow } = await import(`${js}/trial/changes.js`);
const { parseAssignments, parseBranches, parseValue } = await import(`${js}/trial/assignments.js`);
const { chosenBy, handTags, retagged } = await import(`${js}/trial/tagging.js`);
const { rgba } = await import(`${js}/trial/pixels.js`);
const { bestOf, lineOf, namesIn, numbersIn, rowsOf } = await import(`${js}/sides.js`);

const TRIAL = { state: "running", step: 10, attempt: 0, worker: "ant", value: null, metrics: { dev_error: 0.5 }, desired: { version: 2 }, applied_version: 2 };
const PANDA = { task: { dataset: "digits" }, policies: [] };

test("a trial that is as it was makes no part old, and a first one all of them", () => {
  assert.deepEqual(stale(TRIAL, structuredClone(TRIAL)), new Set());
  assert.deepEqual(stale(null, TRIAL), new Set(PARTS));
});

test("only what can have changed is asked for again", () => {
  const row = { epochs: 3, so_far: 0.2, state: "running" };
  assert.deepEqual(staleByRow(row, { ...row, worker: "bee" }, PANDA), new Set());
  assert.deepEqual(staleByRow(row, { ...row, epochs: 4 }, PANDA), new Set(["curves", "checkpoints"]));
  assert.deepEqual(staleByRow(undefined, row, { ...PANDA, policies: [{}] }), new Set(["curves", "checkpoints", "proposals"]));
  assert.deepEqual(stale(TRIAL, { ...TRIAL, applied_version: 3 }), new Set(["timeline", "proposals", "checkpoints", "curves"]));
  assert.deepEqual(stale(TRIAL, { ...TRIAL, step: 11 }), new Set(["curves", "checkpoints"])); // of a program without epochs
  assert.deepEqual(stale(TRIAL, { ...TRIAL, step: 11 }, row), new Set());
  assert.deepEqual(stale(TRIAL, { ...TRIAL, worker: "bee" }), new Set(["events"]));
  assert.deepEqual(stale(TRIAL, { ...TRIAL, findings: { tags: "now" } }), new Set(["errors"]));
  assert.deepEqual(stale(TRIAL, { ...TRIAL, findings: { diagnosis: "now" } }), new Set(["diagnosis"]));
  assert.deepEqual(stale(TRIAL, { ...TRIAL, state: "complete" }), new Set(PARTS));
  assert.deepEqual(staleByEvents([]), new Set());
  assert.deepEqual(staleByEvents([{ kind: "forked" }]), new Set(["events", "lineage", "checkpoints"]));
  assert.ok(hasEnded({ state: "pruned" }) && !hasEnded({ state: "paused" }));
  assert.ok(!isStream(null) && !isStream({ task: null }));
});

test("changes are read as people write them", () => {
  assert.deepEqual(parseAssignments("learning_rate=1e-3, keep_prob=[0.9, 0.8]; schedule = cosine"), { learning_rate: 0.001, keep_prob: [0.9, 0.8], schedule: "cosine" });
  assert.deepEqual(parseAssignments(""), {});
  assert.deepEqual(parseBranches("l2=0.1\n\n  l2=.2,epochs=40 \n"), [{ l2: 0.1 }, { l2: 0.2, epochs: 40 }]);
  for (const wrong of ["learning_rate", "=3", "a=1, b"]) assert.throws(() => parseAssignments(wrong), /is no change/);
  assert.deepEqual(["true", "null", " 3 ", "+5", "1.", '"3"', "0x10", "NaN", "<b>"].map(parseValue), [true, null, 3, 5, 1, "3", "0x10", "NaN", "<b>"]);
  assert.equal(Object.getPrototypeOf(parseAssignments("__proto__=1")), Object.prototype);
});

const MISTAKES = [
  { row: 3, label: "4", predicted: "9", tags: ["4 taken for 9", "blurry"] },
  { row: 5, label: "4", predicted: "9", tags: ["4 taken for 9"] },
  { row: 7, label: "8", predicted: "1", tags: ["8 taken for 1", "blurry", "thin"] },
];

test("a tag is given to all that are chosen, and a chip that all have is taken away", () => {
  assert.deepEqual(handTags({ mistakes: MISTAKES }), new Set(["blurry", "thin"]));
  assert.deepEqual(retagged(MISTAKES, new Set([3, 5]), "blurry", true), { 3: ["blurry"], 5: ["blurry"] });
  assert.deepEqual(retagged(MISTAKES, new Set([3, 7]), "blurry", true), { 3: [], 7: ["thin"] });
  assert.deepEqual(retagged(MISTAKES, new Set([3, 7]), "blurry", false), { 3: ["blurry"], 7: ["thin", "blurry"] });
  assert.deepEqual(MISTAKES.filter((one) => chosenBy(one, { tag: "blurry" })).map((one) => one.row), [3, 7]);
  assert.deepEqual(MISTAKES.filter((one) => chosenBy(one, { label: "4", predicted: "9" })).map((one) => one.row), [3, 5]);
});

test("the bytes of a picture become pixels, grey or in colours", () => {
  assert.deepEqual([...rgba(btoa("\x00\xff"), 1)], [0, 0, 0, 255, 255, 255, 255, 255]);
  assert.deepEqual([...rgba(btoa("\x01\x02\x03"), 3)], [1, 2, 3, 255]);
});

test("rows that differ come first, and what is not there differs from what is", () => {
  const rows = rowsOf([{ a: 1, b: [1] }, { a: 1, b: [2], c: null }]);
  assert.deepEqual(rows.map((row) => [row.name, row.differs]), [["b", true], ["c", true], ["a", false]]);
  assert.deepEqual(bestOf([0.3, null, 0.1, 0.1]), [2, 3]);
  assert.deepEqual(bestOf([0.3, 0.1], false), [0]);
  assert.deepEqual(bestOf([0.3, null]), []);
});

test("no two of the first 24 lines look the same", () => {
  assert.equal(new Set(Array.from({ length: 24 }, (_, place) => JSON.stringify(lineOf(place)))).size, 24);
});

test("numbers and names are read from an address, and nothing else", () => {
  assert.deepEqual(numbersIn("3, 7,3 x12"), [3, 7, 12]);
  assert.deepEqual(namesIn("a, b_1 <b>,../x,a"), ["a", "b_1"]);
});

const CHANGES = [{ epoch: null, change: {} }, { epoch: 3, change: { learning_rate: 0.123456789, schedule: "cosine" } }];

const { cellsInWords, changedNames, gapsInWords, knobInWords } = await import(`${js}/trial/in_words.js`);

test("a parameter has a line once a change of it has counted", () => {
  assert.deepEqual(changedNames(CHANGES), ["learning_rate", "schedule"]);
  assert.deepEqual(changedNames([{ epoch: null, change: { l2: 1 } }, { epoch: 1, change: null }]), []);
});

test("pictures say in words what they show, the widest and the most frequent first", () => {
  const gaps = [{ name: "variance", between: ["train", "dev"], size: 0.0223, uncertainty: 0.009, clear: true }, { name: "fit", between: ["dev", "test"], size: 0, uncertainty: 0.01, clear: false }];
  assert.equal(gapsInWords({ gaps, widest: "variance" }), "variance, training to dev: 2.23 % ± 1.8 %, the widest. fit, dev to test: 0 % ± 2 %, not clear.");
  assert.equal(cellsInWords({ class_names: ["a", "b"], confusion: [[5, 1], [2, 7]] }), "Labels down, predictions across. Most often b taken for a: 2, a taken for b: 1.");
  const rows = [{ epoch: 0, value: 0.1, counts: true, kind: "start" }, { epoch: 2.5, value: 1, counts: false, kind: "change" }, { epoch: 9, value: 0.1, counts: true, kind: "end" }];
  assert.equal(knobInWords("l2", rows), "l2: 0.1 from epoch 0, 1 from epoch 2.5 (undone).");
  assert.match(cellsInWords({ class_names: ["a", "b"], confusion: [[5, 0], [0, 7]] }), /No mistakes/);
});
