"""Numbers in sentences: `1 shot`, `3 shots`."""

from __future__ import annotations


def pluralise(noun: str, count: int) -> str:
    """The noun as it stands beside `count`: `shot` for one, `shots` for none or several."""
    return noun if count == 1 else f"{noun}s"


def say_count(count: int, noun: str) -> str:
    """The count with its noun: `1 shot`, `3 shots`."""
    return f"{count} {pluralise(noun, count)}"
