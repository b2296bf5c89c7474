// A server of an event stream, which prints its URL in one line: node event_server.mjs [CERTIFICATE KEY]
// /events sends three events, the second one in two pieces; /moved leads there.

import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";

const [certificate, key] = process.argv.slice(2);

function answer(request, response) {
  if (request.url === "/moved") {
    response.writeHead(307, { Location: "/events" }).end();
    return;
  }
  response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" });
  response.write("id: 1\ndata: one\n\nid: 2\nevent: upd");
  setImmediate(() => response.end("ate\ndata: two\ndata: lines é🎉\n\ndata:\n\n"));
}

const server = certificate
  ? https.createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, answer)
  : http.createServer(answer);
server.listen(0, "127.0.0.1", () => {
  console.log(`${certificate ? "https" : "http"}://127.0.0.1:${server.address().port}/`);
});
