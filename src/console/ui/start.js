// Start: three buttons above the traces, and below them what became of each click.

import { act, countdown, patiently } from "./act.js";
import { getJson, h, link, plural } from "./dom.js";

// What "Break something" breaks, in turn: each ends by itself, and an order shows it.
const SECONDS = 60;
const BREAKS = [
  { role: "order", fault: "slow-db", ms: 400, what: "The database of order-service is slow" },
  { role: "lambda", fault: "error", what: "The validator of orders fails" },
  { role: "user", fault: "latency", ms: 700, what: "user-service is slow" },
  { role: "order", fault: "error", what: "order-service refuses what it is asked" },
];
const MOST_LINES = 4;
let next = 0;

export function startPanel() {
  const state = { closed: false, traffic: null, arriving: new Map(), unanswered: new Set(), asking: false };
  const title = h("h2", {}, "Make something happen");
  const button = (id, text, click, hint) => h("button", { type: "button", "data-testid": `start-${id}`, title: hint, onclick: click }, text);
  const order = button("order", "Send an order", () => once(order, "Sending an order", sendOrder), "one order through the gateway, and the trace it leaves");
  const traffic = button("traffic", "Start traffic", () => once(traffic, state.traffic?.running ? "Stopping traffic" : "Starting traffic", toggleTraffic), "some requests a second, for two minutes at most");
  const broken = button("break", "Break something", () => once(broken, "Breaking something", breakSomething), "sets a fault for a minute and sends an order");
  const running = h("p", { class: "note", "data-testid": "start-running" });
  const said = h("div", { role: "status", "data-testid": "start-said" });
  const element = h("section", { class: "start", "aria-label": "Make something happen", "data-testid": "start", hidden: true },
    title, h("div", { class: "buttons" }, order, traffic, broken, link("/faults", { class: "more" }, "all faults")), running, said);

  // Says at once what is being done, and puts what became of it in that place.
  async function once(pressed, doing, work) {
    const line = say(`${doing}…`);
    pressed.disabled = true;
    try {
      await work(line);
    } catch (error) {
      line.replaceChildren(h("span", { class: "danger" }, `Not done: ${error.message}`));
      if (error.status === 0) state.unanswered.add(line);
    }
    pressed.disabled = false;
    pressed.focus({ preventScroll: true });
    refresh();
  }

  function say(...parts) {
    const line = h("p", {}, parts);
    said.prepend(line);
    while (said.children.length > MOST_LINES) said.lastChild.remove();
    return line;
  }

  async function sendOrder(line) {
    const sent = await patiently("/api/start/order", {}, (seconds) => line.replaceChildren(`Sending an order… It takes long: the lab has not answered for ${seconds} s.`));
    const what = sent.status < 400 && sent.order ? `Order ${sent.order} is accepted (${sent.status}).` : `${sent.request} was answered with ${sent.status}.`;
    line.replaceChildren(`${what} `);
    if (!sent.trace) return line.append("Its trace is not recorded: it was not sampled.");
    const place = h("span", {}, "Its trace is on its way…");
    line.append(place);
    state.arriving.set(sent.trace, place);
    while (state.arriving.size > MOST_LINES) state.arriving.delete(state.arriving.keys().next().value);
  }

  async function toggleTraffic(line) {
    state.traffic = await act("/api/start/traffic", { on: !state.traffic?.running });
    line.remove();
    drawTraffic();
  }

  async function breakSomething(line) {
    const { what, ...fault } = BREAKS[next++ % BREAKS.length];
    await act("/api/faults/set", { ...fault, seconds: SECONDS });
    const clear = h("button", { type: "button", class: "tiny", "data-testid": "start-clear", onclick: async () => {
      await act("/api/faults/clear", { role: fault.role, fault: fault.fault }).then(() => line.replaceChildren(`${what}: cleared.`), (error) => line.append(` ${error.message}`));
    } }, "clear it now");
    line.replaceChildren(h("b", {}, what), ` (fault ${fault.fault}). It ends by itself in `, countdown(SECONDS, () => line.replaceChildren(`${what}: over.`)), "; ", clear);
    await once(order, "Sending an order", sendOrder);
  }

  function drawTraffic() {
    const now = state.traffic;
    traffic.textContent = now.running ? "Stop traffic" : "Start traffic";
    traffic.setAttribute("aria-pressed", String(now.running));
    const failed = now.failed ? `, ${now.failed} not answered as they should be` : "";
    running.textContent = now.sent || now.running ? `Traffic: ${plural(now.sent, "request")} sent${failed}${now.running ? `; ends by itself in ${now.secondsLeft} s` : "; it has ended"}` : "";
  }

  // Asks for what is shown; again while something is awaited.
  async function refresh() {
    if (state.asking || state.closed) return;
    state.asking = true;
    clearTimeout(state.timer);
    const [[trace, place] = []] = state.arriving;
    const now = await getJson("/api/start", { traceId: trace }).catch(() => null);
    state.asking = false;
    if (state.closed) return;
    if (!now) {
      // It is asked until it is back.
      if (state.unanswered.size) state.timer = setTimeout(refresh, 1_000);
      return;
    }
    for (const line of state.unanswered) line.remove();
    state.unanswered.clear();
    // What became of a click stays in sight.
    element.hidden = !now.lab && !state.traffic?.running && !said.childElementCount;
    state.traffic = now.traffic;
    drawTraffic();
    if (trace && now.spans) {
      place.replaceChildren("Its trace: ", link(`/trace/${trace}`, { "data-testid": "start-trace" }, trace.slice(0, 8)));
      state.arriving.delete(trace);
    }
    if (state.arriving.size || now.traffic.running) state.timer = setTimeout(refresh, state.arriving.size ? 300 : 1_000);
  }

  refresh();
  return {
    element,
    refresh,
    empty: (nothing) => element.classList.toggle("first", nothing),
    close() {
      state.closed = true;
      clearTimeout(state.timer);
    },
  };
}
