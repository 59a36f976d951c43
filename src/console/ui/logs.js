// The log lines: a live tail with filters, and the one way a line is drawn anywhere.

import { calm, chip, clock, count, empty, getJson, h, link, moveFocus, offerServices, select, serviceOptions } from "./dom.js";

const MOST = 500;
const AROUND = 60;
const MOST_COLUMNS = 6;
const TIMES = [["", "all that is kept"], ["5m", "5 minutes"], ["15m", "15 minutes"], ["1h", "1 hour"], ["6h", "6 hours"], ["24h", "a day"]];
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

const written = (v) => (v === undefined ? "" : typeof v === "string" ? v : JSON.stringify(v));

// `columns` are fields that stand in columns of their own, `onfield` is told of a field that is clicked, `around` leads to
// the lines around this one.
export function logLine(line, { withTrace = true, onspan, onfield, columns = [], around } = {}) {
  const level = String(line.level ?? "info").toLowerCase();
  const trace = typeof line.traceId === "string" && /^[0-9a-fA-F]{1,32}$/.test(line.traceId) ? line.traceId : "";
  const span = typeof line.spanId === "string" && /^[0-9a-fA-F]{16}$/.test(line.spanId) ? `#${line.spanId}` : "";
  const service = String(line.service ?? "unknown");
  const extra = Object.entries(line).filter(([key]) => !CORE.has(key) && !columns.includes(key));
  const event = typeof line.eventName === "string" && !columns.includes("eventName") ? line.eventName : "";
  const field = (key) => (onfield ? h("button", { type: "button", class: "tiny key-name", title: `Show ${key} as a column`, onclick: () => onfield(key) }, `${key}=`) : h("i", {}, `${key}=`));
  const jump = onspan && line.spanId && h("button", { type: "button", class: "tiny", onclick: () => onspan(line.spanId), title: "Show the span" }, "span");
  return h("div", { class: "log", "data-testid": "log-line", "data-level": level, "data-span-id": line.spanId, role: "listitem", tabindex: "-1" },
    h("time", { title: line.timestamp }, clock(new Date(line.timestamp))),
    h("span", { class: `level ${levelOf(level)}` }, level),
    chip(service, "", { title: service }),
    columns.map((key) => h("span", { class: "column", "data-testid": "log-column", title: `${key}=${written(line[key])}` }, written(line[key]))),
    h("span", { class: "text" }, event && h("b", { class: "event", title: "the name of the event" }, event), h("span", { class: "message" }, written(line.message)),
      extra.filter(([key]) => key !== "eventName" || !event).map(([key, v]) => h("span", { class: "field" }, field(key), written(v)))),
    h("span", { class: "jump" }, jump, around && link(around, { class: "tiny", title: "The lines around this one", "data-testid": "log-around" }, "around"),
      withTrace && trace && h("a", { href: `/trace/${trace}${span}`, class: "tiny trace-link", title: `Trace ${trace}` }, "trace")));
}

// The columns of a list stand in the address, so a link shows the same ones.
const split = (text) => text.split(",").map((name) => name.trim()).filter(Boolean).slice(0, MOST_COLUMNS);

