"""Habits of the source: docstrings on what is public, no ``assert`` that decides anything, no data that is code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from support.house import Module, modules, report

# Classes with the methods of an interface of Python, which its documentation explains.
FOREIGN_INTERFACES: Final = frozenset({"Receiver"})

# Modules that make objects of any kind out of bytes.
LOADERS: Final = frozenset({"dill", "marshal", "pickle", "shelve"})


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


def test_nothing_that_comes_in_can_be_code() -> None:
    breaches = [
        f"{module.at(node)}: {ast.unparse(node)}"
        for module in python_modules()
        for node in ast.walk(module.tree)
        if runs_data(node)
    ]
    assert not breaches, report("whoever writes to a queue or a file would run what they like:", breaches)


def runs_data(node: ast.AST) -> bool:
    """Whether a node loads objects, or code, out of bytes."""
    if isinstance(node, ast.Import):
        return any(alias.name in LOADERS for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return node.module in LOADERS
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec")


def test_what_runs_data_is_recognised() -> None:
    source = "import pickle\nfrom marshal import loads\neval(data)\n"
    assert [runs_data(node) for node in ast.parse(source).body[:2]] == [True, True]
    assert any(runs_data(node) for node in ast.walk(ast.parse("eval(data)")))
    assert not any(runs_data(node) for node in ast.walk(ast.parse("import json\njson.loads(data)")))
