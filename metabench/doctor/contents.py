"""What may be wrong with suites, data, methods and unfinished cells: one line each, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from metabench.data.cards.catalogue import DatasetState, list_datasets
from metabench.data.storage.places import store_folder
from metabench.data.storage.store import check_hashes
from metabench.doctor.installation import GIB, Diagnosis, shorten_to_line
from metabench.errors import MetabenchError
from metabench.methods.registry import find_registered_methods, load_method_class
from metabench.runs.isolation.limits import Limits
from metabench.runs.isolation.method_facts import find_facts
from metabench.runs.kept.run_folder import list_begun_cells
from metabench.suites import Suite, load_suite
from metabench.suites.catalogue import list_suite_summaries
from metabench.system.home import home

IMPORTING = Limits(seconds=120.0)
"""What a plugin's import may take."""


def examine_contents() -> Iterator[Diagnosis]:
    """Load every suite and method, recompute the hashes of all built data, look for unfinished cells."""
    suites: list[Suite] = []
    summaries = list_suite_summaries(internal=True)
    for summary in summaries:
        try:
            suites.append(load_suite(summary.name))
        except MetabenchError as error:
            yield Diagnosis(
                "wrong",
                "suites",
                f"{summary.name}: {shorten_to_line(str(error), 300)}; repair its file or uninstall it",
            )
            continue
        try:
            suites[-1].check_available()
        except MetabenchError as error:
            yield Diagnosis(
                "note", "suites", f"{shorten_to_line(str(error), 300)}; it cannot be scored here"
            )
    yield Diagnosis("ok", "suites", f"{len(suites)} of {len(summaries)} load")
    for suite in suites:
        yield from _examine_data(suite)
    yield from _examine_methods()
    yield from _examine_unfinished()


def _examine_data(suite: Suite) -> Iterator[Diagnosis]:
    """Built datasets only: missing ones are made when they are needed."""
    built = [state for state in list_datasets(suite) if state.state in ("built", "damaged")]
    sound = []
    for state in built:
        remedy = f"run `metabench data build {suite.argument} --dataset {state.dataset} --force`"
        problem = state.problem or _find_damage(suite, state)
        if problem is not None:
            yield Diagnosis(
                "wrong", "data", problem if remedy in problem else f"{problem}; {remedy}"
            )
        elif state.expected not in (None, state.digest):
            message = f"{suite.name} {state.dataset}: intact, but not the published data: its records are kept apart"
            yield Diagnosis("note", "data", message)
        else:
            sound.append(state)
    if sound:
        size = sum(state.bytes for state in sound) / GIB
        names = ", ".join(state.dataset for state in sound)
        yield Diagnosis("ok", "data", f"{suite.name}: {names} intact, {size:.2f} GiB")


def _find_damage(suite: Suite, state: DatasetState) -> str | None:
    try:
        check_hashes(store_folder(suite, state.dataset))
    except MetabenchError as error:
        return str(error)
    return None


def _examine_methods() -> Iterator[Diagnosis]:
    registered = find_registered_methods()
    sound = 0
    for name, method in registered.items():
        try:
            if method.built_in:
                load_method_class(name)
            else:  # its import may do anything
                find_facts(name, "cpu", [], {}, IMPORTING)
            sound += 1
        except MetabenchError as error:
            advice = "reinstall metabench" if method.built_in else "repair or uninstall its package"
            yield Diagnosis("wrong", "methods", f"{shorten_to_line(str(error), 300)}; {advice}")
    yield Diagnosis("ok", "methods", f"{sound} of {len(registered)} load")


def _examine_unfinished() -> Iterator[Diagnosis]:
    folder = home() / "runs"
    resting = [cell for cell, running in list_begun_cells() if not running]
    if resting:
        size = sum(_measure_size(path) for path in folder.iterdir() if path.is_dir()) / GIB
        message = (
            f"interrupted cells: {len(resting)}, {folder} holds {size:.2f} GiB; "
            "the same command continues them; delete the folder if you do not need them"
        )
        yield Diagnosis("note", "unfinished", message)


def _measure_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
