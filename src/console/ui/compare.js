// Two traces side by side: on one scale of time, and by service and operation.

import { age, chip, count, empty, getJson, h, hue, link, scrolling, time } from "./dom.js";
import { quoted } from "./filters.js";
import { build, statistics, tellApart } from "./model.js";

// Bars of each trace.
const MOST = 80;
const OFFERED = 20;

// `chosen` is the other's id, `choose(id)` sets it.
export function compare(model, id, chosen, choose) {
  const input = h("input", { type: "search", value: chosen, placeholder: "trace id", "aria-label": "Id of the other trace", "data-testid": "compare-id", spellcheck: "false", autocomplete: "off", maxlength: "32" });
  const list = h("select", { "aria-label": "Traces of the same kind", "data-testid": "compare-pick", onchange: (e) => e.target.value && choose(e.target.value) }, h("option", { value: "" }, "choose one like this"));
  const result = h("div", { class: "comparison" });
  const send = (event) => {
    event.preventDefault();
    const other = input.value.trim();
    if (/^[0-9a-fA-F]{1,32}$/.test(other)) choose(other);
    else result.replaceChildren(h("p", { class: "failure" }, "A trace id is 1 to 32 hexadecimal digits."));
  };
  offer(list, model, id);
  if (chosen) show(result, model, id, chosen);
  return h("div", {}, h("form", { class: "compare-form", onsubmit: send }, list, input, h("button", {}, "Compare")), result);
}

async function offer(list, model, id) {
  const { root } = model;
  const query = { service: root.service, text: `name=${quoted(root.span.operationName)}`, limit: OFFERED + 1 };
  const answer = await getJson("/api/summaries", query).catch(() => ({ traces: [] }));
  const others = answer.traces.filter((trace) => trace.traceID !== id).slice(0, OFFERED);
  list.append(...others.map((t) => h("option", { value: t.traceID }, `${time(t.duration)}, ${count(t.spans)} spans, ${t.errors ? `${count(t.errors)} errors, ` : ""}${age(t.startTime)}, ${t.traceID.slice(0, 8)}`)));
}

async function show(result, model, id, other) {
  let answer;
  try {
    answer = await getJson(`/api/view/${other}`);
  } catch (error) {
    return result.replaceChildren(empty("The other trace is not here", h("p", {}, error.message)));
  }
  tellApart(answer.trace.spans);
  const second = build(answer.trace, answer.criticalPath);
  const longest = Math.max(model.duration, second.duration);
  return result.replaceChildren(
    h("div", { class: "sides" }, side("This trace", id, model, longest), side("The other", answer.trace.traceID, second, longest)),
    table(statistics(model.ordered), statistics(second.ordered)));
}

function side(title, id, model, longest) {
  const bars = model.ordered.slice(0, MOST).map(({ span, service, error }) => h("i", { class: error ? "side-bar failed" : "side-bar", "--hue": hue(service),
    "--from": (span.startTime - model.start) / longest, "--part": span.duration / longest, title: `${service}: ${span.operationName}, ${time(span.duration)}` }));
  return h("section", { "data-testid": "compare-side" }, h("h3", {}, `${title}: `, link(`/trace/${id}`, {}, id.slice(0, 8)), ` ${time(model.duration)}, ${count(model.ordered.length)} spans`),
    h("div", { class: "side-bars", "aria-hidden": "true" }, bars), model.ordered.length > MOST && h("p", { class: "note" }, `the first ${MOST} spans`));
}

function table(here, there) {
  const rows = [...new Map([...here, ...there]).values()].map(({ key, service, name }) => ({ service, name, a: here.get(key), b: there.get(key) }));
  const change = ({ a, b }) => (b?.self ?? 0) - (a?.self ?? 0);
  rows.sort((x, y) => Math.abs(change(y)) - Math.abs(change(x)));
  const cells = (of) => (of ? [h("td", {}, count(of.count)), h("td", {}, time(of.total)), h("td", {}, time(of.self))] : [h("td", { class: "idle", colspan: "3" }, "not there")]);
  const head = ["Service and operation", "Spans", "Total", "Self", "Spans, other", "Total, other", "Self, other", "Difference of self"];
  return scrolling("Comparison by service and operation", h("table", { class: "statistics" },
    h("thead", {}, h("tr", {}, head.map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, rows.map((row) => h("tr", { "data-testid": "compare-row" }, h("th", { scope: "row" }, chip(row.service), " ", row.name), cells(row.a), cells(row.b),
      h("td", { class: change(row) > 0 ? "danger" : "" }, `${change(row) < 0 ? "−" : "+"}${time(Math.abs(change(row)))}`))))));
}
