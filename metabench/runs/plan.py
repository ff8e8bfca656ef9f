"""Planning: from names to cells, with what is finished already. It reads, and changes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from metabench.data.load import read_dataset_identity
from metabench.data.making.build import DatasetIdentity
from metabench.data.storage.store import store_exists
from metabench.errors import MetabenchError, MethodError, NoEnvironmentError
from metabench.evaluation.protocol import (
    PREDICTION,
    PROTOCOL,
    SPLITS,
    SUPPORT_DATASET,
    VALIDATION,
    choose_tracks,
    list_behaviours,
)
from metabench.methods.registry import is_built_in, name_method
from metabench.runs.isolation.method_facts import MethodFacts, find_facts, refuse_privileged
from metabench.runs.kept.earlier_record import UNKNOWN_DIGEST, look_for_record
from metabench.runs.kept.record import Cell, digest_of
from metabench.runs.planned_cell import PlannedCell
from metabench.runs.request import RunRequest
from metabench.suites import Suite, load_suite
from metabench.system.plain_values import make_plain


def plan_cells(
    request: RunRequest, leave_out: Callable[[str, MethodError], None] | None = None
) -> tuple[PlannedCell, ...]:
    """Plan a cell for each suite, dataset, method and seed; nothing is built, written or run.

    Methods that do not come with metabench are imported in processes of their own, which tell what they are.

    Where data is not built yet, its digest is the one in suite.toml, or `UNKNOWN_DIGEST`. Once `prepare_data` has built
    it, plan again: on another machine another digest may have come out, and the cells are others.

    Args:
        request: what is wanted.
        leave_out: told of a method whose code fails before it says what it is, and why; it is planned without. None
            plans nothing then.

    Raises:
        MethodError: a method's code failed.
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
    methods: dict[tuple[str, str], MethodFacts] = {}
    for spec in request.methods:
        try:
            methods |= _find_fitting_methods(suites, spec, request)
        except MethodError as error:
            if leave_out is None:
                raise
            leave_out(spec, error)
    codes = {key: method.code for key, method in methods.items()}
    planned: dict[Cell, PlannedCell] = {}
    looked_up: dict[tuple[Path, str, tuple[tuple[str, str], ...]], tuple[str, tuple[str, ...]]] = {}
    for suite, dataset, version, tracks, problem in settings:
        for spec, seed in itertools.product(request.methods, map(int, request.seeds)):
            if (suite.name, spec) not in methods:
                continue
            method = methods[suite.name, spec]
            _check_data(method, suite, dataset)
            if problem is not None and not method.predicts:
                raise NoEnvironmentError(
                    f"method {method.name!r} does not predict, and nobody can act in these tasks: {problem}"
                ) from problem
            own = _leave_out_predictions(tracks, method)
            if (suite.folder, dataset, own) not in looked_up:
                looked_up[suite.folder, dataset, own] = _look_up_data(suite, dataset, own)
            digest, warnings = looked_up[suite.folder, dataset, own]
            if problem is not None:
                warnings = (*warnings, f"only track {PREDICTION!r} is scored: {problem}")
            cell = Cell(
                suite=suite.name,
                suite_version=suite.entry.version,
                suite_digest=suite.digest,
                dataset=dataset,
                dataset_version=version,
                dataset_digest=digest,
                method=name_method(spec, method.name),
                method_version=method.version,
                preset=request.preset,
                config_digest=digest_of(method.configuration),
                seed=seed,
                protocol=PROTOCOL,
                method_code=codes[suite.name, spec],
                suite_code=suite.code_digest,
            )
            fresh = PlannedCell(
                cell=cell,
                suite_folder=suite.folder,
                spec=spec,
                facts=method,
                overrides={key: make_plain(value, key) for key, value in request.overrides.items()},
                tracks=own,
                results=request.results,
                overwrite=request.overwrite,
                warnings=warnings,
            )
            planned.setdefault(cell, fresh if request.overwrite else look_for_record(fresh))
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
    tracks: tuple[tuple[str, str], ...], method: MethodFacts
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


def _find_fitting_methods(
    suites: Sequence[Suite], spec: str, request: RunRequest
) -> dict[tuple[str, str], MethodFacts]:
    """A method, configured for each suite; raises `MetabenchError` if it cannot act in one of them."""
    found = find_facts(
        spec,
        request.preset,
        [suite.name for suite in suites],
        request.overrides,
        request.limits,
        confined=request.isolate,
    )
    for suite, method in zip(suites, found, strict=True):
        if request.isolate and not is_built_in(spec):
            refuse_privileged(method)
        discrete = suite.spaces.discrete
        if not (method.discrete_actions if discrete else method.continuous_actions):
            kind = "discrete" if discrete else "continuous"
            raise MetabenchError(
                f"method {method.name!r} cannot act in suite {suite.name!r}: it takes no {kind} actions"
            )
    return {(suite.name, spec): method for suite, method in zip(suites, found, strict=True)}


def _check_data(method: MethodFacts, suite: Suite, dataset: str) -> None:
    """Raise `MetabenchError` if the dataset lacks what the method is trained on."""
    needs = {"expert_labels": method.uses_expert_labels, "stages": method.uses_stages}
    fitting = suite.find_datasets(**needs)
    if dataset not in fitting:
        named = {"expert_labels": "expert labels", "stages": "an order of learning"}
        needed = " and ".join(named[key] for key, asked in needs.items() if asked)
        expected = f"expected {' or '.join(fitting)}" if fitting else "no dataset of it has"
        raise MetabenchError(
            f"method {method.name!r} needs {needed}, which dataset {dataset!r} of {suite.name!r} has not; {expected}"
        )


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
