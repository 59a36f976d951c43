// Everything one span carries: attributes, resource, events, links.

import { h, hue, link, time } from "./dom.js";

export const tagOf = (span, key) => span.tags.find((tag) => tag.key === key)?.value;

export function details(node, trace, reveal) {
  const { span } = node;
  const start = Math.min(...trace.spans.map((s) => s.startTime));
  const self = node.path.reduce((sum, s) => sum + s.duration, 0);
  const process = trace.processes[span.processID] ?? { tags: [] };
  const facts = [
    ["span", span.spanID], ["kind", node.kind || "unspecified"], ["starts at", time(span.startTime - start)], ["took", time(span.duration)],
    self > 0 && ["on the critical path", time(self)],
  ].filter(Boolean);
  const failure = tagOf(span, "otel.status_description");
  return h("div", { class: "details", "data-testid": "span-details", "data-span-id": span.spanID, role: "region", "aria-label": `Details of ${span.operationName}` },
    h("h2", {}, span.operationName, h("span", { class: "svc", "--hue": hue(node.service) }, node.service)),
    h("p", { class: "facts" }, facts.map(([name, value]) => h("span", {}, `${name} `, h("b", {}, value)))),
    node.error && h("p", { class: "failure" }, failure || "This span has the status ERROR."),
    span.warnings?.map((text) => h("p", { class: "warning" }, text)),
    part("Attributes", span.tags),
    span.logs.length > 0 && h("section", {}, h("h3", {}, `Events (${span.logs.length})`), span.logs.map((event) => eventOf(event, span))),
    links(span, trace, reveal),
    part("Resource", process.tags, false));
}

function part(title, tags, open = true) {
  if (!tags.length) return null;
  return h("details", { open }, h("summary", {}, `${title} (${tags.length})`), pairs(tags));
}

function pairs(tags) {
  const sorted = [...tags].sort((a, b) => a.key.localeCompare(b.key));
  return h("dl", { class: "pairs" }, sorted.map((tag) => h("div", {}, h("dt", {}, tag.key), h("dd", {}, String(tag.value)))));
}

function eventOf(event, span) {
  const name = event.fields.find((f) => f.key === "event")?.value ?? "event";
  const rest = event.fields.filter((f) => f.key !== "event");
  return h("div", { class: name === "exception" ? "event-box exception" : "event-box" },
    h("p", {}, h("b", {}, String(name)), ` at +${time(Math.max(0, event.timestamp - span.startTime))}`), rest.length > 0 && pairs(rest));
}

// A link within this trace focuses the span, one to another trace opens it.
function links(span, trace, reveal) {
  const list = span.references.filter((r) => r.refType === "FOLLOWS_FROM");
  if (!list.length) return null;
  return h("section", {}, h("h3", {}, `Links (${list.length})`), h("ul", {}, list.map((r) => h("li", {},
    r.traceID === trace.traceID
      ? h("button", { type: "button", onclick: () => reveal(r.spanID) }, `span ${r.spanID}`)
      : link(`/trace/${r.traceID}`, {}, `trace ${r.traceID}`, ` span ${r.spanID}`)))));
}
