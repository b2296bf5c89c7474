"""The page of ``examples/websocket_server.py`` in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.async_api import BrowserContext, Dialog, Page, expect

from support.pages import MARKUP, connect, lines, say, wait_for_line, wait_until
from support.processes import Program, example

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def server() -> Iterator[Program]:
    with example("websocket_server", "0") as program:
        yield program


@pytest.fixture
def url(server: Program) -> str:
    return f"http://127.0.0.1:{server.port()}/"


async def test_text_comes_back_as_it_was(page: Page, url: str) -> None:
    await page.goto(url)
    await connect(page, endpoint="echo")
    await say(page, MARKUP)
    answer = await wait_for_line(page, "echo: ")
    assert re.sub(r" \([0-9.]+ ms\)$", "", answer) == f"echo: {MARKUP}"
    log = await lines(page)
    assert log[0].startswith("connected to ws://127.0.0.1:")
    assert log[1:3] == ["Connected to echo server", MARKUP]


async def test_all_256_bytes_come_back(page: Page, url: str) -> None:
    await page.goto(url)
    await connect(page, endpoint="echo")
    await page.get_by_role("button", name="Send 256 bytes").click()
    assert (await wait_for_line(page, "256 bytes back")).startswith("256 bytes back, the same")


async def test_two_pages_chat(context: BrowserContext, url: str) -> None:
    anna, bert = await context.new_page(), await context.new_page()
    for page in (anna, bert):
        await page.goto(url)
    await connect(anna, endpoint="chat")
    await wait_for_line(anna, "Welcome")
    await connect(bert, endpoint="chat")
    await wait_for_line(bert, "Welcome to the chat room, guest 2!")
    await wait_for_line(anna, "guest 2 has joined")
    await say(anna, MARKUP)
    await wait_for_line(bert, "guest 1: ")
    await say(bert, "And you?")
    for page in (anna, bert):
        log = await wait_until(page, lambda log: "guest 2: And you?" in log)
        assert [line for line in log if line.startswith("guest 1: ")] == [f"guest 1: {MARKUP}"]
    await bert.get_by_role("button", name="Disconnect").click()
    await wait_for_line(bert, "closed with 1000")
    await wait_for_line(anna, "guest 2 has left")
    await bert.close()
    await connect(another := await opened(context, url), endpoint="chat")
    await wait_for_line(anna, "guest 3 has joined")
    await another.close()  # without a word of goodbye
    await wait_for_line(anna, "guest 3 has left")


async def opened(context: BrowserContext, url: str) -> Page:
    page = await context.new_page()
    await page.goto(url)
    return page


async def test_what_people_write_is_never_markup(context: BrowserContext, url: str) -> None:
    dialogs: list[str] = []

    async def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        await dialog.dismiss()

    anna, bert = await opened(context, url), await opened(context, url)
    for page in (anna, bert):
        page.on("dialog", dismiss)
        await connect(page, endpoint="chat")
    await say(anna, MARKUP)
    for page in (anna, bert):
        await wait_for_line(page, "guest 1: ")
        assert await page.get_by_role("log").locator("b, img").count() == 0
    assert dialogs == []


async def test_the_page_says_when_the_server_has_gone(page: Page, url: str, server: Program) -> None:
    await page.goto(url)
    await connect(page, endpoint="echo")
    server.kill()
    await wait_for_line(page, "closed with 1006")
    await expect(page.get_by_role("status")).to_have_text("not connected")
    await page.get_by_role("button", name="Connect", exact=True).click()
    await wait_until(page, lambda log: sum(line.startswith("closed with 1006") for line in log) == 2)


async def test_the_keyboard_alone_is_enough(page: Page, url: str) -> None:
    await page.goto(url)
    await page.keyboard.press("Tab")
    await expect(page.get_by_label("Endpoint")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await wait_for_line(page, "Connected to echo server")
    await expect(page.get_by_label("Message", exact=True)).to_be_focused()
    await page.keyboard.type("typed")
    await page.keyboard.press("Enter")
    await wait_for_line(page, "echo: typed")
    for _ in range(2):
        await page.keyboard.press("Shift+Tab")
    await expect(page.get_by_role("button", name="Disconnect")).to_be_focused()
    await page.keyboard.press("Space")
    await wait_for_line(page, "closed with 1000")
    await expect(page.get_by_role("button", name="Connect", exact=True)).to_be_focused()
