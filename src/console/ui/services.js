// Rate, errors and duration of the services: a strip above the traces, and a page of its own.

import { calm, chip, columns, count, empty, getJson, h, hue, plural, scrolling, time } from "./dom.js";

const number = (value, digits = 3) => String(+value.toPrecision(digits));

// A minute is what the figures are of: two requests are "2/min" and no "0.0333/s", and one column has one unit.
export const rate = (s) => (s.rate == null ? "–" : `${count(+(s.rate * 60).toPrecision(3))}/min`);

export const errors = (s) => (s.errorRatio == null ? "–" : `${number(s.errorRatio * 100)} %`);

// Of spans the duration of one of them; of buckets only what they bound.
export const p95 = (s) => (s.p95 ? `${{ "at most": "≤ ", "more than": "> " }[s.p95.bound] ?? ""}${time(s.p95.ms * 1e3)}` : "–");
const p95Source = (s) => (s.p95?.spans ? `p95 of ${plural(s.p95.spans, "span")} kept here` : "p95 as far as the buckets of /metrics tell");

const isBad = (s) => s.errorRatio > 0.01;

const SVG = "http://www.w3.org/2000/svg";

// Requests a second of the last minutes; decoration, the numbers stand beside it.
function spark(points = []) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 24");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "spark");
  svg.setAttribute("aria-hidden", "true");
  if (points.length > 1) {
    const most = Math.max(...points, 0.001);
    const at = (v, i) => `${((i / (points.length - 1)) * 100).toFixed(1)},${(22 - (Math.max(0, v) / most) * 20).toFixed(1)}`;
    const line = document.createElementNS(SVG, "polyline");
    line.setAttribute("points", points.map(at).join(" "));
    svg.append(line);
  }
  return svg;
}

