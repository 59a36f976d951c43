// The board: charts of rate, errors, duration, queue, database and processes, with what happened meanwhile.

import { chip, clock, getJson, h, hue, isOwn, plural } from "./dom.js";
import { chart, legend, withUnit } from "./chart.js";
import { coloured } from "./colours.js";

const SHARE = new Set(["errors"]);

// A share is read in percent; a burn rate has no unit.
function format(panel) {
  if (SHARE.has(panel.id)) return (value) => `${+(value * 100).toPrecision(3)} %`;
  return (value) => withUnit(value, panel.unit);
}

// Where no service is chosen each line is one, with its source before it where a panel has several: it has that service's
// colour if it can. Of a chosen one lines are routes, causes, or those that it calls.
function lineOf({ name, values }, { from, step }, chosen) {
  const last = name.split(" · ").at(-1);
  const points = values.map((value, at) => [from + (at + 1) * step, value === null ? NaN : Number(value)]);
  return { name, points, hue: isOwn(last) || (!chosen && last) ? hue(last) : undefined };
}

function panelOf(panel, answer, chosen, known) {
  const lines = coloured(panel.lines.map((line) => lineOf(line, answer, chosen)), known);
  const value = format(panel);
  const latest = lines.map((line) => line.points.findLast(([, v]) => Number.isFinite(v))?.[1]).filter((v) => v !== undefined);
  const label = `${panel.title}: ${plural(lines.length, "line")}, now ${lines.map((line, at) => `${line.name || "all"} ${value(latest[at] ?? NaN)}`).join(", ")}`;
  const steps = panel.lines[0].values.length;
  return h("section", { class: "panel", "data-testid": "chart-panel", "data-panel": panel.id },
    h("h2", {}, panel.title), h("p", { class: "note" }, panel.about),
    chart(label, { lines, limits: panel.limits, moments: answer.moments, from: answer.from, to: answer.from + steps * answer.step, format: value, width: 400 }),
    legend(lines),
    panel.matched > lines.length && h("p", { class: "note" }, `${lines.length} of ${panel.matched} lines, those that are not zero throughout and largest`));
}

// What happened, in words: the lines in the charts are for the eye.
function happened(moments) {
  if (!moments.length) return null;
  const row = (one) => h("li", {}, h("time", {}, clock(new Date(one.time / 1e3)).slice(0, 8)), chip(one.service), `${one.what}${one.which ? ` ${one.which}` : ""}`);
  return h("section", { class: "moments" }, h("h2", {}, "What happened"), h("ol", { "data-testid": "moments" }, moments.slice(-20).reverse().map(row)));
}

// Of the lines drawn last: drawn anew they keep them.
const colours = { chosen: "", known: new Map() };

// Draws into a place, unless a chart in it is being read.
export async function board(place, { service, since }) {
  const shows = `board\n${service}\n${since}`;
  if (place.dataset.shows === shows && place.querySelector(".plot:hover, .plot:focus, .plot :focus")) return;
  const answer = await getJson("/api/charts", { service, since }).catch(() => null);
  if (!answer) return;
  if (colours.chosen !== service) Object.assign(colours, { chosen: service, known: new Map() });
  place.dataset.shows = shows;
  place.replaceChildren(...(answer.panels.length
    ? [h("div", { class: "board" }, answer.panels.map((panel) => panelOf(panel, answer, service, colours.known))), happened(answer.moments)].filter(Boolean)
    : [h("p", { class: "note" }, "Charts appear here when a service sends metrics with the names of OpenTelemetry's semantic conventions. Or choose a metric.")]));
}
