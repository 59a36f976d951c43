// A chart: lines over time with axes, values under the pointer or the arrow keys, limits, moments, and exemplars as
// dots that lead to their traces.

import { clock, h, time } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 170;
const [LEFT, TOP, FOOT] = [8, 16, HEIGHT - 18];
// How percentiles of one histogram are told apart.
export const DASHES = { p50: "dash", p99: "dots" };
// Seconds between two marks of the time axis.
const TICKS = [10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400, 21_600];

function svg(tag, props, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined) continue;
    if (name.startsWith("--")) element.style.setProperty(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// Made once, as the ones of a chart are asked hundreds of times.
const [DIGITS, THREE] = [21, 3].map((maximumSignificantDigits) => new Intl.NumberFormat("en", { maximumSignificantDigits }));

// A value with its unit, as a person reads it. A number that JavaScript cannot hold is shown by its digits.
export function withUnit(value, unit, per = "") {
  if (value == null) return "–";
  const number = Number(value);
  if (!Number.isFinite(number)) return String(value);
  const [scale] = [{ s: 1e6, ms: 1e3, us: 1, ns: 1e-3 }[unit]].filter(() => !per);
  if (scale && number >= 0) return time(number * scale);
  if (unit === "By" && Math.abs(number) >= 1_048_576) return `${(number / 1_048_576).toFixed(1)} MiB${per}`;
  const text = typeof value === "string" ? value : (Number.isInteger(number) && !per ? DIGITS : THREE).format(number);
  const named = unit === "1" ? "" : unit.replace(/^\{(.*?)\}/, "$1");
  return `${text}${named ? (named.startsWith("/") ? named : ` ${named}`) : ""}${per}`;
}

// Lines have { name, points: [[µs, value, said?]…] }, a colour (colours.js) and may have a `dash` ("dash", "dots") and a `group`;
// a gap is where a value is not, and what is said of it is `format`'s where it does not say so itself. Exemplars that are not
// on the lines' scale stand at its foot. `format` writes a value, `plain` that of an exemplar.
export function chart(label, { lines, exemplars = [], limits = [], moments = [], from, to, format, plain, width = 640 }) {
  const drawn = lines.flatMap((line) => line.points).filter(([, value]) => Number.isFinite(value));
  const dots = exemplars.filter((one) => Number.isFinite(Number(one.value)));
  if (!drawn.length) return h("p", { class: "note" }, "No points in this time.");
  const times = [...drawn.map(([at]) => at), ...dots.map((one) => one.time)];
  const [first, last] = [from ?? Math.min(...times), to ?? Math.max(...times)];
  const values = drawn.map(([, value]) => value).concat(dots.filter((one) => one.onScale).map((one) => Number(one.value)));
  // A limit that is far off would press the lines to the ground; the lowest is there whatever the lines do.
  const lowest = Math.min(...limits.map((limit) => limit.value));
  const near = limits.filter((limit) => limit.value <= Math.max(lowest, 3 * Math.max(...values)));
  const [least, highest] = [Math.min(0, ...values), Math.max(...values, ...near.map((limit) => limit.value))];
  // Zero throughout has a scale too.
  const most = highest > least ? highest : least + 1;
  const right = width - LEFT;
  const scale = {
    right,
    x: (at) => LEFT + ((at - first) / (last - first || 1)) * (right - LEFT),
    y: (value) => FOOT - ((value - least) / (most - least || 1)) * (FOOT - TOP),
    at: (x) => first + ((x - LEFT) / (right - LEFT)) * (last - first),
  };
  const root = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, class: "chart", role: "group", "aria-label": label });
  root.append(
    ...timeAxis(first, last, scale), ...valueAxis(least, most, scale, format),
    ...limitLines(near, scale, format),
    ...moments.filter((one) => one.time >= first && one.time <= last).map((one) => moment(one, scale.x(one.time))),
    ...lines.flatMap((line) => drawLine(line, scale)));
  // What is written is not painted over.
  root.append(...root.querySelectorAll(":scope > text, :scope > .limit"),
    ...dots.map((one) => dot(one, scale.x(one.time), one.onScale ? scale.y(Number(one.value)) : scale.y(0), plain ?? format)));
  return cursor(root, label, lines, scale, format, width);
}

const colour = (line) => ({ "--hue": line.hue, "--shade": line.shade });

// What a dashed or coloured line means; nothing for a single one without a name.
export function legend(lines) {
  const named = lines.filter((line) => line.name);
  return named.length ? h("p", { class: "legend" }, lines.map((line) => h("span", { class: `key ${line.dash ?? ""}`, ...colour(line) }, line.name))) : null;
}

// Those whose names would stand on each other share the name of the highest, and the values of the others beside it.
function limitLines(limits, { y, right }, format) {
  // As high as a letter: in a narrow window those of the wide charts are larger (metrics.css).
  const apart = matchMedia("(max-width: 760px)").matches ? Math.max(14, right / 32) : 12;
  const groups = [];
  for (const limit of [...limits].sort((a, b) => b.value - a.value)) {
    const last = groups.at(-1);
    if (last && y(limit.value) - y(last[0].value) < apart) last.push(limit);
    else groups.push([limit]);
  }
  const said = (limit) => `${format(limit.value)} ${limit.means}`;
  return groups.map((group) => svg("g", { class: "limit", "data-testid": "chart-limit" }, svg("title", {}, group.map(said).join("; ")),
    ...group.map((limit) => svg("line", { x1: LEFT, x2: right, y1: y(limit.value), y2: y(limit.value) })),
    words(right, y(group[0].value) - 3, "end", [said(group[0]), ...group.slice(1).map((limit) => format(limit.value))].join(" · "))));
}

