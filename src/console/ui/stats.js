// What the spans of a trace amount to: a table by service and operation, and a flame graph of the calls.

import { chip, count, h, hue, scrolling, time } from "./dom.js";
import { statistics } from "./model.js";

// The fewest of a flame graph's width that a part is drawn with, the deepest row, the most parts.
const THIN = 0.002;
const DEEP = 60;
const MOST = 600;

export const percent = (share) => `${+(share * 100).toPrecision(3)} %`;

export function statisticsTable(model, reveal) {
  const rows = [...statistics(model.ordered).values()].sort((a, b) => b.self - a.self);
  const total = rows.reduce((sum, row) => sum + row.self, 0) || 1;
  const path = rows.reduce((sum, row) => sum + row.path, 0) || 1;
  const head = ["Service and operation", "Spans", "Errors", "Total", "Self", "Of all self", "Of the critical path", "Longest"];
  return scrolling("Statistics by service and operation", h("table", { class: "statistics" },
    h("thead", {}, h("tr", {}, head.map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, rows.map((row) => h("tr", { "data-testid": "statistics-row" },
      h("th", { scope: "row" }, chip(row.service), " ", row.name), h("td", {}, count(row.count)), h("td", { class: row.errors ? "danger" : "" }, count(row.errors)),
      h("td", {}, time(row.total)), h("td", {}, time(row.self)), h("td", {}, percent(row.self / total)), h("td", {}, row.path ? percent(row.path / path) : "–"),
      h("td", {}, h("button", { type: "button", class: "tiny", onclick: () => reveal(row.longest.span.spanID) }, time(row.longest.span.duration))))))));
}

// Calls of one operation below the same caller are one part. Its width is the time of its spans and what they called, each
// moment counted in the span it was spent in, so parts beside each other never take more than their caller.
export function flameGraph(model, reveal) {
  const group = (nodes) => [...Map.groupBy(nodes, (node) => JSON.stringify([node.service, node.span.operationName])).values()];
  const weight = new Map();
  for (const node of model.ordered.toReversed()) weight.set(node, node.self + childrenOf(node).reduce((sum, child) => sum + weight.get(child), 0));
  const sum = (nodes) => nodes.reduce((all, node) => all + weight.get(node), 0);
  const tops = model.ordered.filter((node) => !node.parent);
  const whole = sum(tops) || 1;
  const parts = [];
  let left = 0;
  let deepest = 0;
  const work = [[tops, 0, 0]];
  while (work.length && parts.length < MOST) {
    const [nodes, from, depth] = work.pop();
    let at = from;
    for (const of of group(nodes)) {
      const share = sum(of) / whole;
      if (share >= THIN && depth < DEEP && parts.length < MOST) {
        parts.push(part(of, at, share, depth, sum(of), reveal));
        deepest = Math.max(deepest, depth);
        work.push([of.flatMap((node) => childrenOf(node)), at, depth + 1]);
      } else left++;
      at += share;
    }
  }
  return h("div", {}, h("div", { class: "flame", "--rows": deepest + 1, "data-testid": "flame" }, parts),
    left > 0 && h("p", { class: "note" }, `${count(left)} parts too small or too deep to draw.`));
}

const childrenOf = (node) => node.children.filter((child) => child.parent === node);

function part(nodes, from, share, depth, took, reveal) {
  const [first] = nodes;
  const longest = nodes.reduce((a, b) => (b.span.duration > a.span.duration ? b : a));
  const said = `${first.service}: ${first.span.operationName}, ${nodes.length > 1 ? `${nodes.length} spans, ` : ""}${time(took)}, ${percent(share)}`;
  return h("button", { type: "button", class: nodes.some((node) => node.error) ? "flame-part failed" : "flame-part", "--from": from, "--part": share, "--row": depth, "--hue": hue(first.service),
    "data-testid": "flame-part", title: said, "aria-label": said, onclick: () => reveal(longest.span.spanID) }, first.span.operationName);
}
