"""Tasks that did not exist when a policy was trained, drawn from a suite's stated distribution.

The test tasks are public: a plugin can have learnt them by heart. Fresh tasks are of the same law, so that an honest
policy scores alike in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metabench.data.making.references import ENDS, measure_references
from metabench.data.making.roll_out import roll_out
from metabench.errors import MetabenchError
from metabench.evaluation.logged_supports import Supports
from metabench.evaluation.protocol import SUPPORT_DATASET
from metabench.evaluation.rows import Row
from metabench.evaluation.scores import score_rows
from metabench.leaderboard.submission.rows_agree import (
    Verdict,
    joint_confidence,
    prediction_interval,
)
from metabench.methods.contract import Episode
from metabench.seeding import derive_seed
from metabench.suites import Suite, SuiteEntry
from metabench.suites.task_distribution import Law, draw_task

FRESH_TASKS = 20
"""Tasks of each split."""

REFERENCE_EPISODES = 100
"""Episodes a task and behaviour that the fresh tasks' references are averaged over."""

MOST_DRAWN = 10 * FRESH_TASKS
"""Draws of a split before it is given up: nearly every task is one that the teacher beats random actions in."""


def list_fresh_splits(suite: Suite) -> tuple[str, ...]:
    """The scored splits whose task distribution `suite` states."""
    return tuple(
        split
        for split in suite.splits
        if split != "train" and split in (suite.entry.task_distribution or {})
    )


def make_fresh_suite(suite: Suite, seed: int, splits: Sequence[str]) -> Suite:
    """A suite like `suite` in which `FRESH_TASKS` new tasks have taken the place of each of `splits`' tasks.

    Their references come from the suite's teacher and uniformly random actions, as those of published tasks do. A task
    in which the teacher is no better than random cannot be scored, and another takes its place. The blind policy is no
    part of a score. The suite has another name, so that no seed of the published evaluation comes back.

    Args:
        suite: a suite with a teacher.
        seed: names the tasks.
        splits: of `list_fresh_splits`; `test` is among them.

    Raises:
        MetabenchError: the suite states no distribution of a split or has no teacher, or its law gives no such tasks.
    """
    for split in splits:
        if split not in list_fresh_splits(suite):
            raise MetabenchError(
                f"suite {suite.name}: suite.toml states no task_distribution.{split} to draw fresh tasks from"
            )
    stated = (suite.entry.task_distribution or {}).items()
    found = [
        task
        for split, laws in stated
        if split in splits
        for task in _draw_scorable_tasks(suite, split, laws, seed)
    ]
    return _replace_tasks(suite, seed, found)


def _draw_scorable_tasks(
    suite: Suite, split: str, laws: tuple[dict[str, Law], ...], seed: int
) -> list[dict[str, Any]]:
    """`FRESH_TASKS` tasks of `split`, with the references measured in them."""
    generator = np.random.default_rng(derive_seed("fresh", suite.identity, split, seed))
    found: list[dict[str, Any]] = []
    turn = 0
    while len(found) < FRESH_TASKS:
        count = FRESH_TASKS - len(found)
        if turn + count > MOST_DRAWN:
            raise MetabenchError(
                f"suite {suite.name}: in {turn - len(found)} of {turn} fresh {split} tasks the teacher is no better "
                "than random"
            )
        # Drawn in rounds: tasks must be measured before it is known how many of them can be scored.
        try:
            drawn = [_draw_parameters(suite, laws, turn + i, generator) for i in range(count)]
        except ValueError as error:
            raise MetabenchError(
                f"suite {suite.name}: task_distribution.{split}: {error}"
            ) from error
        turn += count
        # A suite needs references to be one; these are not used.
        kinds = ("reference",) if suite.entry.success is None else ("reference", "success")
        placeholder = {kind: {"random": 0.0, "expert": 1.0} for kind in kinds}
        draft = _replace_tasks(
            suite, seed, [_make_task_entry("test", parameters, placeholder) for parameters in drawn]
        )
        measured = measure_references(draft, REFERENCE_EPISODES, ENDS)
        # The last ones: before them stand the two training tasks that `_replace_tasks` keeps.
        found += [
            _make_task_entry(split, parameters, references)
            for parameters, references in zip(drawn, [*measured.values()][-count:], strict=True)
            if all(ends["expert"] > ends["random"] for ends in references.values())
        ]
    return found


