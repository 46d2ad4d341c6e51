// Vega's expressions, for its views: without `eval`, which the page's policy forbids, and without walking through each
// expression anew for each mark, as Vega's own interpreter does. Each is made into functions once.

const CONSTANTS = new Map(["E", "LN2", "LN10", "LOG2E", "LOG10E", "PI", "SQRT1_2", "SQRT2"].map((name) => [name, Math[name]]));
for (const name of ["NaN", "MIN_VALUE", "MAX_VALUE"]) CONSTANTS.set(name, Number[name]);

const OF_EVENT = new Set(["view", "item", "group", "xy", "x", "y"]);
const FORBIDDEN = new Set([Function, eval, setTimeout, setInterval]); // by these, text would become code

const DATES = ["Date", "Day", "FullYear", "Month", "Hours", "Minutes", "Seconds", "Milliseconds"];
const method = (name, as = (one) => one) => (one, ...more) => as(one)[name](...more);
const FUNCTIONS = new Map([
  ...["abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "exp", "floor", "log", "max", "min", "pow", "random", "round", "sin", "sqrt", "tan"].map((name) => [name, Math[name]]),
  ["isNaN", Number.isNaN],
  ["isFinite", Number.isFinite],
  ["clamp", (value, low, high) => Math.max(low, Math.min(high, value))],
  ["now", Date.now],
  ["utc", Date.UTC],
  ["datetime", (...parts) => (parts.length === 1 ? new Date(parts[0]) : new Date(parts[0], parts[1] ?? 0, ...parts.slice(2)))],
  ...DATES.flatMap((part) => ["", "UTC"].map((zone) => [zone.toLowerCase() + part.replace("Full", "").toLowerCase(), (at) => new Date(at)[`get${zone}${part}`]()])),
  ["time", (at) => new Date(at).getTime()],
  ["timezoneoffset", (at) => new Date(at).getTimezoneOffset()],
  ["length", (one) => one.length],
  ...[["join"], ["indexof", "indexOf"], ["lastindexof", "lastIndexOf"], ["slice"]].map(([name, of]) => [name, method(of ?? name)]),
  ...["substring", "split", "replace"].map((name) => [name, method(name, String)]),
  ["reverse", (list) => [...list].reverse()],
  ["sort", (list) => [...list].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))],
  ["parseFloat", parseFloat],
  ["parseInt", parseInt],
  ["upper", (text) => String(text).toUpperCase()],
  ["lower", (text) => String(text).toLowerCase()],
  ["trim", (text) => String(text).trim()],
  ["btoa", (text) => btoa(text)],
  ["atob", (text) => atob(text)],
  ["regexp", (pattern, flags) => new RegExp(pattern, flags)],
  ["test", (pattern, text) => new RegExp(pattern).test(text)],
]);

const BINARY = {
  "*": (a, b) => (s) => a(s) * b(s),
  "+": (a, b) => (s) => a(s) + b(s),
  "-": (a, b) => (s) => a(s) - b(s),
  "/": (a, b) => (s) => a(s) / b(s),
  "%": (a, b) => (s) => a(s) % b(s),
  ">": (a, b) => (s) => a(s) > b(s),
  "<": (a, b) => (s) => a(s) < b(s),
  "<=": (a, b) => (s) => a(s) <= b(s),
  ">=": (a, b) => (s) => a(s) >= b(s),
  "==": (a, b) => (s) => a(s) == b(s), // as the language of expressions has it
  "!=": (a, b) => (s) => a(s) != b(s),
  "===": (a, b) => (s) => a(s) === b(s),
  "!==": (a, b) => (s) => a(s) !== b(s),
  "&": (a, b) => (s) => a(s) & b(s),
  "|": (a, b) => (s) => a(s) | b(s),
  "^": (a, b) => (s) => a(s) ^ b(s),
  "<<": (a, b) => (s) => a(s) << b(s),
  ">>": (a, b) => (s) => a(s) >> b(s),
  ">>>": (a, b) => (s) => a(s) >>> b(s),
};
const UNARY = {
  "+": (a) => (s) => +a(s),
  "-": (a) => (s) => -a(s),
  "~": (a) => (s) => ~a(s),
  "!": (a) => (s) => !a(s),
};

/** The value, unless it makes code of text. */
function allowed(value) {
  if (typeof value !== "function" || !FORBIDDEN.has(value)) return value;
  console.error("An expression of a picture asked for a function that makes code of text.");
  return undefined;
}

