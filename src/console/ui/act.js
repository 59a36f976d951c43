// What acts on the lab is asked for with the token of this console, which no other site's page can read.

import { getJson, postJson } from "./dom.js";

let token = "";

export async function act(path, body = {}) {
  const send = async () => {
    token ||= (await getJson("/api/token")).token;
    return postJson(path, body, { "x-console-token": token });
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
