"""The chat on the first page: as pasted, in four processes. In a browser: ``tests/browser/test_readme_chat.py``."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import elio
from support.programs import DEADLINE, start
from support.readme import chat


def test_it_is_twenty_lines() -> None:
    assert len([line for line in chat().splitlines() if line]) <= 20
    assert "workers=4" in chat()


async def test_all_who_are_connected_hear_all_and_newcomers_what_was_said(tmp_path: Path) -> None:
    (tmp_path / "chat.py").write_text(chat(port=0))
    async with asyncio.timeout(2 * DEADLINE), start("chat.py", cwd=tmp_path) as program, AsyncExitStack() as stack:
        port = (await program.says(r"serving on http://127\.0\.0\.1:(\d+) \(Ctrl\+C to stop\)"))[1]
        url = f"ws://127.0.0.1:{port}/chat"
        clients = [await stack.enter_async_context(elio.connect(url)) for _ in range(8)]
        for number, client in enumerate(clients[:2]):
            await client.send(f"hello {number}")
            said = [json.loads(await each.receive())["data"] for each in clients]
            assert said == [f"hello {number}"] * 8
        late = await stack.enter_async_context(elio.connect(url))
        assert [json.loads(await late.receive())["data"] for _ in range(2)] == ["hello 0", "hello 1"]
        await stack.aclose()
        program.kill(signal.SIGTERM)
        assert await program.ends() == 0
