// Single keys. They do nothing in fields, and the preference switches them off (WCAG 2.1.4).
import { openHalt } from "./header.js";

const ROWS = "#result_list tbody tr, #content table.t:not(.plain) tbody tr";
const GO_WITHIN = 1500;
let goUntil = 0;

// For a moment a field in a dialog that was just closed still has the focus.
function isTyping(target) {
  const field = target.isContentEditable ? target : target.closest("input:not([type=checkbox], [type=radio], [type=submit]), textarea, select");
  return field?.checkVisibility();
}

const currentRow = () => document.activeElement?.closest(ROWS);

function move(step) {
  const rows = [...document.querySelectorAll(ROWS)].filter((row) => row.querySelector("a, input"));
  const next = rows[rows.indexOf(currentRow()) + step] ?? (step > 0 && !currentRow() ? rows[0] : null);
  (next?.querySelector("th a, td a") ?? next?.querySelector("input"))?.focus();
}

const COMMANDS = {
  "/": () => document.querySelector("#frame-search")?.focus(),
  "?": () => document.querySelector("dialog#keys")?.showModal(),
  h: openHalt,
  j: () => move(1),
  k: () => move(-1),
  x: () => currentRow()?.querySelector("input[type=checkbox]")?.click(),
};

export function listen() {
  const preference = document.querySelector("[data-keys]");
  if (!preference || preference.dataset.keys === "off") return;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    const isSecond = Date.now() < goUntil;
    goUntil = 0;
    if (isSecond) {
      const link = document.querySelector(`dialog#keys a[data-key="${CSS.escape(event.key)}"]`);
      if (!link) return;
      event.preventDefault();
      location.assign(link.href);
    } else if (event.key === "g") {
      goUntil = Date.now() + GO_WITHIN;
    } else if (Object.hasOwn(COMMANDS, event.key)) {
      event.preventDefault();
      COMMANDS[event.key]();
    }
  });
}
