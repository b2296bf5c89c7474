"""A WebSocket client that echoes, shows what there is, or talks with you.

python examples/websocket_client.py [--echo | --demo | --interactive] [--insecure] [url]

It expects examples/websocket_server.py, and works with every server that echoes.
"""

import argparse
import asyncio
import json
import ssl
import threading
from contextlib import suppress

import elio
from elio import WebSocket

GREETING_TIMEOUT = 0.5


async def greet(ws: WebSocket) -> None:
    """Take the welcome of the server, so that every reply after it belongs to what was sent. Not every one has it."""
    try:
        async with asyncio.timeout(GREETING_TIMEOUT):
            print(f"< {await ws.receive()!s}")
    except TimeoutError:
        print("(the server does not greet)")


async def ask(ws: WebSocket, message: str | bytes) -> str | bytes:
    """Send a message and return what comes back, out of its JSON if it is in some."""
    await ws.send(message)
    reply = await ws.receive()
    if isinstance(reply, bytes):
        return reply
    try:
        wrapped = json.loads(reply)
    except ValueError:
        return reply
    return str(wrapped["data"]) if isinstance(wrapped, dict) and wrapped.get("type") == "echo" else reply


async def echo(ws: WebSocket) -> None:
    await greet(ws)
    for text in ("Hello", "World", "WebSocket", "Test"):
        print(f"> {text}")
        print(f"< {await ask(ws, text)!s}")


async def demo(ws: WebSocket) -> None:
    await greet(ws)
    print(f"text:   {await ask(ws, 'Hello from the demo!')!s}")
    print(f"JSON:   {await ask(ws, json.dumps({'action': 'test', 'value': 42}))!s}")
    data = bytes(range(256))
    print(f"binary: {len(data)} bytes came back {'the same' if await ask(ws, data) == data else 'CHANGED'}")
    print(f"ping:   {await ws.ping(b'test-ping') * 1000:.2f} ms")
    for number in range(1, 4):
        print(f"rapid:  {await ask(ws, f'Message {number}')!s}")
    await ws.close(1000, "Demo complete")


async def interactive(ws: WebSocket) -> None:
    """Send each line of standard input and show each message, until either side ends."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        with suppress(RuntimeError), open(0, closefd=False) as stdin:  # the error: the program has ended
            for line in stdin:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, "")

    async def send() -> None:
        with suppress(elio.ConnectionClosed):
            while line := await lines.get():
                await ws.send(line.rstrip("\n"))
            await ws.close()

    # A thread that may wait for a line for ever does not keep the program from ending.
    threading.Thread(target=read, daemon=True).start()
    sending = asyncio.ensure_future(send())
    try:
        async for message in ws:
            print(f"< {message!s}", flush=True)
    finally:
        sending.cancel()


def context(insecure: bool) -> ssl.SSLContext | None:
    if not insecure:
        return None
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


async def run(options: argparse.Namespace) -> None:
    tls = context(options.insecure)
    async with elio.connect(options.url, tls=tls, user_agent="elio-websocket-demo/1.0") as ws:
        print(f"connected to {options.url}", flush=True)
        await options.mode(ws)
    print(f"closed with {ws.close_code}")


def main() -> None:
    parser = argparse.ArgumentParser(description="A WebSocket client that echoes, shows what there is, or talks.")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("-e", "--echo", dest="mode", action="store_const", const=echo, help="a few words (the default)")
    modes.add_argument("-d", "--demo", dest="mode", action="store_const", const=demo, help="one of everything")
    modes.add_argument("-i", "--interactive", dest="mode", action="store_const", const=interactive, help="your lines")
    parser.add_argument("--insecure", action="store_true", help="trust any certificate")
    parser.add_argument("url", nargs="?", default="ws://localhost:8080/ws/echo", help="(default: %(default)s)")
    parser.set_defaults(mode=echo)
    try:
        asyncio.run(run(parser.parse_args()))
    except elio.ElioError as error:
        parser.exit(1, f"{error}\n")
    except KeyboardInterrupt:
        parser.exit(130)


if __name__ == "__main__":
    main()
