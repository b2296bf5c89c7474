"""picows' core interface: callbacks, no coroutine, on uvloop with aiofastnet's transports (its default)."""

from __future__ import annotations

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from .options import MAX_MESSAGE, READY, Options, read_options

receivers: set[WSTransport] = set()


class Echo(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())


class Receiver(Echo):
    def on_ws_connected(self, transport: WSTransport) -> None:
        receivers.add(transport)
        transport.send(WSMsgType.TEXT, READY.encode())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        receivers.discard(transport)


class Publisher(Echo):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            super().on_ws_frame(transport, frame)
            return
        payload = frame.get_payload_as_bytes()
        for receiver in receivers:
            receiver.send(WSMsgType.TEXT, payload)


LISTENERS = {b"/receive": Receiver, b"/publish": Publisher}


def listener(request: WSUpgradeRequest) -> WSListener:
    return LISTENERS.get(request.path, Echo)()


async def main(options: Options) -> None:
    server = await ws_create_server(
        listener,
        "127.0.0.1",
        options.port,
        max_frame_size=MAX_MESSAGE,
        backlog=options.backlog,
        ssl=options.ssl_context(),
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(read_options()))
