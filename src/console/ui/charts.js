// The board: charts of rate, errors, duration, queue, database and processes, with what happened meanwhile.

import { budgetLeft, chip, clock, getJson, h, hue, isOwn, plural, time } from "./dom.js";
import { DASHES, chart, legend, withUnit } from "./chart.js";
import { coloured } from "./colours.js";

const SHARE = new Set(["errors"]);

// A share is read in percent; a burn rate has no unit.
function format(panel) {
  if (SHARE.has(panel.id)) return (value) => `${+(value * 100).toPrecision(3)} %`;
  if (panel.period) return budgetLeft;
  return (value) => withUnit(value, panel.unit);
}

// Of buckets only what they bound.
function pointsOf(line, { from, step }, value) {
  const beyond = new Set(line.beyond ?? []);
  const said = (number, at) => (line.bound ? `${beyond.has(at) ? ">" : "≤"} ${value(number)}` : undefined);
  return line.values.map((number, at) => [from + (at + 1) * step, number === null ? NaN : Number(number), said(number, at)]);
}

// Where no service is chosen each line is one, with its source before it where a panel has several: it has that service's
// colour if it can. Of a chosen one lines are routes, causes, or those that it calls.
function lineOf(line, answer, value, chosen) {
  const last = line.name.split(" · ").at(-1);
  return { name: line.name, points: pointsOf(line, answer, value), hue: isOwn(last) || (!chosen && last) ? hue(last) : undefined };
}

// Percentiles of one histogram have the colour of who it is of, and are told apart by their dashes.
function percentilesOf(lines, answer, value, chosen, known) {
  const groups = coloured([...new Set(lines.map((line) => line.of || chosen))].map((name) => ({ name, hue: hue(name) })), known);
  const colours = new Map(groups.map((group) => [group.name, group]));
  const drawn = lines.map((line) => ({ ...colours.get(line.of || chosen), name: line.name, group: line.of, percentile: line.percentile, dash: DASHES[line.percentile], points: pointsOf(line, answer, value) }));
  const kinds = [...new Set(lines.map((line) => line.percentile))].map((name) => ({ ...groups[0], name, dash: `${DASHES[name] ?? ""} ${groups.length > 1 ? "any" : ""}` }));
  return [drawn, [...kinds, ...(groups.length > 1 || !chosen ? groups : [])]];
}

// A console that began later than the objective's period says of which time it speaks.
const aboutOf = (panel) => (panel.period
  ? `${panel.about}, over the ${time(Math.round(panel.covers ?? 0) * 1e6)} of data kept here; the objective is over ${plural(panel.period / 86_400, "day")}`
  : panel.about);

function panelOf(panel, answer, chosen, known) {
  const value = format(panel);
  const [lines, keys] = panel.lines[0].percentile
    ? percentilesOf(panel.lines, answer, value, chosen, known)
    : [coloured(panel.lines.map((line) => lineOf(line, answer, value, chosen)), known)];
  const latest = (line) => line.points.findLast(([, number]) => Number.isFinite(number));
  const now = lines.map((line) => [line.name || "all", latest(line)[2] ?? value(latest(line)[1])].join(" "));
  const label = `${panel.title}: ${plural(lines.length, "line")}, now ${now.join(", ")}`;
  const steps = panel.lines[0].values.length;
  const exemplars = panel.exemplars.map((one) => ({ ...one, onScale: true }));
  return h("section", { class: "panel", "data-testid": "chart-panel", "data-panel": panel.id },
    h("h2", {}, panel.title), h("p", { class: "note" }, aboutOf(panel)),
    chart(label, { lines, exemplars, limits: panel.limits, moments: answer.moments, from: answer.from, to: answer.from + steps * answer.step, format: value, width: 400 }),
    legend(keys ?? lines),
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