export function logsView(root, { setQuery, go }) {
  document.title = "Logs · o11y-lab";
  let filters = read();
  let after = null;
  let services = [];
  let loading = null;
  let again = false;
  const form = h("form", { class: "filters", role: "search", onsubmit: (e) => e.preventDefault() });
  const bars = h("div", { class: "log-bars", role: "group", "aria-label": "How many lines when" });
  const shown = h("p", { class: "note columns" });
  const list = h("div", { class: "logs", role: "list", "aria-label": "Log lines, newest last" });
  root.append(h("h1", { class: "hidden" }, "Logs"), form, bars, shown, list);

  function read() {
    const query = new URLSearchParams(location.search);
    return Object.fromEntries(["service", "level", "text", "since", "until", "columns", "around"].map((name) => [name, query.get(name) ?? ""]));
  }

  const address = (more) => `/logs?${new URLSearchParams(Object.entries({ ...filters, ...more }).filter(([, value]) => value))}`;

  function set(changes, isStep = false) {
    Object.assign(filters, { around: "" }, changes);
    setQuery(filters, isStep);
    drawForm();
    restart();
  }

  function drawForm() {
    const typing = form.querySelector("input") === document.activeElement && document.activeElement?.selectionStart;
    // A time chosen in the histogram is none of the list's.
    const times = TIMES.some(([value]) => value === filters.since) && !filters.until ? TIMES : [...TIMES, [filters.since, "as chosen below"]];
    form.replaceChildren(
      select("Service", filters.service, serviceOptions(filters.service, services), (v) => set({ service: v }), { "data-testid": "filter-service" }),
      select("Level", filters.level, [["", "every level"], ["debug", "debug and up"], ["info", "info and up"], ["warn", "warn and up"], ["error", "errors"]],
        (v) => set({ level: v }), { "data-testid": "filter-level" }),
      select("Time", filters.since, times, (v) => set({ since: v, until: "" }), { "data-testid": "filter-since" }),
      h("label", { class: "text" }, h("span", {}, "Text"), h("input", { type: "search", value: filters.text, placeholder: "anything in the line", autocomplete: "off",
        "data-filter-text": true, "data-testid": "filter-text", oninput: calm((e) => set({ text: e.target.value.trim() })) })));
    if (Number.isInteger(typing)) {
      const input = form.querySelector("input");
      input.focus();
      input.setSelectionRange(typing, typing);
    }
    drawColumns();
  }

  // What is out of the ordinary in this list, each with the way back.
  function drawColumns() {
    const columns = split(filters.columns);
    list.style.setProperty("--columns", columns.map(() => "minmax(60px, 150px)").join(" "));
    const without = (name) => columns.filter((other) => other !== name).join(",");
    shown.replaceChildren(...[
      filters.around && link(address({ around: "" }), { "data-testid": "log-all" }, "← all lines"),
      ...columns.map((name) => h("button", { type: "button", class: "column-chip", title: "Take the column away", "data-testid": "column-chip", onclick: () => set({ columns: without(name) }) }, `${name} ×`)),
    ].filter(Boolean));
  }

  function column(name) {
    const columns = split(filters.columns);
    if (!columns.includes(name) && columns.length < MOST_COLUMNS) set({ columns: [...columns, name].join(",") });
  }

  function restart() {
    after = null;
    load();
    histogram();
  }

  const wanted = () => ({ service: filters.service, level: filters.level, text: filters.text, since: filters.since, until: filters.until });

  // One request at a time, and one more if something changed meanwhile.
  async function load() {
    if (loading) return void (again = true);
    again = false;
    const fresh = after === null;
    // Around a line there are its neighbours, of whatever filters, and nothing new.
    if (filters.around && !fresh) return;
    const asked = filters.around ? { around: filters.around, limit: AROUND } : { ...wanted(), after: fresh ? "" : after, limit: MOST };
    loading = getJson("/api/logs", asked);
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
    const columns = split(filters.columns);
    list.append(...answer.logs.map((line, at) => logLine(line, { onfield: column, columns, around: `/logs?${new URLSearchParams({ around: answer.numbers[at], ...(filters.columns && { columns: filters.columns }) })}` })));
    while (list.childElementCount > MOST) list.firstElementChild.remove();
    if (!list.childElementCount) list.append(nothing());
    const chosen = list.children[answer.numbers.indexOf(Number(filters.around))];
    if (filters.around && chosen) {
      chosen.classList.add("chosen");
      chosen.setAttribute("aria-current", "true");
      chosen.scrollIntoView({ block: "center" });
    } else if (atEnd) list.scrollTop = list.scrollHeight;
  }

  // Bars of lines by level; one that is clicked becomes the time range.
  async function histogram() {
    bars.hidden = Boolean(filters.around);
    if (filters.around) return;
    const found = await getJson("/api/logs/histogram", wanted()).catch(() => null);
    if (!found) return;
    const total = (counts) => counts.reduce((sum, n) => sum + n, 0);
    const most = Math.max(1, ...found.counts.map(total));
    const iso = (us) => new Date(us / 1e3).toISOString();
    bars.replaceChildren(...found.counts.map((counts, at) => {
      const from = found.from + at * found.step;
      const said = `${clock(new Date(from / 1e3)).slice(0, 8)}: ${found.levels.map((name, level) => [name, counts[level]]).filter(([, n]) => n).map(([name, n]) => `${count(n)} ${name}`).join(", ") || "none"}`;
      const parts = found.levels.map((name, level) => counts[level] > 0 && h("i", { class: `level ${name}`, "--part": counts[level] / most })).reverse();
      return total(counts)
        ? h("button", { type: "button", class: "log-bar", title: said, "aria-label": said, "data-testid": "log-bar", onclick: () => set({ since: iso(from), until: iso(from + found.step - 1e3) }, true) }, parts)
        : h("span", { class: "log-bar" });
    }));
  }

  function nothing() {
    const filtered = Object.values(wanted()).some(Boolean);
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
  const bar = calm(histogram, 1_000);
  let first = true;
  return {
    update(what) {
      if (!what.logs) return;
      load();
      if (first) histogram();
      else bar();
      first = false;
    },
    navigated() {
      filters = read();
      drawForm();
      restart();
    },
    key(event) {
      const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
      if (step) moveFocus("[data-testid=log-line]", step);
      else if (event.key === "Enter" && document.activeElement?.matches?.(".log")) document.activeElement.querySelector("a.trace-link")?.click();
      else if (event.key === "Escape" && filters.around) go(address({ around: "" }));
      else return false;
      return true;
    },
  };
}
