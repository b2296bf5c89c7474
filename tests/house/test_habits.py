"""Habits of the source: docstrings on what is public, no ``assert`` that decides anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from support.house import Module, modules, report

# Classes with the methods of an interface of Python, which its documentation explains.
FOREIGN_INTERFACES: Final = frozenset({"Receiver"})


def public_definitions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Public functions and classes of a module, and public methods of public classes; nested functions are not."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef) and not speaks_another_interface(node):
                yield from public_definitions(node.body)


def speaks_another_interface(node: ast.ClassDef) -> bool:
    """Whether the methods of a class are explained in Python's own documentation."""
    return node.name in FOREIGN_INTERFACES or any(ast.unparse(base).startswith("Coroutine") for base in node.bases)


def is_repeated(node: ast.AST) -> bool:
    """Whether a docstring stands elsewhere: at the getter of a setter, at the implementation of an overload."""
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(decorator).endswith(("overload", ".setter", "override")) for decorator in decorators)


def python_modules() -> list[Module]:
    return [module for module in modules() if module.is_python]


def test_every_file_opens_with_a_docstring() -> None:
    breaches = [str(module.path) for module in python_modules() if ast.get_docstring(module.tree) is None]
    assert not breaches, report("files without a docstring:", breaches)


def test_what_is_public_has_a_docstring() -> None:
    breaches = [
        f"{module.at(node)}: {node.name}"
        for module in python_modules()
        for node in public_definitions(module.tree.body)
        if ast.get_docstring(node) is None and not is_repeated(node)
    ]
    assert not breaches, report("public names without a docstring:", breaches)


def test_nothing_depends_on_assert() -> None:
    breaches = [
        f"{module.at(node)}: {ast.unparse(node)}"
        for module in python_modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assert)
    ]
    assert not breaches, report("`python -O` leaves assert statements out; raise instead:", breaches)
