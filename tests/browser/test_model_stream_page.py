"""The page of ``examples/model_stream.py`` in a browser: reloaded in the middle of an answer."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import BrowserContext, Page, expect

from support.pages import fits_a_phone
from support.processes import example

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def said(page: Page, words: int = 2) -> str:
    """The answer as soon as it has so many words."""
    await page.wait_for_function("n => document.getElementById('answer').textContent.split(' ').length >= n", arg=words)
    return await page.locator("#answer").evaluate("answer => answer.textContent")


async def test_an_answer_survives_a_reload_and_others_read_it_too(page: Page, context: BrowserContext) -> None:
    with example("model_stream", "0", "--interval", "0.02") as server:
        await page.goto(f"http://127.0.0.1:{server.port()}/")
        await page.get_by_role("button", name="Ask").click()
        before = await said(page, 6)
        assert re.match(r"\(Answer \d{6}\.\) ", before)
        await page.reload()
        after = await said(page)
        assert before.startswith(after) or after.startswith(before)
        await expect(page.get_by_role("status")).to_have_text("answered")
        whole = await said(page)
        assert whole.startswith(before)
        other = await context.new_page()
        await other.goto(page.url)
        await expect(other.get_by_role("status")).to_have_text("answered")
        assert await said(other) == whole
        await fits_a_phone(other)
        await page.get_by_role("button", name="Ask").click()
        another = await said(page)
        assert another[:16] != whole[:16]


async def test_an_address_that_names_no_answer_says_so(page: Page) -> None:
    with example("model_stream", "0") as server:
        await page.goto(f"http://127.0.0.1:{server.port()}/#nothing")
        await expect(page.get_by_role("status")).to_have_text("there is no such answer")
