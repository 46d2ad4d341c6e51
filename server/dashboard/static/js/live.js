// A stream of changes (server-sent events), read by fetch: so a beat, which is a comment, is seen, and an answer's status.

import { toLogin } from "./api.js";
import { hideBanner, showBanner } from "./shell.js";

const STALE_S = 15;
const HIDDEN_S = 20; // a browser has six connections to a server: a tab that nobody looks at holds none of them
const WAITS_S = [0.5, 1, 2, 3, 5];

/**
 * Listens at a path below /v1: `live("/studies/x/stream", {rows(data) {}, study(data) {}})`. After a break it goes on
 * where it was, by the id of the last event. `options.since` is where it begins. Gives `{close(), cursor()}`.
 * A handler `caughtUp` is called when the stream is there again after a break. `gone` is called when the study was
 * deleted, of which a banner tells otherwise; `another` when another study has its name: nothing that the page shows is of
 * that one, so otherwise the page is loaded anew.
 */
export function live(path, handlers, { since = null } = {}) {
  const stream = new Stream(`/v1${path}`, handlers, since);
  stream.open();
  return { close: () => stream.close(), cursor: () => stream.last };
}

class Stream {
  constructor(path, handlers, since) {
    Object.assign(this, { path, handlers, last: since, failures: 0, closed: false, controller: null, gone: false, arrived: since !== null });
    this.heard = performance.now();
    this.hiddenTimer = null;
    this.look = setInterval(() => this.#watch(), 1000);
    this.onVisibility = () => this.#visibility();
    this.onOnline = () => this.again();
    document.addEventListener("visibilitychange", this.onVisibility);
    addEventListener("online", this.onOnline);
    addEventListener("pagehide", () => this.controller?.abort());
    addEventListener("pageshow", (event) => event.persisted && this.again());
  }

  async open() {
    clearTimeout(this.retry);
    if (this.closed || this.controller) return;
    const controller = (this.controller = new AbortController());
    const headers = { Accept: "text/event-stream" };
    if (this.last) headers["Last-Event-ID"] = this.last;
    try {
      const answer = await fetch(this.path, { headers, signal: controller.signal, cache: "no-store" });
      if (answer.status === 401) return toLogin();
      this.gone = answer.status === 404;
      if (this.gone && !this.arrived) return this.close(); // there never was one, as the page says itself
      if (!answer.ok || !answer.body) throw new Error(`status ${answer.status}`);
      this.#arrived();
      await this.#read(answer.body.pipeThrough(new TextDecoderStream()).getReader());
      throw new Error("the stream ended");
    } catch {
      if (this.controller === controller) this.controller = null;
      if (!controller.signal.aborted || controller.stale) this.#later();
    }
  }

  async #read(reader) {
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      this.#arrived();
      const blocks = (rest + value.replaceAll("\r", "")).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) this.#dispatch(parsed(block));
    }
  }

  #dispatch({ event, id, data }) {
    if (id !== null) this.last = id;
    const f = this.handlers[event];
    if (data === "" || !(f || event === "study")) return;
    const told = JSON.parse(data);
    if (event === "study" && told.created_at !== (this.created ??= told.created_at)) {
      this.created = told.created_at;
      if (!this.handlers.another) return location.reload();
      this.handlers.another();
    }
    f?.(told);
  }

  #arrived() {
    this.arrived = true;
    this.heard = performance.now();
    if (this.failures === 0 && !this.stale) return;
    this.failures = 0;
    this.stale = false;
    hideBanner();
    this.handlers.caughtUp?.();
  }

  #later() {
    if (this.closed || document.hidden) return;
    const wait = WAITS_S[Math.min(this.failures++, WAITS_S.length - 1)];
    if (this.gone) this.handlers.gone ? this.handlers.gone() : this.#tell("This was deleted. What you see is from before.");
    else if (this.failures > 1) this.#tell("The server does not answer. What you see is from before; it will go on by itself.");
    this.retry = setTimeout(() => this.open(), wait * 1000);
  }

  #watch() {
    if (!this.controller || document.hidden || performance.now() - this.heard < STALE_S * 1000) return;
    this.stale = true;
    this.heard = performance.now();
    this.#tell("Nothing has come from the server for a while: what you see may be old.");
    this.controller.stale = true;
    this.controller.abort();
  }

  #tell(sentence) {
    showBanner(sentence, { label: "Try now", act: () => this.again() });
  }

  #visibility() {
    clearTimeout(this.hiddenTimer);
    if (!document.hidden) return this.again();
    this.hiddenTimer = setTimeout(() => {
      this.controller?.abort();
      this.controller = null;
    }, HIDDEN_S * 1000);
  }

  again() {
    if (!this.controller) this.open();
  }

  close() {
    this.closed = true;
    clearInterval(this.look);
    clearTimeout(this.retry);
    clearTimeout(this.hiddenTimer);
    document.removeEventListener("visibilitychange", this.onVisibility);
    removeEventListener("online", this.onOnline);
    this.controller?.abort();
  }
}

/** One event of a stream, from its lines. */
export function parsed(block) {
  let [event, id, data] = ["message", null, []];
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    const [field, value] = at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1).replace(/^ /, "")];
    if (field === "event") event = value;
    else if (field === "id") id = value;
    else if (field === "data") data.push(value);
  }
  return { event, id, data: data.join("\n") };
}
