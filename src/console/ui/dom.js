// Small helpers: elements, formats, colours. Data reaches the page as text nodes and attributes
// only, never as markup, so nothing that a service sends can become part of the page.

export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) element.style.setProperty(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function svg(tag, props, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(props)) if (value !== undefined) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// The heads of a table's columns; what "(name)" stands above needs no word to be seen, and one to be heard.
export const columns = (...names) => h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, /^\(.*\)$/.test(name) ? h("span", { class: "hidden" }, name.slice(1, -1)) : name))));

// What may be wider than the window. The keyboard scrolls it, though nothing in it takes the focus.
export const scrolling = (label, ...children) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, ...children);

export const link = (href, props, ...children) => h("a", { href, ...props }, ...children);

export class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// A number that JavaScript has no number for stays the text it came as.
export function exact(key, value, context) {
  const held = typeof value !== "number" || (Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value));
  return held ? value : context?.source ?? value;
}

// Milliseconds without a byte after which the console is taken to be away: on a slow line an answer takes longer.
const SILENCE = 10_000;

// What does not come, or breaks off, is said as a person would say it; its status is 0. A caller that has a `signal` of its own
// decides how long to wait.
async function answer(path, options = {}) {
  const away = (error) => { throw error instanceof Failure ? error : new Failure(0, "the console does not answer"); };
  const silence = new AbortController();
  let timer = 0;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE);
  };
  if (!options.signal) heard();
  const response = await fetch(path, { signal: silence.signal, ...options }).catch(away);
  const text = await read(response, options.signal ? () => {} : heard).catch(away).finally(() => clearTimeout(timer));
  const body = await Promise.resolve(text).then((text) => JSON.parse(text, exact)).catch(() => ({}));
  if (!response.ok) throw new Failure(response.status, body.errors?.[0]?.msg ?? `HTTP ${response.status}`);
  return body;
}

async function read(response, heard) {
  const [decoder, parts, reader] = [new TextDecoder(), [], response.body?.getReader()];
  for (let part = await reader?.read(); part && !part.done; part = await reader.read()) {
    heard();
    parts.push(decoder.decode(part.value, { stream: true }));
  }
  return parts.join("") + decoder.decode();
}

export async function getJson(path, params = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== "" && value != null));
  return answer(query.size ? `${path}?${query}` : path);
}

export const postJson = (path, body, headers = {}, signal = undefined) =>
  answer(path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body), ...(signal && { signal }) });

// Hues of the lab's own services, far apart; any other service gets one from its name.
const HUES = {
  "api-gateway": 262,
  "user-service": 165,
  "order-service": 65,
  "notification-service": 330,
  "order-validator": 215,
  "o11y-lab-load": 115,
};

export const isOwn = (service) => Object.hasOwn(HUES, service);

export function hue(service) {
  if (isOwn(service)) return HUES[service];
  let hash = 0;
  for (const char of service) hash = (hash * 31 + char.codePointAt(0)) % 360_007;
  return hash % 360;
}

export const chip = (service, more = "", props = {}) =>
  h("span", { class: "chip", "--hue": hue(service), ...props }, h("i", { "aria-hidden": "true" }), service, more);

// Microseconds as a person reads them. Rounded first, so that no unit says more than it can hold.
export function time(us) {
  const three = (value) => +value.toPrecision(3);
  if (us < 10) return `${+us.toFixed(1)} µs`;
  if (Math.round(us) < 1_000) return `${Math.round(us)} µs`;
  if (three(us / 1e3) < 1_000) return `${three(us / 1e3)} ms`;
  if (three(us / 1e6) < 60) return `${three(us / 1e6)} s`;
  const [seconds, minutes, hours] = [1e6, 6e7, 3.6e9].map((unit) => Math.round(us / unit));
  const pair = (total, per, unit, rest) => `${count(Math.floor(total / per))} ${unit}${total % per ? ` ${total % per} ${rest}` : ""}`;
  if (seconds < 3_600) return pair(seconds, 60, "min", "s");
  return minutes < 1_440 ? pair(minutes, 60, "h", "min") : pair(hours, 24, "d", "h");
}

export function age(us) {
  const ahead = Math.round(us / 1_000_000 - Date.now() / 1_000);
  // Another machine's clock: what is a minute ahead is not "now".
  if (ahead > 60) return `in ${time(ahead * 1e6)}`;
  const seconds = Math.max(0, -ahead);
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

const two = (number, width = 2) => String(number).padStart(width, "0");

export function clock(date) {
  if (Number.isNaN(date.getTime())) return "";
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${two(date.getMilliseconds(), 3)}`;
}

export const day = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;

// Of an error budget, what is left as a share, or how often it is used up.
export function budgetLeft(share) {
  if (share === undefined) return "–";
  return share < 0 ? `used up ${+(1 - share).toPrecision(3)} times over` : `${+(share * 100).toPrecision(3)} %`;
}

// Made once: making one takes longer than a whole row of the list.
const whole = new Intl.NumberFormat("en");
export const count = (number) => whole.format(number);
export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;
export const mebibytes = (bytes) => `${(bytes / 1_048_576).toFixed(1)} MiB`;

const choices = (value, options) => options.map(([key, text]) => h("option", { value: key, selected: key === value }, text));

export function select(label, value, options, change, props = {}) {
  return h("label", {}, h("span", {}, label), h("select", { onchange: (e) => change(e.target.value), ...props }, choices(value, options)));
}

// The services to choose from, as they turn up; false while the list may be open.
export function offerServices(form, value, names) {
  const list = form.querySelector("[data-testid=filter-service]");
  if (list === document.activeElement) return false;
  list.replaceChildren(...choices(value, serviceOptions(value, names)));
  return true;
}

export function serviceOptions(value, names) {
  const known = [...new Set([...names, value])].filter(Boolean).sort();
  return [["", "all services"], ...known.map((name) => [name, name])];
}

// Asks a page's own question again and again while the tab is in sight, until it is closed; `ask` asks at once.
export function poll(path, draw, every) {
  let closed = false;
  let timer = 0;
  async function ask() {
    clearTimeout(timer);
    if (closed) return;
    const now = document.hidden ? null : await getJson(path).catch(() => null);
    if (closed) return;
    if (now) draw(now);
    timer = setTimeout(ask, every);
  }
  ask();
  return {
    ask,
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

// Waits until typing pauses.
export function calm(call, wait = 200) {
  let timer;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...args), wait);
  };
}

export function empty(title, ...lines) {
  return h("section", { class: "empty" }, h("h2", {}, title), lines);
}

// Moves the focus among the rows that match; the browser scrolls and screen readers follow.
export function moveFocus(selector, step) {
  const rows = [...document.querySelectorAll(selector)].filter((row) => !row.hidden);
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement?.closest(selector));
  const to = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + step));
  rows[to].focus();
  rows[to].scrollIntoView({ block: "nearest" });
}
