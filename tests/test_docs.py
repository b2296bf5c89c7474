"""The Python in README.md and docs/ is real.

Every block marked ``python`` must compile; a top-level ``await`` is allowed. A block with the line ``<!-- run -->``
directly above it is also executed, as an imported module would be: what stands under ``if __name__ == "__main__":`` is
left out.

Names in backquotes that begin with ``elio.`` must exist.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import pkgutil
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
BLOCK: Final = re.compile(r"^(?P<run><!-- run -->\n)?```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
NAME: Final = re.compile(r"`(elio(?:\.[A-Za-z_]\w*)+)(?:\([^`]*\))?`")
TIMEOUT: Final = 20.0


class Block(NamedTuple):
    """One block of Python in a page."""

    place: str
    line: int
    code: str
    is_run: bool

    def compile(self) -> types.CodeType:
        # Empty lines in front give tracebacks the line numbers of the page.
        text = "\n" * (self.line - 1) + self.code
        return compile(text, self.place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def blocks_of(text: str, place: str = "page") -> Iterator[Block]:
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        yield Block(place, line, match["code"], match["run"] is not None)


def all_pages() -> dict[str, str]:
    """The text of every page by its path."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return {str(page.relative_to(ROOT)): page.read_text("utf-8") for page in pages}


def all_blocks() -> list[Block]:
    return [block for place, text in all_pages().items() for block in blocks_of(text, place)]


def execute(block: Block) -> dict[str, object]:
    """Execute a block in a module of its own and return its names."""
    module = types.ModuleType("page")
    sys.modules["page"] = module
    try:
        result = eval(block.compile(), module.__dict__)
        if inspect.iscoroutine(result):
            asyncio.run(asyncio.wait_for(result, TIMEOUT))
    finally:
        del sys.modules["page"]
    return vars(module)


@pytest.mark.parametrize("block", [pytest.param(b, id=f"{b.place}:{b.line}") for b in all_blocks()])
def test_block_compiles_and_runs_if_it_says_so(block: Block) -> None:
    block.compile()
    if block.is_run:
        execute(block)


def test_names_exist() -> None:
    names = {(name, place) for place, text in all_pages().items() for name in NAME.findall(text)}
    missing = [f"{place}: {name}" for name, place in sorted(names) if not exists(name)]
    assert not missing, "\n".join(["the documentation speaks of what is not there:", *missing])


def exists(name: str) -> bool:
    """Whether the name leads somewhere: modules as far as there are some, attributes behind them."""
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def test_exists_tells_names_from_mistakes() -> None:
    assert exists("elio.WebSocket.close_code")
    assert not exists("elio.WebSocket.closed_code")
    assert NAME.findall("`elio.run(router)`, `elio.a.b` and `elio`") == ["elio.run", "elio.a.b"]


def test_blocks_are_found_with_their_lines_and_marks() -> None:
    page = "text\n\n<!-- run -->\n```python\nx = 1\n```\n\n```python\nawait f()\n```\n```text\nno\n```\n"
    assert list(blocks_of(page)) == [Block("page", 5, "x = 1\n", True), Block("page", 9, "await f()\n", False)]


def test_a_block_with_await_is_executed() -> None:
    block = Block("page", 1, "import asyncio\nx = 1\nawait asyncio.sleep(0)\nx = 2\n", True)
    assert execute(block)["x"] == 2


def test_a_wrong_block_fails_with_the_line_of_the_page() -> None:
    with pytest.raises(SyntaxError) as caught:
        Block("page", 7, "x = 1\nx = = 2\n", False).compile()
    assert caught.value.lineno == 8
