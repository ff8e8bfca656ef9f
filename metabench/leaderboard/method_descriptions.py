"""What a leaderboard says of methods beside their numbers: one line, paper, code."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from metabench.leaderboard.method_card import (
    MethodCard,
    MethodShelf,
    find_present_name,
    strip_variant,
)
from metabench.leaderboard.scores.tables import MethodDescription
from metabench.methods.contract import Method
from metabench.methods.registry import find_registered_methods


def describe_methods(names: Iterable[str], shelf: MethodShelf) -> dict[str, MethodDescription]:
    """Describe the methods that records call `names`, by their names without variants, sorted.

    Those that come with metabench speak for themselves, others have a card; the rest is left out. Nothing is imported:
    records need no method's code, nor what it depends on, to be shown. What only archived records name
    is described by its present name, which the summary adds.

    Args:
        names: as in records, with or without variant.
        shelf: the cards.
    """
    found = {}
    for name in sorted({strip_variant(name) for name in names}):
        if shelf.is_built_in(name):
            description = _describe_built_in(name)
        elif name in shelf.cards:
            description = _describe_card(shelf.cards[name])
        else:
            continue
        found[name] = description
    return found


def _describe_built_in(name: str) -> MethodDescription:
    """What the class says, read from its source: importing all methods takes longer than the rest of a build."""
    present = find_present_name(name)
    code = find_registered_methods()[present].points[0].value
    module, _, class_name = code.partition(":")
    found = _find_classes(module, class_name)
    papers = [paper for each in found if (paper := _find_text(each, "paper"))]
    documentation = ast.get_docstring(found[0]) if found else None
    summary = documentation.partition("\n")[0] if documentation else None
    if present != name:
        summary = f"{summary or ''} Now called {present}.".strip()
    return MethodDescription(
        summary=summary,
        paper=papers[0] if papers else None,
        code=code,
        authors=(),
        pretrains=any(
            isinstance(part, ast.FunctionDef) and part.name == Method.pretraining_seconds.__name__
            for each in found
            for part in each.body
        ),
    )


def _find_classes(module: str, name: str) -> list[ast.ClassDef]:
    """The class and those of the same file that it is derived from, nearest first."""
    specification = find_spec(module)
    if specification is None or specification.origin is None:
        return []
    tree = ast.parse(Path(specification.origin).read_text(encoding="utf-8"))
    classes = {part.name: part for part in tree.body if isinstance(part, ast.ClassDef)}
    found = [classes[name]] if name in classes else []
    for each in found:  # grows as bases are found
        bases = [base.id for base in each.bases if isinstance(base, ast.Name)]
        found += [classes[base] for base in bases if base in classes]
    return found


def _find_text(found: ast.ClassDef, name: str) -> str | None:
    """The text that a class attribute is set to."""
    for part in found.body:
        targets = part.targets if isinstance(part, ast.Assign) else []
        if isinstance(part, ast.AnnAssign):
            targets = [part.target]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            value = part.value if isinstance(part, ast.Assign | ast.AnnAssign) else None
            return (
                value.value
                if isinstance(value, ast.Constant) and isinstance(value.value, str)
                else None
            )
    return None


def _describe_card(card: MethodCard) -> MethodDescription:
    return MethodDescription(
        summary=card.summary,
        paper=None if card.paper == "none" else card.paper,
        code=None if card.code == "none" else card.code,
        authors=tuple(card.authors),
        pretrains=False,
    )
