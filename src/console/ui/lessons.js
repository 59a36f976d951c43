// Lessons: the list, and the question that stays beside the data on every page until it is answered.
// What was finished is kept in this browser alone.

import { act } from "./act.js";
import { empty, getJson, h, link, moveFocus, plural } from "./dom.js";

const KEY = "o11y-lab.lessons";
const WAITS = ["setting", "repairing"];
const watchers = new Set();
let known = { lessons: [], now: null, console: "" };
let timer = 0;
let failure = "";

function finished() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return new Set(Array.isArray(kept) ? kept.filter((name) => typeof name === "string") : []);
  } catch {
    return new Set();
  }
}

function finish(name) {
  try {
    localStorage.setItem(KEY, JSON.stringify([...finished().add(name)]));
  } catch { /* a browser that keeps nothing still teaches */ }
}

async function refresh() {
  try {
    known = await getJson("/api/lessons");
  } catch (error) {
    failure = error.message;
  }
  const { now } = known;
  if (now?.said?.right) finish(now.scenario);
  watchers.forEach((draw) => draw());
  clearTimeout(timer);
  if (WAITS.includes(now?.state)) timer = setTimeout(refresh, 500);
}

async function turn(path, body = {}) {
  failure = "";
  try {
    await act(`/api/lessons/${path}`, body);
  } catch (error) {
    failure = error.message;
  }
  await refresh();
}

// What stands between backticks is code.
const marked = (text) => text.split("`").map((part, at) => (at % 2 ? h("code", {}, part) : part));

// A place to look: what leads to this console becomes a link that keeps the question in sight.
function place([name, what]) {
  const [, path, rest] = what.startsWith(known.console) ? what.slice(known.console.length).match(/^(\/[^\s,]*)(.*)$/) ?? [] : [];
  const isPage = path && !path.startsWith("/api/");
  return h("li", {}, `${name}: `, isPage ? [link(path, { "data-testid": "lesson-look" }, path), rest] : h("code", {}, what));
}

function said({ said, state, why, repaired }) {
  if (why) return [h("p", { class: "danger" }, why)];
  if (!said) return [];
  const lines = [];
  if (said.right === true) lines.push(h("p", { class: "right" }, "Right. ", marked(said.say)));
  else if (said.right === false) lines.push(h("p", { class: "wrong" }, "No. ", marked(said.say)));
  if (said.hint) lines.push(h("p", {}, marked(said.hint)));
  if (said.fix) lines.push(h("p", {}, "The answer: ", h("b", {}, said.answer), ". ", marked(said.explanation)), h("p", {}, "Repair: ", said.fix));
  if (state === "over" && repaired?.length) lines.push(h("p", { class: "right" }, `Repaired: ${repaired.join("; ")}.`));
  return lines;
}

function form() {
  const input = h("input", { "data-testid": "lesson-answer", "aria-label": "Answer", autocomplete: "off", maxlength: "200", required: true });
  const other = (label, path) => h("button", { type: "button", "data-testid": `lesson-${path}`, onclick: () => turn(path) }, label);
  const send = (event) => {
    event.preventDefault();
    turn("answer", { answer: input.value });
  };
  return h("form", { onsubmit: send }, input, h("button", {}, "Answer"), other("Hint", "hint"), other("Solve", "solve"), other("Stop", "stop"));
}

// The question, on every page. Its form is kept while it is asked: what is typed in it must stay.
export function dock(root) {
  const head = h("h2", {});
  const question = h("div", {});
  const say = h("div", { role: "status", "data-testid": "lesson-said" });
  let asks = "";
  const close = h("button", { type: "button", class: "tiny", "data-testid": "lesson-close", onclick: () => { root.hidden = true; } }, "close");
  root.append(h("header", {}, head, close), question, say);
  let shown = null;
  watchers.add(() => {
    const { now } = known;
    const key = now && `${now.scenario} ${now.asked?.seed} ${now.state}`;
    if (key !== shown) root.hidden = !now;
    if (!now) return;
    shown = key;
    root.dataset.state = now.state;
    head.textContent = now.title;
    close.hidden = now.state !== "over";
    if (key !== asks) {
      asks = key;
      const wait = { setting: "Setting the stage…", repairing: "Repairing…" }[now.state];
      const { asked } = now;
      question.replaceChildren(...[
        asked && h("p", { "data-testid": "lesson-question" }, marked(asked.question)),
        asked && now.state === "asked" && h("ul", {}, asked.look.map(place)),
        now.state === "asked" && h("p", { class: "note" }, `Expected: ${asked.expects}.`),
        now.state === "asked" && form(),
        wait && h("p", { class: "note" }, wait),
      ].filter(Boolean));
    }
    say.replaceChildren(...said(now), ...(failure ? [h("p", { class: "danger" }, failure)] : []));
  });
  refresh();
}

export function lessonsView(root) {
  document.title = "Lessons · o11y-lab";
  const note = h("p", { class: "note", role: "status" });
  const list = h("div", { class: "rows", role: "list", "aria-label": "Lessons" });
  root.append(h("h1", {}, "Lessons"), h("p", {}, "Each breaks something in the lab, asks, takes your answer, explains and repairs. What is broken is drawn anew each time."), note, list);

  function row(lesson) {
    const done = finished().has(lesson.name);
    const busy = WAITS.includes(known.now?.state);
    const here = known.now?.scenario === lesson.name && known.now.state !== "over";
    const label = here ? "now" : done ? "Again" : "Begin";
    return h("div", { role: "listitem", class: "lesson", tabindex: "0", "data-testid": "lesson-row", "data-name": lesson.name, "data-done": String(done) },
      h("span", { class: "done", title: done ? "done" : "not done yet" }, done ? "✓" : ""),
      h("div", {}, h("b", {}, lesson.title), h("p", {}, lesson.learn)), h("span", { class: "code" }, lesson.level),
      h("button", { type: "button", "data-testid": "lesson-start", disabled: busy || here, "aria-label": `${label}: ${lesson.title}`, onclick: () => turn("stage", { name: lesson.name }) }, label));
  }

  function draw() {
    const focused = document.activeElement?.closest?.("[data-testid=lesson-row]")?.dataset.name;
    list.replaceChildren(...known.lessons.map(row));
    if (focused) list.querySelector(`[data-name="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    const all = finished();
    const count = known.lessons.filter((lesson) => all.has(lesson.name)).length;
    note.textContent = failure || `${count} of ${plural(known.lessons.length, "lesson")} done in this browser`;
    if (!known.lessons.length && failure) list.replaceChildren(empty("The lessons cannot be read", h("p", {}, failure)));
  }

  watchers.add(draw);
  draw();
  refresh();
  return {
    update() {},
    close: () => watchers.delete(draw),
    key(event) {
      const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
      if (step) moveFocus("[data-testid=lesson-row]", step);
      else if (event.key === "Enter" && document.activeElement?.matches("[data-testid=lesson-row]")) document.activeElement.querySelector("button").click();
      else return false;
      return true;
    },
  };
}
