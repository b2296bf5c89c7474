"""Imports point one way: a file imports only from its own room and from rooms before it (``support.house.ROOMS``)."""

from __future__ import annotations

import ast
from typing import Final

from support.house import ROOMS, arrows, module_names, modules, outside_imports, report, room_number

# What a pure room must not import: I/O, a clock, logging.
IMPURE: Final = frozenset(
    {
        "asyncio",
        "concurrent",
        "logging",
        "select",
        "selectors",
        "signal",
        "socket",
        "ssl",
        "subprocess",
        "threading",
        "time",
    }
)
ASYNC_NODES: Final = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)

# Drivers that need not be installed; only these may be imported inside a function.
OPTIONAL_DRIVERS: Final = frozenset(
    {
        "aiofastnet",
        "brotli",
        "h2",
        "nats",
        "prometheus_client",
        "python_socks",
        "redis",
        "rich",
        "uvloop",
        "winloop",
        "zstandard",
    }
)


def test_every_module_has_a_room() -> None:
    breaches = [f"{module.path.name} ({module.name})" for module in modules() if module.room is None]
    assert not breaches, report("give these a room in tests/support/house.py:", breaches)


def test_no_arrow_points_to_a_later_room() -> None:
    breaches = []
    for module in modules():
        for arrow in arrows(module):
            here, there = room_number(arrow.importer), room_number(arrow.imported)
            if here is not None and there is not None and there > here:
                breaches.append(
                    f"{arrow.where}: {arrow.importer} (room {ROOMS[here].name!r}) imports {arrow.imported} "
                    f"(room {ROOMS[there].name!r})"
                )
    assert not breaches, report("a file imports only from its own room and from rooms before it:", breaches)


def test_the_protocols_do_not_know_each_other() -> None:
    breaches = []
    for module in modules():
        if module.room is None or not module.room.strangers:
            continue
        for arrow in arrows(module):
            member = arrow.imported.split(".")[1] if "." in arrow.imported else ""
            if member in module.room.members and member != module.member:
                breaches.append(f"{arrow.where}: {arrow.importer} imports {arrow.imported}")
    assert not breaches, report("websocket, sse and http do not import each other:", breaches)


def test_no_cycles() -> None:
    graph = {name: set[str]() for name in module_names()}
    for module in modules():
        graph[module.name].update(arrow.imported for arrow in arrows(module))
    cycle = find_cycle(graph)
    assert cycle is None, f"imports run in a circle, those for types included: {' -> '.join(cycle or [])}"


def find_cycle(graph: dict[str, set[str]]) -> list[str] | None:
    """Some cycle as a path that ends where it begins, None if there is none."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        for target in sorted(graph.get(name, ())):
            if cycle := visit(target, [*path, name]):
                return cycle
        done.add(name)
        return None

    return next((cycle for name in sorted(graph) if (cycle := visit(name, []))), None)


def test_find_cycle_sees_a_cycle() -> None:
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert find_cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


def test_only_optional_drivers_are_imported_inside_functions() -> None:
    breaches = []
    for module in modules():
        if not module.is_python:
            continue
        for function in module.functions():
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    names = imported_names(node)
                    if not names <= OPTIONAL_DRIVERS:
                        breaches.append(f"{module.at(node)}: {', '.join(sorted(names))} in {function.name}")
    assert not breaches, report("imports stand at the top of a file, optional drivers excepted:", breaches)


def imported_names(node: ast.Import | ast.ImportFrom) -> set[str]:
    """Top-level names of what one statement imports; a relative import keeps its dots and is never a driver."""
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    return {"." * node.level + (node.module or "").split(".")[0]}


def test_pure_rooms_import_neither_io_nor_a_clock() -> None:
    breaches = [
        f"{module.at(node)}: {module.name} imports {name}"
        for module in modules()
        if module.is_python and module.room is not None and module.room.pure
        for name, node in outside_imports(module)
        if name in IMPURE
    ]
    assert not breaches, report("words, protocols and routing know no I/O, no clock and no logging:", breaches)


def test_nothing_is_async_in_pure_rooms() -> None:
    breaches = [
        f"{module.at(node)}: {type(node).__name__}"
        for module in modules()
        if module.is_python and module.room is not None and module.room.pure
        for node in ast.walk(module.tree)
        if isinstance(node, ASYNC_NODES)
    ]
    assert not breaches, report("nothing is async in words, protocols and routing:", breaches)
