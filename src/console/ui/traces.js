// The list of traces: its filters, the strip of services and the scatter above it, its pages.

import { age, calm, chip, count, empty, getJson, h, hue, link, moveFocus, offerServices, plural, select, serviceOptions, time } from "./dom.js";
import { dataPanel } from "./data.js";
import { FIELDS, LANGUAGE, NAMES, SORTS, STATUSES, TIMES, asked, lastList, readFilters } from "./filters.js";
import { pointsNote, scatter } from "./scatter.js";
import { strip } from "./services.js";
import { startPanel } from "./start.js";
import { suggest } from "./suggest.js";

const ROWS = 100;

export function tracesView(root, { go, setQuery }) {
  document.title = "Traces · o11y-lab";
  let filters = readFilters();
  let services = [];
  let latest = 0;
  let shown = { query: "", ids: new Set() };
  let waiting = null;
  const top = h("div", { class: "strip" });
  const start = startPanel();
  const form = h("form", { class: "filters", role: "search", onsubmit: (e) => e.preventDefault() });
  const wrong = h("p", { class: "failure", role: "alert", id: "filter-wrong", "data-testid": "filter-wrong", hidden: true });
  const chart = scatter({ select: choose, filter: (range) => change({ ...range, lookback: "" }) });
  const chosen = h("p", { class: "note", role: "status", "data-testid": "scatter-chosen", hidden: true });
  const note = h("span", { role: "status" });
  const fresh = h("button", { type: "button", class: "fresh", "data-testid": "fresh", hidden: true, onclick: () => drawNow(waiting) });
  const list = h("div", { class: "rows", role: "list", "aria-label": "Traces" });
  const pages = h("nav", { class: "pages", "aria-label": "Pages" });
  const data = dataPanel({ query: () => asked({ ...filters, page: "" }, ""), services: () => services });
  root.append(h("h1", { class: "hidden" }, "Recent traces"), top, start.element, form, wrong, chart.root, chosen, h("div", { class: "note list-note" }, note, fresh), list, pages, data);
  const ages = setInterval(() => {
    for (const cell of list.querySelectorAll("[data-at]")) cell.textContent = age(Number(cell.dataset.at));
  }, 10_000);
  // What a person points at must not move away: new rows wait until the pointer and the focus are elsewhere.
  let over = false;
  for (const area of [list, chart.root]) {
    area.addEventListener("pointerenter", () => { over = true; });
    area.addEventListener("pointerleave", () => { over = false; release(); });
  }
  list.addEventListener("focusout", () => setTimeout(release));
  const isHeld = () => shown.ids.size > 0 && (over || list.contains(document.activeElement));
  const release = () => waiting && !isHeld() && drawNow(waiting);

  function remember() {
    lastList.href = location.pathname + location.search;
  }

  // Changed by a click or a drag: the form has to follow, and Back undoes it.
  function change(values) {
    set(values, true);
    drawForm();
    overview();
  }

  function set(values, isStep = false) {
    // What was typed just before another page was opened.
    if (!root.contains(form)) return;
    filters = { ...filters, page: "", ...values };
    setQuery(filters, isStep);
    remember();
    chosen.hidden = true;
    load();
    loadPoints();
  }

  function drawForm() {
    const input = (name, label, hint, props = {}) => h("label", { class: name }, h("span", {}, label),
      h("input", { type: "search", name, value: filters[name], placeholder: hint, autocomplete: "off", spellcheck: "false",
        oninput: calm((e) => set({ [name]: e.target.value.trim() })), ...props }));
    const text = input("text", "Filter", "text, key=value, duration>100ms", { "data-filter-text": true, "data-testid": "filter-text" });
    const field = text.querySelector("input");
    text.append(suggest(field, () => set({ text: field.value.trim() })));
    const picked = filters.start || filters.end ? [["picked", "picked on the chart"]] : [];
    form.replaceChildren(
      select("Service", filters.service, serviceOptions(filters.service, services), (value) => change({ service: value }), { name: "service", "data-testid": "filter-service" }),
      select("Status", filters.status, STATUSES, (value) => set({ status: value }), { name: "status", "data-testid": "filter-status" }),
      text,
      input("minDuration", "Longer than", "100ms", { "data-testid": "filter-min" }),
      input("maxDuration", "Shorter than", "2s", { "data-testid": "filter-max" }),
      select("Time", picked.length ? "picked" : filters.lookback, [...TIMES, ...picked], (value) => value !== "picked" && change({ lookback: value, start: "", end: "" }), { name: "lookback", "data-testid": "filter-time" }),
      select("Order", filters.sort, SORTS, (value) => set({ sort: value }), { name: "sort", "data-testid": "filter-sort" }),
      h("details", { class: "language" }, h("summary", {}, "how to filter"), h("dl", {}, LANGUAGE.map(([term, what]) => h("div", {}, h("dt", {}, h("code", {}, term)), h("dd", {}, what))))),
    );
  }

  function row(trace, longest) {
    const failed = trace.errors > 0;
    const status = trace.httpStatus && h("span", { class: `code c${trace.httpStatus[0]}` }, trace.httpStatus);
    return h("a", { class: failed ? "trace failed" : "trace", href: `/trace/${trace.traceID}`,
      "data-testid": "trace-row", "data-trace-id": trace.traceID, "--hue": hue(trace.service) },
      h("span", { class: "name" }, h("b", {}, trace.name), status,
        !trace.rootReceived && h("em", { title: "The root span has not arrived" }, "no root"),
        failed && h("span", { class: "flag" }, plural(trace.errors, "error")),
        trace.faults.length > 0 && h("span", { class: "flag hit", "data-testid": "trace-fault", title: "a fault has hit it" }, `⚡ ${trace.faults.join(", ")}`)),
      h("span", { class: "who" }, trace.services.map((s) =>
        chip(s.name, ` ${s.spans}`, { class: s.errors ? "chip bad" : "chip", title: `${plural(s.spans, "span")}, ${plural(s.errors, "error")}` }))),
      h("span", { class: "took" }, h("i", { class: "bar", "--part": Math.max(0.006, trace.duration / longest), "aria-hidden": "true" }), h("span", {}, time(trace.duration))),
      h("span", { class: "when", "data-at": trace.startTime, title: new Date(trace.startTime / 1_000).toISOString() }, age(trace.startTime)));
  }

  async function load() {
    const mine = ++latest;
    const query = JSON.stringify(filters);
    try {
      const answer = await getJson("/api/summaries", asked(filters, ROWS));
      if (mine !== latest) return;
      refused("");
      if (query === shown.query && isHeld()) wait(answer);
      else drawNow(answer);
    } catch (error) {
      if (mine !== latest) return;
      if (error.status === 400) refused(error.message);
      else note.textContent = `Not updated: ${error.message}`;
    }
  }

  const loadPoints = calm(async () => {
    if (chart.isBusy()) return;
    const answer = await getJson("/api/summaries", { ...asked(filters, 0), offset: "", points: true }).catch(() => null);
    if (answer && root.isConnected) chart.draw(answer.points);
  }, 50);
  let pointsAt = 0;
  function pointsSoon() {
    if (Date.now() - pointsAt < 2_000 || over) return;
    pointsAt = Date.now();
    loadPoints();
  }

  // Which field is wrong, as the page calls it; of the filter, where in it. There is no list then: it would be another's.
  function refused(why) {
    const [, name, rest] = why.match(/^'(\w+)' (.*)$/s) ?? [];
    const label = NAMES[name];
    const field = form.querySelector(`[name="${{ start: "lookback", end: "lookback" }[name] ?? (label ? name : "text")}"]`);
    for (const other of form.elements) if (other.name) ["aria-invalid", "aria-describedby"].forEach((of) => other.removeAttribute(of));
    wrong.hidden = !why;
    if (!why) return;
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", wrong.id);
    const at = why.match(/^filter, character (\d+): /);
    const chars = [...field.value.trimStart()];
    const part = at ? h("code", {}, chars.slice(0, at[1] - 1), h("mark", {}, chars.slice(at[1] - 1).join("") || " ")) : "";
    wrong.replaceChildren(label ? `${label}: “${filters[name]}” ${rest}` : why, part);
    showNothing();
  }

  function showNothing() {
    waiting = null;
    shown = { query: "", ids: new Set() };
    fresh.hidden = pages.hidden = true;
    note.replaceChildren();
    list.replaceChildren();
    list.setAttribute("role", "group");
    chart.draw([]);
  }

  function wait(answer) {
    const news = answer.traces.filter((trace) => !shown.ids.has(trace.traceID)).length;
    waiting = answer;
    fresh.hidden = !news;
    fresh.textContent = `${news === ROWS ? `${ROWS} or more` : news} new`;
  }

  function drawNow(answer) {
    waiting = null;
    fresh.hidden = true;
    shown = { query: JSON.stringify(filters), ids: new Set(answer.traces.map((trace) => trace.traceID)) };
    draw(answer);
  }

  function draw(answer) {
    const focused = document.activeElement?.dataset?.traceId;
    const longest = Math.max(1, ...answer.traces.map((t) => t.duration));
    const filtered = FIELDS.some((name) => filters[name] && !["sort", "page", "background"].includes(name));
    const order = SORTS.find(([key]) => key === filters.sort)?.[1] ?? filters.sort;
    note.replaceChildren(answer.kept ? `${plural(answer.matched, "trace")}${filtered ? ` found in ${count(answer.kept)}` : ""}, ${order}` : "", ...polls(answer));
    // What `up` itself asks at the start is no use of the lab: that comes through the gateway.
    start.empty(!filtered && !answer.traces.some((trace) => trace.services.some((s) => s.name === "api-gateway")));
    list.replaceChildren(...answer.traces.map((trace) => h("div", { role: "listitem", class: "row-of-trace" }, row(trace, longest))));
    list.setAttribute("role", answer.traces.length ? "list" : "group");
    drawPages(answer.matched);
    if (!answer.kept) teach(list);
    else if (!answer.traces.length) list.append(empty("Nothing matches", h("p", {}, "Loosen a filter, or ", h("button", { type: "button", onclick: clear }, "clear them all"))));
    if (focused) list.querySelector(`[data-trace-id="${focused}"]`)?.focus({ preventScroll: true });
  }

  function polls({ hidden }) {
    const toggle = (label, background) => h("button", { type: "button", class: "tiny", "data-testid": "background", onclick: () => set({ background }) }, label);
    if (filters.background === "show") return [" · ", toggle("hide background polls", "")];
    return hidden ? [` · ${plural(hidden, "background poll")} hidden `, toggle("show", "show")] : [];
  }

  function drawPages(matched) {
    const page = Number(filters.page) || 0;
    const turn = (label, to, enabled) => h("button", { type: "button", disabled: !enabled, "data-testid": `page-${label.toLowerCase()}`, onclick: () => { set({ page: to ? String(to) : "" }); list.scrollIntoView({ block: "start" }); } }, label);
    pages.hidden = matched <= ROWS && !page;
    pages.replaceChildren(turn("Previous", page - 1, page > 0), h("span", {}, `${count(page * ROWS + 1)} to ${count(Math.min(matched, (page + 1) * ROWS))} of ${count(matched)}`), turn("Next", page + 1, (page + 1) * ROWS < matched));
  }

  // A dot was clicked: its row where it is on this page, else its line below the chart.
  async function choose(id, traces) {
    const there = list.querySelector(`[data-trace-id="${id}"]`);
    const found = await getJson("/api/summaries", { text: id, limit: 1 }).catch(() => null);
    const trace = found?.traces[0];
    chosen.hidden = !trace;
    if (trace) chosen.replaceChildren(link(`/trace/${id}`, { "data-testid": "scatter-open" }, trace.name), ` ${time(trace.duration)}, ${plural(trace.spans, "span")} ${pointsNote(traces)}`);
    // The chart stays where it is: its line says which one it was.
    if (there?.isConnected) there.focus({ preventScroll: true });
  }

  function clear() {
    filters = Object.fromEntries(FIELDS.map((name) => [name, ""]));
    change({});
  }

  async function overview() {
    const now = await getJson("/api/overview").catch(() => null);
    if (!now) return;
    strip(top, now.services, filters.service, (name) => change({ service: filters.service === name ? "" : name }));
    if (now.seen.join() !== services.join() && offerServices(form, filters.service, now.seen)) services = now.seen;
  }

  drawForm();
  remember();
  return {
    update(what) {
      // A later page stays as it is while it is read.
      if (what.traces && (!Number(filters.page) || shown.query !== JSON.stringify(filters))) load();
      if (what.traces) pointsSoon();
      if (what.metrics || what.traces) overview();
      if (what.metrics) start.refresh();
    },
    navigated() {
      filters = readFilters();
      remember();
      drawForm();
      load();
      loadPoints();
      overview();
    },
    key(event) {
      const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
      if (step) moveFocus("[data-testid=trace-row]", step);
      else if (event.key === "Escape") clear();
      return step || event.key === "Escape";
    },
    close() {
      clearInterval(ages);
      start.close();
    },
  };
}

async function teach(list) {
  const now = await getJson("/api/overview").catch(() => null);
  if (!now || list.querySelector("[data-testid=trace-row], .empty")) return;
  list.append(empty("No traces yet",
    h("p", {}, "Send a request through the gateway and watch it travel:"),
    h("pre", {}, `curl -s http://127.0.0.1:${now.gatewayPort}/api/users`),
    now.otlpPort && h("p", {}, "Or point anything that speaks OTLP over HTTP here:"),
    now.otlpPort && h("pre", {}, `OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:${now.otlpPort}\nOTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`),
    now.otlpGrpcPort && h("p", {}, "Or over gRPC:"),
    now.otlpGrpcPort && h("pre", {}, `OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:${now.otlpGrpcPort}\nOTEL_EXPORTER_OTLP_PROTOCOL=grpc`),
    h("p", {}, "New traces appear by themselves.")));
}