/** A function of `{datum, params, event, item}` that gives the value of the expression. `fn`: the view's functions. */
function made(ast, fn) {
  return KINDS[ast.type](ast, (part) => made(part, fn), fn);
}

const KINDS = {
  Literal: ({ value }) => () => value,

  Identifier({ name }) {
    if (name === "datum") return (s) => s.datum;
    if (name === "event") return (s) => s.event;
    if (name === "item") return (s) => s.item;
    if (CONSTANTS.has(name)) return () => CONSTANTS.get(name);
    const signal = `$${name}`;
    return (s) => s.params[signal];
  },

  MemberExpression({ object, property, computed }, part) {
    const of = part(object);
    if (computed && property.type !== "Literal") {
      const key = part(property);
      return (s) => allowed(of(s)[key(s)]);
    }
    const key = computed ? property.value : property.name;
    return (s) => allowed(of(s)[key]);
  },

  CallExpression({ callee, arguments: given }, part, fn) {
    const name = callee.name.replace(/^_/, "");
    const values = given.map(part);
    const [a, b, c] = values;
    if (name === "if") return (s) => (a(s) ? b(s) : c(s));
    if (OF_EVENT.has(name)) return (s) => s.event.vega[name](...values.map((value) => value(s)));
    const called = fn[name] ?? FUNCTIONS.get(name);
    if (values.length === 1) return (s) => called.call(fn, a(s));
    if (values.length === 2) return (s) => called.call(fn, a(s), b(s));
    if (values.length === 3) return (s) => called.call(fn, a(s), b(s), c(s));
    return (s) => called.apply(fn, values.map((value) => value(s)));
  },

  ArrayExpression({ elements }, part) {
    const values = elements.map(part);
    return (s) => values.map((value) => value(s));
  },

  ObjectExpression({ properties }, part) {
    const pairs = properties.map(({ key, value }) => [key.type === "Literal" ? key.value : key.name, part(value)]);
    return (s) => Object.fromEntries(pairs.map(([key, value]) => [key, allowed(value(s))]));
  },

  BinaryExpression: ({ operator, left, right }, part) => BINARY[operator](part(left), part(right)),
  UnaryExpression: ({ operator, argument }, part) => UNARY[operator](part(argument)),

  LogicalExpression({ operator, left, right }, part) {
    const [a, b] = [part(left), part(right)];
    return operator === "&&" ? (s) => a(s) && b(s) : (s) => a(s) || b(s);
  },

  ConditionalExpression({ test, consequent, alternate }, part) {
    const [is, yes, no] = [part(test), part(consequent), part(alternate)];
    return (s) => (is(s) ? yes(s) : no(s));
  },
};

/** For the option `expr` of a view. */
export const expressions = {
  operator(context, { ast }) {
    const value = made(ast, context.functions);
    return (params) => value({ params });
  },

  parameter(context, { ast }) {
    const value = made(ast, context.functions);
    return (datum, params) => value({ datum, params });
  },

  event(context, { ast }) {
    const value = made(ast, context.functions);
    return (event) => value({ event });
  },

  handler(context, { ast }) {
    const value = made(ast, context.functions);
    return (params, event) => value({ params, event, datum: event.item?.datum });
  },

  encode(context, { marktype, channels }) {
    const values = Object.entries(channels).map(([name, { ast }]) => [name, made(ast, context.functions)]);
    const isOrdered = ["group", "image", "rect"].includes(marktype);
    const isPlaced = marktype !== "rule" && ["x2", "xc", "y2", "yc"].some((name) => channels[name]);
    return (item, params) => {
      const scope = { datum: item.datum, params, item };
      let isChanged = 0;
      for (const [name, value] of values) {
        const now = value(scope);
        if (item[name] === now) continue;
        item[name] = now;
        isChanged = 1;
      }
      if (isPlaced) for (const side of SIDES) place(item, channels, side, isOrdered);
      return isChanged;
    };
  },
};

const SIDES = [["x", "x2", "xc", "width"], ["y", "y2", "yc", "height"]];

/** The place and the size of an item on one axis, from its two ends or its centre. */
function place(item, channels, [start, end, centre, size], isOrdered) {
  if (channels[end]) {
    if (channels[start]) {
      if (isOrdered && item[start] > item[end]) [item[start], item[end]] = [item[end], item[start]];
      item[size] = item[end] - item[start];
    } else item[start] = item[end] - (item[size] || 0);
  }
  if (channels[centre]) item[start] = item[centre] - (item[size] || 0) / 2;
}
