"""Finds the router that ``module:name`` names."""

from __future__ import annotations

import importlib
import os
import sys
import traceback

from ..errors import ConfigurationError
from ..server.router import Router

__all__ = ["load_router"]


def load_router(target: str) -> Router:
    """Import a module, from the present folder too, and take a router from it.

    Args:
        target: ``module:name``, ``package.module:name``, or a path such as ``app.py:name``; the name is ``router`` if
            it is left out.

    Raises:
        ConfigurationError: in one sentence, what is wrong and where.
    """
    module_name, _, name = target.partition(":")
    name = name or "router"
    if module_name.endswith(".py"):
        if not os.path.isfile(module_name):
            raise ConfigurationError(f"the file {module_name!r} does not exist")
        folder, module_name = os.path.split(module_name[:-3])
    else:
        folder = ""
    sys.path.insert(0, os.path.abspath(folder))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name + ".").startswith(error.name + "."):
            raise ConfigurationError(f"there is no module {error.name!r} here or in the path of Python") from error
        raise ConfigurationError(_describe(module_name, error)) from error
    except Exception as error:
        raise ConfigurationError(_describe(module_name, error)) from error
    found = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise ConfigurationError(f"the module {module_name!r} has no {name!r}")
        found = getattr(found, part)
    if not isinstance(found, Router):
        raise ConfigurationError(f"{target!r} is a {type(found).__name__}, not an elio.Router")
    return found


def _describe(module: str, error: Exception) -> str:
    """The last place of the traceback that is not in the machinery of imports, in one line."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"the module {module!r} cannot be loaded: {error.msg} in {error.filename}, line {error.lineno}"
    places = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    where = f" in {places[-1].filename}, line {places[-1].lineno}" if len(places) > 1 else ""
    return f"the module {module!r} cannot be loaded: {type(error).__name__}: {error}{where}"
