"""The plan of the house, and the source read as text: what the tests in ``tests/house`` share.

A module is a file `.py` or `.pyx` under `src/elio`; a `.pxd` or `.pyi` beside it belongs to it. Nothing of the package
is imported here.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = ROOT / "src"
TESTS: Final = ROOT / "tests"
PACKAGE: Final = "elio"


@dataclass(frozen=True, slots=True)
class Room:
    """Modules and folders on one level of the house.

    Attributes:
        name: what messages call it.
        members: names directly under the package.
        strangers: whether its members may not import each other.
        pure: whether it knows neither I/O nor a clock, and nothing in it is async.
    """

    name: str
    members: frozenset[str]
    strangers: bool = False
    pure: bool = False


# A file imports only from its own room and from rooms that stand before it in this list.
ROOMS: Final = (
    Room(
        "words",
        frozenset({"_twins", "causes", "errors", "headers", "histogram", "limits", "url", "version"}),
        pure=True,
    ),
    Room("protocols", frozenset({"websocket", "sse", "http", "proxy_protocol"}), strangers=True, pure=True),
    Room("routing", frozenset({"routing"}), pure=True),
    Room("net", frozenset({"net"})),
    Room(
        "what programs hold",
        frozenset(
            {
                "_send",
                "auth",
                "body",
                "conditional",
                "cookies",
                "event_stream",
                "fan_out",
                "file_body",
                "query",
                "request",
                "response",
                "session",
                "wire",
            }
        ),
    ),
    Room("channels", frozenset({"channels"})),
    Room("server", frozenset({"server"})),
    Room("client", frozenset({"client"})),
    Room("doors", frozenset({"asgi", "testing", "cli"})),
    Room("front", frozenset({"__init__", "__main__"})),
)


@dataclass(frozen=True)
class Arrow:
    """One import: who imports whom, and in which line."""

    importer: str
    imported: str
    where: str


class Module:
    """One module of the package as it stands on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        parts = path.relative_to(SOURCE).with_suffix("").parts
        self.is_package = parts[-1] == "__init__"
        self.name = ".".join(parts[:-1] if self.is_package else parts)
        self.member = parts[1]

    def __repr__(self) -> str:
        return f"<Module {self.name}>"

    @property
    def is_public(self) -> bool:
        """Whether users may import it by its name."""
        return not any(part.startswith("_") for part in self.name.split("."))

    @property
    def is_bare(self) -> bool:
        """Whether it holds no more than a docstring, as the ``__init__.py`` of a plain folder does."""
        return not self.code_lines

    @property
    def is_python(self) -> bool:
        return self.path.suffix == ".py"

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, str(self.path))

    def at(self, node: ast.AST) -> str:
        """The place of a node, as editors understand it."""
        return f"{self.path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"

    @property
    def room(self) -> Room | None:
        return next((room for room in ROOMS if self.member in room.members), None)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Every function and method, nested ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    @cached_property
    def code_lines(self) -> frozenset[int]:
        """The numbers of the lines that hold code: no docstrings, comments or blank lines."""
        idle = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}
        lines: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type not in idle and token.type != tokenize.ENDMARKER:
                lines.update(range(token.start[0], token.end[0] + 1))
        for docstring in self._docstrings():
            lines.difference_update(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
        return frozenset(lines)

    def _docstrings(self) -> Iterator[ast.Expr]:
        """Strings that stand as statements: docstrings of modules, classes, functions and attributes."""
        for node in ast.walk(self.tree):
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                yield node

    def size_of(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
        """Code lines of a function, its head included."""
        return len(self.code_lines.intersection(range(function.lineno, (function.end_lineno or function.lineno) + 1)))


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the package, in order of their names."""
    paths = [path for suffix in ("py", "pyx") for path in (SOURCE / PACKAGE).rglob(f"*.{suffix}")]
    return tuple(sorted(map(Module, paths), key=lambda module: module.name))


@cache
def module_names() -> frozenset[str]:
    return frozenset(module.name for module in modules())


def room_number(name: str) -> int | None:
    """The place in the list of rooms of a module, None if the table has none for it."""
    member = name.split(".")[1] if "." in name else "__init__"
    return next((number for number, room in enumerate(ROOMS) if member in room.members), None)


def arrows(module: Module) -> Iterator[Arrow]:
    """What a module and its ``.pxd`` import of the package; a name that is no module counts as its package."""
    if module.is_python:
        yield from _python_arrows(module)
    for path in (module.path, module.path.with_suffix(".pxd")):
        if path.suffix != ".py" and path.exists():
            yield from _cython_arrows(module, path)


def _python_arrows(module: Module) -> Iterator[Arrow]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _arrow(module, alias.name, module.at(node))
        elif isinstance(node, ast.ImportFrom):
            base = absolute(module, "." * node.level + (node.module or ""))
            for alias in node.names:
                yield from _arrow(module, f"{base}.{alias.name}", module.at(node))


_CIMPORT: Final = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import\s+\(?\s*(\w+)|c?import\s+([\w.]+))")


def _cython_arrows(module: Module, path: Path) -> Iterator[Arrow]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if match := _CIMPORT.match(line):
            base, name, whole = match.groups()
            target = whole or f"{absolute(module, base)}.{name}"
            yield from _arrow(module, target, f"{path.relative_to(ROOT)}:{number}")


def absolute(module: Module, target: str) -> str:
    """The full name of what a module calls by a relative one."""
    level = len(target) - len(target.lstrip("."))
    if not level:
        return target
    parts = module.name.split(".")
    depth = len(parts) - level + (1 if module.is_package else 0)
    return ".".join([*parts[:depth], *filter(None, [target[level:]])])


def _arrow(module: Module, target: str, where: str) -> Iterator[Arrow]:
    """The arrow to the module that the target names or lies in, none if that is outside or the module itself."""
    if target.split(".")[0] != PACKAGE:
        return
    while target not in module_names() and "." in target:
        target = target.rpartition(".")[0]
    if target != module.name:
        yield Arrow(module.name, target, where)


def outside_imports(module: Module) -> Iterator[tuple[str, ast.AST]]:
    """The top-level names of what a module imports from outside the package."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").split(".")[0], node


def report(rule: str, breaches: list[str]) -> str:
    """The message of a failed rule: the rule, then one line for each place that breaks it."""
    return "\n".join([rule, *(f"  {breach}" for breach in sorted(breaches))])
