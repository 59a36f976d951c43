// What acts on the lab is asked for with the token of this console, which no other site's page can read.

import { Failure, getJson, postJson } from "./dom.js";

// Milliseconds: after the first it is said that something takes long, and the console is asked whether it is there at all; after
// the second nobody waits any longer.
const LONG = 10_000;
const LONGEST = 120_000;
let token = "";

export async function act(path, body = {}, signal = undefined) {
  const send = async () => {
    token ||= (await getJson("/api/token")).token;
    return postJson(path, body, { "x-console-token": token }, signal);
  };
  try {
    return await send();
  } catch (error) {
    if (error.status !== 403) throw error;
    // The console was started again: it has another token.
    token = "";
    return send();
  }
}

// Counts down beside what ends by itself; it goes on until the element is gone.
export function countdown(seconds, over = () => {}) {
  const end = Date.now() + seconds * 1_000;
  const element = document.createElement("span");
  const draw = () => {
    element.textContent = `${Math.max(0, Math.ceil((end - Date.now()) / 1_000))} s`;
  };
  draw();
  const ticks = setInterval(() => {
    draw();
    const ended = Date.now() >= end;
    if (ended || !element.isConnected) clearInterval(ticks);
    if (ended && element.isConnected) over();
  }, 1_000);
  return element;
}

// The same for what the lab may take its time over: it is waited for as long as the console answers another question, and
// `late(seconds)` is told how long that is.
export async function patiently(path, body, late) {
  const stop = new AbortController();
  const began = Date.now();
  let timer = 0;
  async function look() {
    const there = await getJson("/api/start").then(() => true, () => false);
    const waited = Date.now() - began;
    if (!timer) return;
    if (!there) stop.abort();
    else if (waited > LONGEST) stop.abort(new Failure(504, "the lab has not answered for two minutes"));
    else {
      late(Math.round(waited / 1_000));
      timer = setTimeout(look, LONG);
    }
  }
  timer = setTimeout(look, LONG);
  try {
    return await act(path, body, stop.signal);
  } finally {
    clearTimeout(timer);
    timer = 0;
  }
}
