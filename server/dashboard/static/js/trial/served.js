// A picture that comes whole from the server, its data too: where few rows change, and seldom.

import { get } from "../api.js";
import { chart } from "../chart.js";

export class Served {
  /** `label(spec)`: what it shows, in words. `onPick(datum)`: somebody has clicked on a mark of it. */
  constructor(host, kind, { label, onPick = null }) {
    Object.assign(this, { host, label, onPick, picture: null, asked: 0 });
    host.dataset.picture = kind;
  }

  /** Draws what is at the path; if only its data are others than before, these alone change. Raises: Problem, Away. */
  async show(path) {
    const asked = (this.asked += 1);
    const spec = await get(path);
    if (asked !== this.asked) return; // a later answer is there already, or on its way
    const { datasets, title, description, ...shape } = spec;
    const form = JSON.stringify(shape);
    if (form === this.form) for (const [name, rows] of Object.entries(datasets)) this.picture.replace(name, rows);
    else this.#draw(form, { ...shape, description, datasets });
    this.host.setAttribute("aria-label", this.label(spec));
  }

  #draw(form, spec) {
    this.close();
    this.form = form;
    this.picture = chart(this.host, spec, spec.datasets, { label: spec.description });
    if (this.onPick) this.picture.onPick(this.onPick);
  }

  close() {
    this.picture?.close();
    this.form = null;
  }
}
