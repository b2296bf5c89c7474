// A WebSocket server made with the package ws, which prints its URL in one line:
//   node websocket_server.mjs [CERTIFICATE KEY]
// It echoes; /close?code=C&reason=R closes, /refuse answers 403, /ping pings and reports the pong.

import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { WebSocketServer } from "ws";

const [certificate, key] = process.argv.slice(2);
const server = certificate
  ? https.createServer({ cert: readFileSync(certificate), key: readFileSync(key) })
  : http.createServer();
const sockets = new WebSocketServer({ noServer: true, maxPayload: 64 << 20, perMessageDeflate: { threshold: 0 } });

server.on("upgrade", (request, socket, head) => {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/refuse") {
    socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\nX-Why: because\r\n\r\nnot you");
    return;
  }
  sockets.handleUpgrade(request, socket, head, ws => {
    if (url.pathname === "/close") {
      ws.close(Number(url.searchParams.get("code")), url.searchParams.get("reason"));
    } else if (url.pathname === "/ping") {
      ws.on("pong", data => ws.send(data));
      ws.ping("are you there?");
    } else {
      ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
    }
  });
});

server.listen(0, "127.0.0.1", () => {
  console.log(`${certificate ? "https" : "http"}://127.0.0.1:${server.address().port}`);
});
