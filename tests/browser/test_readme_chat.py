"""The chat on the first page of README.md, as pasted, in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, expect

from support.processes import python
from support.readme import chat

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_two_people_meet_and_a_third_reads_what_was_said(context: BrowserContext, tmp_path: Path) -> None:
    path = tmp_path / "chat.py"
    path.write_text(chat(port=0))
    with python(str(path)) as server:
        url = f"http://127.0.0.1:{server.port()}/"
        ann, bob = await context.new_page(), await context.new_page()
        for page in (ann, bob):
            await page.goto(url)
        await ann.wait_for_function("ws.readyState === 1")
        await ann.get_by_label("Message").fill("<b>hello</b>")
        await ann.get_by_label("Message").press("Enter")
        await expect(ann.get_by_role("listitem")).to_have_text(["<b>hello</b>"])
        await expect(bob.get_by_role("listitem")).to_have_text(["<b>hello</b>"])
        late = await context.new_page()
        await late.goto(url)
        await expect(late.get_by_role("listitem")).to_have_text(["<b>hello</b>"])
