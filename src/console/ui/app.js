// The frame: routes, live updates, keyboard. A view is a function (root, context) that returns
// { update(changed), key(event), up }; filters live in the address, so a link shows the same thing.

import { getJson, h, count, plural, mebibytes } from "./dom.js";
import { tracesView } from "./traces.js";
import { traceView } from "./trace.js";
import { logsView } from "./logs.js";
import { servicesView } from "./services.js";
import { metricsView } from "./metrics.js";
import { dock, lessonsView } from "./lessons.js";
import { faultsView } from "./faults.js";
import { mapView } from "./map.js";
import { alertsView } from "./alerts.js";
import { glossary } from "./glossary.js";

const main = document.getElementById("main");
const help = document.getElementById("help");
let view = null;
let shown = "";
let paused = false;
let feed = null;
let generation = {};
let heardAt = 0;

// Milliseconds: the console lets itself be heard every five seconds (src/console/live.rs).
const SILENCE = 15_000;

function route() {
  const [, trace] = location.pathname.match(/^\/trace\/(.+)$/) ?? [];
  if (trace) return ["traces", traceView, { id: trace }];
  if (location.pathname === "/logs") return ["logs", logsView, {}];
  if (location.pathname === "/metrics") return ["metrics", metricsView, {}];
  if (location.pathname === "/lessons") return ["lessons", lessonsView, {}];
  if (location.pathname === "/alerts") return ["alerts", alertsView, {}];
  if (location.pathname === "/map") return ["map", mapView, {}];
  if (location.pathname === "/faults") return ["faults", faultsView, {}];
  if (location.pathname === "/services") return ["services", servicesView, {}];
  return ["traces", tracesView, {}];
}

function show() {
  const [name, make, args] = route();
  if (shown === location.pathname && view?.navigated) return view.navigated();
  view?.close?.();
  shown = location.pathname;
  main.replaceChildren();
  main.className = make.name;
  for (const item of document.querySelectorAll("nav a")) {
    // On a narrow screen the row of pages scrolls.
    if (item.toggleAttribute("aria-current", item.dataset.view === name)) item.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  view = make(main, { ...args, go, setQuery });
  view.update({ traces: true, logs: true, metrics: true });
}

function go(path) {
  history.pushState(null, "", path);
  show();
  scrollTo(0, 0);
}

// Typing in a filter must not fill the history: it replaces the entry. What is clicked or dragged is a step, which Back undoes.
function setQuery(values, isStep = false) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value));
  const address = query.size ? `${location.pathname}?${query}` : location.pathname;
  if (isStep && address !== location.pathname + location.search) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}

async function ingest() {
  const now = await getJson("/api/overview").catch(() => null);
  if (!now) return;
  const part = (label, value, title) => h("span", { title }, label, " ", h("b", {}, value));
  const kept = `${plural(now.traces.keptTraces, "trace")}, ${plural(now.traces.kept, "span")}, ${plural(now.logs.kept, "line")}, ${count(now.metrics.series)} series`;
  const lost = (of) => `${count(of.evicted)} evicted, ${count(of.rejected)} rejected`;
  document.getElementById("ingest").replaceChildren(
    part("kept", kept),
    part("received", `${plural(now.traces.received, "span")}, ${plural(now.logs.received, "line")}, ${plural(now.metrics.received, "data point")}`),
    part("spans", lost(now.traces), "evicted: pushed out by newer ones; rejected: invalid or too many"),
    ...(now.traces.evicted > 0 ? [part("full", fullest(now.traces), "the oldest traces make room for new ones")] : []),
    part("lines", lost(now.logs)),
    part("data points", `${count(now.metrics.rejected)} rejected`, "invalid, too old, or of too many series"),
    part("memory", `${mebibytes(now.traces.bytes + now.logs.bytes + now.metrics.bytes)} of ${mebibytes(now.maxBytes)}`),
    part("OTLP port", String(now.otlpPort ?? "none")),
    ...(now.otlpGrpcPort ? [part("gRPC", String(now.otlpGrpcPort), "the port that takes OTLP over gRPC")] : []),
    ...(now.retain ? [part("retained", `${mebibytes(now.retain.bytes)} of ${mebibytes(now.retain.maxBytes)}${now.retain.failing ? " (failing)" : ""}`, `on disk, packed; ${count(now.retain.lost)} exports not retained${now.retain.failing ? `; ${now.retain.failing}` : ""}`)] : []),
    ...sampled(now.keep, part),
    ...sentOn(now.forward, part),
  );
}

