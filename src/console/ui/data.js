// What is kept, as files: taken away, brought back, removed.

import { count, h, link, plural, postJson } from "./dom.js";

// What is sent at once, in characters; the console takes 8 MiB. Beyond the most a script does it better: console import.
const PART = 2_000_000;
const MOST = 256 * 1_048_576;

// `query()` is what the list is asked with now, `services()` who may be chosen.
export function dataPanel({ query, services }) {
  const said = h("p", { role: "status", class: "note", "data-testid": "data-said" });
  const files = h("input", { type: "file", accept: ".json,.jsonl,application/json", multiple: true, "data-testid": "data-upload", onchange: () => upload(files, said) });
  const whose = h("select", { "aria-label": "Whose data", "data-testid": "data-service" });
  const remove = h("button", { type: "button", "data-testid": "data-remove", onclick: () => ask(remove, whose, said), onblur: () => calmDown(remove) }, "Remove");
  const file = (signal, title) => link(`/api/export/${signal}`, { "data-testid": `data-${signal}`, download: `${signal}.jsonl`, title, onclick: (event) => {
    event.stopPropagation();
    if (signal === "traces") event.currentTarget.setAttribute("href", `/api/export/traces?${new URLSearchParams(Object.entries(query()).filter(([, value]) => value !== ""))}`);
  } }, `${signal}.jsonl`);
  return h("details", { class: "data", "data-testid": "data", ontoggle: (event) => event.target.open && offer(whose, services()) }, h("summary", {}, "Data: files, removal"),
    h("div", {}, h("p", {}, "Take away as lines of OTLP JSON: ", file("traces", "Those that the list shows, on all its pages"), " ", file("logs", "All log lines"), " ", file("metrics", "All series")),
      h("label", {}, "Bring files of OTLP JSON (lines or documents): ", files),
      h("p", {}, "Remove what is kept of ", whose, " ", remove), said));
}

function offer(list, names) {
  const { value } = list;
  list.replaceChildren(h("option", { value: "" }, "everybody"), ...names.map((name) => h("option", { value: name, selected: name === value }, name)));
}

// Twice, so that no slip empties the console.
async function ask(button, list, said) {
  if (button.dataset.sure !== "yes") {
    button.dataset.sure = "yes";
    button.textContent = list.value ? `Yes, remove all of ${list.value}` : "Yes, remove everything";
    return;
  }
  calmDown(button);
  try {
    const gone = await postJson("/api/data/remove", list.value ? { service: list.value } : {});
    said.textContent = `Removed ${plural(gone.spans, "span")}, ${plural(gone.logLines, "log line")}, ${count(gone.series)} series.`;
  } catch (error) {
    said.textContent = `Not removed: ${error.message}`;
  }
}

function calmDown(button) {
  delete button.dataset.sure;
  button.textContent = "Remove";
}

async function upload(input, said) {
  const sums = { spans: 0, logRecords: 0, dataPoints: 0, refused: 0 };
  let why = "";
  try {
    for (const file of input.files) {
      said.textContent = `Taking ${file.name}…`;
      if (file.size > MOST) throw new Error(`${file.name} is too large for a page; o11y-lab console import takes it`);
      for (const part of parts(await file.text())) {
        const answer = await send(part).catch((error) => { throw new Error(`${file.name}: ${error.message}`); });
        for (const key of Object.keys(sums)) sums[key] += answer[key];
        why ||= answer.why ?? "";
      }
    }
    said.textContent = `Taken: ${plural(sums.spans, "span")}, ${plural(sums.logRecords, "log record")}, ${plural(sums.dataPoints, "data point")}.${sums.refused ? ` ${count(sums.refused)} refused: ${why}` : ""}`;
  } catch (error) {
    said.textContent = `Not taken: ${error.message}`;
  }
  input.value = "";
}

// Whole where it is small; else cut between lines, which a file of lines may be.
function* parts(text) {
  for (let at = 0; at < text.length;) {
    const end = text.length - at <= PART ? text.length : (text.lastIndexOf("\n", at + PART) + 1 || text.length);
    const to = end > at ? end : text.length;
    yield text.slice(at, to);
    at = to;
  }
}

async function send(body) {
  const response = await fetch("/api/data/import", { method: "POST", headers: { "content-type": "application/json" }, body, signal: AbortSignal.timeout(60_000) });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.errors?.[0]?.msg ?? `HTTP ${response.status}`);
  return answer;
}
