// The list of recent traces, with its filters and the strip of services above it.

import { age, calm, chip, count, empty, getJson, h, hue, moveFocus, offerServices, plural, select, serviceOptions, time } from "./dom.js";
import { strip } from "./services.js";

const FIELDS = ["service", "status", "text", "minDuration", "maxDuration"];
const STATUSES = [
  ["", "any status"], ["error", "with errors"], ["ok", "without errors"],
  ["2xx", "HTTP 2xx"], ["4xx", "HTTP 4xx"], ["5xx", "HTTP 5xx"],
];

export function tracesView(root, { go, setQuery }) {
  document.title = "Traces · o11y-lab";
  let filters = read();
  let services = [];
  let asked = 0;
  const top = h("div", { class: "strip" });
  const form = h("form", { class: "filters", role: "search", onsubmit: (e) => e.preventDefault() });
  const note = h("p", { class: "note", role: "status" });
  const list = h("div", { class: "rows", role: "list", "aria-label": "Traces" });
  root.append(h("h1", { class: "hidden" }, "Recent traces"), top, form, note, list);
  const ages = setInterval(() => {
    for (const cell of list.querySelectorAll("[data-at]")) cell.textContent = age(Number(cell.dataset.at));
  }, 10_000);

  function read() {
    const query = new URLSearchParams(location.search);
    return Object.fromEntries(FIELDS.map((name) => [name, query.get(name) ?? ""]));
  }

  function set(name, value) {
    filters[name] = value.trim();
    setQuery(filters);
    load();
  }

  function drawForm() {
    const input = (name, label, hint, props = {}) => h("label", { class: name },
      h("span", {}, label),
      h("input", { type: "search", value: filters[name], placeholder: hint, autocomplete: "off", spellcheck: "false",
        oninput: calm((e) => set(name, e.target.value)), ...props }));
    form.replaceChildren(
      select("Service", filters.service, serviceOptions(filters.service, services),
        (value) => set("service", value), { "data-testid": "filter-service" }),
      select("Status", filters.status, STATUSES, (value) => set("status", value), { "data-testid": "filter-status" }),
      input("text", "Route or text", "route, span, value, key=value", { "data-filter-text": true, "data-testid": "filter-text" }),
      input("minDuration", "Longer than", "100ms", { "data-testid": "filter-min" }),
      input("maxDuration", "Shorter than", "2s", { "data-testid": "filter-max" }),
    );
  }

  function row(trace, longest) {
    const failed = trace.errors > 0;
    const label = `${trace.service} ${trace.name}, ${time(trace.duration)}, ${plural(trace.spans, "span")}${failed ? `, ${plural(trace.errors, "error")}` : ""}`;
    const status = trace.httpStatus && h("span", { class: `code c${trace.httpStatus[0]}` }, trace.httpStatus);
    return h("a", { class: failed ? "trace failed" : "trace", href: `/trace/${trace.traceID}`, "aria-label": label,
      "data-testid": "trace-row", "data-trace-id": trace.traceID, "--hue": hue(trace.service) },
      h("span", { class: "name" }, h("b", {}, trace.name), status,
        !trace.rootReceived && h("em", { title: "The root span has not arrived" }, "no root"),
        failed && h("span", { class: "flag" }, plural(trace.errors, "error"))),
      h("span", { class: "who" }, trace.services.map((s) =>
        chip(s.name, ` ${s.spans}`, { class: s.errors ? "chip bad" : "chip", title: `${plural(s.spans, "span")}, ${plural(s.errors, "error")}` }))),
      h("span", { class: "took" }, h("i", { class: "bar", "--part": Math.max(0.006, trace.duration / longest), "aria-hidden": "true" }), h("span", {}, time(trace.duration))),
      h("span", { class: "when", "data-at": trace.startTime, title: new Date(trace.startTime / 1_000).toISOString() }, age(trace.startTime)));
  }

  async function load() {
    const mine = ++asked;
    try {
      const answer = await getJson("/api/summaries", { ...filters, limit: 100 });
      if (mine === asked) draw(answer);
    } catch (error) {
      if (mine === asked) note.textContent = `Not updated: ${error.message}`;
    }
  }

  function draw(answer) {
    const focused = document.activeElement?.dataset?.traceId;
    const longest = Math.max(1, ...answer.traces.map((t) => t.duration));
    const filtered = FIELDS.some((name) => filters[name]);
    note.textContent = answer.kept
      ? `${count(answer.traces.length)} of ${plural(answer.matched, "trace")}${filtered ? ` found in ${count(answer.kept)}` : ""}, newest first`
      : "";
    list.replaceChildren(...answer.traces.map((trace) => h("div", { role: "listitem" }, row(trace, longest))));
    if (!answer.kept) teach(list);
    else if (!answer.traces.length) list.append(empty("Nothing matches", h("p", {}, "Loosen a filter, or ", h("button", { type: "button", onclick: clear }, "clear them all"))));
    if (focused) list.querySelector(`[data-trace-id="${focused}"]`)?.focus({ preventScroll: true });
  }

  function clear() {
    filters = Object.fromEntries(FIELDS.map((name) => [name, ""]));
    setQuery(filters);
    drawForm();
    load();
  }

  async function overview() {
    const now = await getJson("/api/overview").catch(() => null);
    if (!now) return;
    strip(top, now.services, filters.service, (name) => {
      set("service", filters.service === name ? "" : name);
      drawForm();
      overview();
    });
    if (now.seen.join() !== services.join() && offerServices(form, filters.service, now.seen)) services = now.seen;
  }

  drawForm();
  return {
    update(what) {
      if (what.traces) load();
      if (what.metrics || what.traces) overview();
    },
    navigated() {
      filters = read();
      drawForm();
      load();
      overview();
    },
    key(event) {
      const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
      if (step) moveFocus("[data-testid=trace-row]", step);
      else if (event.key === "Escape") clear();
      return step || event.key === "Escape";
    },
    close: () => clearInterval(ages),
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
