// The part of a trace's time that the waterfall shows. Bars know their share of the whole; the part is two variables of the
// style, so that zooming draws nothing anew but the axis.

import { h, time } from "./dom.js";

const CLOSEST = 1e-5;

export function zooming(model, window) {
  const marks = h("div", { class: "axis-lane", "data-testid": "axis" });
  const box = h("i", { class: "axis-box", hidden: true });
  const button = (label, title, act) => h("button", { type: "button", class: "zoom", title, "aria-label": title, "data-testid": `zoom-${label === "+" ? "in" : label === "−" ? "out" : "all"}`, onclick: act }, label);
  const axis = h("div", { class: "axis" }, h("span", {}, "span", h("span", { class: "zooms" }, button("−", "Zoom out (-)", () => by(2)), button("+", "Zoom in (+)", () => by(0.5)), button("all", "all of the trace (0)", () => to(0, 1)))), marks);
  let waterfall = null;
  let from = null;

  function to(start, end) {
    const width = Math.min(1, Math.max(CLOSEST, end - start));
    window.from = Math.min(1 - width, Math.max(0, start));
    window.to = window.from + width;
    draw();
  }

  // Around the middle of what is shown, or of a span.
  function by(factor, middle = (window.from + window.to) / 2) {
    const width = (window.to - window.from) * factor;
    to(middle - width / 2, middle + width / 2);
  }

  function draw() {
    const width = window.to - window.from;
    waterfall?.style.setProperty("--zoom-from", window.from);
    waterfall?.style.setProperty("--zoom", 1 / width);
    waterfall?.classList.toggle("zoomed", width < 1);
    marks.replaceChildren(...[0, 0.25, 0.5, 0.75, 1].map((at) => h("span", { "--at": at, "aria-hidden": "true" }, time(model.duration * (window.from + at * width)))), box);
  }

  const at = (event) => {
    const frame = marks.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - frame.left) / frame.width));
  };
  const inside = (share) => window.from + share * (window.to - window.from);
  marks.addEventListener("pointerdown", (event) => {
    from = at(event);
    marks.setPointerCapture(event.pointerId);
  });
  marks.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const now = at(event);
    box.hidden = false;
    box.style.setProperty("--from", Math.min(from, now));
    box.style.setProperty("--part", Math.abs(now - from));
  });
  const end = (event) => {
    const [a, b] = [from, at(event)];
    from = null;
    box.hidden = true;
    if (event.type === "pointerup" && Math.abs(a - b) > 0.01) to(inside(Math.min(a, b)), inside(Math.max(a, b)));
  };
  marks.addEventListener("pointerup", (event) => from !== null && end(event));
  marks.addEventListener("pointercancel", (event) => from !== null && end(event));

  function key(event, middle) {
    if (event.key === "+" || event.key === "=") by(0.5, middle);
    else if (event.key === "-") by(2, middle);
    else if (event.key === "0") to(0, 1);
    else return false;
    return true;
  }

  return { axis, key, to, attach: (element) => { waterfall = element; draw(); } };
}
