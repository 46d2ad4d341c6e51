// Runs before anything is drawn and before the modules are there. A plain script, no module.

// So that a page does not flash in the other theme.
try {
  const kept = localStorage.getItem("sturgeon.theme");
  if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
} catch {
  // Without storage the system's theme stands.
}

// What the page will need for sure is asked for while its modules load: `get` of api.js takes these answers.
globalThis.askedEarly = new Map();
for (const path of document.documentElement.dataset.ask?.split(" ") ?? []) {
  const headers = { Accept: "application/json", "X-Requested-With": "sturgeon" };
  globalThis.askedEarly.set(path, fetch(`/v1${path}`, { headers, credentials: "same-origin", cache: "no-store" }).catch(() => null));
}
