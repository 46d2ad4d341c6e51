// The modules that pictures are made of: `node --test`, see test_pages.py.

import assert from "node:assert/strict";
import { test } from "node:test";

const JS = "../../../server/dashboard/static/js";
const { Looks, looksOf } = await import(`${JS}/study/looks.js`);
const { expressions } = await import(`${JS}/expressions.js`);
const { DataSet, wordsOf } = await import(`${JS}/dataset.js`);

const name = (of) => ({ type: "Identifier", name: of });
const literal = (value) => ({ type: "Literal", value });
const member = (object, of) => ({ type: "MemberExpression", object, property: name(of), computed: false });
const at = (object, property) => ({ type: "MemberExpression", object, property, computed: true });
const call = (of, ...given) => ({ type: "CallExpression", callee: name(of), arguments: given });
const binary = (left, operator, right) => ({ type: "BinaryExpression", operator, left, right });
const logical = (left, operator, right) => ({ type: "LogicalExpression", operator, left, right });
const not = (argument) => ({ type: "UnaryExpression", operator: "!", argument });
const score = member(name("datum"), "score");

const context = { functions: { twice: (value) => 2 * value, size() { return this === context.functions; } } };
const value = (ast, datum = { score: 3 }, params = {}) => expressions.parameter(context, { ast })(datum, params);

test("an expression of a picture has the value that Vega gives it", () => {
  assert.equal(value(binary(score, "*", literal(2))), 6);
  assert.equal(value(call("if", not(score), literal("no"), literal("yes"))), "yes");
  assert.equal(value(logical(score, "&&", binary(score, ">", name("low"))), undefined, { $low: 5 }), false);
  assert.equal(value(logical(literal(0), "||", name("E"))), Math.E);
  assert.equal(value(call("clamp", score, literal(0), literal(1))), 1);
  assert.equal(value(call("indexof", name("picked"), score), undefined, { $picked: [1, 3] }), 1);
  assert.equal(value(call("_twice", score)), 6);
  assert.equal(value(call("size")), true);
  assert.equal(value(at(name("datum"), binary(literal("sc"), "+", literal("ore")))), 3);
  assert.deepEqual(value({ type: "ObjectExpression", properties: [{ key: literal("trial"), value: score }] }), { trial: 3 });
  assert.equal(value(call("utcyear", literal(0))), 1970);
});

test("no expression comes to a function that makes code of text", () => {
  const told = [];
  const error = console.error;
  console.error = (text) => told.push(text);
  try {
    const constructor = at(at(literal(""), literal("constructor")), literal("constructor"));
    assert.equal(value(constructor), undefined);
    assert.equal(value(member(member(name("datum"), "twice"), "constructor"), { twice: Math.abs }), undefined);
  } finally {
    console.error = error;
  }
  assert.equal(told.length, 2);
});

test("a mark is told to have changed only where it has, and its ends give its place and size", () => {
  const channels = { x: { ast: score }, x2: { ast: literal(1) }, opacity: { ast: literal(0.5) } };
  const encode = expressions.encode(context, { marktype: "rect", channels });
  const item = { datum: { score: 3 } };

  assert.equal(encode(item, {}), 1);
  assert.deepEqual([item.x, item.x2, item.width, item.opacity], [1, 3, 2, 0.5]);
  const same = expressions.encode(context, { marktype: "symbol", channels: { x: { ast: score } } });
  assert.deepEqual([same(item, {}), same(item, {})], [1, 0]);
});

test("a view gets what its specification names of each value, and of a change only what is new", () => {
  const set = new DataSet([{ number: 0, score: 1, notes: "long" }, { number: 1, score: 2 }]);
  const fresh = set.fresh(wordsOf({ field: "score", test: "datum.state" }));
  assert.deepEqual(fresh, [{ number: 0, score: 1 }, { number: 1, score: 2 }]);

  set.change([{ number: 1, score: 3, notes: "" }, { number: 2, score: 4 }], []);
  set.change([{ number: 2, score: 5 }], []); // never came to the view as 4

  const { remove, insert } = set.changes();
  assert.deepEqual([remove.length, remove[0] === fresh[1]], [1, true]);
  assert.deepEqual(insert, [{ number: 1, score: 3 }, { number: 2, score: 5 }]);
  assert.deepEqual(new DataSet([{ count: 2, label: "a" }]).fresh(null), [{ count: 2, label: "a" }]);
  set.replace([]);
  assert.deepEqual(set.changes().remove, [fresh[0], ...insert]);
});

test("a specification is asked for anew at once for a new state, and a while after a state is gone", (context) => {
  let [states, asked, later] = [["complete", "failed"], 0, []];
  const pass = () => ((later.forEach((f) => f()), (later = [])), asked);
  const { setTimeout } = globalThis;
  globalThis.setTimeout = (f) => later.push(f);
  context.after(() => (globalThis.setTimeout = setTimeout));
  const looks = new Looks(() => looksOf(states, [3]), () => asked++);
  const now = (...next) => ((states = next), looks.look(), asked);
  assert.equal(now("failed", "complete"), 0);
  assert.equal(now("running", "complete", "failed"), 1);
  assert.equal(now("complete", "failed"), 1);
  assert.equal(now("running", "complete", "failed"), 1); // it has come again
  assert.equal(pass(), 1);
  assert.equal(now("complete", "running"), 1);
  assert.equal(pass(), 2);
  assert.equal(now("complete", "running", "running", "running"), 3); // so many have other marks
});
