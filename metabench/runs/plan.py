"""Planning: from names to cells, with what is finished already. It reads, and changes nothing."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable

from metabench.data.load import read_dataset_identity
from metabench.data.making.build import DatasetIdentity
from metabench.data.storage.store import store_exists
from metabench.errors import DataError, MetabenchError, NoEnvironmentError
from metabench.evaluation.protocol import (
    PREDICTION,
    PROTOCOL,
    SPLITS,
    SUPPORT_DATASET,
    TRACKS,
    VALIDATION,
    choose_tracks,
    list_behaviours,
)
from metabench.methods.contract import Method
from metabench.methods.registry import digest_method_code, load_method, name_method
from metabench.runs.kept.record import Cell, Record, digest_of, read_record
from metabench.runs.kept.run_folder import is_replaced, list_begun_cells
from metabench.runs.planned_cell import PlannedCell
from metabench.runs.request import RunRequest
from metabench.suites import Suite, load_suite
from metabench.system.plain_values import make_plain

CODE = frozenset({"method_version", "method_code", "suite_code"})
"""What of a cell is another once code was edited."""

UNKNOWN_DIGEST = "unknown"
"""Dataset digest of a cell that was planned without building its data."""


def plan_cells(request: RunRequest) -> tuple[PlannedCell, ...]:
    """Plan a cell for each suite, dataset, method and seed; nothing is built, written or run.

    Where data is not built yet, its digest is the one in suite.toml, or `UNKNOWN_DIGEST`. Once `prepare_data` has built
    it, plan again: on another machine another digest may have come out, and the cells are others.

    Raises:
        UnknownNameError: no such suite, dataset, method, variant, preset, track or configuration key.
        MetabenchError: a method cannot act in a suite, a suite's environment cannot be had here, or a name or value is
            invalid.
    """
    request.check()
    suites = [load_suite(suite) if isinstance(suite, str) else suite for suite in request.suites]
    chosen = {suite.folder: _choose_tracks(suite, request) for suite in suites}
    settings = [
        (suite, dataset, suite.dataset(dataset).version, *chosen[suite.folder])
        for suite, dataset in itertools.product(suites, request.datasets)
    ]
    methods = {
        (suite.name, spec): _load_fitting_method(suite, spec, request)
        for suite in suites
        for spec in request.methods
    }
    codes = {key: digest_method_code(type(method)) for key, method in methods.items()}
    planned: dict[Cell, PlannedCell] = {}
    for suite, dataset, version, tracks, problem in settings:
        for spec, seed in itertools.product(request.methods, map(int, request.seeds)):
            method = methods[suite.name, spec]
            if problem is not None and not method.predicts:
                raise problem
            own = _leave_out_predictions(tracks, method)
            digest, warnings = _look_up_data(suite, dataset, own)
            if problem is not None:
                warnings = (*warnings, f"only track {PREDICTION!r} is scored: {problem}")
            cell = Cell(
                suite=suite.name,
                suite_version=suite.entry.version,
                suite_digest=suite.digest,
                dataset=dataset,
                dataset_version=version,
                dataset_digest=digest,
                method=name_method(spec, method),
                method_version=method.version,
                preset=request.preset,
                config_digest=digest_of(method.config.model_dump(mode="json")),
                seed=seed,
                protocol=PROTOCOL,
                method_code=codes[suite.name, spec],
                suite_code=suite.code_digest,
            )
            fresh = PlannedCell(
                cell=cell,
                suite_folder=suite.folder,
                spec=spec,
                overrides={key: make_plain(value, key) for key, value in request.overrides.items()},
                tracks=own,
                results=request.results,
                overwrite=request.overwrite,
                warnings=warnings,
            )
            planned.setdefault(cell, fresh if request.overwrite else _look_for_record(fresh))
    check_names(planned.values())
    return tuple(planned.values())


def check_names(planned: Iterable[PlannedCell]) -> None:
    """Raise `MetabenchError` if methods of one name are of different code: their rows could not be told apart."""
    first: dict[str, PlannedCell] = {}
    for each in planned:
        other = first.setdefault(each.cell.method, each)
        if other.cell.method_code != each.cell.method_code:
            raise MetabenchError(
                f"methods {other.spec} and {each.spec} have one name, {each.cell.method!r}, and different code; give "
                "each a name of its own"
            )


def datasets_needed(
    suite: Suite, dataset: str, tracks: Iterable[tuple[str, str]]
) -> tuple[str, ...]:
    """The datasets that a cell reads: what it trains on, what logged supports come from, what is to be predicted."""
    needed = [dataset]
    for split, track in tracks:
        if track == "logged-shot":
            needed.append(SUPPORT_DATASET)
        elif track == PREDICTION:
            needed += list_behaviours(suite, split)
    return tuple(dict.fromkeys(needed))


def _leave_out_predictions(
    tracks: tuple[tuple[str, str], ...], method: Method
) -> tuple[tuple[str, str], ...]:
    """The tracks of a method: one without a world model has nothing to predict by."""
    if method.predicts:
        return tracks
    acting = tuple(pair for pair in tracks if pair[1] != PREDICTION)
    if not acting:
        raise MetabenchError(
            f"method {method.name!r} cannot be scored in track {PREDICTION!r}: it does not say that it predicts "
            "(`predicts = True` in its class)"
        )
    return acting


def _choose_tracks(
    suite: Suite, request: RunRequest
) -> tuple[tuple[tuple[str, str], ...], NoEnvironmentError | None]:
    """The tracks, and why nobody can act in the suite's tasks: where the user named no track, others are left."""
    if VALIDATION in (request.splits or ()) and set(request.splits or ()) != {VALIDATION}:
        raise MetabenchError(
            f"split {VALIDATION!r} is run alone: records of it are never ranked, those of {' and '.join(SPLITS)} are"
        )
    chosen = choose_tracks(suite, request.tracks, request.splits)
    predicted = tuple(pair for pair in chosen if pair[1] == PREDICTION)
    if chosen == predicted:
        return chosen, None
    try:
        suite.check_available()
    except NoEnvironmentError as problem:
        if request.tracks is not None or not predicted:
            raise
        return predicted, problem
    return chosen, None


