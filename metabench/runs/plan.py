"""Planning: from names to cells, with what is finished already."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from metabench.data.load import read_dataset_identity
from metabench.data.making.build import DatasetIdentity, build_data
from metabench.data.storage.store import store_exists
from metabench.data.trajectories import BuildProgress
from metabench.errors import DataError, MetabenchError, UnknownNameError
from metabench.evaluation.protocol import PROTOCOL, SPLITS, SUPPORT_DATASET, TRACKS, supported_tracks
from metabench.methods.contract import Method
from metabench.methods.registry import load_method, method_label
from metabench.runs.kept.record import Cell, Record, digest_of, read_record
from metabench.suites import Suite, load_suite

State: TypeAlias = Literal["waiting", "finished", "corrupt"]

UNKNOWN_DIGEST = "unknown"
"""Dataset digest of a cell that was planned without building its data."""


@dataclass(frozen=True)
class PlannedCell:
    """A cell, and what a worker needs to run it.

    Attributes:
        cell: the cell's identity.
        suite_folder: the folder of its suite.toml.
        spec: what `load_method` takes.
        overrides: configuration keys and values on top of preset and variant.
        tracks: the (split, track) to evaluate.
        results: the results folder; the record goes to `record_path` below it.
        state: `waiting`, `finished` (a valid record of the same cell has all tracks), or `corrupt` (what lies in the
            record's place is damaged; it is left alone).
        note: why it is in that state, or what it will replace; may be empty.
        extends: a valid record of the same cell lacks some of the tracks; its policy need not be trained again.
        warnings: for the record: data that differs from what was published.
    """

    cell: Cell
    suite_folder: Path
    spec: str
    overrides: Mapping[str, Any]
    tracks: tuple[tuple[str, str], ...]
    results: Path
    state: State = "waiting"
    note: str = ""
    extends: bool = False
    warnings: tuple[str, ...] = field(default=())

    @property
    def record_path(self) -> Path:
        """Where the cell's record is written."""
        return self.results / self.cell.path

    @property
    def failure_path(self) -> Path:
        """Where the traceback of a failed attempt is written."""
        return self.record_path.with_suffix(".failed.json")

    @property
    def label(self) -> str:
        """Short name for people: `point-robot medium meta-dt seed 3`."""
        return f"{self.cell.suite} {self.cell.dataset} {self.cell.method} seed {self.cell.seed}"


def plan_cells(
    suites: Iterable[Suite | str],
    datasets: Iterable[str],
    methods: Iterable[str],
    *,
    preset: str = "cpu",
    seeds: Sequence[int] = (0,),
    overrides: Mapping[str, Any] | None = None,
    tracks: Sequence[str] | None = None,
    results: Path = Path("results"),
    overwrite: bool = False,
    build: bool = True,
    check: Callable[[], None] = lambda: None,
    progress: BuildProgress | None = None,
) -> tuple[PlannedCell, ...]:
    """Plan a cell for each suite, dataset, method and seed; all names are checked before any work.

    Args:
        suites: suites, their names or folders.
        datasets: names of datasets, each of every suite.
        methods: what `load_method` takes: names, `name/variant`, `path/to/file.py:Class`.
        preset: a preset of every method.
        seeds: training seeds.
        overrides: configuration keys and values for every method.
        tracks: only these tracks; None takes all that a suite has.
        results: the results folder, where finished records are looked for.
        overwrite: plan every cell anew, whatever record there is.
        build: build missing data; without it the digest of missing data is suite.toml's, or `unknown`.
        check: called when all names are known to be good, before any data is built.
        progress: told how far a build is.

    Raises:
        UnknownNameError: no such suite, dataset, method, variant, preset, track or configuration key.
        MetabenchError: a method cannot act in a suite, a suite's environment cannot be had here, or a name or value is
            invalid.
    """
    opened = [load_suite(suite) if isinstance(suite, str) else suite for suite in suites]
    chosen = [
        (suite, dataset, suite.dataset(dataset).version, _chosen_tracks(suite, tracks))
        for suite, dataset in itertools.product(opened, datasets)
    ]
    specs = list(methods)
    configured = {
        (suite.name, spec): _checked_method(suite, spec, preset, overrides or {}) for suite in opened for spec in specs
    }
    for suite in opened:
        suite.check_available()
    if any(seed < 0 for seed in seeds):
        raise MetabenchError(f"seeds must be 0 or more, not {min(seeds)}")
    check()
    planned: dict[Cell, PlannedCell] = {}
    for suite, dataset, version, pairs in chosen:
        digest, warnings = _data(suite, dataset, pairs, build, progress)
        for spec, seed in itertools.product(specs, seeds):
            method = configured[suite.name, spec]
            cell = Cell(
                suite=suite.name,
                suite_version=suite.entry.version,
                suite_digest=suite.digest,
                dataset=dataset,
                dataset_version=version,
                dataset_digest=digest,
                method=method_label(spec, method),
                method_version=method.version,
                preset=preset,
                config_digest=digest_of(method.config.model_dump(mode="json")),
                seed=seed,
                protocol=PROTOCOL,
            )
            fresh = PlannedCell(cell, suite.folder, spec, dict(overrides or {}), pairs, results, warnings=warnings)
            planned.setdefault(cell, fresh if overwrite else _with_state(fresh))
    return tuple(planned.values())


def covers(record: Record, planned: PlannedCell) -> bool:
    """Whether `record` is of this very cell and has all its tracks."""
    return record.result.cell == planned.cell and set(planned.tracks) <= _tracks_of(record)


def _checked_method(suite: Suite, spec: str, preset: str, overrides: Mapping[str, Any]) -> Method:
    method = load_method(spec, preset=preset, suite=suite.name, overrides=overrides)
    if suite.spaces.discrete and not method.discrete_actions:
        raise MetabenchError(f"method {method.name!r} cannot act in suite {suite.name!r}: it takes no discrete actions")
    if not suite.spaces.discrete and not method.continuous_actions:
        raise MetabenchError(
            f"method {method.name!r} cannot act in suite {suite.name!r}: it takes no continuous actions"
        )
    return method


def _chosen_tracks(suite: Suite, tracks: Sequence[str] | None) -> tuple[tuple[str, str], ...]:
    supported = supported_tracks(suite)
    if tracks is None:
        return supported
    for track in tracks:
        if track not in TRACKS:
            raise UnknownNameError("track", track, TRACKS)
        if all(track != name for _, name in supported):
            raise MetabenchError(f"suite {suite.name!r} cannot be scored in track {track!r}: it has no medium dataset")
    return tuple((split, track) for split, track in supported if track in tracks)


def _data(
    suite: Suite, dataset: str, tracks: Sequence[tuple[str, str]], build: bool, progress: BuildProgress | None
) -> tuple[str, tuple[str, ...]]:
    """The dataset's digest, after building all data that the cells need, and warnings about it."""
    needed = [dataset]
    if dataset != SUPPORT_DATASET and any(track == "logged-shot" for _, track in tracks):
        needed.append(SUPPORT_DATASET)
    identities = [_identity(suite, name, build, progress) for name in needed]
    warnings = tuple(
        f"dataset {name} of {suite.identity} has digest {identity.digest}, not the published {identity.expected}"
        for name, identity in zip(needed, identities, strict=True)
        if not identity.as_published
    )
    return identities[0].digest, suite.family.warnings() + warnings


def _identity(suite: Suite, dataset: str, build: bool, progress: BuildProgress | None) -> DatasetIdentity:
    if build:
        return build_data(suite, dataset, progress=_named(progress, f"{suite.name} {dataset}"))
    if store_exists(suite, dataset):
        return read_dataset_identity(suite, dataset)
    recipe = suite.dataset(dataset)
    return DatasetIdentity(recipe.version, recipe.digest or UNKNOWN_DIGEST, recipe.digest)


def _named(progress: BuildProgress | None, name: str) -> BuildProgress | None:
    return None if progress is None else lambda stage, done, total: progress(f"{name}: {stage}", done, total)


def _tracks_of(record: Record) -> set[tuple[str, str]]:
    return {(block.split, block.track) for block in record.result.blocks}


def _with_state(planned: PlannedCell) -> PlannedCell:
    """What the results folder says of a cell."""
    path = planned.record_path
    if planned.cell.dataset_digest == UNKNOWN_DIGEST:
        return dataclasses.replace(planned, note="its data is not built yet")
    if not path.exists():
        return planned
    try:
        record = read_record(path)
    except DataError as error:
        return dataclasses.replace(planned, state="corrupt", note=f"{error}; delete it or use --overwrite")
    if covers(record, planned):
        return dataclasses.replace(planned, state="finished")
    if record.result.cell == planned.cell:
        tracks = sorted(
            _tracks_of(record) | set(planned.tracks), key=lambda pair: (SPLITS.index(pair[0]), TRACKS.index(pair[1]))
        )
        return dataclasses.replace(planned, tracks=tuple(tracks), extends=True, note="adds tracks to its record")
    old, new = record.result.cell.model_dump(), planned.cell.model_dump()
    different = next(key for key in new if old[key] != new[key])
    return dataclasses.replace(planned, note=f"replaces a record of another {different.replace('_', ' ')}")
