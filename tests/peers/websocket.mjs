// A WebSocket client that does what it is told and reports what it saw, in JSON:
//   node websocket.mjs < TASK        TASK: {url, native, protocols, options, steps}
// Steps: ["text", s] ["binary", hex] ["fragments", [s, ...]] ["ping", hex] ["receive", count] ["close", code, reason] ["ended"]

import { readFileSync } from "node:fs";

const task = JSON.parse(readFileSync(0));
const seen = { opened: false, status: 101, body: "", headers: {}, protocol: "", extensions: "", messages: [], pongs: [], close: null, error: "" };
const waiting = [];

/** Resolves as soon as the condition is true; looked at whenever something happened. */
const until = condition => new Promise(resolve => { waiting.push([condition, resolve]); happened(); });
function happened() {
  for (const entry of [...waiting]) {
    if (!entry[0]()) continue;
    waiting.splice(waiting.indexOf(entry), 1);
    entry[1]();
  }
}

async function connect() {
  const { default: Package } = task.native ? { default: WebSocket } : await import("ws");
  const ws = task.native ? new Package(task.url, task.protocols ?? []) : new Package(task.url, task.protocols ?? [], task.options ?? {});
  ws.binaryType = "arraybuffer";
  ws.onopen = () => {
    Object.assign(seen, { opened: true, protocol: ws.protocol });
    happened();
  };
  ws.onmessage = ({ data }) => {
    seen.messages.push(typeof data === "string" ? data : { hex: Buffer.from(data).toString("hex") });
    happened();
  };
  ws.onclose = ({ code, reason, wasClean }) => { seen.close = [code, reason, wasClean]; happened(); };
  ws.onerror = event => { seen.error = event.message ?? String(event.error ?? ""); };
  if (!task.native) {
    ws.on("pong", data => { seen.pongs.push(data.toString("hex")); happened(); });
    ws.on("upgrade", response => { seen.extensions = response.headers["sec-websocket-extensions"] ?? ""; });
    ws.on("unexpected-response", (_, response) => refused(ws, response));
  }
  return ws;
}

async function refused(ws, response) {
  const parts = [];
  for await (const part of response) parts.push(part);
  Object.assign(seen, { status: response.statusCode, headers: response.headers, body: Buffer.concat(parts).toString() });
  ws.terminate();
}

const actions = {
  text: (ws, text) => ws.send(text),
  binary: (ws, hex) => ws.send(Buffer.from(hex, "hex")),
  fragments: (ws, parts) => parts.forEach((part, index) => ws.send(part, { fin: index === parts.length - 1 })),
  ping: async (ws, hex) => {
    const before = seen.pongs.length;
    ws.ping(Buffer.from(hex, "hex"));
    await until(() => seen.pongs.length > before || seen.close);
  },
  receive: (_, count) => until(() => seen.messages.length >= count || seen.close),
  close: (ws, code, reason) => ws.close(...[code, reason].filter(value => value !== undefined)),
  ended: () => until(() => seen.close),
};

const ws = await connect();
await until(() => seen.opened || seen.close);
if (seen.opened) {
  for (const [action, ...values] of task.steps) await actions[action](ws, ...values);
  if (!seen.close) ws.close();
  await until(() => seen.close);
}
console.log(JSON.stringify(seen));
