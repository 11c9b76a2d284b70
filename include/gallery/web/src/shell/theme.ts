/** Light or dark, as Airflow's own pages around the gallery are. */

function isDark(): boolean {
  // Airflow's pages keep the choice of their theme here and as a class of their document.
  const choice = window.localStorage.getItem("theme");
  if (choice === "dark" || choice === "light") return choice === "dark";
  return window.matchMedia("(prefers-color-scheme: dark)").matches;
}

function apply(): void {
  document.documentElement.dataset["theme"] = isDark() ? "dark" : "light";
}

/** Follow Airflow's theme from now on; another frame's change of storage is an event here. */
export function followTheme(): void {
  apply();
  window.addEventListener("storage", apply);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
}
