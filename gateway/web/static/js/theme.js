// Light, dark, or as the device has it.
export function applyTheme() {
  const chosen = localStorage.getItem("theme") ?? "auto";
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  dispatchEvent(new Event("theme"));
}