def _make_task_entry(
    split: str, parameters: dict[str, Any], references: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    return {"split": split, "parameters": parameters, **references}


def act_fresh_supports(suite: Suite, split: str, shots: int) -> Supports:
    """Supports of `logged-shot` for fresh tasks: episodes of the behaviours that the suite's dataset is made of."""
    behaviours = suite.dataset(SUPPORT_DATASET).behaviours
    names, shares = list(behaviours), np.array(list(behaviours.values()))
    places = [
        (task.id, support, shot)
        for task in suite.split(split)
        for support in range(suite.entry.evaluation.supports)
        for shot in range(shots)
    ]
    seeds = [derive_seed("fresh-support", suite.identity, split, *place) for place in places]
    acted = [
        names[np.random.default_rng(seed).choice(len(names), p=shares / shares.sum())]
        for seed in seeds
    ]
    columns = roll_out(suite, [task for task, _, _ in places], acted, seeds).columns
    supports: dict[tuple[int, int], list[Episode]] = {}
    for i, (task, support, _) in enumerate(places):
        supports.setdefault((task, support), []).append(columns.episode(i))
    return supports


def compare_with_fresh(
    subject: str,
    published: Sequence[Row],
    suite: Suite,
    measured: Sequence[Row],
    fresh: Suite,
    comparisons: int,
) -> Verdict:
    """Whether the published score is one that so many tasks of the distribution let expect.

    The task is the unit: the interval is where the mean score of as many tasks as were published lies, given the scores
    of the fresh ones.

    Args:
        subject: what is compared.
        published: the record's rows.
        suite: their suite.
        measured: the rows in fresh tasks.
        fresh: the suite of the fresh tasks.
        comparisons: how many are made of the record; the interval holds for all together.
    """
    theirs = score_rows(published, suite).task_scores
    ours = score_rows(measured, fresh).task_scores
    mean = float(np.mean(theirs))
    interval = prediction_interval(ours, len(theirs), joint_confidence(comparisons))
    agrees = interval.low <= mean <= interval.high
    where = "within"
    if not agrees:
        where = "above" if mean > interval.high else "below"
    return Verdict(
        f"{subject}, fresh tasks",
        agrees,
        f"published {mean:.1f}, {where} [{interval.low:.1f}, {interval.high:.1f}] about {np.mean(ours):.1f} in "
        f"{len(ours)} fresh tasks",
    )


def _draw_parameters(
    suite: Suite, laws: tuple[dict[str, Law], ...], turn: int, generator: np.random.Generator
) -> dict[str, Any]:
    parameters = draw_task(laws, turn, generator)
    suite.family.check_parameters(parameters)
    return parameters


def _replace_tasks(suite: Suite, seed: int, tasks: Sequence[Mapping[str, Any]]) -> Suite:
    """`suite` with two of its training tasks, which every suite must have, and `tasks` after them."""
    kept = [
        next(task for task in suite.split("train") if task.validation == wanted)
        for wanted in (False, True)
    ]
    fresh = [*(task.model_dump(exclude={"id"}) for task in kept), *tasks]
    content = {
        **suite.entry.model_dump(exclude={"task_distribution"}),
        "name": f"{suite.name[:40]}-fresh-{seed}",
        "datasets": {
            name: recipe for name, recipe in suite.entry.datasets.items() if recipe.minari is None
        },
        "task": [{"id": number, **task} for number, task in enumerate(fresh)],
    }
    return Suite(SuiteEntry.model_validate(content), suite.folder)
