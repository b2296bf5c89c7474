"""Finds the router that ``module:name`` names. Whatever goes wrong on the way is one sentence that says where."""

from __future__ import annotations

import importlib
import os
import sys
import sysconfig
import traceback
from types import FrameType, ModuleType
from typing import Final

from ..errors import ConfigurationError, ElioError
from ..server.router import Router
from .terminal import one_line

__all__ = ["folder_of", "load_router"]

_PACKAGE: Final = __name__.partition(".")[0]
_FOREIGN: Final = ("<", *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "purelib", "platlib")))
"""How the names of files begin that are not the user's."""


def load_router(target: str) -> Router:
    """Import a module, from the present folder too, and take a router from it.

    Args:
        target: ``module:name``, ``package.module:name``, or a path such as ``app.py:name``; the name is ``router`` if
            it is left out.

    Raises:
        ConfigurationError: in one sentence, what is wrong and where.
    """
    place, _, name = target.partition(":")
    found: object = _load(place)
    for part in (name or "router").split("."):
        if not hasattr(found, part):
            raise ConfigurationError(f"the module {place!r} has no {name or 'router'!r}")
        found = getattr(found, part)
    if not isinstance(found, Router):
        raise ConfigurationError(f"{target!r} is of type {type(found).__name__}, not an elio.Router")
    return found


def folder_of(target: str) -> str:
    """The folder that modules are imported from: the one of a path, else the present one."""
    place = target.partition(":")[0]
    return os.path.dirname(place) or "." if place.endswith(".py") else "."


def _load(place: str) -> ModuleType:
    sys.path.insert(0, os.path.abspath(folder_of(place)))
    if not place.endswith(".py"):
        return _import(place)
    if not os.path.isfile(place):
        raise ConfigurationError(f"the file {place!r} does not exist")
    module = _import(os.path.basename(place)[:-3])
    if not os.path.samefile(getattr(module, "__file__", None) or os.devnull, place):
        raise ConfigurationError(f"the file {place!r} cannot be imported: another module has its name")
    return module


def _import(name: str) -> ModuleType:
    if not all(name.split(".")):
        raise ConfigurationError(f"{name!r} is not the name of a module")
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{name}.".startswith(f"{missing}."):
            raise ConfigurationError(f"there is no module {missing!r} here or in the path of Python") from error
        raise ConfigurationError(f"the module {name!r} cannot be loaded: {_describe(error)}") from error


def _describe(error: BaseException) -> str:
    """What went wrong and the last line of the user's own on the way there."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.msg} ({error.filename}, line {error.lineno})"
    text = one_line(error)
    if not isinstance(error, ElioError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    own = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__) if _is_own(frame)]
    return f"{text} ({own[-1][0]}, line {own[-1][1]})" if own else text


def _is_own(frame: FrameType) -> bool:
    """Whether it is the user's. Compiled modules tell their name, not where they are."""
    is_ours = frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE
    return not is_ours and not frame.f_code.co_filename.startswith(_FOREIGN)
