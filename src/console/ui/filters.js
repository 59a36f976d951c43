// The filters of the list of traces as an address has them, and the query language as far as the page writes it.

export const FIELDS = ["service", "status", "text", "minDuration", "maxDuration", "lookback", "start", "end", "sort", "background", "page"];

// Where the list was left: the way back from a trace keeps its filter.
export const lastList = { href: "/" };

export function readFilters() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(FIELDS.map((name) => [name, query.get(name) ?? ""]));
}

// What the API is asked with them: the page hides polls unless told, and pages are of so many rows.
export function asked({ page, background, ...filters }, rows) {
  return { ...filters, background: background === "show" ? "" : "hide", offset: (Number(page) || 0) * rows, limit: rows };
}

// A key or value as the language has it; quoted where it would otherwise be read as something else.
export function quoted(text, isKey = false) {
  const plain = isKey ? /^[^\s"=<>~!]+$/ : /^[^\s"=<>~!]\S*$/;
  return plain.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
}

// The list as it was left, with one more condition. Longer values than a filter may have are only asked to exist.
export function filterHref(key, value, operator = "=") {
  const query = new URLSearchParams(lastList.href.split("?")[1] ?? "");
  const short = value.length <= 500;
  const term = short ? `${quoted(key, true)}${operator}${quoted(value)}` : `${quoted(key, true)} ${operator === "=" ? "exists" : "!exists"}`;
  const text = query.get("text") ?? "";
  if (!text.includes(term)) query.set("text", `${text} ${term}`.trim());
  query.delete("page");
  return `/?${query}`;
}
