"""The version is one, and of a form that package tools understand."""

from __future__ import annotations

import re

import elio
from elio.version import VERSION


def test_the_version_is_a_public_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?(\.dev\d+)?", VERSION)


def test_the_package_has_it() -> None:
    assert elio.__version__ == VERSION
