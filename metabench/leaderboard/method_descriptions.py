"""What a leaderboard says of methods beside their numbers: one line, paper, code."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from metabench.errors import MetabenchError
from metabench.leaderboard.method_card import MethodCard, MethodShelf, strip_variant
from metabench.leaderboard.scores.tables import MethodDescription
from metabench.methods.registry import find_registered_methods, load_method_class


def describe_methods(names: Iterable[str], shelf: MethodShelf) -> dict[str, MethodDescription]:
    """Describe the methods that records call `names`, by their names without variants, sorted.

    Those that come with metabench speak for themselves, others have a card; the rest is left out. Plugins are not
    imported: records need no code of others to be shown.

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
        if description is not None:
            found[name] = description
    return found


def _describe_built_in(name: str) -> MethodDescription | None:
    try:
        method, _ = load_method_class(name)
    except MetabenchError:  # what it needs is not installed: its numbers are shown all the same
        return None
    summary = (inspect.getdoc(method) or "").partition("\n")[0]
    return MethodDescription(
        summary=summary or None,
        paper=method.paper,
        code=find_registered_methods()[name].points[0].value,
        authors=(),
        pretrains=bool(method.pretraining) or "weights" in method.config_class.model_fields,
    )


def _describe_card(card: MethodCard) -> MethodDescription:
    return MethodDescription(
        summary=card.summary,
        paper=None if card.paper == "none" else card.paper,
        code=None if card.code == "none" else card.code,
        authors=tuple(card.authors),
        pretrains=False,
    )
