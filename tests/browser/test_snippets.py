"""The two pieces of JavaScript that the C++ library's page shows, unchanged, against the example servers.

They name ``localhost:8080``, so a browser of their own is told that this is a port of ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, ConsoleMessage, Page, Playwright

from support.pages import launched
from support.processes import example
from support.raw import DEADLINE, until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SNIPPETS = Path(__file__).parent / "snippets"
WEBSOCKET = (SNIPPETS / "websocket.js").read_text(encoding="utf-8")
EVENT_SOURCE = (SNIPPETS / "event_source.js").read_text(encoding="utf-8")


class Console:
    """What the pages of one browser print, and the exceptions that nobody caught."""

    def __init__(self, context: BrowserContext) -> None:
        self.printed: list[str] = []
        self.exceptions: list[str] = []
        context.on("console", self._print)
        context.on("weberror", lambda error: self.exceptions.append(str(error.error)))

    def _print(self, message: ConsoleMessage) -> None:
        if not message.location["url"].endswith("/favicon.ico"):  # which every browser asks for by itself
            self.printed.append(message.text)


@asynccontextmanager
async def page_with(playwright: Playwright, script: str, port: int) -> AsyncIterator[tuple[Page, Console]]:
    """A page of the server, without a script of its own, and this script in it."""
    async with launched(playwright, f"--host-resolver-rules=MAP localhost:8080 127.0.0.1:{port}") as browser:
        context = await browser.new_context()
        context.set_default_timeout(DEADLINE * 1000)
        console = Console(context)
        page = await context.new_page()
        await page.goto("http://localhost:8080/info")
        await page.add_script_tag(content=script)
        yield page, console


async def test_the_websocket_snippet_runs_unchanged(playwright: Playwright) -> None:
    with example("websocket_server", "0") as server:
        async with page_with(playwright, WEBSOCKET, server.port()) as (page, console):
            # A browser refuses to send before the connection is open, and the lines behind that never run.
            await until(lambda: len(console.printed) >= 2)
            assert console.printed == ["Connected", "Received: Hello, server!"]
            assert len(console.exceptions) == 1
            assert "Failed to execute 'send' on 'WebSocket': Still in CONNECTING state." in console.exceptions[0]
            assert await page.evaluate("ws.readyState") == 1
            await page.evaluate("ws.close(1000, 'Done')")
            await until(lambda: len(console.printed) >= 3)
            assert console.printed[2:] == ["Disconnected: 1000"]


async def test_the_websocket_snippet_that_waits_for_its_connection_closes_cleanly(playwright: Playwright) -> None:
    start, end = WEBSOCKET.split("// Send messages\n")
    script = f"{start}ws.addEventListener('open', () => {{\n{end}}});"
    with example("websocket_server", "0") as server:
        async with page_with(playwright, script, server.port()) as (_, console):
            # What comes back behind its own close() a browser does not show.
            await until(lambda: len(console.printed) >= 2)
            assert console.printed == ["Connected", "Disconnected: 1000"]
            assert console.exceptions == []


async def test_the_websocket_snippet_that_waits_for_its_answers_gets_them_all(playwright: Playwright) -> None:
    start, end = WEBSOCKET.split("// Send messages\n")
    sending, closing = end.split("// Close\n")
    script = f"""{start}
        ws.addEventListener('open', () => {{ {sending} }});
        ws.addEventListener('message', async ({{data}}) => {{
            if (typeof data === 'string') return;
            console.log('Bytes:', await data.text());
            {closing}
        }});
    """
    with example("websocket_server", "0") as server:
        async with page_with(playwright, script, server.port()) as (_, console):
            await until(lambda: "Disconnected: 1000" in console.printed)
            assert console.printed == [
                "Connected",
                "Received: Hello, server!",
                "Received: Hello",
                "Received: Blob",
                "Bytes: 123",
                "Disconnected: 1000",
            ]
            assert console.exceptions == []


async def test_the_event_source_snippet_runs_unchanged(playwright: Playwright) -> None:
    with example("sse_server", "0", "--interval", "0.02") as server:
        async with page_with(playwright, EVENT_SOURCE, server.port()) as (page, console):
            # It closes at once. A second stream shows that there is something to receive.
            data = await page.evaluate(
                "new Promise(found => new EventSource('/events').onmessage = event => found(event.data))"
            )
            assert data == "Counter: 4"
            assert await page.evaluate("es.readyState") == 2
            assert console.printed == []
            assert console.exceptions == []


async def test_the_event_source_snippet_that_stays_open_reconnects_and_goes_on(
    playwright: Playwright, kept_port: int
) -> None:
    script, _ = EVENT_SOURCE.split("// Close\n")
    options = ("--interval", "0.02", "--retry", "0.05")
    with example("sse_server", str(kept_port), *options) as server:
        async with page_with(playwright, script, server.port()) as (_, console):
            await until(lambda: "Message: Counter: 4" in console.printed)
            server.kill()
            await until(lambda: "Error: Event" in console.printed)
            seen = [line for line in console.printed if line.startswith(("ID", "Message"))]
            with example("sse_server", str(kept_port), *options):
                await until(lambda: sum(line.startswith("Message") for line in console.printed) >= len(seen) + 2)
    lines = [line for line in console.printed if line.startswith(("ID", "Message", "Notification"))]
    assert lines[:4] == [
        "Notification: Event number 3 is here",
        "ID: 3",
        "Message: Counter: 4",
        "Notification: Event number 7 is here",
    ]
    numbers = [int(line.rpartition(" ")[2]) for line in lines if not line.startswith("Notification")]
    assert numbers == [number for number in range(3, numbers[-1] + 1) if number % 4 in (0, 3)], "a hole or a repetition"
    assert console.exceptions == []
