// The metrics of anyone: a list with filters, and beside it the board, or the charts of the chosen one.

import { calm, chip, clock, empty, getJson, h, hue, link, moveFocus, offerServices, plural, scrolling, select, serviceOptions } from "./dom.js";
import { DASHES, chart, legend, withUnit } from "./chart.js";
import { board } from "./charts.js";
import { coloured } from "./colours.js";

const SPANS = [["5m", "5 minutes"], ["15m", "15 minutes"], ["1h", "1 hour"], ["6h", "6 hours"], ["24h", "a day"]];
const WORDS = { upDownCounter: "up-down counter", exponentialHistogram: "exponential histogram" };
const bound = (p, unit) => (p ? `${p.bound === "at most" ? "≤" : ">"} ${withUnit(p.value, unit)}` : "–");
const isHistogram = (series) => /istogram$/.test(series.kind);
const ownRate = (series) => ["counter", "summary"].includes(series.kind);

// What is drawn of a series: the value itself, how much came a second, or bounds of percentiles.
function linesOf(series) {
  const line = (name, value, said) => ({ name, percentile: name, dash: DASHES[name], points: series.points.map((p) => [p.time, value(p) == null ? NaN : Number(value(p)), said?.(p)]) });
  if (!isHistogram(series)) return coloured([{ ...line("", (p) => (ownRate(series) ? p.rate : p.value)), hue: hue(series.service) }]);
  const own = { hue: hue(series.service), group: "" };
  return ["p50", "p95", "p99"].map((name) => ({ ...line(name, (p) => p[name]?.value, (p) => bound(p[name], series.unit)), ...own }));
}

function summaryOf(series) {
  const last = series.points.at(-1);
  const { unit, latest } = series;
  if (isHistogram(series)) return [["count", withUnit(latest.count, "1")], ["rate", withUnit(last?.rate, "1", "/s")], ...["p50", "p95", "p99"].map((name) => [name, bound(last?.[name], unit)])];
  if (series.kind === "summary") return [["count", withUnit(latest.count, "1")], ...latest.quantiles.map((q) => [`q${q.quantile}`, withUnit(q.value, unit)])];
  const value = ["value", withUnit(latest.value, unit)];
  return ownRate(series) ? [value, ["rate", withUnit(last?.rate, unit, "/s")]] : [value];
}

function tableOf(series) {
  const { unit } = series;
  const columns = isHistogram(series)
    ? [["count", (p) => withUnit(p.count, "1")], ["p50", (p) => bound(p.p50, unit)], ["p95", (p) => bound(p.p95, unit)], ["p99", (p) => bound(p.p99, unit)]]
    : [["value", (p) => withUnit(p.value ?? p.count, p.value == null ? "1" : unit)], ...(ownRate(series) ? [["rate", (p) => withUnit(p.rate, unit, "/s")]] : [])];
  const head = h("tr", {}, h("th", { scope: "col" }, "Time"), columns.map(([name]) => h("th", { scope: "col" }, name)));
  const rows = series.points.slice(-30).reverse().map((p) => h("tr", {}, h("th", { scope: "row" }, clock(new Date(p.time / 1e3)), p.fresh ? " (counts anew)" : ""), columns.map(([, of]) => h("td", {}, of(p)))));
  return h("details", {}, h("summary", {}, "As a table"), scrolling("The newest points", h("table", {}, h("thead", {}, head), h("tbody", {}, rows))));
}

function seriesCard(name, series) {
  const attributes = Object.entries(series.attributes).map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  const plain = (value) => withUnit(value, series.unit);
  const format = (value) => (ownRate(series) ? withUnit(value, series.unit, "/s") : plain(value));
  const facts = summaryOf(series);
  const exemplars = series.exemplars.map((one) => ({ ...one, onScale: !ownRate(series) }));
  const label = `${name} of ${series.service}, ${attributes.join(", ") || "no attributes"}: ${plural(series.points.length, "point")}, ${facts.map((fact) => fact.join(" ")).join(", ")}`;
  return h("section", { class: "series", "--hue": hue(series.service), "data-testid": "metric-series" },
    h("header", {}, chip(series.service), h("code", {}, attributes.join(" ") || "no attributes")),
    h("p", { class: "facts" }, facts.map(([fact, value]) => h("span", {}, `${fact} `, h("b", {}, value)))),
    chart(label, { lines: linesOf(series), exemplars, format, plain }), tableOf(series));
}

