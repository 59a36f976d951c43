// One trace: a header, the waterfall, the log lines that belong to it.

import { age, chip, empty, getJson, h, hue, link, moveFocus, plural, time } from "./dom.js";
import { details, tagOf } from "./details.js";
import { logLine } from "./logs.js";

export function traceView(root, { id, go }) {
  document.title = `Trace ${id.slice(0, 8)} · o11y-lab`;
  const state = { collapsed: new Set(), open: null, drawn: "", trace: null };
  root.append(h("p", { class: "note" }, "Loading…"));

  async function load() {
    let answer;
    try {
      answer = await getJson(`/api/view/${id}`);
    } catch (error) {
      if (!state.trace) missing(error);
      return;
    }
    const drawn = `${answer.trace.spans.length} ${answer.log.logs.length} ${answer.criticalPath.length}`;
    if (drawn === state.drawn) return;
    state.drawn = drawn;
    state.trace = answer.trace;
    draw(answer);
  }

  function missing(error) {
    root.replaceChildren(empty(error.status === 404 ? "This trace is not here" : "Not loaded",
      h("p", {}, error.status === 404 ? "It has not arrived yet, was not sampled, or newer traces pushed it out. It appears here by itself if it comes." : error.message),
      h("p", {}, link("/", {}, "All traces"))));
  }

  function draw({ trace, criticalPath, log }) {
    const focused = document.activeElement?.dataset?.spanId;
    const top = document.documentElement.scrollTop;
    tellApart(trace.spans);
    const model = build(trace, criticalPath);
    const lines = h("div", { class: "logs", role: "list" }, log.logs.map((line) => logLine(line, { withTrace: false, onspan: reveal })));
    root.replaceChildren(heading(model), waterfall(model), h("section", { class: "trace-logs", "aria-label": "Logs of this trace" },
      h("h2", {}, `Logs of this trace (${log.logs.length})`),
      log.logs.length ? lines : h("p", { class: "note" }, "No log line carries this trace id.")));
    document.documentElement.scrollTop = top;
    state.model = model;
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
      h("nav", {}, link("/", {}, "← traces"), h("code", {}, state.trace.traceID), copy,
        link(`/api/traces/${state.trace.traceID}`, { target: "_blank", onclick: (e) => e.stopPropagation(), class: "tiny" }, "JSON")),
      h("h1", {}, model.root.span.operationName),
      h("p", { class: "facts" }, h("span", {}, h("b", {}, time(model.duration)), " in all"),
        model.root.span.duration < model.duration && h("span", { title: "the root's own duration, which the critical path explains" }, h("b", {}, time(model.root.span.duration)), " request"),
        h("span", {}, plural(model.ordered.length, "span")), h("span", {}, plural(services.size, "service")),
        errors > 0 && h("span", { class: "flag" }, plural(errors, "error")),
        h("span", { title: new Date(model.start / 1_000).toISOString() }, age(model.start))),
      h("p", { class: "legend" }, [...services].map(([name, list]) => chip(name, ` ${list.length}`)),
        h("span", { class: "chip path" }, h("i", { "aria-hidden": "true" }), "critical path")));
  }

  function waterfall(model) {
    const marks = [0, 0.25, 0.5, 0.75, 1].map((at) => h("span", { "--at": at }, time(model.duration * at)));
    const rows = h("div", { class: "spans", role: "tree", "aria-label": "Spans" });
    model.ordered.forEach((node) => rows.append(spanRow(node, model)));
    const section = h("section", { class: "waterfall" }, h("div", { class: "axis", "aria-hidden": "true" }, h("span", {}, "span"), h("div", {}, marks)), rows);
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
    const label = `${node.service}: ${span.operationName}, ${time(span.duration)}${node.error ? ", error" : ""}${path.length ? ", on the critical path" : ""}`;
    const fold = node.children.length
      ? h("button", { type: "button", class: "fold", tabindex: "-1", "aria-hidden": "true", onclick: (e) => { e.stopPropagation(); toggle(node); } }, String(node.below))
      : h("span", { class: "fold leaf" });
    // Where the bar's end leaves no room for the duration it stands before the bar, else inside it.
    const from = share(span.startTime - model.start);
    const place = from + share(span.duration) < 0.85 ? "length" : from > 0.15 ? "length late" : "length inside";
    return h("div", { class: node.error ? "span failed" : "span", role: "treeitem", tabindex: "-1", "aria-level": node.depth + 1, "aria-label": label,
      "aria-expanded": node.children.length ? "true" : undefined, "data-testid": "span-row", "data-span-id": span.spanID, "data-service": node.service,
      "data-name": span.operationName, "data-kind": node.kind, "--hue": hue(node.service), "--depth": Math.min(node.depth, 24), onclick: () => toggleDetails(node) },
      h("div", { class: "what" }, fold, h("span", { class: "op" }, node.error && h("span", { class: "cross", "aria-hidden": "true" }, "✕ "), span.operationName),
        h("span", { class: "svc" }, node.service), node.kind && h("span", { class: "kind", title: `${node.kind} span` }, node.kind)),
      h("div", { class: "lane", "aria-hidden": "true" }, bar, path, events,
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
    if (same) return;
    state.open = node.span.spanID;
    insertDetails(node, root);
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
    row.after(details(node, state.trace, reveal));
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
    if (step) moveFocus("[data-testid=span-row]", step);
    else if (node && (event.key === "Enter" || event.key === " ")) toggleDetails(node);
    else if (node && event.key === "ArrowLeft") {
      const folded = state.collapsed.has(node.span.spanID) || !node.children.length;
      if (folded && node.parent) rowOf(node.parent.span.spanID).focus();
      else toggle(node, true);
    } else if (node && event.key === "ArrowRight") toggle(node, false);
    else if (event.key === "Escape") {
      const was = closeDetails();
      if (was) rowOf(was)?.focus();
      else go("/");
    } else return false;
    return true;
  }

  return { update: (what) => (what.traces || what.logs) && load(), navigated: load, key };
}

// A client's span and its server's may have one id: on the page each has a row, so it needs an id of its own.
function tellApart(spans) {
  const seen = new Set();
  for (const span of spans) {
    const id = span.spanID;
    for (let n = 2; seen.has(span.spanID); n++) span.spanID = `${id}-${n}`;
    seen.add(span.spanID);
  }
}

// The tree in the order it is drawn: a child under its parent, by start. Spans whose parent is
// missing stand at the top, and so does, in the end, whatever nothing else has reached.
function build(trace, criticalPath) {
  const nodes = new Map(trace.spans.map((span) => [span.spanID, {
    span, children: [], path: [], depth: 0, below: 0, parent: null,
    service: trace.processes[span.processID]?.serviceName ?? "unknown",
    kind: tagOf(span, "span.kind") ?? "", error: tagOf(span, "error") === true,
    parents() {
      const list = [];
      for (let up = this.parent; up; up = up.parent) list.push(up);
      return list;
    },
  }]));
  for (const node of nodes.values()) {
    const up = node.span.references.find((r) => r.refType === "CHILD_OF");
    node.up = up && up.spanID !== node.span.spanID ? nodes.get(up.spanID) : null;
    node.up?.children.push(node);
  }
  for (const segment of criticalPath) nodes.get(segment.spanID)?.path.push(segment);
  const ordered = [];
  const seen = new Set();
  const walk = (first) => {
    const stack = [[first, null]];
    while (stack.length) {
      const [node, parent] = stack.pop();
      if (seen.has(node)) continue;
      seen.add(node);
      node.parent = parent;
      node.depth = parent ? parent.depth + 1 : 0;
      ordered.push(node);
      for (const child of node.children.toReversed()) stack.push([child, node]);
    }
  };
  const all = [...nodes.values()];
  all.filter((n) => !n.up).forEach(walk);
  all.forEach((n) => seen.has(n) || walk(n));
  for (const node of ordered.toReversed()) if (node.parent) node.parent.below += node.below + 1;
  const start = Math.min(...all.map((n) => n.span.startTime));
  const end = Math.max(...all.map((n) => n.span.startTime + n.span.duration));
  const root = ordered.find((n) => !n.span.references.some((r) => r.refType === "CHILD_OF")) ?? ordered[0];
  return { nodes, ordered, root, start, duration: Math.max(1, end - start), path: criticalPath.length };
}
