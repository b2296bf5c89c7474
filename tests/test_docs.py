"""The Python in README.md and docs/ is real.

Every block marked ``python`` must compile; a top-level ``await`` is allowed. A block with the line ``<!-- run -->``
directly above it is also executed, as an imported module would be: what stands under ``if __name__ == "__main__":`` is
left out. With ``<!-- run on -->`` a block goes on where the executed blocks before it on the same page ended: the first
one has the routes, the next one starts a server on port 0 and talks to it.

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
from dataclasses import fields
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from elio import Limits, Server

ROOT: Final = Path(__file__).resolve().parents[1]
BLOCK: Final = re.compile(
    r"^(?:<!-- (?P<mark>run|run on) -->\n)?```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
NAME: Final = re.compile(r"`(elio(?:\.[A-Za-z_]\w*)+)(?:\([^`]*\))?`")
TEST: Final = re.compile(r"^ *(?:async )?def (test_\w+)\(", re.MULTILINE)
TIMEOUT: Final = 20.0


class Block(NamedTuple):
    """One block of Python in a page."""

    place: str
    line: int
    code: str
    mark: str = ""

    def compile(self) -> types.CodeType:
        # Empty lines in front give tracebacks the line numbers of the page.
        text = "\n" * (self.line - 1) + self.code
        return compile(text, self.place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def blocks_of(text: str, place: str = "page") -> Iterator[Block]:
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        yield Block(place, line, match["code"], match["mark"] or "")


def all_pages() -> dict[str, str]:
    """The text of every page by its path."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return {str(page.relative_to(ROOT)): page.read_text("utf-8") for page in pages}


def all_blocks() -> list[Block]:
    return [block for place, text in all_pages().items() for block in blocks_of(text, place)]


def scripts_of(blocks: list[Block]) -> list[list[Block]]:
    """The blocks to execute; those that go on stand behind the one they go on from."""
    scripts: list[list[Block]] = []
    for block in blocks:
        if block.mark == "run":
            scripts.append([block])
        elif block.mark == "run on":
            assert scripts, f"{block.place}:{block.line} has nothing to go on from"
            assert scripts[-1][0].place == block.place, f"{block.place}:{block.line} has nothing to go on from"
            scripts[-1].append(block)
    return scripts


def execute(*blocks: Block) -> dict[str, object]:
    """Execute blocks in one new module and return its names."""
    module = types.ModuleType("page")
    sys.modules["page"] = module
    try:
        for block in blocks:
            result = eval(block.compile(), module.__dict__)
            if inspect.iscoroutine(result):
                asyncio.run(asyncio.wait_for(result, TIMEOUT))
    finally:
        del sys.modules["page"]
    return vars(module)


@pytest.mark.parametrize("block", [pytest.param(b, id=f"{b.place}:{b.line}") for b in all_blocks()])
def test_block_compiles(block: Block) -> None:
    block.compile()


@pytest.mark.parametrize("script", [pytest.param(s, id=f"{s[0].place}:{s[0].line}") for s in scripts_of(all_blocks())])
def test_block_runs_if_it_says_so(script: list[Block], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    execute(*script)


def test_every_page_has_its_place_in_the_table_of_contents() -> None:
    contents = (ROOT / "mkdocs.yml").read_text("utf-8")
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if f": {page}\n" not in contents] == []


def test_names_exist() -> None:
    names = {(name, place) for place, text in all_pages().items() for name in NAME.findall(text)}
    missing = [f"{place}: {name}" for name, place in sorted(names) if not exists(name)]
    assert not missing, "\n".join(["the documentation speaks of what is not there:", *missing])


def test_the_tests_that_pages_name_exist() -> None:
    sources = (path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    present = {name for source in sources for name in TEST.findall(source)}
    named = {(name, place) for place, text in all_pages().items() for name in re.findall(r"`(test_\w+)`", text)}
    assert len(named) > 50
    assert [f"{place}: {name}" for name, place in sorted(named) if name not in present] == []


def test_every_row_of_failures_names_a_test() -> None:
    text = (ROOT / "docs" / "explanations" / "failures.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| what has")]
    assert len(rows) > 40
    assert [row for row in rows if not re.search(r"`test_\w+`[^|]*\|$", row)] == []


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
    assert list(blocks_of(page)) == [Block("page", 5, "x = 1\n", "run"), Block("page", 9, "await f()\n", "")]


def test_a_block_that_goes_on_has_the_names_of_those_before_it() -> None:
    page = "<!-- run -->\n```python\nx = 1\n```\n\n<!-- run on -->\n```python\ny = x + 1\n```\n"
    (script,) = scripts_of(list(blocks_of(page)))
    assert execute(*script)["y"] == 2


def test_every_bound_stands_in_the_table_of_limits_with_its_default() -> None:
    text = (ROOT / "docs" / "explanations" / "limits.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", text, re.MULTILINE))
    told = {
        name: eval(default.replace(",", "").replace("KiB", "* 1024").replace("MiB", "* 1024 ** 2").removesuffix(" s"))
        for name, default in rows.items()
    }
    assert told == {field.name: getattr(Limits(), field.name) for field in fields(Limits)}


def test_every_option_of_a_server_stands_on_the_page_about_security_with_its_default() -> None:
    text = (ROOT / "docs" / "explanations" / "security.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^|]+?)` \| \S", text, re.MULTILINE))
    options = list(inspect.signature(Server).parameters.values())[1:]
    assert {name: eval(default) for name, default in rows.items()} == {o.name: o.default for o in options}


def test_a_block_with_await_is_executed() -> None:
    block = Block("page", 1, "import asyncio\nx = 1\nawait asyncio.sleep(0)\nx = 2\n", "run")
    assert execute(block)["x"] == 2


def test_a_wrong_block_fails_with_the_line_of_the_page() -> None:
    with pytest.raises(SyntaxError) as caught:
        Block("page", 7, "x = 1\nx = = 2\n").compile()
    assert caught.value.lineno == 8
