// Runs before anything is drawn, so that a page does not flash in the other theme. A plain script, no module.
try {
  const kept = localStorage.getItem("sturgeon.theme");
  if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
} catch {
  // Without storage the system's theme stands.
}
