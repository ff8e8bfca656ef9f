"""HTML as trees of elements: whatever names and texts hold, they come out as text and never as markup.

Builders of elements (`node`, `section`, `pairs`, `table`, `figure`) are called by what they make, as in HTML itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias
from xml.etree.ElementTree import Element, tostring

from metabench.data.cards.axes import MINUS, put_minus

Child: TypeAlias = Element | str | None
"""What an element may hold; None is left out."""

DASH = "\u2013"


def node(name: str, attributes: Mapping[str, Any] | None = None, *children: Child) -> Element:
    """An element with attributes (None leaves one out) and children in order."""
    found = {key: str(value) for key, value in (attributes or {}).items() if value is not None}
    made = Element(name, found)
    for child in children:
        if isinstance(child, str):
            if len(made):  # text after a child is that child's tail in ElementTree
                made[-1].tail = (made[-1].tail or "") + child
            else:
                made.text = (made.text or "") + child
        elif child is not None:
            made.append(child)
    return made


def render_html(element: Element) -> str:
    """The element as HTML text."""
    return tostring(element, encoding="unicode", method="html")


def section(name: str, title: str, *children: Child, note: str = "") -> Element:
    """A part of the page that the navigation leads to."""
    heading = node(
        "div", {"class": "head"}, node("h2", {}, title), node("p", {}, note) if note else None
    )
    return node("section", {"id": name, "class": "part"}, heading, *children)


def pairs(content: Mapping[str, str], changed: Iterable[str] = ()) -> Element:
    """A list of terms and what they are; those of `changed` stand out."""
    marked, made = set(changed), node("dl", {"class": "pairs"})
    for key, value in content.items():
        made.append(node("dt", {}, key))
        made.append(node("dd", {"class": "changed" if key in marked else None}, value))
    return made


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[Child]],
    *,
    words: int = 1,
    caption: str | None = None,
) -> Element:
    """A table whose first `words` columns are text and whose others are numbers; it scrolls where it is too wide."""
    head = node("tr")
    for place, heading in enumerate(headings):
        head.append(
            node("th", {"scope": "col", "class": None if place < words else "number"}, heading)
        )
    body = node("tbody")
    for row in rows:
        line = node("tr")
        for place, cell in enumerate(row):
            if isinstance(cell, Element) and cell.tag in ("td", "th"):
                line.append(cell)
            elif place == 0 and words:
                line.append(node("th", {"scope": "row"}, cell))
            else:
                line.append(node("td", {"class": None if place < words else "number"}, cell))
        body.append(line)
    title = None if caption is None else node("caption", {}, caption)
    return node(
        "div", {"class": "sideways"}, node("table", {}, title, node("thead", {}, head), body)
    )


def figure(title: str, *children: Child, caption: str = "", wide: bool = False) -> Element:
    """A plot or picture with its title and, below it, how to read it."""
    text = node("figcaption", {}, caption) if caption else None
    heading = node("h3", {}, title) if title else None
    return node("figure", {"class": "wide" if wide else None}, heading, *children, text)


def as_float(value: float) -> float:
    """The number as a float; NaN for whole numbers that are too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.nan


def format_fixed(value: float, digits: int) -> str:
    """A number with so many decimals and a true minus sign."""
    text = f"{abs(value):.{digits}f}"
    is_negative = value < 0 and float(text) != 0.0  # what rounds to zero has no sign
    return (MINUS if is_negative else "") + text


def format_number(value: float, digits: int = 4) -> str:
    """A number to so many significant digits, with a true minus sign; whole numbers in groups of three digits."""
    value = as_float(value)
    if not math.isfinite(value):
        return DASH
    if value.is_integer() and abs(value) < 1e9:
        return f"{int(value):,}".replace("-", MINUS)
    return put_minus(f"{value:#.{digits}g}".removesuffix("."))


def format_duration(seconds: float) -> str:
    """Seconds, minutes or hours, as the leaderboard's page writes them."""
    if seconds < 1:
        return "< 1 s"
    if seconds < 90:
        return f"{round(seconds)} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def spell_out(name: str) -> str:
    """A key as words: `after_4_steps` is `after 4 steps`."""
    return name.replace("_", " ")
