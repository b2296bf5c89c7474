"""The page of ``examples/chat.py`` in a browser: rooms, history, who is there, and a server that comes back."""

from __future__ import annotations

import signal

import pytest
from playwright.async_api import BrowserContext, Page, expect

from support.pages import MARKUP, connect, fits_a_phone, lines, say, wait_for_line, wait_until
from support.processes import example

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def enter(page: Page, url: str, name: str, room: str = "tea") -> Page:
    await page.goto(url)
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Room").select_option(room)
    await connect(page)
    await wait_for_line(page, "served by worker")
    return page


async def test_who_is_in_a_room_meets_whoever_serves_them(context: BrowserContext) -> None:
    with example("chat", "0", "--workers", "2") as server:
        url = f"http://127.0.0.1:{server.port()}/"
        ann = await enter(await context.new_page(), url, "Ann")
        bob = await enter(await context.new_page(), url, "Bob")
        eve = await enter(await context.new_page(), url, "Eve", "coffee")
        for page in (ann, bob):
            await expect(page.get_by_label("Members")).to_have_text("Ann, Bob")
        await expect(eve.get_by_label("Members")).to_have_text("Eve")
        await say(ann, MARKUP)
        for page in (ann, bob):
            await wait_for_line(page, f"Ann: {MARKUP.rstrip()}")
        late = await enter(await context.new_page(), url, "Cid")
        await wait_for_line(late, f"Ann: {MARKUP.rstrip()}")
        await expect(ann.get_by_label("Members")).to_have_text("Ann, Bob, Cid")
        await fits_a_phone(ann)
        assert not any(line.startswith("Ann:") for line in await lines(eve))


async def test_a_page_tells_of_what_went_with_a_killed_server_and_goes_on(page: Page, kept_port: int) -> None:
    with example("chat", str(kept_port), "--workers", "2") as server:
        port = server.port()
        await enter(page, f"http://127.0.0.1:{port}/", "Ann")
        await say(page, "before")
        await wait_for_line(page, "Ann: before")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    with example("chat", str(port), "--workers", "2"):
        await wait_for_line(page, "messages are missing here (epoch)")
        await expect(page.get_by_role("status")).to_have_text("connected")
        await say(page, "behind")
        log = await wait_until(page, lambda log: "Ann: behind" in log)
        assert log.count("Ann: before") == 1
