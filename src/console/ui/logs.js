// The log lines: a live tail with filters, and the one way a line is drawn anywhere.

import { calm, chip, clock, empty, getJson, h, moveFocus, offerServices, select, serviceOptions } from "./dom.js";

const MOST = 500;
// Each level with its names in other logging systems, as the console ranks them (src/console/line_head.rs; a test compares).
const LEVELS = {
  trace: "verbose finest", debug: "fine", info: "information notice", warn: "warning", error: "err severe",
  fatal: "critical crit alert emergency emerg panic",
};
const CORE = new Set(["timestamp", "level", "message", "service", "traceId", "spanId"]);

// The level that a name means, for its colour; OpenTelemetry's DEBUG3 is debug.
function levelOf(name) {
  const bare = name.replace(/[1-4]+$/, "");
  return Object.keys(LEVELS).find((level) => level === bare || LEVELS[level].split(" ").includes(bare)) ?? "info";
}

export function logLine(line, { withTrace = true, onspan } = {}) {
  const level = String(line.level ?? "info").toLowerCase();
  const trace = typeof line.traceId === "string" && /^[0-9a-fA-F]{1,32}$/.test(line.traceId) ? line.traceId : "";
  const extra = Object.entries(line).filter(([key]) => !CORE.has(key));
  const value = (v) => (typeof v === "string" ? v : JSON.stringify(v));
  const jump = onspan && line.spanId && h("button", { type: "button", class: "tiny", onclick: () => onspan(line.spanId), title: "Show the span" }, "span");
  return h("div", { class: "log", "data-testid": "log-line", "data-level": level, "data-span-id": line.spanId, role: "listitem", tabindex: "-1" },
    h("time", { title: line.timestamp }, clock(new Date(line.timestamp))),
    h("span", { class: `level ${levelOf(level)}` }, level),
    chip(String(line.service ?? "unknown")),
    h("span", { class: "text" }, h("span", { class: "message" }, String(line.message ?? "")),
      extra.map(([key, v]) => h("span", { class: "field" }, h("i", {}, `${key}=`), value(v)))),
    h("span", { class: "jump" }, jump,
      withTrace && trace && h("a", { href: `/trace/${trace}`, class: "tiny", title: `Trace ${trace}` }, "trace")));
}

export function logsView(root, { setQuery }) {
  document.title = "Logs · o11y-lab";
  let filters = read();
  let after = null;
  let services = [];
  let loading = null;
  let again = false;
  const form = h("form", { class: "filters", role: "search", onsubmit: (e) => e.preventDefault() });
  const list = h("div", { class: "logs", role: "list", "aria-label": "Log lines, newest last" });
  root.append(h("h1", { class: "hidden" }, "Logs"), form, list);

  function read() {
    const query = new URLSearchParams(location.search);
    return Object.fromEntries(["service", "level", "text"].map((name) => [name, query.get(name) ?? ""]));
  }

  function set(name, value) {
    filters[name] = value.trim();
    setQuery(filters);
    restart();
  }

  function drawForm() {
    form.replaceChildren(
      select("Service", filters.service, serviceOptions(filters.service, services), (v) => set("service", v), { "data-testid": "filter-service" }),
      select("Level", filters.level, [["", "every level"], ["debug", "debug and up"], ["info", "info and up"], ["warn", "warn and up"], ["error", "errors"]],
        (v) => set("level", v), { "data-testid": "filter-level" }),
      h("label", { class: "text" }, h("span", {}, "Text"), h("input", { type: "search", value: filters.text, placeholder: "anything in the line", autocomplete: "off",
        "data-filter-text": true, "data-testid": "filter-text", oninput: calm((e) => set("text", e.target.value)) })));
  }

  function restart() {
    after = null;
    load();
  }

  // One request at a time, and one more if something changed meanwhile.
  async function load() {
    if (loading) return void (again = true);
    again = false;
    const fresh = after === null;
    loading = getJson("/api/logs", { ...filters, after: fresh ? "" : after, limit: MOST });
    try {
      const answer = await loading;
      if (fresh ? after === null && !again : after !== null) draw(answer, fresh);
    } catch { /* the next change asks again */ }
    loading = null;
    if (again) load();
  }

  function draw(answer, fresh) {
    // The tail follows only while its end is in sight, so that reading is not disturbed.
    const atEnd = fresh || list.scrollHeight - list.scrollTop - list.clientHeight < 60;
    // A console that was restarted counts from the beginning.
    if (!fresh && answer.next < after) return restart();
    after = answer.next;
    if (fresh) list.replaceChildren();
    if (answer.logs.length) list.querySelector(".empty")?.remove();
    list.append(...answer.logs.map((line) => logLine(line)));
    while (list.childElementCount > MOST) list.firstElementChild.remove();
    if (!list.childElementCount) list.append(nothing());
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  function nothing() {
    const filtered = Object.values(filters).some(Boolean);
    return filtered
      ? empty("Nothing matches", h("p", {}, "New lines that match will appear here."))
      : empty("No log lines yet", h("p", {}, "o11y-lab up sends every service's lines here. One role by itself:"), h("pre", {}, "o11y-lab order | o11y-lab console"),
        h("p", {}, "OTLP log records at /v1/logs are shown as well."));
  }

  async function names() {
    const now = await getJson("/api/overview").catch(() => null);
    if (!now) return;
    services = now.services.map((s) => s.name).concat(now.seen);
    offerServices(form, filters.service, services);
  }

  drawForm();
  names();
  return {
    update: (what) => what.logs && load(),
    navigated() {
      filters = read();
      drawForm();
      restart();
    },
    key(event) {
      const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
      if (step) moveFocus("[data-testid=log-line]", step);
      else if (event.key === "Enter") document.activeElement?.querySelector?.("a.tiny")?.click();
      return step || event.key === "Enter";
    },
  };
}