export function strip(root, services, chosen, choose) {
  const focused = document.activeElement?.dataset?.service;
  root.replaceChildren(...services.map((s) => {
    const state = s.up ? (isBad(s) ? "bad" : "up") : "down";
    return h("button", { type: "button", class: `card ${state}`, "--hue": hue(s.name), "data-service": s.name,
      "aria-pressed": String(chosen === s.name), onclick: () => choose(s.name),
      title: s.up ? `${s.about}\nlast minute, from /metrics; ${p95Source(s)}` : `no answer from /metrics on port ${s.port}` },
      h("span", { class: "title" }, h("i", { "aria-hidden": "true" }), s.name),
      s.up
        ? h("span", { class: "red" }, h("b", {}, rate(s)), h("b", { class: isBad(s) ? "danger" : "" }, errors(s), " err"), h("b", {}, "p95 ", p95(s)))
        : h("span", { class: "red off" }, `not answering on ${s.port}`),
      s.up && spark(s.history));
  }));
  if (focused) root.querySelector(`[data-service="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

export function servicesView(root) {
  document.title = "Services · o11y-lab";
  const body = h("div", { class: "services" });
  root.append(h("h1", {}, "Services"), h("p", { class: "note" }, "Requests (or messages), share that failed (5xx, or retried) and 95th percentile over the last minute. Counts are read from each service's /metrics. The percentile is that of the spans kept here; where there are none, the histogram's buckets only say ≤ or >."), body);

  // Whose routes without traffic are unfolded.
  const unfolded = new Set();

  function routes(service) {
    const all = service.routes ?? [];
    const busy = all.filter((r) => r.total > 0).sort((a, b) => b.total - a.total);
    const idle = all.filter((r) => !(r.total > 0)).map((r) => r.route).sort();
    const table = () => scrolling(`Routes of ${service.name}`, h("table", {}, columns("Route", "Rate", "Errors", "p95", "Total"), h("tbody", {}, busy.map((r) =>
      h("tr", { "data-testid": "route-row" }, h("th", { scope: "row" }, r.route), h("td", {}, rate(r)),
        h("td", { class: isBad(r) ? "danger" : "" }, errors(r)), h("td", { title: p95Source(r) }, p95(r)), h("td", {}, count(r.total)))))));
    return [busy.length ? table() : h("p", { class: "note" }, "No requests counted yet."), idle.length > 0 && folded(service.name, idle)];
  }

  function folded(name, idle) {
    const toggled = (event) => unfolded[event.target.open ? "add" : "delete"](name);
    return h("details", { class: "idle", "data-testid": "idle-routes", open: unfolded.has(name), ontoggle: toggled },
      h("summary", { "data-summary": name }, `${plural(idle.length, "route")} without traffic`), h("ul", {}, idle.map((route) => h("li", {}, h("code", {}, route)))));
  }

  function card(service) {
    const shown = Object.entries(service.shown ?? {});
    return h("section", { class: `service ${service.up ? "" : "down"}`, "--hue": hue(service.name), "data-testid": "service-card", "data-service": service.name },
      h("header", {}, h("h2", {}, chip(service.name)), h("span", { class: service.up ? "state up" : "state" }, service.up ? "up" : "not answering"),
        h("span", { class: "grow" }), h("a", { href: `/?service=${encodeURIComponent(service.name)}` }, "traces"), h("a", { href: `/logs?service=${encodeURIComponent(service.name)}` }, "logs")),
      h("p", { class: "note" }, `${service.about} · port ${service.port}`),
      service.up && h("div", { class: "figures" },
        [["rate", rate(service)], ["errors", errors(service)], ["p95", p95(service)]].map(([label, value]) =>
          h("div", { class: label === "errors" && isBad(service) ? "danger" : "" }, h("b", {}, value), h("span", {}, label))),
        spark(service.history)),
      shown.length > 0 && h("dl", { class: "shown" }, shown.map(([name, value]) =>
        h("div", {}, h("dt", {}, name), h("dd", { class: /dead|dropped|failures/.test(name) && value > 0 ? "danger" : "" }, count(value))))),
      service.up && routes(service));
  }

  const again = calm(load, 300);

  // Databases, queues and foreign callees: the spans of their callers tell of them.
  function called(nodes) {
    const silent = nodes.filter((node) => !["service", "callers"].includes(node.kind));
    if (!silent.length) return [];
    const row = (node) => h("tr", { "data-testid": "foreign-row", "data-name": node.name }, h("th", { scope: "row" }, node.name), h("td", {}, node.kind), h("td", {}, rate(node)),
      h("td", { class: isBad(node) ? "danger" : "" }, errors(node)), h("td", {}, p95(node)), h("td", {}, h("a", { href: `/?${new URLSearchParams(node.find)}`, "aria-label": `traces of ${node.name}` }, "traces")));
    return [h("section", { class: "service called" }, h("header", {}, h("h2", {}, "Called, and sends nothing here"), h("span", { class: "grow" }), h("a", { href: "/map" }, "map")),
      h("p", { class: "note" }, "Databases, queues and foreign services, as their callers' spans of the last 15 minutes tell."),
      h("div", { class: "scroll" }, h("table", {}, columns("Called", "Kind", "Rate", "Errors", "p95", "(Traces)"), h("tbody", {}, silent.map(row)))))];
  }

  // Not of the lab: known by what it sends, its figures are of the spans kept.
  function other(service) {
    const name = encodeURIComponent(service.name);
    return h("section", { class: "service", "--hue": hue(service.name), "data-testid": "service-card", "data-service": service.name },
      h("header", {}, h("h2", {}, chip(service.name)), h("span", { class: "state" }, "seen by its telemetry"), h("span", { class: "grow" }),
        h("a", { href: `/?service=${name}` }, "traces"), h("a", { href: `/logs?service=${name}` }, "logs"), h("a", { href: `/metrics?service=${name}` }, "metrics")),
      h("p", { class: "note" }, service.count > 0 ? "Counted from the spans kept here, over the last minute." : "It served nothing that was traced in the last minute."),
      service.count > 0 && h("div", { class: "figures" }, [["rate", rate(service)], ["errors", errors(service)], ["p95", p95(service)]].map(([label, value]) =>
        h("div", { class: label === "errors" && isBad(service) ? "danger" : "" }, h("b", {}, value), h("span", {}, label)))));
  }

  async function load() {
    try {
      const [now, map] = await Promise.all([getJson("/api/overview"), getJson("/api/map")]);
      const focused = document.activeElement?.dataset?.summary;
      body.replaceChildren(...now.services.map(card), ...now.others.map(other), ...called(map.nodes));
      if (focused) body.querySelector(`[data-summary="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
      if (!now.services.some((s) => s.up) && !now.others.length) body.prepend(empty("No service answers", h("p", {}, "Start the lab:"), h("pre", {}, "o11y-lab up")));
    } catch { /* the next change asks again */ }
  }

  load();
  return { update: (what) => (what.metrics || what.traces) && again() };
}
