// Light, dark, or as the system has it. Runs before anything is drawn, so that no page flashes in the other scheme.
"use strict";
{
  const KEY = "o11y-lab.theme";
  const THEMES = ["system", "light", "dark"];
  let now = "system";
  try {
    const kept = localStorage.getItem(KEY);
    if (THEMES.includes(kept)) now = kept;
  } catch { /* a browser that keeps nothing follows the system */ }

  const apply = () => {
    if (now === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = now;
    const button = document.getElementById("theme");
    if (!button) return;
    button.textContent = { system: "◐", light: "☀", dark: "☾" }[now];
    button.title = `Colours: ${now} (t)`;
    button.setAttribute("aria-label", `Colours: ${now}`);
  };

  apply();
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme").addEventListener("click", () => {
      now = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
      try {
        localStorage.setItem(KEY, now);
      } catch { /* it holds until the page is left */ }
      apply();
    });
  });
}
