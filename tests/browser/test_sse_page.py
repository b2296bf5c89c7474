"""The page of ``examples/sse_server.py`` in a browser, which loses its server and finds it again."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from support.pages import connect, lines, wait_for_line, wait_until
from support.processes import Program, example

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

EVENT = re.compile(r"(\w+) #(\d+): ")


def started(port: int = 0) -> Program:
    return example("sse_server", str(port), "--interval", "0.02", "--retry", "0.05")


def numbers(log: list[str]) -> list[int]:
    """The event IDs in the log."""
    return [int(found[2]) for line in log if (found := EVENT.match(line))]


async def test_the_page_receives_every_type_of_event(page: Page) -> None:
    with started() as server:
        await page.goto(f"http://127.0.0.1:{server.port()}/")
        await connect(page)
        log = await wait_until(page, lambda log: len(log) > 8)
        await page.get_by_role("button", name="Disconnect").click()
    assert log[0] == "connected"
    assert [found[1] for line in log[1:9] if (found := EVENT.match(line))] == [
        *("heartbeat", "data", "notification", "message"),
        *("heartbeat", "data", "notification", "message"),
    ]
    assert '{"type": "update", "count": 2, "id": "2"}' in log[2]
    assert log[4] == "message #4: Counter: 4"
    assert numbers(log) == list(range(1, len(log)))


async def test_a_killed_server_that_comes_back_goes_on_behind_the_last_event(page: Page, kept_port: int) -> None:
    with started(kept_port) as server:
        port = server.port()
        await page.goto(f"http://127.0.0.1:{port}/")
        await connect(page)
        await wait_for_line(page, "message #8")
        server.kill()
    before = await wait_until(page, lambda log: any(line.startswith("connection lost") for line in log))
    await expect(page.get_by_role("status")).to_have_text("connecting")
    last = numbers(before)[-1]
    assert await page.get_by_text("last event ID").inner_text() == f"last event ID: {last}"
    with started(port):
        after = await wait_until(page, lambda log: len(numbers(log)) >= last + 8)
        await expect(page.get_by_role("status")).to_have_text("connected")
        await page.get_by_role("button", name="Disconnect").click()
    assert numbers(after) == list(range(1, len(numbers(after)) + 1)), "a hole or a repetition"
    assert after[len(before)] == "connected"
    assert numbers(after[: len(before) + 2])[-1] == last + 1


async def test_a_server_that_stops_in_order_is_found_again_too(page: Page, kept_port: int) -> None:
    with started(kept_port) as server:
        port = server.port()
        await page.goto(f"http://127.0.0.1:{port}/")
        await connect(page)
        await wait_for_line(page, "message #4")
        server.process.terminate()
        await wait_for_line(page, "connection lost")
        assert server.wait() == 0
    with started(port):
        log = await wait_until(page, lambda log: log.count("connected") == 2 and EVENT.match(log[-1]) is not None)
    assert numbers(log) == list(range(1, len(numbers(log)) + 1)), "a hole or a repetition"


async def test_disconnect_clear_and_connect_again(page: Page) -> None:
    with started() as server:
        await page.goto(f"http://127.0.0.1:{server.port()}/")
        await connect(page)
        await wait_for_line(page, "heartbeat #1")
        await page.get_by_role("button", name="Disconnect").click()
        assert (await lines(page))[-1] == "closed"
        await page.get_by_role("button", name="Clear").click()
        assert await lines(page) == []
        await connect(page)
        await wait_for_line(page, "heartbeat #1")  # the page asked anew, it did not reconnect


async def test_the_keyboard_alone_is_enough(page: Page) -> None:
    with started() as server:
        await page.goto(f"http://127.0.0.1:{server.port()}/")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await wait_for_line(page, "heartbeat #1")
        await expect(page.get_by_role("button", name="Disconnect")).to_be_focused()
        await page.keyboard.press("Enter")
        await wait_for_line(page, "closed")
        await expect(page.get_by_role("button", name="Connect", exact=True)).to_be_focused()
