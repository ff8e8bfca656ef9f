"""Synthetic records: made for tests only, never published."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metabench.evaluation.protocol import PROTOCOL, list_collection_lanes, list_scored_lanes
from metabench.evaluation.rows import Block, Collection, Counts, Row, StageCost
from metabench.leaderboard.scores.quotas import list_expected_blocks
from metabench.methods.registry import find_registered_methods
from metabench.runs.kept.record import (
    Cell,
    ForeignCode,
    Provenance,
    Record,
    Result,
    digest_of,
    make_record,
    write_record,
)
from metabench.seeding import derive_seed
from metabench.suites import Suite, load_suite

RecordFactory = Callable[..., Record]


WIDE, NARROW = "wide", "narrow"
"""Suites as `tiny`, with test tasks enough for verdicts, and too few; made up here: they must be on the shelf."""

_TEST_TASKS = {WIDE: 12, NARROW: 5}


@functools.cache
def cached_suite(name: str) -> Suite:
    return make_suite(name, _TEST_TASKS[name]) if name in _TEST_TASKS else load_suite(name)


def make_suite(name: str, tests: int) -> Suite:
    """`tiny` under another name, with `tests` test tasks."""
    tiny = load_suite("tiny")
    (test,) = tiny.split("test")
    others = [task for task in tiny.tasks if task.split != "test"]
    goals = [{"goal": [round(0.05 * place, 2), 0.3]} for place in range(tests)]
    tasks = [*others, *(test.model_copy(update={"parameters": goal}) for goal in goals)]
    numbered = tuple(task.model_copy(update={"id": place}) for place, task in enumerate(tasks))
    return Suite(tiny.entry.model_copy(update={"name": name, "task": numbered}), tiny.folder)


@functools.cache
def places(suite: str, split: str, track: str, shots: int) -> tuple[tuple[int, int, int], ...]:
    """Task, support, episode of all rows of a block, or of a collection where `track` is `collection`."""
    loaded = cached_suite(suite)
    if track == "collection":
        lanes = [lane for episode in range(shots) for lane in list_collection_lanes(loaded, split, episode)]
    else:
        lanes = list(list_scored_lanes(loaded, split, track, shots))
    return tuple(sorted((lane.task, lane.support, lane.episode) for lane in lanes))


def rows_at(suite: str, key: tuple[str, str, int], level: float, generator: np.random.Generator, noise: float) -> Any:
    """Rows whose normalised scores scatter around `level`."""
    tasks = cached_suite(suite).tasks
    rows: list[Row] = []
    for task, support, episode in places(suite, *key):
        reference = tasks[task].reference
        score = level + noise * generator.standard_normal()
        value = reference.random + score / 100 * (reference.expert - reference.random)
        rows.append(Row(task, support, episode, float(value), 20, None, None))
    return tuple(rows)


def price_block(block: Block, seed: int) -> StageCost:
    """A scored episode costs 0.1 s of acting, and 0.01 s of adapting a shot; other seeds take longer."""
    count = len(block.rows)
    return StageCost(
        **{"split": block.split, "track": block.track, "shots": block.shots, "scored": True, "episodes": count},
        **{"act_calls": 20, "adapt_calls": int(block.shots > 0)},
        seconds_acting=(0.1 + 0.02 * seed) * count,
        seconds_adapting=0.01 * block.shots * count,
    )


def synthetic_record(
    method: str = "bc",
    seed: int = 0,
    *,
    suite: str = "tiny",
    dataset: str = "medium",
    level: float = 50.0,
    gain: float = 0.0,
    noise: float = 5.0,
    seed_noise: float = 2.0,
    preset: str = "cpu",
    configuration: dict[str, Any] | None = None,
    overrides: dict[str, Any] | None = None,
    privileged: bool = False,
    summary: dict[str, Any] | None = None,
    parameters: int = 1000,
    cell: dict[str, Any] | None = None,
    keep: Callable[[Block], Block | None] = lambda block: block,
) -> Record:
    """A record with random rows: score `level` at zero shots, `gain` more for each shot; deterministic."""
    generator = np.random.default_rng(derive_seed("synthetic", method, seed, suite, dataset, preset))
    level += seed_noise * float(generator.standard_normal())
    loaded = cached_suite(suite)
    blocks = []
    for key in list_expected_blocks(loaded):
        rows = rows_at(suite, key, level + gain * key.shots, generator, noise)
        kept = keep(Block(split=key.split, track=key.track, shots=key.shots, rows=rows))
        if kept is not None:
            blocks.append(kept)
    shots: dict[str, int] = {}
    for block in blocks:
        if block.track == "few-shot":
            shots[block.split] = max(block.shots, shots.get(block.split, 0))
    collections = tuple(
        Collection(split=split, rows=rows_at(suite, (split, "collection", count), level - 20, generator, noise))
        for split, count in shots.items()
    )
    configuration = configuration or {"layers": 3, "learning_rate": 0.001}
    identity = {
        "suite": suite,
        "suite_version": loaded.entry.version,
        "suite_digest": loaded.digest,
        "dataset": dataset,
        "dataset_version": 1,
        "dataset_digest": loaded.entry.datasets[dataset].digest or digest_of([suite, dataset]),
        "method": method,
        "method_version": 1,
        "preset": preset,
        "config_digest": digest_of(configuration),
        "seed": seed,
        "protocol": PROTOCOL,
        **(cell or {}),
    }
    registered = find_registered_methods().get(identity["method"].partition("/")[0])
    foreign: tuple[ForeignCode, ...] = ()
    if registered is None or not registered.built_in:
        identity.setdefault("method_code", digest_of(identity["method"]))
        code = {"role": "method", "name": "method.py", "version": None, "digest": identity["method_code"]}
        foreign = (ForeignCode(**code, git_revision=None, git_dirty=None, dependencies={"torch": "2.13.0"}),)
    result = Result(
        cell=Cell.model_validate(identity),
        configuration=configuration,
        overrides=overrides or {},
        privileged=privileged,
        parameters=parameters,
        training_tasks=45,
        curve=({"stage": "policy", "update": 1, "loss": 0.5},),
        summary={"validation_loss": 0.123, **(summary or {})},
        blocks=tuple(blocks),
        collections=collections,
        counts=Counts(
            scored_steps=sum(row.length for block in blocks for row in block.rows),
            support_steps=sum(row.length for collection in collections for row in collection.rows),
            act_calls=20 * (len(blocks) + sum(shots.values())),
            adapt_calls=sum(block.shots > 0 for block in blocks) + sum(count - 1 for count in shots.values()),
            development_steps=0,
            replayed_lanes=1,
            replayed_steps=5,
        ),
    )
    stages = tuple(price_block(block, seed) for block in blocks) + tuple(
        StageCost(
            **{"split": each.split, "track": "few-shot", "shots": shot, "scored": False, "episodes": 4},
            **{"act_calls": 20, "adapt_calls": int(shot > 0), "seconds_acting": 0.2, "seconds_adapting": 0.04},
        )
        for each in collections
        for shot in range(shots[each.split])
    )
    provenance = Provenance(
        created=f"2026-01-0{1 + seed % 9}T12:00:00+00:00",
        seconds_training=100.0 + 10 * seed,
        seconds_adapting=1.0,
        seconds_acting=2.0,
        seconds_evaluating=5.0,
        stages=stages,
        resumed=0,
        device="cpu",
        host="a processor, 2 cores, Linux x86_64",
        threads=1,
        packages={"python": "3.11.2", "torch": "2.13.0", "numpy": "2.3.1"},
        git_revision="658f4ad0c0ffee",
        git_dirty=False,
        foreign_code=foreign,
        command=f"metabench run {suite} --dataset {dataset} --method {method} --preset {preset} --seeds 5",
    )
    return make_record(result, provenance)


def write_all(records: list[Record], folder: Path) -> list[Path]:
    """Write records where their cells belong below `folder`."""
    for record in records:
        write_record(record, folder / record.path)
    return [folder / record.path for record in records]


@pytest.fixture(scope="session")
def make() -> RecordFactory:
    return synthetic_record


@pytest.fixture(scope="session")
def write() -> Callable[[list[Record], Path], list[Path]]:
    return write_all


def resealed(record: Record, **changes: Any) -> Record:
    """`record` with another result, sealed anew: what somebody who knows the schema can do."""
    return make_record(record.result.model_copy(update=changes), record.provenance)


@pytest.fixture(scope="session")
def seal() -> Callable[..., Record]:
    return resealed
