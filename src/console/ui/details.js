// Everything one span carries: attributes, resource, events, links.

import { h, hue, link, time } from "./dom.js";
import { filterHref } from "./filters.js";
import { logLine } from "./logs.js";

export const tagOf = (span, key) => span.tags.find((tag) => tag.key === key)?.value;

export function details(node, trace, { reveal, zoom, lines, linked }) {
  const { span } = node;
  const start = Math.min(...trace.spans.map((s) => s.startTime));
  const self = node.path.reduce((sum, s) => sum + s.duration, 0);
  const process = trace.processes[span.processID] ?? { tags: [] };
  const facts = [
    ["span", span.spanID], ["kind", node.kind || "unspecified"], ["starts at", time(span.startTime - start)], ["took", time(span.duration)],
    self > 0 && ["on the critical path", time(self)],
  ].filter(Boolean);
  const failure = tagOf(span, "otel.status_description");
  return h("div", { class: "details", "data-testid": "span-details", "data-span-id": span.spanID, role: "treeitem", "aria-level": node.depth + 2 },
    h("h2", {}, span.operationName, h("span", { class: "svc", "--hue": hue(node.service) }, node.service)),
    h("p", { class: "facts" }, facts.map(([name, value]) => h("span", {}, `${name} `, h("b", {}, value))),
      link(`/trace/${trace.traceID}#${span.spanID}`, { class: "tiny", "data-testid": "span-link", title: "The address of this span" }, "link"), h("button", { type: "button", class: "tiny", onclick: zoom, "data-testid": "zoom-span" }, "zoom to it")),
    node.error && h("p", { class: "failure" }, failure || "This span has the status ERROR."),
    span.warnings?.map((text) => h("p", { class: "warning" }, text)),
    part("Attributes", span.tags),
    span.logs.length > 0 && h("section", {}, h("h3", {}, `Events (${span.logs.length})`), span.logs.map((event) => eventOf(event, span))),
    links(span, trace, reveal),
    linkedFrom(linked, trace, reveal),
    lines.length > 0 && h("section", { "data-testid": "span-logs" }, h("h3", {}, `Logs of this span (${lines.length})`), h("div", { class: "logs", role: "list" }, lines.map((line) => logLine(line, { withTrace: false })))),
    part("Resource", process.tags, false));
}

function part(title, tags, open = true) {
  if (!tags.length) return null;
  return h("details", { open }, h("summary", {}, `${title} (${tags.length})`), pairs(tags));
}

function pairs(tags) {
  const sorted = [...tags].sort((a, b) => a.key.localeCompare(b.key));
  return h("dl", { class: "pairs" }, sorted.map((tag) => h("div", {}, h("dt", {}, tag.key),
    h("dd", {}, h("span", {}, String(tag.value)), " ", narrow(tag, "=", "only"), " ", narrow(tag, "!=", "without")))));
}

// To the list of traces that have this attribute, or of those that do not.
function narrow(tag, operator, label) {
  const what = `${label === "only" ? "only traces with" : "without traces with"} ${tag.key} = ${tag.value}`;
  return link(filterHref(tag.key, String(tag.value), operator), { class: "tiny narrow", title: what, "aria-label": what, "data-testid": `attribute-${label}` }, label);
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
      : link(`/trace/${r.traceID}#${r.spanID}`, {}, `trace ${r.traceID}`, ` span ${r.spanID}`)))));
}

// The other way: spans that link to this one.
function linkedFrom(list, trace, reveal) {
  if (!list.length) return null;
  return h("section", { "data-testid": "linked-from" }, h("h3", {}, `Linked from (${list.length})`), h("ul", {}, list.map((one) => h("li", {},
    one.traceID === trace.traceID
      ? h("button", { type: "button", onclick: () => reveal(one.spanID) }, `span ${one.spanID}`)
      : link(`/trace/${one.traceID}#${one.spanID}`, {}, `${one.service}: ${one.name}`), ` trace ${one.traceID.slice(0, 8)}`))));
}
