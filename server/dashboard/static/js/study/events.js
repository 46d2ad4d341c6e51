// What people and the server did to a study.

import { el } from "../dom.js";

export class Events {
  constructor(path) {
    this.path = path;
    this.node = el("section", {});
  }

  take() {}
}
