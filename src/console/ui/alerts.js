// Alerts: what Prometheus has firing and pending, what was resolved lately, each with its runbook and the traces of its time.

import { age, budgetLeft, chip, clock, empty, getJson, h, link, moveFocus, poll, scrolling } from "./dom.js";
import { term } from "./glossary.js";
import { markdown } from "./markdown.js";

const POLL = 5_000;
const HIDDEN_LABELS = ["alertname", "service", "severity"];
const number = (value, digits = 3) => String(+value.toPrecision(digits));

// The time of an alert, as the list of traces takes it, with a minute before.
function tracesOf(alert) {
  const query = new URLSearchParams({ status: "error" });
  if (alert.service) query.set("service", alert.service);
  if (alert.since) query.set("start", String(alert.since - 60_000_000));
  if (alert.until) query.set("end", String(alert.until));
  return `/?${query}`;
}

export function alertsView(root) {
  document.title = "Alerts · o11y-lab";
  const state = { open: null, drawn: "", runbooks: new Map() };
  const note = h("p", { class: "note", role: "status" });
  const budgets = h("div", {});
  const list = h("div", { class: "alerts", role: "list", "aria-label": "Alerts" });
  root.append(h("h1", {}, "Alerts"), note, budgets, list);

  const key = (alert) => JSON.stringify([alert.state === "resolved", alert.until, alert.labels]);

  function row(alert) {
    const id = key(alert);
    const open = state.open === id;
    const labels = Object.entries(alert.labels).filter(([name]) => !HIDDEN_LABELS.includes(name)).map(([name, value]) => `${name}=${value}`).join(" ");
    const when = alert.since && h("span", { title: new Date(alert.since / 1_000).toISOString() }, `since ${clock(new Date(alert.since / 1_000)).slice(0, 8)}, ${age(alert.since)}`);
    return h("div", { role: "listitem", class: `alert ${alert.state}`, "data-testid": "alert-row", "data-state": alert.state, "data-name": alert.name },
      h("header", {}, term(alert.state), h("h2", {}, alert.name), alert.severity && h("span", { class: "code" }, alert.severity), alert.service && chip(alert.service),
        h("span", { class: "grow" }), link(tracesOf(alert), { "data-testid": "alert-traces" }, "traces of that time"),
        alert.runbook && h("button", { type: "button", class: "tiny", "aria-expanded": String(open), "data-testid": "alert-runbook", "data-key": id, onclick: () => toggle(id) }, "runbook")),
      h("p", {}, alert.summary ?? ""),
      h("p", { class: "note" }, when, alert.until && ` until ${clock(new Date(alert.until / 1_000)).slice(0, 8)}`, labels && ` · ${labels}`),
      open && h("div", { class: "runbook", "data-testid": "runbook" }, state.runbooks.get(alert.runbook) ?? "Loading…"));
  }

  async function toggle(id) {
    state.open = state.open === id ? null : id;
    redraw();
    const alert = state.alerts.find((alert) => key(alert) === state.open);
    if (!alert || state.runbooks.has(alert.runbook)) return;
    const parts = await getJson(`/api/alerts/runbook/${encodeURIComponent(alert.runbook)}`).then(({ text }) => markdown(text), (error) => [h("p", {}, `Not loaded: ${error.message}`)]);
    state.runbooks.set(alert.runbook, parts);
    redraw();
  }

  function redraw() {
    const focused = document.activeElement?.dataset?.key;
    list.replaceChildren(...state.alerts.map(row));
    list.setAttribute("role", state.alerts.length ? "list" : "group");
    if (focused) list.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  function budgetTable(all) {
    const row = ([slo, budget]) => h("tr", { "data-testid": "budget-row" }, h("th", { scope: "row" }, slo || "all"),
      h("td", { class: budget.remaining < 0 ? "danger" : "" }, budgetLeft(budget.remaining)),
      h("td", { class: budget.burnRate > 1 ? "danger" : "" }, budget.burnRate === undefined ? "–" : number(budget.burnRate)));
    const head = h("tr", {}, h("th", { scope: "col" }, "Objective"), h("th", { scope: "col" }, term("error budget"), " left"), h("th", { scope: "col" }, term("burn rate"), " now"));
    return scrolling("Error budgets", h("table", {}, h("thead", {}, head), h("tbody", {}, Object.entries(all).map(row))));
  }

  function draw(now) {
    if (!now.known) {
      note.textContent = "";
      budgets.replaceChildren();
      list.setAttribute("role", "group");
      return list.replaceChildren(empty("No Prometheus to ask", h("p", {}, "Alerts are Prometheus's: start the lab with one, and they are here."), h("pre", {}, "o11y-lab up --with prometheus,alertmanager")));
    }
    // Ages go on, so what is open and has the focus is drawn anew only with something to say.
    const drawn = JSON.stringify([now, Math.floor(Date.now() / 30_000)]);
    if (drawn === state.drawn) return;
    state.drawn = drawn;
    state.alerts = now.alerts;
    const counts = ["firing", "pending", "resolved"].map((name) => `${now.alerts.filter((alert) => alert.state === name).length} ${name}`);
    note.textContent = now.failing ?? `As Prometheus has it: ${counts.join(", ")}.`;
    note.classList.toggle("danger", Boolean(now.failing));
    budgets.replaceChildren(...(Object.keys(now.budgets).length ? [budgetTable(now.budgets)] : []));
    redraw();
    if (!now.alerts.length && !now.failing) list.replaceChildren(empty("No alert is pending or firing", h("p", {}, link("/faults", {}, "Break something"), ", send traffic, and wait a minute.")));
  }

  const polling = poll("/api/alerts", draw, POLL);
  return {
    update() {},
    close: polling.close,
    key(event) {
      const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
      if (step) moveFocus("[data-testid=alert-runbook]", step);
      return Boolean(step);
    },
  };
}