function drawLine(line, { x, y }) {
  const props = { ...colour(line), "aria-hidden": "true" };
  return parts(line.points).map((part) => part.length > 1
    ? svg("polyline", { ...props, class: `line ${line.dash ?? ""}`, points: part.map(([when, value]) => `${x(when).toFixed(1)},${y(value).toFixed(1)}`).join(" ") })
    : svg("circle", { ...props, class: "point", cx: x(part[0][0]).toFixed(1), cy: y(part[0][1]).toFixed(1), r: 2 }));
}

function timeAxis(first, last, { x, right }) {
  const seconds = (last - first) / 1e6;
  const tick = (TICKS.find((one) => seconds / one <= 6) ?? 43_200) * 1e6;
  const found = [];
  // Whole ticks of the local clock.
  const shift = new Date(first / 1e3).getTimezoneOffset() * 6e7;
  for (let at = Math.ceil((first - shift) / tick) * tick + shift; at <= last; at += tick) found.push(at);
  const text = (at) => clock(new Date(at / 1e3)).slice(0, tick < 6e7 ? 8 : 5);
  return found.flatMap((at) => [
    svg("line", { class: "tick", x1: x(at), x2: x(at), y1: TOP, y2: FOOT + 3, "aria-hidden": "true" }),
    words(Math.min(right - 18, Math.max(LEFT + 18, x(at))), HEIGHT - 4, "middle", text(at)),
  ]);
}

function valueAxis(least, most, { y, right }, format) {
  const middle = (least + most) / 2;
  return [least, middle, most].flatMap((value) => [
    svg("line", { class: value === least ? "base" : "tick", x1: LEFT, x2: right, y1: y(value), y2: y(value), "aria-hidden": "true" }),
    words(LEFT, y(value) - 3, "start", format(value)),
  ]);
}

function moment(one, x) {
  const said = [one.what, one.which, "at", one.service, clock(new Date(one.time / 1e3)).slice(0, 8)].filter(Boolean).join(" ");
  return svg("g", { class: `moment ${one.what.split(" ")[0]}`, "data-testid": "chart-moment" }, svg("title", {}, said),
    svg("line", { x1: x, x2: x, y1: TOP, y2: FOOT }), svg("circle", { cx: x, cy: TOP, r: 3.5 }));
}

// Shows the values at the pointer, or at the place that the arrow keys reach.
function cursor(root, label, lines, { x, at }, format, width) {
  const times = [...new Set(lines.flatMap((line) => line.points.map(([time]) => time)))].sort((a, b) => a - b);
  const hair = svg("line", { class: "hair", y1: TOP, y2: FOOT, visibility: "hidden", "aria-hidden": "true" });
  const box = h("div", { class: "values", role: "status", hidden: true, "data-testid": "chart-values" });
  root.append(hair);
  let place = null;
  function show(next) {
    place = next;
    const hidden = next === null || !times.length;
    hair.setAttribute("visibility", hidden ? "hidden" : "visible");
    box.hidden = hidden;
    if (hidden) return;
    place = Math.max(0, Math.min(times.length - 1, next));
    const now = times[place];
    hair.setAttribute("x1", x(now));
    hair.setAttribute("x2", x(now));
    const found = lines.map((line) => [line, line.points.find(([time]) => time === now) ?? []]).filter(([, [, value]]) => Number.isFinite(value));
    box.replaceChildren(h("b", {}, clock(new Date(now / 1e3)).slice(0, 8)), ...read(found, format));
    box.classList.toggle("left", x(now) > width / 2);
  }
  function nearest(event) {
    const bounds = root.getBoundingClientRect();
    const wanted = at(((event.clientX - bounds.left) / bounds.width) * width);
    show(times.reduce((best, time, index) => (Math.abs(time - wanted) < Math.abs(times[best] - wanted) ? index : best), 0));
  }
  function key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") show(null);
    else if (step) show(place === null ? (step > 0 ? 0 : times.length - 1) : place + step);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
  return h("div", { class: "plot", tabindex: "0", role: "group", "aria-label": `${label}. Arrow keys read its values.`, onpointermove: nearest, onpointerleave: () => show(null), onblur: () => show(null), onkeydown: key }, root, box);
}

// One row a line, the highest first; the lines of a group have one together.
function read(found, format) {
  const said = ([line, [, value, text]], name) => [name, text ?? format(value)].filter(Boolean).join(" ");
  const rows = [...Map.groupBy(found.sort((a, b) => b[1][1] - a[1][1]), ([line]) => line.group ?? line)];
  return rows.map(([group, all]) => h("span", { class: "key", ...colour(all[0][0]) }, typeof group === "string"
    ? `${group} ${byPercentile(all).map((one) => said(one, one[0].percentile)).join(", ")}`.trim()
    : said(all[0], all[0][0].name)));
}

const byPercentile = (all) => all.toSorted(([a], [b]) => (a.percentile < b.percentile ? -1 : 1));

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
  return svg("a", { href: `/trace/${one.traceID}${/[1-9a-f]/.test(one.spanID ?? "") ? `#${one.spanID}` : ""}`, class: one.kept ? "exemplar" : "exemplar gone", "aria-label": said, "data-testid": "exemplar", "data-trace-id": one.traceID }, mark);
}
