// Faults: what is active and until when, and every fault that can be set, with its parameters.

import { act, countdown } from "./act.js";
import { chip, columns, empty, getJson, h, moveFocus, poll } from "./dom.js";

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

  // What is active then; nothing where it is not done.
  async function ask(path, body, what) {
    said.classList.remove("danger");
    said.textContent = `Asking ${named(body.role)}…`;
    try {
      const now = await act(path, body);
      draw(now);
      return now.active.filter((one) => one.role === body.role);
    } catch (error) {
      said.classList.add("danger");
      said.textContent = `${body.fault} is not ${what}: ${error.message}`;
      return null;
    }
  }

  async function set(event, fault) {
    event.preventDefault();
    const body = { fault: fault.name };
    for (const field of event.target.elements) {
      if (!field.name || field.value === "") continue;
      body[field.name] = field.type === "number" ? Number(field.value) : field.value;
    }
    const active = await ask("/api/faults/set", body, "set");
    if (!active) return;
    const now = active.find((one) => one.fault === fault.name);
    const how = now ? [settings(now), `for ${Math.ceil(now.secondsLeft)} s`].filter(Boolean).join(", ") : "";
    said.textContent = `${fault.name} is set at ${named(body.role)}${how && `: ${how}`}.`;
  }

  async function clear({ role, fault }) {
    if (await ask("/api/faults/clear", { role, fault }, "cleared")) said.textContent = `${fault} is cleared at ${named(role)}.`;
    root.querySelector("[data-testid=fault-row]")?.focus({ preventScroll: true });
  }

  function field(fault, parameter) {
    const id = `${fault.name}-${parameter.name}`;
    const number = parameter.name !== "route";
    return h("label", { title: `${parameter.meaning}: ${parameter.values}` }, h("span", {}, parameter.name),
      h("input", { id, name: parameter.name, type: number ? "number" : "text", step: number ? "any" : undefined, min: number ? 0 : undefined,
        value: parameter.default ?? undefined, placeholder: number ? parameter.default : "all", maxlength: "200", autocomplete: "off", "data-testid": `fault-${parameter.name}` }));
  }

  const named = (role) => known.roles.find((one) => one.role === role)?.service ?? role;

  // Every role that can have the fault, the one meant where none is chosen first. One that does not answer stays: none is
  // chosen in its place.
  function row(fault) {
    const choice = h("select", { name: "role", "data-testid": "fault-role", onchange: () => tell(form) },
      fault.roles.map((role) => h("option", { value: role }, named(role))));
    const form = h("form", { class: "fault", tabindex: "0", "aria-label": fault.name, "data-testid": "fault-row", "data-fault": fault.name, onsubmit: (event) => set(event, fault) },
      h("div", { class: "about" }, h("h2", {}, fault.name), h("p", {}, fault.meaning), h("p", {}, h("span", { class: "danger", "data-testid": "fault-why" }))),
      h("div", { class: "fields" }, h("label", {}, h("span", {}, "at"), choice), fault.parameters.map((parameter) => field(fault, parameter)), h("button", { "data-testid": "fault-set" }, "Set")));
    return form;
  }

  // Of the role that is chosen in a form, why faults cannot be set there.
  function tell(form) {
    const why = (role) => known.roles.find((one) => one.role === role)?.why ?? "";
    const choice = form.querySelector("select");
    for (const option of choice.options) {
      const name = named(option.value);
      const [reason] = why(option.value).slice(name.length + 1).split(":");
      option.textContent = reason ? `${name} (${reason})` : name;
    }
    form.querySelector("[data-testid=fault-why]").textContent = why(choice.value);
    form.querySelector("[data-testid=fault-set]").disabled = isAway();
  }

  // Where no role is known to take faults there is no lab.
  const isAway = () => known.roles.every((role) => role.can === false);

  function activeRow(fault) {
    return h("tr", { "data-testid": "fault-active", "data-fault": fault.fault },
      h("th", { scope: "row" }, String(fault.fault)), h("td", {}, chip(fault.service)), h("td", {}, settings(fault)),
      h("td", { class: "left" }, countdown(Number(fault.secondsLeft) || 0, () => polling.ask())),
      h("td", {}, h("button", { type: "button", "data-testid": "fault-clear", "aria-label": `Clear ${fault.fault} at ${fault.service}`, onclick: () => clear(fault) }, "Clear")));
  }

  function drawActive() {
    const focused = document.activeElement?.closest?.("[data-testid=fault-active]")?.dataset.fault;
    const why = known.roles.filter((role) => role.why).map((role) => h("p", { class: "danger", "data-testid": "fault-unknown" }, `${role.why}.`));
    const none = why.length ? "No fault is known to be active." : "No fault is active.";
    active.replaceChildren(...why, known.active.length
      ? h("div", { class: "scroll" }, h("table", {}, h("caption", {}, "Active now"), columns("Fault", "At", "Settings", "Left", "(Clear)"), h("tbody", {}, known.active.map(activeRow))))
      : h("p", { class: "note", "data-testid": "fault-none" }, none));
    if (focused) active.querySelector(`[data-fault="${CSS.escape(focused)}"] button`)?.focus({ preventScroll: true });
  }

  function draw(now) {
    known = now;
    // What is typed into the forms stays.
    if (!list.childElementCount) list.append(...known.faults.map(row));
    for (const form of list.children) tell(form);
    if (isAway()) active.replaceChildren(empty("Faults cannot be set here", h("p", {}, "No role answers that takes them: "), h("pre", {}, "o11y-lab up")));
    else if (known.active) drawActive();
    else active.replaceChildren(h("p", { class: "note" }, "Asking each role…"));
  }

  // The table needs no role, and a role that hangs takes a second to be known as such.
  getJson("/api/faults/table").then((table) => known || draw(table)).catch(() => null);
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
