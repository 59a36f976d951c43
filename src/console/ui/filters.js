// The filters of the list of traces as an address has them, and the query language as far as the page writes it.

export const FIELDS = ["service", "status", "text", "minDuration", "maxDuration", "lookback", "start", "end", "sort", "background", "page"];

export const STATUSES = [
  ["", "any status"], ["error", "with errors"], ["ok", "without errors"],
  ["2xx", "HTTP 2xx"], ["4xx", "HTTP 4xx"], ["5xx", "HTTP 5xx"],
];
export const TIMES = [["", "all that is kept"], ["5m", "last 5 minutes"], ["15m", "last 15 minutes"], ["1h", "last hour"], ["6h", "last 6 hours"], ["1d", "last day"]];
export const SORTS = [["", "newest first"], ["oldest", "oldest first"], ["longest", "longest first"], ["shortest", "shortest first"]];
export const LANGUAGE = [
  ["POST declined", "both words, anywhere in the trace"], ['"card declined"', "a text with spaces"],
  ["http.route=/api/orders", "an attribute of a span; != is none with it"], ["error.message~timeout", "it contains the text; !~ is none with it"],
  ["http.response.status_code>=500", "numbers: > >= < <="], ["error.type exists", "!exists is none with it"],
  ["service=order-service duration>100ms", "also name, kind, status, span.duration"],
  ["service=order-service parent.service=api-gateway", "calls of one by the other"],
];
// What the page calls what the API calls otherwise.
export const NAMES = { service: "Service", status: "Status", minDuration: "Longer than", maxDuration: "Shorter than", lookback: "Time", start: "Time", end: "Time", sort: "Order" };

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
