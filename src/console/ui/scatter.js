// Durations over time above the list: a click selects the trace nearest to it, a drag filters by the times and durations
// that it covers. The list below is the same for the keyboard, with the filters "Time", "Longer than" and "Shorter than".

import { clock, count, day, h, plural, svg, time } from "./dom.js";

const NEAR = 14;
// Dots of one size are one path, or the page would take thousands of elements; of several, so that those on each other are darker.
const LAYERS = 4;
const WIDE = 10_000;
// Shares of the picture, so that it fits any width without distortion.
const LEFT = 0.005;
const RIGHT = 0.995;
const TOP = 0.08;
const BOTTOM = 0.84;

// `select(traceID)`, `filter({start, end, minDuration, maxDuration})`.
export function scatter({ select, filter }) {
  const picture = svg("svg", { class: "scatter-picture", role: "img", "data-testid": "scatter" });
  const box = svg("rect", { class: "scatter-box", visibility: "hidden" });
  const root = h("section", { class: "scatter", "aria-label": "Durations over time", hidden: true }, picture);
  let scale = null;
  let points = [];
  let from = null;

  function draw(next) {
    if (from) return;
    points = next;
    root.hidden = points.length < 2;
    if (root.hidden) return;
    const [starts, lengths] = [points.map((p) => p[1]), points.map((p) => Math.max(1, p[2]))];
    scale = { least: Math.min(...starts), most: Math.max(...starts), low: Math.log(Math.min(...lengths)), high: Math.log(Math.max(...lengths)) };
    const traces = points.reduce((sum, p) => sum + p[4], 0);
    const said = `${plural(traces, "trace")} from ${when(scale.least)} to ${when(scale.most)}, ${time(Math.exp(scale.low))} to ${time(Math.exp(scale.high))}`;
    picture.setAttribute("aria-label", said);
    picture.replaceChildren(...grid(), dots(), box);
  }

  // With its day where the picture is of more than one.
  const when = (us) => [scale.most - scale.least > 864e8 && day(new Date(us / 1e3)), clock(new Date(us / 1e3)).slice(0, 8)].filter(Boolean).join(" ");
  const x = (start) => LEFT + ((start - scale.least) / (scale.most - scale.least || 1)) * (RIGHT - LEFT);
  const y = (length) => BOTTOM - ((Math.log(Math.max(1, length)) - scale.low) / (scale.high - scale.low || 1)) * (BOTTOM - TOP);
  const share = (part) => `${(part * 100).toFixed(2)}%`;

  // A line without length that ends round is a dot, as wide as its stroke whatever the picture's size is.
  function dots() {
    const size = (traces) => Math.round(2 * Math.min(7, traces > 1 ? 3 + Math.log10(traces) * 1.5 : 3));
    const paths = Map.groupBy(points.map((point, at) => ({ point, at })), ({ point: [, , , failed, traces], at }) => `${failed ? 1 : 0} ${size(traces)} ${at % LAYERS}`);
    // What failed lies above.
    const drawn = [...paths].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, all]) => {
      const [failed, width] = key.split(" ").map(Number);
      const place = ({ point: [, start, length] }) => `M${(x(start) * WIDE).toFixed()} ${(y(length) * WIDE).toFixed()}h0`;
      return svg("path", { d: all.map(place).join(""), "stroke-width": width, class: failed ? "scatter-dots failed" : "scatter-dots", "data-testid": "scatter-dots", "data-dots": all.length });
    });
    return svg("svg", { viewBox: `0 0 ${WIDE} ${WIDE}`, preserveAspectRatio: "none", width: "100%", height: "100%" }, ...drawn);
  }

  function grid() {
    const powers = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9].filter((us) => Math.log(us) >= scale.low && Math.log(us) <= scale.high);
    const words = (text, at, anchor) => svg("text", { ...at, "text-anchor": anchor }, text);
    return [
      ...powers.flatMap((us) => [svg("line", { x1: 0, x2: "100%", y1: share(y(us)), y2: share(y(us)) }), words(time(us), { x: 2, y: share(y(us)), dy: -2 }, "start")]),
      words(when(scale.least), { x: 2, y: "98%" }, "start"),
      words(when(scale.most), { x: "99.8%", y: "98%" }, "end"),
    ];
  }

  function at(event) {
    const frame = picture.getBoundingClientRect();
    return { x: (event.clientX - frame.left) / frame.width, y: (event.clientY - frame.top) / frame.height, frame };
  }

  function nearest({ x: px, y: py, frame }) {
    const far = ([, start, length]) => Math.hypot((x(start) - px) * frame.width, (y(length) - py) * frame.height);
    const best = points.reduce((found, point) => (far(point) < far(found) ? point : found), points[0]);
    return best && far(best) <= NEAR ? best : null;
  }

  picture.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !scale) return;
    from = at(event);
    picture.setPointerCapture(event.pointerId);
  });
  picture.addEventListener("pointermove", (event) => {
    if (!from) {
      const near = scale && nearest(at(event));
      picture.classList.toggle("near", Boolean(near));
      return;
    }
    const to = at(event);
    const [left, top] = [Math.min(from.x, to.x), Math.min(from.y, to.y)];
    for (const [name, value] of Object.entries({ x: share(left), y: share(top), width: share(Math.abs(to.x - from.x)), height: share(Math.abs(to.y - from.y)), visibility: "visible" })) box.setAttribute(name, value);
  });
  picture.addEventListener("pointercancel", end);
  picture.addEventListener("pointerup", (event) => {
    if (!from) return;
    const [a, b] = [from, at(event)];
    end();
    if (Math.hypot((a.x - b.x) * b.frame.width, (a.y - b.y) * b.frame.height) < 6) {
      const near = nearest(b);
      if (near) select(near[0], near[4]);
      return;
    }
    const startAt = (px) => Math.round(scale.least + ((px - LEFT) / (RIGHT - LEFT)) * (scale.most - scale.least));
    const lengthAt = (py) => Math.max(0, Math.exp(scale.low + ((BOTTOM - py) / (BOTTOM - TOP)) * (scale.high - scale.low)));
    const [left, right, top, bottom] = [Math.min(a.x, b.x), Math.max(a.x, b.x), Math.min(a.y, b.y), Math.max(a.y, b.y)];
    filter({ start: String(Math.max(0, startAt(left))), end: String(Math.max(0, startAt(right))), minDuration: written(lengthAt(bottom)), maxDuration: written(lengthAt(top)) });
  });

  function end() {
    from = null;
    box.setAttribute("visibility", "hidden");
  }

  return { root, draw, isBusy: () => Boolean(from) };
}

// A duration as the filters have it.
function written(us) {
  const [unit, size] = [["s", 1e6], ["ms", 1e3], ["us", 1]].find(([, one]) => us >= one) ?? ["us", 1];
  return `${+(us / size).toPrecision(3)}${unit}`;
}

export const pointsNote = (traces) => (traces > 1 ? `one of ${count(traces)} traces here: drag over them to list them all` : "");
