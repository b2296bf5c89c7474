"""``examples/demo.py`` in a browser, and how all pages look."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from support.pages import WIDTHS, connect, overflows, say, wait_for_line, wait_until
from support.processes import example

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with example("demo", "0") as program:
        yield f"http://127.0.0.1:{program.port()}/"


async def test_from_the_first_page_to_both_others_and_back(page: Page, url: str) -> None:
    broken: list[str] = []
    page.on("response", lambda response: broken.append(response.url) if response.status >= 400 else None)
    await page.goto(url)
    await page.get_by_role("link", name="WebSocket").click()
    await connect(page, endpoint="chat")
    await wait_for_line(page, "Welcome")
    await page.get_by_role("link", name="all pages").click()
    await page.get_by_role("link", name="Server-Sent Events").click()
    await connect(page)
    await wait_for_line(page, "heartbeat #1")
    await page.get_by_role("button", name="Disconnect").click()
    await page.get_by_role("link", name="all pages").click()
    await page.get_by_role("heading", name="Elio is running").wait_for()
    assert broken == []


@pytest_asyncio.fixture(loop_scope="session", params=[(width, mode) for width in WIDTHS for mode in ("light", "dark")])
async def styled(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A page on a desktop or a phone, in light or dark mode."""
    width: str
    mode: Literal["light", "dark"]
    width, mode = request.param
    size = WIDTHS[width]
    context = await browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=mode)
    yield await context.new_page()
    await context.close()


CONTRAST = """() => {
    const channels = color => color.match(/[\\d.]+/g).map(Number);
    const light = color => {
        const linear = c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
        const [r, g, b] = channels(color).map(c => linear(c / 255));
        return .2126 * r + .7152 * g + .0722 * b;
    };
    const ground = one => {
        for (; one; one = one.parentElement) {
            const color = getComputedStyle(one).backgroundColor;
            if ((channels(color)[3] ?? 1) === 1) return color;
        }
        return "rgb(255, 255, 255)";
    };
    const poor = [];
    for (const one of document.querySelectorAll("body *")) {
        const hasText = [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim());
        if (!hasText || !one.getClientRects().length || one.disabled || one.tagName === "OPTION") continue;
        const [high, low] = [light(getComputedStyle(one).color), light(ground(one))].sort((a, b) => b - a);
        const ratio = (high + .05) / (low + .05);
        if (ratio < 4.5) poor.push(`${ratio.toFixed(1)}: ${one.outerHTML.slice(0, 100)}`);
    }
    return poor;
}"""
"""Texts whose contrast is below the 4.5 of WCAG 2.1, 1.4.3."""


async def test_everything_fits_and_can_be_read(styled: Page, url: str) -> None:
    async def check() -> None:
        assert await overflows(styled) == []
        assert await styled.evaluate(CONTRAST) == []

    await styled.goto(url)
    await check()
    await styled.goto(f"{url}websocket/")
    await check()
    await connect(styled, endpoint="echo")
    await say(styled, "a" * 300 + " and " + "many words " * 30)
    await wait_for_line(styled, "echo: ")
    await check()
    await styled.goto(f"{url}sse/")
    await connect(styled)
    await wait_until(styled, lambda log: len(log) > 1)
    await check()
