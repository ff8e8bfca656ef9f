"""Cells as jobs: whoever runs them, results, failures and cancelling are those of this machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from metabench.runs.executors.run_cells import run_cells
from metabench.runs.executors.shared import Ending, run_job, run_jobs
from metabench.runs.kept.record import read_record
from metabench.runs.kept.run_folder import run_folder
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest
from metabench.runs.settings import Settings
from metabench.system.home import home

METHODS = Path(__file__).parents[1] / "small_methods.py"


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """Jobs set it for their process, which here is that of the tests."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


class Here:
    """An engine without a cluster: it runs one job whenever it is asked what ended."""

    def __init__(self, before=lambda job: None):
        self.jobs, self.before, self.withdrawn = {}, before, None

    def submit(self, jobs):
        self.jobs.update(jobs)

    def collect_ended(self, seconds):
        index = next(iter(self.jobs))
        job = self.jobs.pop(index)
        self.before(job)
        yield index, run_job(job)

    def withdraw(self, begun):
        self.withdrawn = begun


class Losing(Here):
    """An engine that loses its jobs."""

    def collect_ended(self, seconds):
        yield self.jobs.popitem()[0], Ending("lost", "the machine burnt down")


def plan(results, name="Small", **changes):
    return plan_cells(RunRequest(["tiny"], ["medium"], [f"{METHODS}:{name}"], results=results, **changes))


def run(engine, cells, settings=None, cancelled=lambda: False):
    events = []
    run_jobs(engine, cells, range(len(cells)), settings or Settings(), events.append, cancelled, 0.0)
    return events


@pytest.mark.slow
def test_jobs_give_the_results_of_this_process(place, monkeypatch):
    alone = plan(place / "alone", seeds=(0, 1))
    assert run_cells(alone, Settings()).finished == (0, 1)
    monkeypatch.chdir(place)
    shutil.copy(METHODS, place)
    relative = plan_cells(
        RunRequest(["tiny"], ["medium"], ["small_methods.py:Small"], results=Path("there"), seeds=(0, 1))
    )

    def elsewhere(job):
        monkeypatch.chdir("/")
        monkeypatch.setenv("METABENCH_HOME", "/nowhere")

    engine = Here()
    engine.before = elsewhere
    events = run(engine, relative)
    assert [(event.index, event.kind) for event in events if event.kind != "progress"] == [
        (0, "finished"),
        (1, "finished"),
    ]
    for one, other in zip(alone, relative, strict=True):
        there = read_record(place / "there" / other.cell.path)
        assert there.result == read_record(one.record_path).result
    assert not list((place / "there").glob(".wanted*"))


def test_a_failing_cell_is_told_and_the_others_go_on(place, monkeypatch):
    monkeypatch.setenv("FAIL", "1")
    cells = plan(place / "results", "Failing") + plan(place / "results")
    events = run(Here(), cells)
    assert [(event.kind, event.message) for event in events if event.kind in ("failed", "finished")] == [
        ("failed", "RuntimeError: the loss went away"),
        ("finished", ""),
    ]
    assert "before_update" in json.loads(cells[0].failure_path.read_text())["traceback"]


def test_a_lost_job_is_recorded_as_failed_with_its_reason(place):
    (cell,) = plan(place / "results")
    (event,) = run(Losing(), [cell])
    assert (event.kind, event.message) == ("failed", "the machine burnt down")
    assert json.loads(cell.failure_path.read_text())["error"] == "the machine burnt down"


def test_a_machine_that_does_not_share_the_folders_says_so(place):
    (cell,) = plan(place / "results")

    def unshared(job):
        for path in job.wanted:
            path.unlink()

    (event,) = run(Here(unshared), [cell])
    assert event.kind == "failed"
    assert "is not the folder of the machine that planned the run" in event.message
    assert "$METABENCH_HOME and --results" in event.message
    assert not cell.record_path.exists()


def test_a_device_that_is_not_there_fails_its_cell(place):
    (event,) = run(Here(), plan(place / "results"), Settings(device="gpu"))
    assert event.kind == "failed"
    assert event.message.startswith("device 'gpu' cannot be used")


def test_cancelling_withdraws_the_jobs_and_keeps_what_they_did(place):
    cells = plan(place / "results", seeds=(0, 1))
    asked = iter([False, True, True, True])
    engine = Here()
    events = run(engine, cells, cancelled=lambda: next(asked))
    assert [event.kind for event in events if event.kind in ("finished", "stopped")] == ["finished", "stopped"]
    assert engine.withdrawn == set()
    assert cells[0].record_path.exists()
    assert not cells[1].failure_path.exists()
    assert [path.name for path in (home() / "runs").iterdir()] == []


@pytest.mark.slow
def test_overwriting_happens_once_and_not_in_the_job_which_may_be_repeated(place):
    (cell,) = plan(place / "results")
    assert run_cells([cell], Settings()).finished == (0,)
    written = cell.record_path.stat().st_mtime_ns
    (anew,) = plan(place / "results", overwrite=True)
    seen = []
    run(
        Here(lambda job: seen.append((job.planned.overwrite, anew.record_path.exists()))),
        [anew],
        Settings(),
    )
    assert seen == [(False, True)]  # the record stays until the next one is there
    assert cell.record_path.stat().st_mtime_ns > written
    assert not run_folder(cell.cell).exists()


@pytest.mark.parametrize("attempts", [2])
def test_a_cell_that_goes_on_elsewhere_is_announced_again(place, attempts):
    """What a lost machine's cell wrote is followed; so is what the next attempt writes."""
    (cell,) = plan(place / "results")

    class Twice(Here):
        calls = 0

        def collect_ended(self, seconds):
            self.calls += 1
            if self.calls <= attempts:
                write_progress(cell, self.calls)
                return
            yield from super().collect_ended(seconds)

    kinds = [event.kind for event in run(Twice(), [cell])]
    assert kinds == ["started", "progress"] * attempts + ["finished"]


def write_progress(cell, attempt):
    from metabench.runs.kept.progress import FILE, CellProgress

    progress = CellProgress(
        cell=cell.cell,
        record=cell.record_path.resolve(),
        host=f"machine-{attempt}",
        process=attempt,
        stage="training: first",
        done=attempt,
        total=12,
        metrics={"loss": 0.5},
        started=100.0 * attempt,
        updated=100.0 * attempt + 1,
        seconds=1.0,
    )
    folder = run_folder(cell.cell)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(progress.model_dump_json())
