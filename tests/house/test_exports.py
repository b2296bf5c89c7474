"""Public modules say what they export, and what they say is true."""

from __future__ import annotations

import ast
import importlib
from collections import Counter

from support.house import PACKAGE, Module, modules, report


def public_modules() -> list[Module]:
    """Those that users may import by name; the ``__init__.py`` of a folder may hold no more than a docstring."""
    return [module for module in modules() if module.is_public and module.is_python and not module.is_bare]


def declared_exports(module: Module) -> list[str] | None:
    """The names in ``__all__`` as they are written, None where there is none."""
    for node in module.tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            value = getattr(node, "value", None)
            return list(ast.literal_eval(value)) if value is not None else None
    return None


def test_every_public_module_has_all() -> None:
    breaches = [module.name for module in public_modules() if declared_exports(module) is None]
    assert not breaches, report("public modules without __all__:", breaches)


def test_exported_names_are_unique() -> None:
    breaches = []
    for module in public_modules():
        counts = Counter(declared_exports(module) or [])
        breaches += [f"{module.name}: {name} {count} times" for name, count in counts.items() if count > 1]
    assert not breaches, report("names that stand in __all__ more than once:", breaches)


def test_exported_names_exist_and_have_no_underscore() -> None:
    breaches = []
    for module in public_modules():
        names = declared_exports(module) or []
        imported = importlib.import_module(module.name)
        breaches += [f"{module.name}.{name} does not exist" for name in names if not hasattr(imported, name)]
        private = [name for name in names if name.startswith("_") and name != "__version__"]
        breaches += [f"{module.name}.{name} is private" for name in private]
    assert not breaches, report("wrong names in __all__:", breaches)


def test_the_package_exports_only_what_its_modules_export() -> None:
    package = importlib.import_module(PACKAGE)
    exported = {
        name for module in public_modules() if module.name != PACKAGE for name in declared_exports(module) or []
    }
    breaches = [
        name
        for name in package.__all__
        if name not in exported and name != "__version__" and f"{PACKAGE}.{name}" not in {m.name for m in modules()}
    ]
    assert not breaches, report(f"{PACKAGE}.__all__ names what no public module has in its __all__:", breaches)
