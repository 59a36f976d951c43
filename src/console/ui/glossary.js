// The words of the page, explained where the pointer rests or the focus is, and together in the help.

import { h } from "./dom.js";

export const WORDS = {
  "server span": "The time in which a service handled one request that came in.",
  "client span": "The time in which a service waited for another one, or for a database, that it called.",
  "producer span": "Handing a message to a queue.",
  "consumer span": "Handling one message from a queue; it may begin long after the message was sent.",
  "internal span": "Work within a service that no other one takes part in.",
  "critical path": "The spans that the whole duration is made of: only a shorter one of these makes the request faster.",
  p95: "95 of 100 took at most this long.",
  "error budget": "How many requests may fail in a period before the objective is missed.",
  "burn rate": "How fast the error budget is used up: at 1 it lasts exactly the period, at 14 a fourteenth of it.",
  firing: "Its condition has held for as long as the rule says: someone is told.",
  pending: "Its condition holds, but not yet for as long as the rule says.",
  resolved: "It fired, and its condition holds no longer.",
  fault: "Something that is broken on purpose, for a limited time.",
  foreign: "Something that is called and sends no spans here.",
  callers: "Those who call from outside and send no spans here.",
  outbox: "Messages that are stored with the data they belong to, and not yet in the queue.",
  "dead letter": "A message that could not be handled and was put aside.",
};
const MARKED = "[data-term], .kind, .chip.path";

function wordOf(element) {
  if (element.dataset.term) return element.dataset.term;
  return element.matches(".chip.path") ? "critical path" : `${element.textContent.trim()} span`;
}

// A word that the keyboard reaches too.
export const term = (word, text = word) => h("span", { class: "term", "data-term": word, tabindex: "0" }, text);

export function glossary(list) {
  list.append(...Object.entries(WORDS).flatMap(([word, meaning]) => [h("dt", {}, word), h("dd", {}, meaning)]));
  const tip = h("div", { id: "tip", role: "tooltip", "data-testid": "tip", hidden: true });
  document.body.append(tip);
  let shown = null;

  function show(event) {
    const target = event.target.closest?.(MARKED);
    if (target === shown) return;
    hide();
    const meaning = target && WORDS[wordOf(target)];
    if (!meaning) return;
    shown = target;
    target.removeAttribute("title");
    target.setAttribute("aria-describedby", "tip");
    tip.replaceChildren(h("b", {}, wordOf(target)), ` ${meaning}`);
    tip.hidden = false;
    const at = target.getBoundingClientRect();
    const size = tip.getBoundingClientRect();
    const below = at.bottom + 6 + size.height < innerHeight;
    tip.style.top = `${below ? at.bottom + 6 : Math.max(4, at.top - 6 - size.height)}px`;
    tip.style.left = `${Math.max(4, Math.min(at.left, innerWidth - size.width - 4))}px`;
  }

  function hide() {
    shown?.removeAttribute("aria-describedby");
    shown = null;
    tip.hidden = true;
  }

  document.addEventListener("pointerover", show);
  document.addEventListener("focusin", show);
  document.addEventListener("scroll", hide, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
}
