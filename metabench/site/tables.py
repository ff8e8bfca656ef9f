"""Markdown tables of any strings."""

from __future__ import annotations

import re
from collections.abc import Sequence


def write_cell(text: str) -> str:
    """`text` on one line; bars, angles and stars outside of code stand for themselves."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    for place in range(0, len(parts), 2):
        plain = parts[place].replace("<", "&lt;").replace(">", "&gt;").replace("*", r"\*")
        parts[place] = plain.replace("[", r"\[").replace("]", r"\]")
    return "".join(parts).replace("|", r"\|")


def write_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; cells hold Markdown, see `write_cell` for plain text."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
