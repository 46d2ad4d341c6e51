// Numbers, durations and dates: one way on every page.

const DASH = "–";

/** A number in at most `digits` significant digits: 0.0213, 1.25e-5, 12,300. Null becomes a dash. */
export function number(value, digits = 4) {
  if (value === null || value === undefined || value === "") return DASH;
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e9) return grouped(value);
  if (size < 1e-3 || size >= 1e9) return minus(shortest(value.toExponential(digits - 1)));
  if (size >= 10 ** digits) return grouped(Math.round(value));
  return minus(String(Number(value.toPrecision(digits))));
}

const shortest = (text) => text.replace(/\.?0+e/, "e").replace("e+", "e");
const minus = (text) => text.replace(/^-/, "−");
const grouped = (value) => minus(String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ","));

/** A count, with commas. */
export const integer = (value) => (value === null || value === undefined ? DASH : grouped(Math.round(value)));

/** "1 trial", "2 trials". */
export const count = (n, one, many = `${one}s`) => `${integer(n)} ${n === 1 ? one : many}`;

/** A share of 1 as per cent. */
export const percent = (share) => (share === null || share === undefined ? DASH : `${number(100 * share, 3)} %`);

/** Seconds as 0.4 s, 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return DASH;
  if (seconds < 10) return `${Number(seconds.toFixed(seconds < 1 ? 2 : 1))} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return pair(Math.floor(whole / 60), "min", whole % 60, "s");
  const minutes = Math.round(whole / 60);
  if (minutes < 1440) return pair(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.round(whole / 3600);
  return pair(Math.floor(hours / 24), "d", hours % 24, "h");
}

const pair = (a, unit, b, smaller) => (b ? `${a} ${unit} ${b} ${smaller}` : `${a} ${unit}`);

/** How long ago a date was: "just now", "5 min ago". */
export function ago(date, now = Date.now()) {
  if (!date) return DASH;
  const seconds = (now - new Date(date).getTime()) / 1000;
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 30 * 86400) return `${Math.floor(seconds / 86400)} d ago`;
  return day(date);
}

const two = (n) => String(n).padStart(2, "0");

/** A date of the calendar, 2026-11-27, in this browser's time zone. */
export function day(date) {
  const d = new Date(date);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
}

/** A date with its time, 2026-11-27 14:03:22. */
export function time(date) {
  if (!date) return DASH;
  const d = new Date(date);
  return `${day(d)} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** Bytes as 1.2 MB. */
export function bytes(size) {
  if (size === null || size === undefined) return DASH;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) [size, unit] = [size / 1000, unit + 1];
  return `${number(size, 3)} ${units[unit]}`;
}

/** A value of a parameter, of any kind, as short text. */
export function value(given) {
  if (typeof given === "number") return number(given);
  if (given === null || given === undefined) return DASH;
  return typeof given === "object" ? JSON.stringify(given) : String(given);
}
