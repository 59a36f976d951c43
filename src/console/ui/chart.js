// A chart of one series: lines over time, and exemplars as dots that lead to their traces.

import { clock, h, time } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 640;
const HEIGHT = 150;
const EDGE = { left: 8, right: 8, top: 14, bottom: 18 };

function svg(tag, props, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) if (value !== undefined) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// A value with its unit, as a person reads it. A number that JavaScript cannot hold is shown by its digits.
export function withUnit(value, unit, per = "") {
  if (value == null) return "–";
  const number = Number(value);
  if (!Number.isFinite(number)) return String(value);
  const [scale] = [{ s: 1e6, ms: 1e3, us: 1, ns: 1e-3 }[unit]].filter(() => !per);
  if (scale && number >= 0) return time(number * scale);
  const text = typeof value === "string" ? value : new Intl.NumberFormat("en", { maximumSignificantDigits: Number.isInteger(number) && !per ? 21 : 3 }).format(number);
  const named = unit === "1" ? "" : unit.replace(/^\{(.*)\}$/, "$1");
  return `${text}${named ? ` ${named}` : ""}${per}`;
}

// Times and values are numbers; a gap is where a value is not. Exemplars that are not on the lines' scale stand at
// its foot.
export function chart(label, lines, exemplars, format, plain) {
  const drawn = lines.flatMap((line) => line.points).filter(([, value]) => Number.isFinite(value));
  const dots = exemplars.filter((one) => Number.isFinite(Number(one.value)));
  const times = [...drawn.map(([at]) => at), ...dots.map((one) => one.time)];
  if (!drawn.length) return h("p", { class: "note" }, "No points in this time.");
  const values = drawn.map(([, value]) => value).concat(dots.filter((one) => one.onScale).map((one) => Number(one.value)));
  const [from, to] = [Math.min(...times), Math.max(...times)];
  const [least, most] = [Math.min(0, ...values), Math.max(...values)];
  const x = (at) => EDGE.left + ((at - from) / (to - from || 1)) * (WIDTH - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - ((value - least) / (most - least || 1)) * (HEIGHT - EDGE.top - EDGE.bottom);
  const root = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "group", "aria-label": label });
  root.append(
    svg("line", { class: "base", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(0), y2: y(0), "aria-hidden": "true" }),
    ...lines.flatMap((line) => parts(line.points).map((part) => part.length > 1
      ? svg("polyline", { class: `line ${line.name}`, points: part.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" "), "aria-hidden": "true" })
      : svg("circle", { class: `point ${line.name}`, cx: x(part[0][0]).toFixed(1), cy: y(part[0][1]).toFixed(1), r: 2, "aria-hidden": "true" }))),
    words(EDGE.left, 10, "start", format(most)), words(EDGE.left, HEIGHT - 4, "start", clock(new Date(from / 1e3)).slice(0, 8)),
    words(WIDTH - EDGE.right, HEIGHT - 4, "end", clock(new Date(to / 1e3)).slice(0, 8)),
    ...dots.map((one) => dot(one, x(one.time), one.onScale ? y(Number(one.value)) : y(0), plain)));
  return root;
}

// Neighbouring points that have a value.
function parts(points) {
  const found = [[]];
  for (const point of points) {
    if (Number.isFinite(point[1])) found.at(-1).push(point);
    else found.push([]);
  }
  return found.filter((part) => part.length);
}

const words = (x, y, anchor, text) => svg("text", { x, y, "text-anchor": anchor, "aria-hidden": "true" }, text);

// Hollow where the console does not have the trace.
function dot(one, x, y, format) {
  const said = `exemplar ${format(one.value)} at ${clock(new Date(one.time / 1e3))}, trace ${one.traceID}${one.kept ? "" : ", not kept here"}`;
  const mark = svg("circle", { cx: x.toFixed(1), cy: y.toFixed(1), r: 4.5 }, svg("title", {}, said));
  return svg("a", { href: `/trace/${one.traceID}`, class: one.kept ? "exemplar" : "exemplar gone", "aria-label": said, "data-testid": "exemplar", "data-trace-id": one.traceID }, mark);
}
