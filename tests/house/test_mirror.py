"""The tests mirror the source: every module has a test module at the same place, and the other way round."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from support.house import PACKAGE, SOURCE, TESTS, modules, report

# Folders of tests that look at the whole, or hold what tests need.
WHOLE: Final = frozenset({"browser", "conformance", "house", "integration", "peers", "support"})
# Test modules beside them that belong to no single module.
FREE: Final = frozenset({"test_docs.py"})


def source_places() -> set[Path]:
    """For each module with code of its own the place of its test module."""
    places = set()
    for module in modules():
        path = module.path.relative_to(SOURCE / PACKAGE)
        if path.stem not in ("__init__", "__main__"):
            places.add(path.with_name(f"test_{path.stem.lstrip('_')}.py"))
    return places


def test_places() -> set[Path]:
    places = {path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    return {place for place in places if place.parts[0] not in WHOLE and str(place) not in FREE}


test_places.__test__ = False  # type: ignore[attr-defined]


def test_every_module_has_its_test_module() -> None:
    breaches = [f"tests/{place}" for place in source_places() - test_places()]
    assert not breaches, report("missing test modules:", breaches)


def test_every_test_module_has_its_module() -> None:
    breaches = [f"tests/{place}" for place in test_places() - source_places()]
    assert not breaches, report(f"test modules without a module under src/{PACKAGE}:", breaches)
