"""A headless Chromium, and what tests do with the example pages in it, as a person does it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import pytest
from playwright.async_api import Browser, Page, Playwright, expect

from support.raw import DEADLINE

__all__ = [
    "MARKUP",
    "WIDTHS",
    "connect",
    "fits_a_phone",
    "launched",
    "lines",
    "overflows",
    "say",
    "wait_for_line",
    "wait_until",
]

MARKUP: Final = """He said "hi" & 'bye' <b>bold</b> <img src=x onerror=alert(1)> 🎉 é \\n"""
"""Text that changes, or runs, wherever it is taken for JSON or HTML."""

WIDTHS: Final = {"desktop": (1100, 800), "phone": (360, 640)}


_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@asynccontextmanager
async def launched(playwright: Playwright, *options: str) -> AsyncIterator[Browser]:
    """A browser that is closed at the end."""
    path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.fail(f"there is no browser in PATH, one of {', '.join(_NAMES)} is needed", pytrace=False)
    browser = await playwright.chromium.launch(executable_path=path, args=[*_OPTIONS, *options])
    try:
        yield browser
    finally:
        await browser.close()


async def connect(page: Page, *, endpoint: str | None = None) -> None:
    """Connect, to one of the endpoints if there are several, and wait until that is done."""
    if endpoint is not None:
        await page.get_by_label("Endpoint").select_option(label=endpoint)
    await page.get_by_role("button", name="Connect", exact=True).click()
    await expect(page.get_by_role("status")).to_have_text("connected")


async def say(page: Page, text: str) -> None:
    """Send a message with the keyboard."""
    field = page.get_by_label("Message", exact=True)
    await field.fill(text)
    await field.press("Enter")


async def lines(page: Page) -> list[str]:
    """The log, without times."""
    found = page.get_by_role("log").locator("li > span")
    return await found.evaluate_all("found => found.map(line => line.textContent)")


async def wait_until(page: Page, condition: Callable[[list[str]], bool]) -> list[str]:
    """The log as soon as it fulfils a condition."""
    try:
        async with asyncio.timeout(DEADLINE):
            while not condition(found := await lines(page)):
                pass
    except TimeoutError:
        raise AssertionError(f"the log has only {await lines(page)}") from None
    return found


async def wait_for_line(page: Page, start: str) -> str:
    """The first line of the log that starts like this."""
    found = await wait_until(page, lambda log: any(line.startswith(start) for line in log))
    return next(line for line in found if line.startswith(start))


async def overflows(page: Page) -> list[str]:
    """Elements that are wider than the window lets a person see."""
    return await page.evaluate(
        """() => [...document.querySelectorAll("body *")]
            .filter(one => one.getClientRects().length && one.getBoundingClientRect().right > innerWidth)
            .map(one => one.outerHTML.slice(0, 100))"""
    )


async def fits_a_phone(page: Page) -> None:
    """The page in a narrow window: nothing sticks out."""
    width, height = WIDTHS["phone"]
    await page.set_viewport_size({"width": width, "height": height})
    assert await overflows(page) == []
