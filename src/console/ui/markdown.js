// A runbook's Markdown as elements: headings, paragraphs, lists, tables, blocks of code. All of it becomes text; markup in it stays text.

import { h, scrolling } from "./dom.js";

// Code, bold, and links, of which only those to a web page lead anywhere.
function inline(text) {
  const parts = text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)\s]+\))/);
  return parts.filter(Boolean).map((part) => {
    if (/^`[^`]+`$/.test(part)) return h("code", {}, part.slice(1, -1));
    if (/^\*\*[^*]+\*\*$/.test(part)) return h("b", {}, part.slice(2, -2));
    const [, label, target] = part.match(/^\[([^\]]+)\]\(([^)\s]+)\)$/) ?? [];
    if (!label) return part;
    return /^https?:\/\//.test(target) ? h("a", { href: target, rel: "noreferrer", target: "_blank" }, label) : label;
  });
}

const cells = (line) => line.replace(/^\||\|$/g, "").split("|").map((cell) => inline(cell.trim()));

function table([head, , ...rows]) {
  return scrolling("Table", h("table", {}, h("thead", {}, h("tr", {}, cells(head).map((cell) => h("th", { scope: "col" }, cell)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, cells(row).map((cell) => h("td", {}, cell)))))));
}

export function markdown(text) {
  const lines = text.split("\n");
  const blocks = [];
  const take = (holds) => {
    const taken = [];
    while (lines.length && holds(lines[0])) taken.push(lines.shift());
    return taken;
  };
  while (lines.length) {
    const line = lines[0];
    if (!line.trim()) lines.shift();
    else if (line.startsWith("```")) {
      lines.shift();
      blocks.push(h("pre", { tabindex: "0" }, take((next) => !next.startsWith("```")).join("\n")));
      lines.shift();
    } else if (/^#{1,6} /.test(line)) {
      const [, marks, title] = lines.shift().match(/^(#+) (.*)$/);
      // Below the page's own headings.
      blocks.push(h(`h${Math.min(6, marks.length + 2)}`, {}, inline(title)));
    } else if (/^\s*([-*]|\d+\.) /.test(line)) {
      const list = /^\s*\d/.test(line) ? "ol" : "ul";
      const items = [];
      for (const next of take((next) => next.trim() && !next.startsWith("#") && !next.startsWith("```"))) {
        if (/^\s*([-*]|\d+\.) /.test(next)) items.push(next.replace(/^\s*([-*]|\d+\.) /, ""));
        else items[items.length - 1] += ` ${next.trim()}`;
      }
      blocks.push(h(list, {}, items.map((item) => h("li", {}, inline(item)))));
    } else if (line.startsWith("|")) blocks.push(table(take((next) => next.startsWith("|"))));
    else blocks.push(h("p", {}, inline([lines.shift(), ...take((next) => next.trim() && !/^(```|#{1,6} |\||\s*([-*]|\d+\.) )/.test(next))].join(" "))));
  }
  return blocks;
}
