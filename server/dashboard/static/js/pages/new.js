import { byId, el, fill } from "../dom.js";

fill(byId("new"), el("p", { class: "waiting" }, "…"));
