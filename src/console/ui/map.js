// The map: who calls whom, as a picture and as tables that say the same. Nodes and edges lead to their traces.

import { columns, count, empty, getJson, h, hue, link, plural, scrolling, select, time } from "./dom.js";
import { curve, placed, widthOf } from "./labels.js";
import { layers } from "./layers.js";
import { errors, p95 } from "./services.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, GAP, DROP, BEND] = [204, 54, 22, 78, 40];
const WINDOWS = [["1m", "last minute"], ["5m", "last 5 minutes"], ["", "last 15 minutes"], ["1h", "last hour"], ["24h", "last day"]];
const MARK_EVERY = 3_000;
// The font size of what is drawn, as in lab.css.
const WORDS = 11.5;
const isBad = (figures) => figures.errorRatio > 0.01;

function s(tag, props = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("--")) element.style.setProperty(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...children.flat(2).filter(Boolean));
  return element;
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
// There is little room: how many calls, of how long stands above; what failed where something did.
const often = (of) => plural(of.count, "call");
const figuresOf = (of) => [often(of), of.errors > 0 && errors(of), p95(of)].filter(Boolean).join(" · ");
// One mark, or how many of a kind.
function short(wrong) {
  const kinds = Map.groupBy(wrong, (mark) => mark.split(" ")[0]);
  return [...kinds].map(([kind, all]) => (all.length === 1 ? all[0] : plural(all.length, kind))).join(", ");
}
const markOf = (wrong) => cut(`⚠ ${short(wrong)}`, 34);
const said = (of) => (of.count ? `${plural(of.count, "call")}, ${second(of)}, ${errors(of)} failed, p95 ${p95(of)}` : "no calls");
const second = (of) => `${+(of.rate ?? 0).toPrecision(3)}/s`;

// Why calls failed; a callee may know nothing of it: a caller gives up, or takes a 4xx for a failure.
function why(edge, callee) {
  if (!edge.errors) return "";
  const causes = (edge.causes ?? []).map((one) => `${count(one.count)} × ${one.type}`).join(", ");
  const alone = callee.kind === "service" && callee.errors === 0;
  return alone ? `, as the caller saw it (${causes || "a timeout, a connection or a 4xx"}): ${callee.name} itself counts no failure` : causes && ` (${causes})`;
}

const traces = (find) => (Object.keys(find).length ? `/?${new URLSearchParams(find)}` : "/");

