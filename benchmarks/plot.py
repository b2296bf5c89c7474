"""A plot without a plotting library: one panel for each case, one bar for each server, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape

from .cases import MEMORY, Case
from .peers import PEERS
from .results import Rounds, summary

__all__ = ["draw"]

COLUMNS = 2
PANEL_WIDTH = 560
LABEL_WIDTH = 200
BAR_HEIGHT = 13
BAR_STEP = 17
TITLE_HEIGHT = 34
GAP = 26
VALUE_WIDTH = 70
STYLE = """\
text{font:12px system-ui,sans-serif;fill:#57606a} .title{font-weight:600;fill:#24292f} .bar{fill:#8c959f}
.ours{fill:#1a7f5a} .limit{fill:#b08800} .paper{fill:#ffffff}
@media (prefers-color-scheme:dark){text{fill:#9198a1} .title{fill:#f0f6fc} .bar{fill:#656c76} .ours{fill:#3fb984}
.limit{fill:#d29922} .paper{fill:#0d1117}}"""


def draw(cases: Iterable[tuple[Case, Rounds]]) -> str:
    """The whole picture. Bars are linear from zero, each panel has its own scale."""
    panels = [_panel(case, rounds) for case, rounds in cases]
    parts, top = [], GAP
    for start in range(0, len(panels), COLUMNS):
        row = panels[start : start + COLUMNS]
        for column, (content, _) in enumerate(row):
            left = GAP + column * (PANEL_WIDTH + GAP)
            parts.append(f'<g transform="translate({left},{top})">{content}</g>')
        top += max(height for _, height in row) + GAP
    width = COLUMNS * (PANEL_WIDTH + GAP) + GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" height="{top}">'
    paper = f'<rect class="paper" width="{width}" height="{top}"/>'
    return "\n".join([head, f"<style>{STYLE}</style>", paper, *parts, "</svg>\n"])


def _panel(case: Case, rounds: Rounds) -> tuple[str, int]:
    figures = {server: values[0] for server, values in summary(rounds, case.metric).items()}
    order = sorted(figures, key=lambda server: figures[server])
    scale = (PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH) / max([*figures.values(), 1e-9])
    unit = f"bytes per {case.per}" if case.metric == MEMORY else f"µs of server CPU per {case.per}"
    parts = [
        f'<text class="title" x="0" y="12">{escape(case.title)}</text>',
        f'<text x="0" y="27">{escape(unit)}</text>',
    ]
    for place, server in enumerate(order):
        parts.append(_bar(server, figures[server], scale, TITLE_HEIGHT + place * BAR_STEP))
    return "".join(parts), TITLE_HEIGHT + len(order) * BAR_STEP


def _bar(server: str, value: float, scale: float, top: int) -> str:
    peer = PEERS[server]
    kind = "ours" if peer.is_ours else "limit" if peer.is_limit else "bar"
    width = max(1.0, value * scale)
    base = top + BAR_HEIGHT - 2
    label = escape(peer.label.replace("**", ""))
    return (
        f'<text x="{LABEL_WIDTH - 6}" y="{base}" text-anchor="end">{label}</text>'
        f'<rect class="{kind}" x="{LABEL_WIDTH}" y="{top}" width="{width:.1f}" height="{BAR_HEIGHT}" rx="2"/>'
        f'<text x="{LABEL_WIDTH + width + 5:.1f}" y="{base}">{_short(value)}</text>'
    )


def _short(value: float) -> str:
    if value <= 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(value)))
    return f"{value:,.{digits}f}"
