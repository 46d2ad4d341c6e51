// Asks the server. Paths are those below /v1: `get("/studies/digits")`.

/** An answer that refuses: `detail` is a sentence, `errors` are `{pointer, detail}` by field. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? `The server answered ${status}.`);
    Object.assign(this, { status, code: body.code ?? "", detail: this.message, errors: body.errors ?? [] });
  }
}

/** No answer: the server is away. */
export class Away extends Error {
  constructor() {
    super("The server does not answer. Nothing is known to have changed; try again.");
    this.detail = this.message;
    this.errors = [];
  }
}

export const AGAIN_MS = 3000;

/** Whether whoever asks again, AGAIN_MS later, may get another answer: the server is away, or has too much to do. */
export const passes = (problem) => problem instanceof Away || problem.status >= 429;

/** The JSON at a path. Raises: Problem, Away. */
export function get(path, { signal } = {}) {
  return asked("GET", path, { signal });
}

/** The JSON at a path, and its ETag, which is for If-Match. Raises: Problem, Away. */
export async function getTagged(path) {
  const answer = await sent("GET", path, {});
  return [await read(answer), answer.headers.get("ETag")];
}

/**
 * Sends a change; answers with the JSON of the answer, or null. Sent again with the same `key` it has one effect.
 * `headers`: more of them, such as If-Match. Raises: Problem, Away.
 */
export function send(method, path, body, { key = newKey(), headers = {}, signal } = {}) {
  return asked(method, path, { body, signal, headers: { "Idempotency-Key": key, ...headers } });
}

/** Asks for a path now: the next `get` of it takes this answer. Gives the function that forgets it. */
export function ahead(path) {
  globalThis.askedEarly.set(path, sent("GET", path, {}).catch(() => null));
  return () => globalThis.askedEarly.delete(path);
}

/** The plain text at a path. Raises: Problem, Away. */
export async function getText(path) {
  const answer = await sent("GET", path, { headers: { Accept: "text/plain" } });
  return answer.ok ? answer.text() : read(answer);
}

async function asked(method, path, options) {
  return read(await sent(method, path, options));
}

async function sent(method, path, { body, signal, headers = {} }) {
  const told = { Accept: "application/json", "X-Requested-With": "sturgeon", ...headers };
  if (body !== undefined) told["Content-Type"] = "application/json";
  const init = { method, headers: told, signal, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) init.body = JSON.stringify(body);
  const early = method === "GET" && globalThis.askedEarly?.get(path);
  globalThis.askedEarly?.delete(path); // the next one who asks wants to know it anew
  return (await early) || fetch(`/v1${path}`, init).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Away();
  });
}

/** The study in a text of YAML or JSON, as `POST /studies` takes it. Raises: Problem with pointers `line:N`. */
export async function readText(text) {
  const headers = { "Content-Type": "text/plain; charset=utf-8", "X-Requested-With": "sturgeon" };
  const answer = await fetch("/new:read", { method: "POST", headers, body: text }).catch(() => {
    throw new Away();
  });
  return read(answer);
}

async function read(answer) {
  if (answer.status === 401) toLogin();
  const isJson = /json/.test(answer.headers.get("Content-Type") ?? "");
  const body = isJson ? await answer.json().catch(() => ({})) : null;
  if (!answer.ok) throw new Problem(answer.status, body ?? {});
  return body;
}

/** To the form that asks for the token, and back here after it. */
export function toLogin() {
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

/** A new key for `send`. Not crypto.randomUUID, which a page over plain http lacks. */
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A part of a path, with all that is not plain escaped. */
export const part = (text) => encodeURIComponent(String(text));

/** All items of a list that comes in pages; at most `most`. */
export async function all(path, most = 10_000) {
  const items = [];
  let token = null;
  do {
    const more = token === null ? "" : `&page_token=${part(token)}`;
    const page = await get(`${path}${path.includes("?") ? "&" : "?"}page_size=1000${more}`);
    items.push(...page.items);
    token = page.next_page_token;
  } while (token && items.length < most);
  return items;
}
