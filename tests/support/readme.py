"""What README.md shows."""

from __future__ import annotations

import re

from support.house import ROOT

__all__ = ["chat"]


def chat(*, port: int = 8080) -> str:
    """The program of the first block, on another port if that is wished."""
    found = re.search(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError("README.md has no program")
    return found[1].replace("port=8080", f"port={port}")
