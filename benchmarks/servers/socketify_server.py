"""socketify: uWebSockets through cffi, callbacks in Python. Broadcast by its own topics."""

from __future__ import annotations

from typing import Any

from socketify import App, AppListenOptions, AppOptions, CompressOptions, OpCode

from .options import HELLO, MAX_MESSAGE, READY, Options, read_options

TOPIC = "all"


def echo(ws: Any, message: str | bytes, opcode: OpCode) -> None:
    ws.send(message, opcode, True)


def opened(ws: Any) -> None:
    ws.subscribe(TOPIC)
    ws.send(READY, OpCode.TEXT)


def behavior(options: Options, **callbacks: Any) -> dict[str, Any]:
    shared = CompressOptions.SHARED_COMPRESSOR | CompressOptions.SHARED_DECOMPRESSOR
    return {
        "compression": shared if options.compresses else CompressOptions.DISABLED,
        "max_payload_length": MAX_MESSAGE,
        "max_backpressure": 4 * MAX_MESSAGE,
        "idle_timeout": 960,
        **callbacks,
    }


def make_app(options: Options) -> App:
    if not options.uses_tls:
        return App()
    return App(AppOptions(key_file_name=options.key, cert_file_name=options.certificate))


def main() -> None:
    options = read_options()
    app = make_app(options)
    app.get("/", lambda response, request: response.end(HELLO))
    app.ws("/ws", behavior(options, message=echo))
    app.ws("/receive", behavior(options, open=opened))
    app.ws("/publish", behavior(options, message=lambda ws, message, opcode: app.publish(TOPIC, message, opcode)))
    app.listen(AppListenOptions(port=options.port, host="127.0.0.1"))
    app.run()


if __name__ == "__main__":
    main()
