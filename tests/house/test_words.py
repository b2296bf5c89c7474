"""The source uses the RFC's words: some others are not names here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from support.house import Module, modules, report

# The word that may not be part of a name, and the one to use.
INSTEAD: Final = {
    "heartbeat": "ping or keep-alive comment",
    "packet": "frame or message",
    "recv": "receive",
}
_PARTS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")


def words_of(name: str) -> set[str]:
    """The words that a name in snake or camel case is made of, in lower case, plurals as singulars."""
    parts = [part.lower() for part in _PARTS.findall(name)]
    return {*parts, *(part.removesuffix("s") for part in parts)}


def given_names(module: Module) -> Iterator[tuple[str, ast.AST]]:
    """The names that a module gives itself; those of foreign objects that it uses do not count."""
    yield module.path.stem, module.tree
    for node in ast.walk(module.tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node
            case ast.arg():
                yield node.arg, node
            case ast.Name(ctx=ast.Store()):
                yield node.id, node
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr, node
            case ast.alias(asname=str()):
                yield node.asname or "", node


def test_words_of_a_name() -> None:
    assert words_of("recv_into") >= {"recv", "into"}
    assert words_of("PacketReader") >= {"packet", "reader"}
    assert "recv" not in words_of("receive")


def test_names_use_the_words_of_the_field() -> None:
    breaches = [
        f"{module.at(node)}: {name} (say {INSTEAD[word]})"
        for module in modules()
        if module.is_python
        for name, node in given_names(module)
        for word in words_of(name) & INSTEAD.keys()
    ]
    assert not breaches, report("names with words that are not ours:", breaches)
