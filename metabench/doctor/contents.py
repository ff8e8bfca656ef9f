"""What may be wrong with suites, data, methods and unfinished cells: one line each, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from metabench.data.cards.catalogue import DatasetState, list_datasets
from metabench.data.storage.places import store_folder
from metabench.data.storage.store import check_hashes
from metabench.doctor.installation import GIB, Finding
from metabench.errors import MetabenchError
from metabench.methods.registry import load_method_class, registered_methods
from metabench.runs.status import begun_cells
from metabench.suites import Suite, load_suite
from metabench.suites.catalogue import list_suite_summaries
from metabench.system.home import home


def examine_contents() -> Iterator[Finding]:
    """Load every suite and method, recompute the hashes of all built data, look for unfinished cells."""
    suites: list[Suite] = []
    summaries = list_suite_summaries(internal=True)
    for summary in summaries:
        try:
            suites.append(load_suite(summary.name))
        except MetabenchError as error:
            yield Finding("wrong", "suites", f"{summary.name}: {_line(str(error))}; repair its file or uninstall it")
            continue
        try:
            suites[-1].check_available()
        except MetabenchError as error:
            yield Finding("note", "suites", f"{_line(str(error))}; it cannot be scored here")
    yield Finding("ok", "suites", f"{len(suites)} of {len(summaries)} load")
    for suite in suites:
        yield from _data(suite)
    yield from _methods()
    yield from _unfinished()


def _data(suite: Suite) -> Iterator[Finding]:
    """Built datasets only: missing ones are made when they are needed."""
    built = [state for state in list_datasets(suite) if state.state in ("built", "damaged")]
    sound = []
    for state in built:
        remedy = f"run `metabench data build {suite.argument} --dataset {state.dataset} --force`"
        problem = state.problem or _damage(suite, state)
        if problem is not None:
            yield Finding("wrong", "data", problem if remedy in problem else f"{problem}; {remedy}")
        elif state.expected not in (None, state.digest):
            message = f"{suite.name} {state.dataset}: intact, but not the published data: its records are kept apart"
            yield Finding("note", "data", message)
        else:
            sound.append(state)
    if sound:
        size = sum(state.bytes for state in sound) / GIB
        names = ", ".join(state.dataset for state in sound)
        yield Finding("ok", "data", f"{suite.name}: {names} intact, {size:.2f} GiB")


def _damage(suite: Suite, state: DatasetState) -> str | None:
    try:
        check_hashes(store_folder(suite, state.dataset))
    except MetabenchError as error:
        return str(error)
    return None


def _methods() -> Iterator[Finding]:
    registered = registered_methods()
    sound = 0
    for name, method in registered.items():
        try:
            load_method_class(name)
            sound += 1
        except MetabenchError as error:
            advice = "reinstall metabench" if method.built_in else "repair or uninstall its package"
            yield Finding("wrong", "methods", f"{_line(str(error))}; {advice}")
    yield Finding("ok", "methods", f"{sound} of {len(registered)} load")


def _unfinished() -> Iterator[Finding]:
    folder = home() / "runs"
    resting = [cell for cell, running in begun_cells() if not running]
    if resting:
        size = sum(_size(path) for path in folder.iterdir() if path.is_dir()) / GIB
        message = (
            f"interrupted cells: {len(resting)}, {folder} holds {size:.2f} GiB; the command that ran them goes on "
        )
        yield Finding("note", "unfinished", f"{message}from there; delete the folder if none is wanted")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _line(text: str) -> str:
    return f"{' '.join(text.split()):.300}"