// Which bound of the traces the newest ones push the oldest out by.
function fullest({ kept, maxSpans, bytes, maxBytes }) {
  return kept / maxSpans > bytes / maxBytes ? `${count(maxSpans)} spans (--max-spans)` : `${mebibytes(maxBytes)} for traces (5/8 of --max-memory-mib)`;
}

// Which traces are kept, where that is a part.
function sampled(keep, part) {
  if (!keep) return [];
  const { traces, late, early } = keep;
  return [
    part("rules", keep.rules, "a trace is kept if one of them holds; rates and p95 are of all"),
    part("traces", `${count(traces.kept)} kept, ${count(traces.dropped)} dropped, ${count(traces.waiting)} waiting`, `${plural(early, "trace")} decided early, for want of room`),
    part("late spans", `${count(late.kept)} kept, ${count(late.dropped)} dropped`, "they came after their trace was decided"),
  ];
}

// What went on to another receiver, and what did not.
function sentOn(forward, part) {
  if (!forward) return [];
  const { to, ...signals } = forward;
  const sum = (field) => Object.values(signals).reduce((total, signal) => total + signal[field], 0);
  const each = (field) => Object.entries(signals).map(([name, signal]) => `${name} ${count(signal[field])}`).join(", ");
  const failing = Object.values(signals).map((signal) => signal.failing).find(Boolean);
  return [
    part(`sent on to ${to}`, count(sum("forwarded")), each("forwarded")),
    part("not sent on", `${count(sum("lost"))} lost, ${count(sum("dropped"))} dropped${failing ? " (failing)" : ""}`,
      `lost: not taken (${each("lost")}); dropped: no room to wait (${each("dropped")})${failing ? `; ${failing}` : ""}`),
  ];
}

function changed(event) {
  heard();
  const next = JSON.parse(event.data);
  const what = Object.fromEntries(Object.keys(next).map((key) => [key, next[key] !== generation[key]]));
  generation = next;
  if (Object.values(what).some(Boolean)) {
    view.update(what);
    ingest();
  }
}

function say(state) {
  const button = document.getElementById("live");
  button.setAttribute("aria-pressed", String(!paused));
  if (button.dataset.state === state) return;
  button.dataset.state = state;
  document.getElementById("live-text").textContent = state;
}

// A hidden tab gives its connection back: browsers allow only six to one address.
function connect() {
  feed?.close();
  feed = null;
  if (paused) return say("paused");
  if (document.hidden) return;
  say("connecting");
  feed = new EventSource("/api/live");
  heardAt = Date.now();
  feed.addEventListener("open", heard);
  feed.addEventListener("error", () => say("reconnecting"));
  feed.addEventListener("change", changed);
  feed.addEventListener("beat", heard);
}

function heard() {
  heardAt = Date.now();
  say("live");
}

// A console that hangs keeps its connections open and is silent.
function listen() {
  if (feed && Date.now() - heardAt > SILENCE) say("no answer");
}

function toggleLive() {
  paused = !paused;
  connect();
}

function key(event) {
  const typing = event.target.closest?.("input, select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  if (typing) {
    if (event.key === "Escape") typing.blur();
    return;
  }
  const pages = { 1: "/", 2: "/logs", 3: "/services", 4: "/metrics", 5: "/lessons", 6: "/faults", 7: "/map", 8: "/alerts" };
  if (event.key === "/") document.querySelector("[data-filter-text]")?.focus();
  else if (event.key === "?") help.showModal();
  else if (event.key === "p") toggleLive();
  else if (event.key === "t") document.getElementById("theme").click();
  else if (pages[event.key]) go(pages[event.key]);
  else if (!view?.key?.(event)) return;
  event.preventDefault();
}

function click(event) {
  const anchor = event.target.closest("a[href^='/']");
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
  if (!anchor || !plain || event.defaultPrevented) return;
  event.preventDefault();
  go(anchor.getAttribute("href"));
}

document.addEventListener("keydown", key);
document.addEventListener("click", click);
document.addEventListener("visibilitychange", connect);
addEventListener("popstate", show);
document.getElementById("live").addEventListener("click", toggleLive);
document.getElementById("help-open").addEventListener("click", () => help.showModal());
dock(document.getElementById("lesson"));
glossary(document.getElementById("words"));
show();
ingest();
connect();
setInterval(listen, 1_000);
