// What the address of a trace names and is not there, in words.

import { empty, h, link } from "./dom.js";
import { lastList } from "./filters.js";

export const isTraceId = (text) => /^[0-9a-fA-F]{1,32}$/.test(text);

// As it was typed; an address may hold what cannot be decoded.
export function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const short = (text) => (text.length > 100 ? `${text.slice(0, 100)}…` : text);

// The view of an address that names no trace.
export function noTrace(root, id, go) {
  document.title = "No trace · o11y-lab";
  root.append(h("h1", { class: "hidden" }, "No trace"), h("div", { role: "alert", "data-testid": "no-trace" }, empty("This is no trace",
    h("p", {}, `“${short(decoded(id))}” is not a trace id: that is 32 hexadecimal digits, or fewer without the zeros before them.`),
    h("p", {}, link(lastList.href, {}, "All traces")))));
  return {
    update() {},
    key(event) {
      if (event.key !== "Escape") return false;
      go(lastList.href);
      return true;
    },
  };
}

export const missingSpan = (span) => (/^[0-9a-f]{16}$/.test(span)
  ? `The span ${span} that the address names is not in this trace, or has not arrived yet.`
  : `“${short(span)}” in the address is not a span id: that is 16 hexadecimal digits.`);
