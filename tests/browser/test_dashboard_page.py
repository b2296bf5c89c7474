"""The page of ``examples/dashboard.py`` in a browser: its line grows, and is there at once after a reload."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from support.pages import fits_a_phone
from support.processes import example

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def drawn(page: Page, count: int) -> list[float]:
    """Where the line is, from the left to the right, as soon as it has so many points."""
    await page.wait_for_function("count => document.getElementById('line').points.length >= count", arg=count)
    found: list[float] = await page.locator("#line").evaluate("line => [...line.points].map(point => point.x)")
    return found


async def test_the_line_grows_and_is_there_after_a_reload(page: Page) -> None:
    with example("dashboard", "0", "--interval", "0.02") as server:
        await page.goto(f"http://127.0.0.1:{server.port()}/")
        places = await drawn(page, 10)
        assert places == list(range(120 - len(places), 120))
        await expect(page.get_by_role("status")).to_have_text("connected")
        await expect(page.locator("#now")).to_have_text(re.compile(r"^-?\d+\.\d\d °C$"))
        box = await page.locator("#line").bounding_box()
        assert box is not None
        assert box["width"] > 0
        await drawn(page, 30)
        await page.reload()
        await page.wait_for_function("figures.length > 0")
        assert await page.evaluate("figures.length") >= 20
        await fits_a_phone(page)
