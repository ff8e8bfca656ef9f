"""Full and read-only disks, other runs, clocks set back: only time is lost, and a line says why."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import json
import math
import multiprocessing
import os
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from metabench.cli import main
from metabench.data.making.build import build_data
from metabench.errors import CancelledError, ClaimedError, StorageError
from metabench.runs.execute_cell import execute_cell
from metabench.runs.executors.events import Event
from metabench.runs.executors.run_cells import run_cells
from metabench.runs.kept.record import read_record
from metabench.runs.kept.run_folder import claim_cell, run_folder
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest
from metabench.runs.settings import Settings
from metabench.runs.status import inspect_planned_cells
from metabench.system.home import home

from .interrupted import METHODS, SETTINGS, after, files, interrupt, plan, quiet, run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("share", [0.0, 0.3, 0.85, 0.9, 0.94, 0.97, 0.99])
def test_a_disk_that_fills_up_at_any_moment(place, expected, monkeypatch, share):
    """All that is kept is brought to the disk by fsync, which then says that there is no room."""
    fsync, brought, full = os.fsync, 0, 10**9

    def limited(number: int) -> None:
        nonlocal brought
        brought += 1
        if brought > full:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(number)

    monkeypatch.setattr(os, "fsync", limited)
    execute_cell(plan(place / "counted"), SETTINGS, quiet)
    cell, brought, full = plan(place / "results"), 0, int(share * brought)
    before = files(home() / "policies")
    kind, message = run(cell)
    assert kind == "failed"
    assert "cannot be written: No space left on device; free some space there" in message
    assert files(home() / "policies") == before
    assert not cell.record_path.exists()
    assert all(path.name in ("0.json.gz", "0.failed.json") for path in place.glob("results/*/*/*/*/*"))
    full = 10**9
    assert run(plan(place / "results")) == ("finished", "")
    assert read_record(cell.record_path).result == expected.result
    assert files(place / "results") == {str(cell.cell.path)}
    assert list((home() / "runs").iterdir()) == []


@pytest.mark.parametrize("left", [0, 3, 8, 16])
def test_a_small_disk(place, expected, small_disk, monkeypatch, left):
    """The same with a disk that really is full, for checkpoints, policies and records."""
    monkeypatch.setenv("METABENCH_HOME", str(small_disk.path / "home"))
    build_data("tiny", "medium")
    cell = plan(small_disk.path / "results")
    small_disk.fill(left)
    try:
        kind, message = run(cell)
    except StorageError as error:
        kind, message = "failed", str(error)
    assert (kind, "No space left on device; free some space there" in message) == ("failed", True)
    assert not cell.record_path.exists()
    small_disk.free()
    assert run(plan(small_disk.path / "results")) == ("finished", "")
    assert read_record(cell.record_path).result == expected.result


@pytest.mark.parametrize("which", ["results", "home"])
def test_a_read_only_folder_is_told_before_any_work(place, small_disk, monkeypatch, which):
    if which == "home":
        monkeypatch.setenv("METABENCH_HOME", str(small_disk.path / "home"))
        build_data("tiny", "medium")
    cell = plan(small_disk.path / "results" if which == "results" else place / "results")
    small_disk.make_read_only()
    with pytest.raises(
        StorageError, match="cannot be written: Read-only file system; make the folder writable"
    ) as told:
        run_cells([cell], SETTINGS)
    assert ("$METABENCH_HOME" if which == "home" else "--results") in str(told.value)
    assert inspect_planned_cells([cell])[0].state == "left"


def test_the_status_of_runs_in_a_read_only_home(place, small_disk, monkeypatch):
    monkeypatch.setenv("METABENCH_HOME", str(small_disk.path / "home"))
    build_data("tiny", "medium")
    cell = plan(place / "results")
    run_cells([cell], SETTINGS, cancelled=after(5))
    small_disk.make_read_only()
    assert inspect_planned_cells([cell])[0].state == "interrupted"


def test_a_results_folder_that_is_a_file(place, capsys):
    (place / "results").write_text("mine")
    with pytest.raises(SystemExit) as ended:
        main(f"run tiny -d medium -m bc --preset tiny --results {place / 'results'}".split())
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {place / 'results'}: cannot be written: ")
    assert said.count("\n") == 1
    assert "choose another folder" in said
    assert (place / "results").read_text() == "mine"


def test_a_cell_that_another_process_runs_is_left_to_it(place, expected):
    first, second = plan_cells(
        RunRequest(["tiny"], ["medium"], [f"{METHODS}:Small"], seeds=(0, 1), results=place / "results")
    )
    interrupt(first, 5)
    folder = run_folder(first.cell)
    run_cells([first], SETTINGS, cancelled=after(2))
    progress = json.loads((folder / "progress.json").read_text())
    (folder / "progress.json").write_text(json.dumps({**progress, "host": "far-away", "process": 4711}))
    with claim_cell(first.cell):
        events: list[Event] = []
        outcome = run_cells([first, second], SETTINGS, listener=events.append)
        assert (outcome.finished, outcome.failed, outcome.busy) == ((1,), (), (0,))
        (message,) = (event.message for event in events if event.kind == "busy")
        assert message == "process 4711 on far-away is running this cell; `metabench status` shows its progress"
        elsewhere = dataclasses.replace(first, results=place / "elsewhere")
        with pytest.raises(ClaimedError, match=f"is running this cell for {first.record_path};"):
            execute_cell(elsewhere, SETTINGS, quiet)
        assert not first.failure_path.exists()
        assert inspect_planned_cells([first])[0].state == "running"
        with pytest.raises(ClaimedError):
            execute_cell(first, SETTINGS, quiet)
    assert run(first) == ("finished", "")
    assert read_record(first.record_path).result == expected.result


def test_a_run_that_waits_takes_the_cell_when_the_other_process_has_ended(place, expected):
    cells = plan_cells(RunRequest(["tiny"], ["medium"], [f"{METHODS}:Small"], seeds=(0, 1), results=place / "results"))
    events: list[Event] = []
    with ExitStack() as others:
        others.enter_context(claim_cell(cells[0].cell))

        def hear(event: Event) -> None:
            events.append(event)
            if event.stage.startswith("waiting"):
                assert events[-2] == Event(1, "finished")  # all else is done first
                others.close()

        outcome = run_cells(cells, dataclasses.replace(SETTINGS, wait=True, patience=0.0), listener=hear)
    assert (outcome.finished, outcome.busy) == ((0, 1), ())
    assert read_record(cells[0].record_path).result == expected.result


def test_waiting_can_be_cancelled(place):
    cell = plan(place / "results")
    with claim_cell(cell.cell), pytest.raises(CancelledError, match="stopped while another process is running"):
        execute_cell(cell, dataclasses.replace(SETTINGS, patience=math.inf), quiet, lambda: True)


def _run_seeds(folder: Path, seeds: tuple[int, ...]) -> None:
    os.environ["METABENCH_HOME"], os.environ["MINARI_DATASETS_PATH"] = str(folder / "home"), str(folder / "minari")
    cells = plan_cells(RunRequest(["tiny"], ["medium"], [f"{METHODS}:Small"], seeds=seeds, results=folder / "results"))
    run_cells(cells, Settings(checkpoint_seconds=0.0, patience=60.0))


@pytest.mark.walk
def test_two_runs_of_one_command_share_its_cells(place, expected):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["metabench.runs.executors.local"])
    runs = [context.Process(target=_run_seeds, args=(place, seeds)) for seeds in ((0, 1, 2), (2, 1, 0))]
    for process in runs:
        process.start()
    for process in runs:
        process.join()
    assert [process.exitcode for process in runs] == [0, 0]
    assert len(files(place / "results")) == 3
    assert read_record(plan(place / "results").record_path).result == expected.result
    assert list((home() / "runs").iterdir()) == []


def test_a_clock_that_is_set_back(place, expected, monkeypatch):
    now = itertools.count(2_000_000_000, -3600)
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    cell = plan(place / "results")
    run_cells([cell], SETTINGS, cancelled=after(17))
    for path in run_folder(cell.cell).rglob("*"):
        os.utime(path, (4e9, 4e9))
    assert inspect_planned_cells([cell])[0].state == "interrupted"
    assert inspect_planned_cells([cell])[0].seconds >= 0
    assert run(cell) == ("finished", "")
    record = read_record(cell.record_path)
    assert record.result == expected.result
    provenance = record.provenance
    assert provenance.resumed == 1
    assert 0 < provenance.seconds_acting < provenance.seconds_evaluating
    assert provenance.seconds_training > 0


@pytest.mark.parametrize("moved", [-1e6, 1e6])
def test_a_failure_belongs_to_its_attempt_whatever_the_clock_says(place, monkeypatch, moved):
    monkeypatch.setenv("FAIL", "1")
    cell = plan(place / "results", "Failing")
    assert run(cell) == ("failed", "RuntimeError: the loss went away")
    os.utime(cell.failure_path, (time.time() + moved,) * 2)
    assert inspect_planned_cells([cell])[0].state == "failed"
    monkeypatch.delenv("FAIL")
    run_cells([cell], SETTINGS, cancelled=after(5))
    assert inspect_planned_cells([cell])[0].state == "interrupted"