def covers(record: Record, planned: PlannedCell) -> bool:
    """Whether `record` is of this very cell and has all its tracks."""
    missing = set(planned.tracks) - _tracks_of(record)
    if record.result.predictions == ():  # it was asked, and its policy predicts nothing
        missing = {pair for pair in missing if pair[1] != PREDICTION}
    return record.result.cell == planned.cell and not missing


def _load_fitting_method(suite: Suite, spec: str, request: RunRequest) -> Method:
    """The method of a cell, configured; raises `MetabenchError` if it cannot act in the suite."""
    method = load_method(spec, preset=request.preset, suite=suite.name, overrides=request.overrides)
    if suite.spaces.discrete and not method.discrete_actions:
        raise MetabenchError(
            f"method {method.name!r} cannot act in suite {suite.name!r}: it takes no discrete actions"
        )
    if not suite.spaces.discrete and not method.continuous_actions:
        raise MetabenchError(
            f"method {method.name!r} cannot act in suite {suite.name!r}: it takes no continuous actions"
        )
    return method


def _look_up_data(
    suite: Suite, dataset: str, tracks: Iterable[tuple[str, str]]
) -> tuple[str, tuple[str, ...]]:
    """The dataset's digest, and warnings about all data that its cells need."""
    needed = datasets_needed(suite, dataset, tracks)
    identities = {name: _identify_data(suite, name) for name in needed}
    warnings = tuple(
        f"dataset {name} of {suite.identity} has digest {identity.digest}, not the published {identity.expected}"
        for name, identity in identities.items()
        if not identity.as_published
    )
    return identities[dataset].digest, suite.family.warnings() + warnings


