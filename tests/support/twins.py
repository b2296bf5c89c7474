"""Both twins of a module in one process."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from unittest import mock

from elio import _twins


def load_pure(*names: str) -> list[ModuleType]:
    """The Python twins of these modules, from a second copy of the package that knows no compiled module.

    Its classes are not those of the first: compare values and texts, not types.
    """
    ours = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "elio"}
    for name in ours:
        del sys.modules[name]
    try:
        with (
            mock.patch.dict("os.environ", {"ELIO_PURE": "1"}),
            mock.patch.object(sys, "meta_path", list(sys.meta_path)),
        ):
            return [importlib.import_module(name) for name in names]
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "elio"]:
            del sys.modules[name]
        sys.modules.update(ours)


def is_native(*names: str) -> bool:
    """Whether all of these modules run compiled here."""
    return all(_twins.is_compiled(name) for name in names)