export function metricsView(root, { setQuery }) {
  document.title = "Metrics · o11y-lab";
  let asked = read();
  let services = [];
  const form = h("form", { class: "filters", role: "search", onsubmit: (e) => e.preventDefault() });
  const list = h("div", { class: "rows metric-rows", role: "list", "aria-label": "Metrics" });
  const detail = h("div", { class: "metric", "aria-live": "off" });
  const note = h("p", { class: "note", role: "status" });
  root.append(h("h1", { class: "hidden" }, "Metrics"), form, note, h("div", { class: "metrics" }, list, detail));

  function read() {
    const query = new URLSearchParams(location.search);
    return Object.fromEntries(["service", "text", "name", "of", "since"].map((name) => [name, query.get(name) ?? ""]));
  }

  function set(name, value) {
    asked[name] = value.trim();
    setQuery(asked);
    load();
  }

  function drawForm() {
    form.replaceChildren(
      select("Service", asked.service, serviceOptions(asked.service, services), (v) => set("service", v), { "data-testid": "filter-service" }),
      select("Time", asked.since || "15m", SPANS, (v) => set("since", v), { "data-testid": "filter-since" }),
      h("label", { class: "text" }, h("span", {}, "Text"), h("input", { type: "search", value: asked.text, placeholder: "name, description, attribute", autocomplete: "off",
        "data-filter-text": true, "data-testid": "filter-text", oninput: calm((e) => set("text", e.target.value)) })));
  }

  function row(metric) {
    const chosen = metric.name === asked.name && metric.service === asked.of;
    const query = new URLSearchParams(Object.entries({ ...asked, name: metric.name, of: metric.service }).filter(([, value]) => value));
    return h("div", { role: "listitem" }, link(`/metrics?${query}`, { class: "metric-row", "--hue": hue(metric.service), "aria-current": chosen ? "true" : null, title: metric.description,
      "data-testid": "metric-row", "data-name": metric.name, "data-service": metric.service },
    h("b", {}, metric.name), chip(metric.service), h("span", { class: "when" }, `${WORDS[metric.kind] ?? metric.kind}${metric.unit ? ` in ${metric.unit}` : ""}${metric.series > 1 ? `, ${metric.series} series` : ""}`)));
  }

  async function load() {
    const now = await getJson("/api/metrics", { service: asked.service, text: asked.text }).catch(() => null);
    if (!now) return;
    const focused = document.activeElement?.closest?.(".metric-row");
    const { name, service } = focused?.dataset ?? {};
    list.replaceChildren(...now.metrics.map(row));
    if (name) [...list.querySelectorAll(".metric-row")].find((r) => r.dataset.name === name && r.dataset.service === service)?.focus({ preventScroll: true });
    if (!now.metrics.length) list.append(nothing());
    note.textContent = now.metrics.length ? `${plural(now.metrics.length, "metric")}${now.matched > now.metrics.length ? ` of ${now.matched}` : ""}` : "";
    offer(now.metrics);
    await charts();
  }

  function offer(metrics) {
    services = [...new Set([...services, ...metrics.map((metric) => metric.service)])];
    offerServices(form, asked.service, services);
  }

  async function charts() {
    if (!asked.name) return board(detail, { service: asked.service, since: asked.since || "15m" });
    // A table that is read, or a dot that has the focus, is not taken away.
    if (detail.querySelector("details[open]") && detail.dataset.shows === shows()) return;
    if (detail.contains(document.activeElement) && detail.dataset.shows === shows()) return;
    const found = await getJson(`/api/metrics/${encodeURIComponent(asked.name)}`, { service: asked.of, text: asked.text, since: asked.since || "15m", limit: 24 }).catch(() => null);
    if (!found) return detail.replaceChildren(empty("No such metric", h("p", {}, "It is not kept here any more.")));
    const [first] = found.series;
    if (!first) return detail.replaceChildren(empty("No such series", h("p", {}, "No series of this metric has that text.")));
    detail.dataset.shows = shows();
    detail.replaceChildren(...[h("p", {}, link(`/metrics?${new URLSearchParams(Object.entries({ ...asked, name: "", of: "" }).filter(([, value]) => value))}`, { "data-testid": "to-board" }, "← all charts")), h("h2", {}, found.name), h("p", { class: "note" }, [first.description, WORDS[first.kind] ?? first.kind, first.unit && `in ${first.unit}`, first.temporality && `sent as ${first.temporality}`].filter(Boolean).join(" · ")),
      isHistogram(first) && legend(linesOf(first)),
      isHistogram(first) && h("p", { class: "note" }, "upper bounds of buckets, of what came since the point before"),
      ...found.series.map((series) => seriesCard(found.name, series)),
      found.matched > found.series.length && h("p", { class: "note" }, `${found.series.length} of ${found.matched} series, the busiest; a text like status_code=200 above finds others`)].filter(Boolean));
  }

  const shows = () => [asked.name, asked.of, asked.since, asked.text].join("\n");

  function nothing() {
    return asked.service || asked.text
      ? empty("Nothing matches", h("p", {}, "New metrics that match will appear here."))
      : empty("No metrics yet", h("p", {}, "Any OpenTelemetry SDK that sends OTLP over HTTP here is shown, the lab's own services too:"), h("pre", {}, "OTEL_METRICS_EXPORTER=otlp o11y-lab up"));
  }

  drawForm();
  const again = calm(load, 400);
  let first = true;
  return {
    update(what) {
      if (first) load();
      else if (what.metrics) again();
      first = false;
    },
    navigated() {
      asked = read();
      drawForm();
      load();
    },
    key(event) {
      const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
      if (step) moveFocus("[data-testid=metric-row]", step);
      return step;
    },
  };
}
