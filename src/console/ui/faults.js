// Faults: what is active and until when, and every fault that can be set, with its parameters.

import { act, countdown } from "./act.js";
import { chip, columns, empty, h, moveFocus, poll } from "./dom.js";

const POLL = 3_000;
const SHOWN_ELSEWHERE = ["role", "service", "fault", "secondsLeft", "seconds"];

// The settings of an active fault, as they were given.
export const settings = (fault) => Object.entries(fault)
  .filter(([name, value]) => !SHOWN_ELSEWHERE.includes(name) && value !== null)
  .map(([name, value]) => `${name} ${value}`).join(", ");

export function faultsView(root) {
  document.title = "Faults · o11y-lab";
  let known = null;
  const said = h("p", { class: "note", role: "status", "data-testid": "fault-said" });
  const active = h("section", { "aria-label": "Active faults" });
  const list = h("div", { class: "faults" });
  root.append(h("h1", {}, "Faults"),
    h("p", {}, "Each breaks one role in one way and ends by itself. A span that a fault has hit has the attribute ", h("code", {}, "o11y_lab.fault"), "."),
    said, active, list);

  async function ask(path, body) {
    said.classList.remove("danger");
    try {
      draw(await act(path, body));
      return true;
    } catch (error) {
      said.classList.add("danger");
      said.textContent = error.message;
      return false;
    }
  }

  async function set(event, fault) {
    event.preventDefault();
    const body = { fault: fault.name };
    for (const field of event.target.elements) {
      if (!field.name || field.value === "") continue;
      body[field.name] = field.type === "number" ? Number(field.value) : field.value;
    }
    if (await ask("/api/faults/set", body)) said.textContent = `${fault.name} is set at ${body.role}.`;
  }

  async function clear({ role, fault }) {
    if (await ask("/api/faults/clear", { role, fault })) said.textContent = `${fault} is cleared at ${role}.`;
    root.querySelector("[data-testid=fault-row]")?.focus({ preventScroll: true });
  }

  function field(fault, parameter) {
    const id = `${fault.name}-${parameter.name}`;
    const number = parameter.name !== "route";
    return h("label", { title: `${parameter.meaning}: ${parameter.values}` }, h("span", {}, parameter.name),
      h("input", { id, name: parameter.name, type: number ? "number" : "text", step: number ? "any" : undefined, min: number ? 0 : undefined,
        value: parameter.default ?? undefined, placeholder: number ? undefined : "all", maxlength: "200", autocomplete: "off", "data-testid": `fault-${parameter.name}` }));
  }

  function row(fault) {
    const roles = known.roles.filter((role) => fault.roles.includes(role.role));
    // The first role of the fault is the one meant where none is chosen.
    roles.sort((a, b) => fault.roles.indexOf(a.role) - fault.roles.indexOf(b.role));
    const choice = h("label", {}, h("span", {}, "at"), h("select", { name: "role", "data-testid": "fault-role" },
      roles.map((role) => h("option", { value: role.role, disabled: !role.can }, role.service))));
    return h("form", { class: "fault", tabindex: "0", "aria-label": fault.name, "data-testid": "fault-row", "data-fault": fault.name, onsubmit: (event) => set(event, fault) },
      h("div", { class: "about" }, h("h2", {}, fault.name), h("p", {}, fault.meaning)),
      h("div", { class: "fields" }, choice, fault.parameters.map((parameter) => field(fault, parameter)),
        h("button", { "data-testid": "fault-set", disabled: !roles.some((role) => role.can) }, "Set")));
  }

  function activeRow(fault) {
    return h("tr", { "data-testid": "fault-active", "data-fault": fault.fault },
      h("th", { scope: "row" }, String(fault.fault)), h("td", {}, chip(fault.service)), h("td", {}, settings(fault)),
      h("td", { class: "left" }, countdown(Number(fault.secondsLeft) || 0, () => polling.ask())),
      h("td", {}, h("button", { type: "button", "data-testid": "fault-clear", "aria-label": `Clear ${fault.fault} at ${fault.service}`, onclick: () => clear(fault) }, "Clear")));
  }

  function drawActive() {
    const focused = document.activeElement?.closest?.("[data-testid=fault-active]")?.dataset.fault;
    active.replaceChildren(known.active.length
      ? h("div", { class: "scroll" }, h("table", {}, h("caption", {}, "Active now"), columns("Fault", "At", "Settings", "Left", "(Clear)"), h("tbody", {}, known.active.map(activeRow))))
      : h("p", { class: "note", "data-testid": "fault-none" }, "No fault is active."));
    if (focused) active.querySelector(`[data-fault="${CSS.escape(focused)}"] button`)?.focus({ preventScroll: true });
  }

  function draw(now) {
    const reached = (of) => JSON.stringify(of?.roles);
    const again = reached(known) !== reached(now);
    known = now;
    drawActive();
    // What is typed into the forms stays.
    if (again) list.replaceChildren(...known.faults.map(row));
    if (!known.roles.some((role) => role.can)) active.replaceChildren(empty("Faults cannot be set here", h("p", {}, "No role answers that takes them: "), h("pre", {}, "o11y-lab up")));
  }

  const polling = poll("/api/faults", draw, POLL);
  return {
    update() {},
    close: polling.close,
    key(event) {
      const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
      if (step) moveFocus("[data-testid=fault-row]", step);
      return Boolean(step);
    },
  };
}