def _identify_data(suite: Suite, dataset: str) -> DatasetIdentity:
    """The identity of built data, or what suite.toml says that it will be."""
    if store_exists(suite, dataset):
        return read_dataset_identity(suite, dataset)
    recipe = suite.dataset(dataset)
    return DatasetIdentity(recipe.version, recipe.digest or UNKNOWN_DIGEST, recipe.digest)


def _tracks_of(record: Record) -> set[tuple[str, str]]:
    result = record.result
    predicted = {(each.split, PREDICTION) for each in result.predictions or ()}
    return {(block.split, block.track) for block in result.blocks} | predicted


def _look_for_record(planned: PlannedCell) -> PlannedCell:
    """What the results folder says of a cell."""
    path = planned.record_path
    if planned.cell.dataset_digest == UNKNOWN_DIGEST:
        return dataclasses.replace(planned, note="its data is not built yet")
    if is_replaced(planned.cell, path):
        return dataclasses.replace(planned, note="goes on with the run that replaces its record")
    if not path.exists():
        return _look_for_sibling(dataclasses.replace(planned, note=_tell_of_other_code(planned)))
    try:
        record = read_record(path)
    except DataError as error:
        return dataclasses.replace(
            planned, state="corrupt", note=f"{error}; delete it or use --overwrite"
        )
    if covers(record, planned):
        return dataclasses.replace(planned, state="finished")
    if record.result.cell == planned.cell:
        tracks = sorted(
            _tracks_of(record) | set(planned.tracks),
            key=lambda pair: (
                pair[1] == PREDICTION,
                (*SPLITS, VALIDATION).index(pair[0]),
                (*TRACKS, PREDICTION).index(pair[1]),
            ),
        )
        return dataclasses.replace(
            planned, tracks=tuple(tracks), extends=True, note="adds tracks to its record"
        )
    different = _find_differences(record.result.cell, planned.cell)
    what = f"another {different[0].replace('_', ' ')}"
    if "protocol" in different:
        what = f"protocol {record.result.cell.protocol} where one of protocol {PROTOCOL} belongs"
    note = f"{path}: holds a record of {what}; delete it or use --overwrite"
    return dataclasses.replace(planned, state="corrupt", note=note)


def _look_for_sibling(planned: PlannedCell) -> PlannedCell:
    """Whether the same cell has acted in validation tasks, or in test tasks: it need not be trained again."""
    results = planned.results if planned.develops else planned.results / VALIDATION
    try:
        record = read_record(results / planned.cell.path)
    except DataError:  # there is none, or a damaged one: then it is trained
        return planned
    if record.result.cell != planned.cell:
        return planned
    acted = "test" if planned.develops else VALIDATION
    return dataclasses.replace(
        planned,
        extends=True,
        note=f"its policy has acted in {acted} tasks; it is not trained again",
    )


def _tell_of_other_code(planned: PlannedCell) -> str:
    """What an interrupted attempt or a record was of, if only the code was another; empty if there is none."""
    cell = planned.cell
    for progress, _ in list_begun_cells():
        if changed := _name_changed_code(progress.cell, cell):
            return f"begins anew: its {changed} changed since it was interrupted"
    if cell.method_code is None and cell.suite_code is None:
        return ""  # versions of built-in methods are told by their records' places
    beside = planned.record_path.parent.parent
    for path in sorted(beside.glob(f"{cell.preset}-*/{planned.record_path.name}")):
        try:
            changed = _name_changed_code(read_record(path).result.cell, cell)
        except DataError:
            continue
        if changed:
            return f"another cell than {path.parent.name}: its {changed} changed since"
    return ""


def _name_changed_code(old: Cell, new: Cell) -> str:
    """`method code and suite code`, if nothing else differs; else empty."""
    different = _find_differences(old, new)
    if not different or not set(different) <= CODE:
        return ""
    return " and ".join(key.replace("_", " ") for key in different)


def _find_differences(old: Cell, new: Cell) -> list[str]:
    return [key for key in Cell.model_fields if getattr(old, key) != getattr(new, key)]
