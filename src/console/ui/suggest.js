// Suggestions while a filter is typed: keys and values of what is kept, at the place of the caret. The list follows the
// combobox pattern: the focus stays in the field, arrows choose, Enter or Tab takes, Escape closes.

import { calm, count, getJson, h } from "./dom.js";
import { quoted } from "./filters.js";

const TERM = /^("(?:[^"\\]|\\.)*"|[^=<>~!"]+)(!=|!~|>=|<=|=|~|>|<)(.*)$/s;
const MOST = 12;

// The term that the caret is in: up to the caret, from the last space that is not within quotes.
function termAt(text, caret) {
  let start = 0;
  let open = false;
  for (let at = 0; at < caret; at++) {
    if (text[at] === "\\" && open) at++;
    else if (text[at] === '"') open = !open;
    else if (/\s/.test(text[at]) && !open) start = at + 1;
  }
  return { start, term: text.slice(start, caret) };
}

export function suggest(input, changed) {
  const list = h("ul", { role: "listbox", id: "suggestions", "aria-label": "Suggestions", class: "suggestions", "data-testid": "suggestions", hidden: true });
  let options = [];
  let active = -1;
  let asked = 0;
  const attributes = { role: "combobox", "aria-autocomplete": "list", "aria-controls": "suggestions", "aria-expanded": "false" };
  for (const [name, value] of Object.entries(attributes)) input.setAttribute(name, value);

  function close() {
    asked++;
    options = [];
    draw();
  }

  function draw() {
    active = -1;
    list.replaceChildren(...options.map((option, at) => h("li", { role: "option", id: `suggestion-${at}`, "data-testid": "suggestion", "aria-selected": "false",
      onpointerdown: (event) => { event.preventDefault(); take(option); } }, h("span", {}, option.shown), option.count && h("small", {}, count(option.count)))));
    list.hidden = !options.length;
    input.setAttribute("aria-expanded", String(options.length > 0));
    input.removeAttribute("aria-activedescendant");
  }

  function choose(step) {
    const items = [...list.children];
    items[active]?.setAttribute("aria-selected", "false");
    active = (active + step + items.length) % items.length;
    items[active].setAttribute("aria-selected", "true");
    items[active].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", items[active].id);
  }

  async function ask(wanted = true) {
    const { start, term } = termAt(input.value, input.selectionStart);
    if (!term && !wanted) return close();
    const mine = ++asked;
    const [, key, operator, value] = term.match(TERM) ?? [];
    const name = key?.startsWith('"') ? key.slice(1, -1).replace(/\\(.)/g, "$1") : key;
    const query = key ? { key: name, text: value.replace(/^"/, ""), limit: MOST } : { text: term.replace(/^"/, ""), limit: MOST };
    const answer = await getJson("/api/suggestions", query).catch(() => ({}));
    if (mine !== asked || document.activeElement !== input) return;
    const before = input.value.slice(0, start);
    const option = (shown, text, more) => ({ shown, text: before + text, ...more });
    options = key
      ? (answer.values ?? []).map((one) => option(one.value, `${key}${operator}${quoted(one.value)} `, { count: one.count }))
      : (answer.keys ?? []).map((one) => option(one, `${quoted(one, true)}${/duration$/.test(one) ? ">" : "="}`, { isKey: true }));
    // What is written out already needs no suggestion.
    options = options.filter((one) => one.text.trim() !== input.value.slice(0, input.selectionStart).trim());
    return draw();
  }

  function take(option) {
    const rest = input.value.slice(input.selectionStart).trimStart();
    input.value = option.text + rest;
    input.setSelectionRange(option.text.length, option.text.length);
    if (option.isKey) ask();
    else close();
    changed();
  }

  // Typing does not open the list of everything; an arrow does.
  const later = calm(() => ask(false), 120);
  input.addEventListener("input", later);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && options.length) choose(step);
    else if (step > 0) ask();
    else if (["Enter", "Tab"].includes(event.key) && active >= 0) take(options[active]);
    else if (event.key === "Escape" && options.length) close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return list;
}
