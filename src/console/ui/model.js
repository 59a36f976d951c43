// A trace as a tree of spans, and what follows from it.

import { tagOf } from "./details.js";

// A client's span and its server's may have one id: on the page each has a row, so it needs an id of its own.
export function tellApart(spans) {
  const seen = new Set();
  for (const span of spans) {
    const id = span.spanID;
    for (let n = 2; seen.has(span.spanID); n++) span.spanID = `${id}-${n}`;
    seen.add(span.spanID);
  }
}

// The tree in the order it is drawn: a child under its parent, by start. Spans whose parent is
// missing stand at the top, and so does, in the end, whatever nothing else has reached.
export function build(trace, criticalPath) {
  const nodes = new Map(trace.spans.map((span) => [span.spanID, {
    span, children: [], path: [], depth: 0, below: 0, parent: null,
    service: trace.processes[span.processID]?.serviceName ?? "unknown",
    kind: tagOf(span, "span.kind") ?? "", error: tagOf(span, "error") === true, fault: tagOf(span, "o11y_lab.fault"),
    parents() {
      const list = [];
      for (let up = this.parent; up; up = up.parent) list.push(up);
      return list;
    },
  }]));
  for (const node of nodes.values()) {
    const up = node.span.references.find((r) => r.refType === "CHILD_OF");
    node.up = up && up.spanID !== node.span.spanID ? nodes.get(up.spanID) : null;
    node.up?.children.push(node);
  }
  for (const segment of criticalPath) nodes.get(segment.spanID)?.path.push(segment);
  for (const node of nodes.values()) node.self = selfTime(node);
  const ordered = [];
  const seen = new Set();
  const walk = (first) => {
    const stack = [[first, null]];
    while (stack.length) {
      const [node, parent] = stack.pop();
      if (seen.has(node)) continue;
      seen.add(node);
      node.parent = parent;
      node.depth = parent ? parent.depth + 1 : 0;
      ordered.push(node);
      for (const child of node.children.toReversed()) stack.push([child, node]);
    }
  };
  const all = [...nodes.values()];
  all.filter((n) => !n.up).forEach(walk);
  all.forEach((n) => seen.has(n) || walk(n));
  for (const node of ordered.toReversed()) if (node.parent) node.parent.below += node.below + 1;
  const start = Math.min(...all.map((n) => n.span.startTime));
  const end = Math.max(...all.map((n) => n.span.startTime + n.span.duration));
  const root = ordered.find((n) => !n.span.references.some((r) => r.refType === "CHILD_OF")) ?? ordered[0];
  return { nodes, ordered, root, start, duration: Math.max(1, end - start), path: criticalPath.length };
}

// What a span took without its children: those that run beside each other count once, and only as far as it lasts.
function selfTime({ span, children }) {
  const [from, until] = [span.startTime, span.startTime + span.duration];
  const times = children.map(({ span: s }) => [Math.max(from, s.startTime), Math.min(until, s.startTime + s.duration)]).sort((a, b) => a[0] - b[0]);
  let covered = 0;
  let reached = from;
  for (const [start, end] of times) {
    // One that begins after its parent's end, as a consumer does, covers nothing of it.
    if (end <= Math.max(start, reached)) continue;
    covered += end - Math.max(start, reached);
    reached = end;
  }
  return span.duration - covered;
}

// By service and operation: how often, how long, where to look.
export function statistics(nodes) {
  const rows = new Map();
  for (const node of nodes) {
    const name = node.span.operationName;
    const key = JSON.stringify([node.service, name]);
    const row = rows.get(key) ?? { key, service: node.service, name, count: 0, errors: 0, total: 0, self: 0, path: 0, longest: node };
    row.count++;
    row.errors += node.error ? 1 : 0;
    row.total += node.span.duration;
    row.self += node.self;
    row.path += node.path.reduce((sum, s) => sum + s.duration, 0);
    if (node.span.duration > row.longest.span.duration) row.longest = node;
    rows.set(key, row);
  }
  return rows;
}

// Microseconds since the epoch of a time as log lines have it; the part of a second keeps its digits.
export function micros(text) {
  const [, seconds, part, zone] = String(text).match(/^(.*T\d\d:\d\d:\d\d)(?:[.,](\d+))?(.*)$/) ?? [];
  const whole = Date.parse(seconds + zone);
  return seconds && !Number.isNaN(whole) ? whole * 1_000 + Number((part ?? "0").padEnd(6, "0").slice(0, 6)) : NaN;
}

// A time in whole milliseconds stands for any within its millisecond: for one that the span has, where there is one.
export function within(time, { startTime, duration }) {
  const last = time % 1_000 ? time : time + 999;
  return last < startTime || time > startTime + duration ? time : Math.min(Math.max(time, startTime), startTime + duration);
}
