"""A suite's card: the pictures beside its README.md, and the numbers in it, from what is built and measured."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

from metabench.data.cards.catalogue import Description, describe_dataset
from metabench.data.cards.picture_strip import write_strip
from metabench.data.cards.returns_histogram import draw_returns_svg
from metabench.data.storage.store import open_store, store_exists
from metabench.errors import DataError
from metabench.suites import Suite
from metabench.suites.headroom import describe_headroom

CARD, RETURNS, STRIP = "README.md", "returns.svg", "strip.png"

_NUMBERS = re.compile(r"(<!-- numbers -->\n).*?(<!-- /numbers -->)", re.DOTALL)


def write_card(suite: Suite) -> list[Path]:
    """Write the pictures `returns.svg` and, where the simulator shows its lanes, `strip.png`; and the card's numbers.

    Returns:
        The files.

    Raises:
        DataError: a dataset is not built (recorded ones may be missing), or README.md has no place for the numbers.
    """
    card = suite.folder / CARD
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    if len(_NUMBERS.findall(text)) != 1:
        raise DataError(
            f"{card}: expected one line <!-- numbers --> and, after it, one line <!-- /numbers -->"
        )
    names = [
        name
        for name, recipe in suite.entry.datasets.items()
        if not recipe.minari or store_exists(suite, name)
    ]
    described = [describe_dataset(suite, name) for name in names]
    (suite.folder / RETURNS).write_text(_draw_returns(suite, names), encoding="utf-8")
    written = [card, suite.folder / RETURNS, *draw_strip(suite)]
    kinds, datasets = _describe_kinds(suite, described), _tabulate_datasets(suite, described)
    block = f"{_tabulate_references(suite)}\n{kinds}{datasets}\n"
    card.write_text(_NUMBERS.sub(lambda found: found[1] + block + found[2], text), encoding="utf-8")
    return written


def draw_strip(suite: Suite) -> list[Path]:
    """Write the picture of the expert alone, `strip.png`, which needs no data; errors are those of `write_strip`.

    Returns:
        The file; nothing where the simulator shows nothing, or nobody teaches.
    """
    path = suite.folder / STRIP
    return [path] if write_strip(suite, path) else []


def _draw_returns(suite: Suite, names: Sequence[str]) -> str:
    """Of the train and test tasks, which every dataset covers; labels change no return."""
    tasks = [task.id for task in suite.tasks if task.split != "test-far"]
    returns = {}
    for name in names:
        if suite.dataset(name).labels_of is not None:
            continue
        columns = open_store(suite, name).trajectories.columns
        chosen = np.isin(columns.tasks, tasks)
        returns[name] = columns.episode_returns[chosen]
    return draw_returns_svg(f"{suite.identity}: returns in train and test tasks", returns)


def _tabulate_references(suite: Suite) -> str:
    """Means of the references in suite.toml by split: what scores are scaled by, and what knowing the task is worth."""
    lines = [
        "| split | tasks | mean of | random actions | blind policy | teacher's expert | headroom |",
        "|---|---|---|---|---|---|---|",
    ]
    rule = {"last": "at the last step", "any": "at any step"}
    for split in suite.splits:
        tasks = suite.split(split)
        validation = sum(task.validation for task in tasks)
        count = (
            f"{len(tasks)}, {validation} of them for validation" if validation else f"{len(tasks)}"
        )
        scored = suite.entry.headline == "success"
        kinds = [("return", [task.reference for task in tasks], not scored)]
        if suite.entry.success is not None:
            succeeded = [task.success for task in tasks if task.success is not None]
            kinds.append((f"success {rule[suite.entry.success]}, %", succeeded, scored))
        for what, references, is_score in kinds:
            scale, digits = (1.0, 1) if what == "return" else (100.0, 0)
            means = [
                _format_mean([getattr(each, name) for each in references], scale, digits)
                for name in ("random", "blind", "expert")
            ]
            headroom = describe_headroom(suite.headroom(split)) if is_score else ""
            lines.append(f"| `{split}` | {count} | {what} | {' | '.join(means)} | {headroom} |")
    return "\n".join(lines) + "\n"


def _format_mean(values: Sequence[float | None], scale: float, digits: int) -> str:
    """The mean; empty where a value was not measured."""
    known = [value for value in values if value is not None]
    return f"{scale * fmean(known):.{digits}f}" if known and len(known) == len(values) else ""


def _describe_kinds(suite: Suite, described: list[Description]) -> str:
    """What datasets are that have more than their behaviours' trajectories, and where Minari has it."""
    recipes = suite.entry.datasets
    return "".join(
        f"`{each.dataset}`: {each.description}. In Minari, {where}.\n\n"
        for each in described
        for where, held in (
            ("the metadata of each episode contain its `stage`", recipes[each.dataset].stages),
            ("the expert's actions are `infos/expert_actions`", recipes[each.dataset].labels_of),
        )
        if held is not None
    )


def _tabulate_datasets(suite: Suite, described: list[Description]) -> str:
    """Mean returns and scores of what is built."""
    splits = [f"mean return (normalised score) in `{split}`" for split in suite.splits]
    lines = [
        f"| dataset | trajectories | steps | {' | '.join(splits)} |",
        "|---|---|---|" + "---|" * len(splits),
    ]
    for each in described:
        cells = [
            f"{each.splits[split].mean_return:.1f} ({round(each.splits[split].normalised)})"
            if split in each.splits
            else ""
            for split in suite.splits
        ]
        lines.append(
            f"| `{each.dataset}` | {each.trajectories:,} | {each.steps:,} | {' | '.join(cells)} |"
        )
    return "\n".join(lines) + "\n"