export function mapView(root, { setQuery }) {
  document.title = "Map · o11y-lab";
  let lookback = new URLSearchParams(location.search).get("lookback") ?? "";
  let asked = 0;
  let waiting = 0;
  let marked = () => [];
  let markedAt = 0;
  const note = h("p", { class: "note", role: "status" });
  const form = h("form", { class: "filters", onsubmit: (e) => e.preventDefault() },
    select("Time", lookback, WINDOWS, (value) => {
      lookback = value;
      setQuery({ lookback });
      load();
    }, { "data-testid": "map-lookback" }));
  const picture = h("div", { class: "scroll picture", "data-testid": "map" });
  const tables = h("section", { "aria-label": "The map as tables" });
  root.append(h("h1", {}, "Map"), form, note, picture, tables);

  async function load() {
    const mine = ++asked;
    try {
      const [map] = await Promise.all([getJson("/api/map", { lookback }), mark()]);
      if (mine === asked) draw(map, marked);
    } catch (error) {
      if (mine === asked) note.textContent = `Not updated: ${error.message}`;
    }
  }

  // Faults are asked of every role: not as often as the map is drawn.
  async function mark() {
    if (Date.now() - markedAt < MARK_EVERY) return;
    markedAt = Date.now();
    const optional = (path) => getJson(path).catch(() => ({}));
    const [faults, alerts] = await Promise.all([optional("/api/faults"), optional("/api/alerts")]);
    marked = marks(faults.active ?? [], alerts.alerts ?? []);
  }

  // What is wrong with a service, in words: its faults, its alerts that fire.
  function marks(faults, alerts) {
    const found = new Map();
    const add = (service, mark) => found.set(service, [...(found.get(service) ?? []), mark]);
    faults.forEach((fault) => add(fault.service, `fault ${fault.fault}`));
    alerts.filter((alert) => alert.state === "firing").forEach((alert) => add(alert.service, `alert ${alert.name}`));
    return (node) => (node.kind === "service" ? found.get(node.name) ?? [] : []);
  }

  function draw(map, marked) {
    const focused = document.activeElement?.dataset?.key;
    const names = new Map(map.nodes.map((node) => [node.id, node]));
    note.textContent = map.nodes.length ? `From ${plural(map.spans, "span")} kept here, over ${time(Math.round(map.seconds) * 1e6)}. A click leads to the traces.${map.leftOut ? ` ${plural(map.leftOut, "edge")} left out.` : ""}` : "";
    if (!map.nodes.length) {
      tables.replaceChildren();
      return picture.replaceChildren(empty("No calls yet", h("p", {}, link("/", {}, "Send an order"), ", and the map draws itself.")));
    }
    const { drawn, unsaid } = drawing(map, names, marked);
    picture.replaceChildren(drawn);
    tables.replaceChildren(...(unsaid.length ? [unsaidList(unsaid, names)] : []), edgeTable(map, names), nodeTable(map, marked));
    if (focused) root.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  function drawing(map, names, marked) {
    const { rows, bends } = layers(map.nodes.map((node) => node.id), map.edges.map((edge) => [edge.from, edge.to]));
    const room = (item) => (item.bend === undefined ? WIDTH : BEND) + GAP;
    const width = Math.max(...rows.map((row) => row.reduce((sum, item) => sum + room(item), 0))) + GAP;
    const height = rows.length * (HEIGHT + DROP) - DROP + 2 * GAP;
    const at = new Map();
    rows.forEach((row, level) => {
      let x = (width - row.reduce((sum, item) => sum + room(item), 0)) / 2;
      for (const item of row) {
        at.set(item, { x: x + room(item) / 2, y: GAP + level * (HEIGHT + DROP) });
        x += room(item);
      }
    });
    const busiest = Math.max(...map.edges.map((edge) => edge.count), 1);
    const nodes = map.nodes.map((node) => drawnNode(node, at.get(node.id), marked(node)));
    const edges = map.edges.filter((edge) => edge.from !== edge.to).map((edge) => {
      const points = [at.get(edge.from), ...(bends.get(map.edges.indexOf(edge)) ?? []).map((bend) => at.get(bend)), at.get(edge.to)];
      const thick = (1 + 2.5 * (Math.log1p(edge.count) / Math.log1p(busiest))).toFixed(2);
      const words = figuresOf(edge);
      return { edge, words, thick, width: widthOf(words, WORDS), ...curve(ends(points)) };
    });
    const places = placed(edges, map.nodes.flatMap((node) => taken(at.get(node.id), marked(node))));
    const arrow = (id) => s("marker", { id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, markerUnits: "userSpaceOnUse", orient: "auto" }, s("path", { d: "M0 0 8 4 0 8z" }));
    // All lines lie below all words.
    const drawn = s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": "Map of the calls; the tables below say the same" },
      s("defs", {}, arrow("arrow"), arrow("arrow-bad")),
      s("g", { class: "lines", "aria-hidden": "true" }, edges.map(({ edge, d, thick }) => s("path", { d, class: isBad(edge) ? "line bad" : "line", "--thick": thick, "marker-end": `url(#arrow${isBad(edge) ? "-bad" : ""})` }))),
      edges.map((drawn, i) => drawnEdge(drawn, names, places[i])), nodes);
    return { drawn, unsaid: edges.filter((_, i) => !places[i]) };
  }

  // Words that found no room at their line.
  function unsaidList(unsaid, names) {
    const row = ({ edge, words }) => h("li", { "data-testid": "map-unsaid" }, link(traces(edge.find), {}, `${names.get(edge.from).name} → ${names.get(edge.to).name}`), ` ${words}`);
    return h("section", { class: "unsaid" }, h("h2", {}, "Without room on the map"), h("ul", {}, unsaid.map(row)));
  }

  // From the foot of the one to the head of the other; upwards where the calls go round in a circle.
  function ends(points) {
    const down = points.at(-1).y > points[0].y;
    const [start, end] = down ? [HEIGHT, -2] : [0, HEIGHT + 2];
    return points.map((point, i) => ({ x: point.x, y: point.y + (i === 0 ? start : i === points.length - 1 ? end : HEIGHT / 2) }));
  }

  // What a node takes of the picture, with the mark above it.
  function taken({ x, y }, wrong) {
    const wide = widthOf(markOf(wrong), WORDS) + 8;
    return [{ x: x - WIDTH / 2, y, width: WIDTH, height: HEIGHT }, ...(wrong.length ? [{ x: x - wide / 2, y: y - 18, width: wide, height: 18 }] : [])];
  }

  function drawnNode(node, { x, y }, wrong) {
    const figures = node.count ? figuresOf(node) : "serves nothing";
    const seen = [cut(node.name, 20), node.kind === "callers" ? often(node) : figures, wrong.length > 0 && markOf(wrong)].filter(Boolean);
    // What is seen is part of what is said.
    const title = `${seen.join(" ")}: ${node.name} (${node.kind}), ${said(node)}${wrong.map((mark) => `; ${mark}`).join("")}`;
    const state = wrong.length || isBad(node) ? "node bad" : "node";
    const text = (dy, kind, value) => value && [s("text", { x, y: y + dy, class: kind }, value), " "];
    return s("a", { href: traces(node.find), class: `${state} ${node.kind}`, "aria-label": title, "data-testid": "map-node", "data-key": node.id, "data-name": node.name, "data-marks": wrong.join(", "), "--hue": hue(node.name) },
      s("title", {}, title),
      s("rect", { x: x - WIDTH / 2, y, width: WIDTH, height: HEIGHT, rx: node.kind === "queue" ? HEIGHT / 2 : 9 }),
      text(22, "name", seen[0]), text(40, "figures", seen[1]), text(-6, "mark", seen[2]));
  }

  function drawnEdge({ edge, words, d, thick }, names, place) {
    const [from, to] = [names.get(edge.from), names.get(edge.to)];
    // What is seen is part of what is said.
    const title = `${from.name} to ${to.name}: ${words}; ${errors(edge)} failed${why(edge, to)}`;
    // Words that find no room are in the title, and in a list below.
    return s("a", { href: traces(edge.find), class: isBad(edge) ? "edge bad" : "edge", "aria-label": title, "data-testid": "map-edge", "data-key": `${edge.from} ${edge.to}`, "data-from": from.name, "data-to": to.name, "--thick": thick },
      s("title", {}, title), s("path", { class: "hit", d }), s("path", { class: "over", d }),
      place && s("g", { "data-testid": "map-label" }, s("rect", { ...place, rx: 4 }), s("text", { x: place.x + place.width / 2, y: place.y + 12, class: "figures" }, words)));
  }

  const cells = (of, why) => [h("td", {}, count(of.count)), h("td", {}, second(of)), h("td", { class: isBad(of) ? "danger" : "", title: why }, errors(of)), h("td", {}, p95(of))];

  function edgeTable(map, names) {
    const row = (edge) => h("tr", { "data-testid": "map-edge-row" }, h("th", { scope: "row" }, names.get(edge.from).name, " → ", names.get(edge.to).name), cells(edge, why(edge, names.get(edge.to)).replace(/^, /, "")),
      h("td", {}, link(traces(edge.find), { "aria-label": `Traces of ${names.get(edge.from).name} to ${names.get(edge.to).name}` }, "traces")));
    return scrolling("Calls", h("table", {}, h("caption", {}, "Calls"), columns("From → to", "Calls", "Rate", "Errors", "p95", "(Traces)"), h("tbody", {}, map.edges.map(row))));
  }

  function nodeTable(map, marked) {
    const row = (node) => h("tr", { "data-testid": "map-node-row" }, h("th", { scope: "row" }, node.name), h("td", {}, node.kind), cells(node), h("td", { class: "danger" }, marked(node).join(", ")));
    return scrolling("Who takes part", h("table", {}, h("caption", {}, "Who takes part"), columns("Name", "Kind", "Calls", "Rate", "Errors", "p95", "Wrong"), h("tbody", {}, map.nodes.map(row))));
  }

  // However often something changes, it is drawn anew once a second at most.
  function again() {
    waiting ||= setTimeout(() => {
      waiting = 0;
      load();
    }, 1_000);
  }

  load();
  return {
    update: (what) => (what.traces || what.metrics) && again(),
    navigated() {},
    close() {
      clearTimeout(waiting);
      asked++;
    },
  };
}
