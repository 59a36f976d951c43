// One trace: a header, the waterfall, the log lines that belong to it, and what its spans amount to. The part of the address
// after # names a span; `?with=` another trace to compare.

import { age, chip, clock, empty, getJson, h, hue, link, moveFocus, plural, time } from "./dom.js";
import { compare } from "./compare.js";
import { details } from "./details.js";
import { lastList } from "./filters.js";
import { logLine } from "./logs.js";
import { build, micros, tellApart, within } from "./model.js";
import { decoded, isTraceId, missingSpan, noTrace } from "./missing.js";
import { flameGraph, statisticsTable } from "./stats.js";
import { zooming } from "./zoom.js";

export function traceView(root, { id, go }) {
  if (!isTraceId(id)) return noTrace(root, id, go);
  document.title = `Trace ${id.slice(0, 8)} · o11y-lab`;
  const state = { collapsed: new Set(), open: null, drawn: "", trace: null, zoom: { from: 0, to: 1 }, parts: new Set(), asked: "" };
  root.append(h("p", { class: "note" }, "Loading…"));

  async function load() {
    let answer;
    try {
      answer = await getJson(`/api/view/${id}`);
    } catch (error) {
      if (!state.trace) missing(error);
      return;
    }
    const drawn = `${answer.trace.spans.length} ${answer.log.logs.length} ${answer.criticalPath.length} ${answer.linkedFrom.length}`;
    if (drawn === state.drawn) return;
    state.drawn = drawn;
    state.trace = answer.trace;
    draw(answer);
    follow();
  }

  // To the span that the address names, once for each address.
  function follow() {
    const span = decoded(location.hash.slice(1)).toLowerCase();
    const asked = location.pathname + location.hash;
    tellMissing(span);
    if (!span || asked === state.asked || !state.model?.nodes.has(span)) return;
    state.asked = asked;
    if (state.open !== span) toggleDetails(state.model.nodes.get(span));
    reveal(span);
  }

  // That the address names a span which is not there, or none.
  function tellMissing(span) {
    const note = root.querySelector("[data-testid=no-span]");
    if (!note) return;
    note.hidden = !span || state.model.nodes.has(span);
    if (!note.hidden) note.textContent = missingSpan(span);
  }

  // The address follows what is open, so that a link shows the same.
  function address() {
    const other = new URLSearchParams(location.search).get("with");
    state.asked = `${location.pathname}${state.open ? `#${state.open}` : ""}`;
    history.replaceState(null, "", `${location.pathname}${other ? `?with=${other}` : ""}${state.open ? `#${state.open}` : ""}`);
    tellMissing(state.open);
  }

  function missing(error) {
    root.replaceChildren(empty(error.status === 404 ? "This trace is not here" : "Not loaded",
      h("p", {}, error.status === 404 ? "It has not arrived yet, was not sampled, or newer traces pushed it out. It appears here by itself if it comes." : error.message),
      h("p", {}, link(lastList.href, {}, "All traces"))));
  }

  function draw({ trace, criticalPath, log, linkedFrom }) {
    const focused = document.activeElement?.dataset?.spanId;
    const top = document.documentElement.scrollTop;
    tellApart(trace.spans);
    const model = build(trace, criticalPath);
    state.lines = Map.groupBy(log.logs.filter((line) => typeof line.spanId === "string"), (line) => line.spanId.toLowerCase());
    state.linked = Map.groupBy(linkedFrom, (one) => one.to);
    state.model = model;
    const lines = h("div", { class: "logs", role: "list" }, log.logs.map((line) => logLine(line, { withTrace: false, onspan: reveal })));
    const missed = h("p", { class: "failure", role: "alert", "data-testid": "no-span", hidden: true });
    root.replaceChildren(heading(model), missed, waterfall(model), parts(model), h("section", { class: "trace-logs", "aria-label": "Logs of this trace" },
      h("h2", {}, `Logs of this trace (${log.logs.length})`),
      log.logs.length ? lines : h("p", { class: "note" }, "No log line carries this trace id.")));
    document.documentElement.scrollTop = top;
    if (focused) rowOf(focused)?.focus({ preventScroll: true });
  }

  function heading(model) {
    const errors = model.ordered.filter((n) => n.error).length;
    const copy = h("button", { type: "button", class: "tiny", onclick: async (e) => {
      await navigator.clipboard?.writeText(state.trace.traceID).catch(() => {});
      e.target.textContent = "copied";
    } }, "copy id");
    const services = Map.groupBy(model.ordered, (n) => n.service);
    return h("header", { class: "trace-head" },
      h("nav", {}, link(lastList.href, {}, "← traces"), h("code", {}, state.trace.traceID), copy,
        link(`/api/traces/${state.trace.traceID}`, { target: "_blank", onclick: (e) => e.stopPropagation(), class: "tiny" }, "JSON"),
        link(`/api/export/traces/${state.trace.traceID}`, { download: `trace-${state.trace.traceID}.json`, onclick: (e) => e.stopPropagation(), class: "tiny", "data-testid": "download", title: "OTLP JSON, which this page takes again" }, "download")),
      h("h1", {}, model.root.span.operationName),
      h("p", { class: "facts" }, h("span", {}, h("b", {}, time(model.duration)), " in all"),
        model.root.span.duration < model.duration && h("span", { title: "the root's own duration, which the critical path explains" }, h("b", {}, time(model.root.span.duration)), " request"),
        h("span", {}, plural(model.ordered.length, "span")), h("span", {}, plural(services.size, "service")),
        errors > 0 && h("span", { class: "flag" }, plural(errors, "error")),
        h("span", { title: new Date(model.start / 1_000).toISOString() }, age(model.start))),
      h("p", { class: "legend" }, [...services].map(([name, list]) => chip(name, ` ${list.length}`)),
        h("span", { class: "chip path" }, h("i", { "aria-hidden": "true" }), "critical path")));
  }

  // Drawn when they are opened; open ones stay open.
  function parts(model) {
    const other = new URLSearchParams(location.search).get("with") ?? "";
    if (other) state.parts.add("Compare");
    const choose = (id) => {
      history.replaceState(null, "", `${location.pathname}?with=${id}${location.hash}`);
      section.replaceWith(parts(model));
    };
    const all = { "Flame graph": () => flameGraph(model, reveal), Statistics: () => statisticsTable(model, reveal), Compare: () => compare(model, state.trace.traceID, other, choose) };
    const section = h("section", { class: "trace-parts" }, Object.entries(all).map(([name, make]) => h("details", { open: state.parts.has(name), "data-testid": `part-${name.split(" ")[0].toLowerCase()}`,
      ontoggle: (e) => {
        state.parts[e.target.open ? "add" : "delete"](name);
        if (e.target.open && e.target.childElementCount === 1) e.target.append(make());
      } }, h("summary", {}, name), state.parts.has(name) && make())));
    return section;
  }

  function waterfall(model) {
    const rows = h("div", { class: "spans", role: "tree", "aria-label": "Spans" });
    model.ordered.forEach((node) => rows.append(spanRow(node, model)));
    state.zooming = zooming(model, state.zoom);
    const section = h("section", { class: "waterfall" }, state.zooming.axis, rows);
    state.zooming.attach(section);
    rows.querySelector("[role=treeitem]")?.setAttribute("tabindex", "0");
    refold(model, rows);
    if (state.open && model.nodes.has(state.open)) insertDetails(model.nodes.get(state.open), rows);
    return section;
  }

  function spanRow(node, model) {
    const { span } = node;
    const share = (us) => us / model.duration;
    const bar = h("i", { class: "span-bar", "--from": share(span.startTime - model.start), "--part": share(span.duration) });
    const path = node.path.map((s) => h("i", { class: "on-path", "--from": share(s.startTime - model.start), "--part": share(s.duration) }));
    const events = span.logs.map((e) => h("i", { class: "event", "--from": share(e.timestamp - model.start) }));
    const lines = state.lines.get(span.spanID) ?? [];
    const dots = lines.map((line) => ({ line, at: share(within(micros(line.timestamp), span) - model.start) })).filter(({ at }) => at >= 0 && at <= 1)
      .map(({ line, at }) => h("i", { class: `log-dot ${["error", "fatal", "warn"].find((level) => String(line.level).toLowerCase().startsWith(level)) ?? ""}`, "--from": at, "data-testid": "log-dot", title: `${clock(new Date(line.timestamp))} ${line.level}: ${line.message}` }));
    const more = `, ${time(span.duration)}${node.error ? ", error" : ""}${node.fault ? `, hit by fault ${node.fault}` : ""}${path.length ? ", on the critical path" : ""}${lines.length ? `, ${plural(lines.length, "log line")}` : ""}`;
    const fold = node.children.length
      ? h("button", { type: "button", class: "fold", tabindex: "-1", "aria-hidden": "true", onclick: (e) => { e.stopPropagation(); toggle(node); } }, String(node.below))
      : h("span", { class: "fold leaf" });
    // Where the bar's end leaves no room for the duration it stands before the bar, else inside it.
    const from = share(span.startTime - model.start);
    const place = from + share(span.duration) < 0.85 ? "length" : from > 0.15 ? "length late" : "length inside";
    return h("div", { class: node.error ? "span failed" : "span", role: "treeitem", tabindex: "-1", "aria-level": node.depth + 1,
      "aria-expanded": node.children.length ? "true" : undefined, "data-testid": "span-row", "data-span-id": span.spanID, "data-service": node.service,
      "data-name": span.operationName, "data-kind": node.kind, "--hue": hue(node.service), "--depth": Math.min(node.depth, 24), onclick: () => toggleDetails(node) },
      h("div", { class: "what" }, fold, h("span", { class: "op" }, node.error && h("span", { class: "cross", "aria-hidden": "true" }, "✕ "), span.operationName),
        node.fault && h("span", { class: "flag hit", "data-testid": "span-fault", title: `hit by fault ${node.fault}` }, `⚡ ${node.fault}`),
        h("span", { class: "svc" }, node.service), node.kind && h("span", { class: "kind", title: `${node.kind} span` }, node.kind), h("span", { class: "hidden" }, more)),
      h("div", { class: "lane", "aria-hidden": "true" }, bar, path, events, dots,
        h("span", { class: place, "--from": share(span.startTime - model.start), "--part": share(span.duration) }, time(span.duration))));
  }

  const rowOf = (spanId) => root.querySelector(`[data-testid=span-row][data-span-id="${CSS.escape(spanId)}"]`);

  function toggle(node, fold = !state.collapsed.has(node.span.spanID)) {
    if (!node.children.length) return;
    state.collapsed[fold ? "add" : "delete"](node.span.spanID);
    refold(state.model, root);
  }

  function refold(model, where) {
    for (const row of where.querySelectorAll("[data-testid=span-row]")) {
      const node = model.nodes.get(row.dataset.spanId);
      row.hidden = node.parents().some((p) => state.collapsed.has(p.span.spanID));
      if (node.children.length) row.setAttribute("aria-expanded", String(!state.collapsed.has(row.dataset.spanId)));
    }
  }

  function toggleDetails(node) {
    const same = state.open === node.span.spanID;
    closeDetails();
    if (!same) {
      state.open = node.span.spanID;
      insertDetails(node, root);
    }
    address();
  }

  function closeDetails() {
    const was = state.open;
    state.open = null;
    root.querySelector("[data-testid=span-details]")?.remove();
    root.querySelectorAll(".span.open").forEach((row) => row.classList.remove("open"));
    return was;
  }

  function insertDetails(node, where) {
    const row = where.querySelector(`[data-testid=span-row][data-span-id="${CSS.escape(node.span.spanID)}"]`);
    row.classList.add("open");
    const { start, duration } = state.model;
    const zoom = () => state.zooming.to((node.span.startTime - start) / duration, (node.span.startTime + node.span.duration - start) / duration);
    row.after(details(node, state.trace, { reveal, zoom, lines: state.lines.get(node.span.spanID) ?? [], linked: state.linked.get(node.span.spanID) ?? [] }));
  }

  // From a log line or a link to its span: unfold, focus, flash.
  function reveal(spanId) {
    const node = state.model?.nodes.get(String(spanId).toLowerCase());
    if (!node) return;
    node.parents().forEach((p) => state.collapsed.delete(p.span.spanID));
    refold(state.model, root);
    const row = rowOf(node.span.spanID);
    row.focus();
    row.scrollIntoView({ block: "center" });
    row.classList.remove("flash");
    requestAnimationFrame(() => row.classList.add("flash"));
  }

  function key(event) {
    const row = document.activeElement?.closest?.("[data-testid=span-row]");
    const node = row && state.model?.nodes.get(row.dataset.spanId);
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    const middle = node && (node.span.startTime + node.span.duration / 2 - state.model.start) / state.model.duration;
    if (step) moveFocus("[data-testid=span-row]", step);
    else if (state.zooming?.key(event, middle || undefined)) return true;
    else if (node && (event.key === "Enter" || event.key === " ")) toggleDetails(node);
    else if (node && event.key === "ArrowLeft") {
      const folded = state.collapsed.has(node.span.spanID) || !node.children.length;
      if (folded && node.parent) rowOf(node.parent.span.spanID).focus();
      else toggle(node, true);
    } else if (node && event.key === "ArrowRight") toggle(node, false);
    else if (event.key === "Escape") {
      const was = closeDetails();
      address();
      if (was) rowOf(was)?.focus();
      else go(lastList.href);
    } else return false;
    return true;
  }

  return { update: (what) => (what.traces || what.logs) && load(), navigated: () => load().then(follow), key };
}
