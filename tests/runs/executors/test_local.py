"""The local executor: failures are isolated, workers change nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from metabench.errors import MetabenchError
from metabench.runs.executors.run_cells import run_cells
from metabench.runs.kept.record import read_record
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest
from metabench.runs.settings import Settings

pytestmark = pytest.mark.slow


METHODS = Path(__file__).parents[1] / "small_methods.py"


def plan(results, *names, **changes):
    return plan_cells(
        RunRequest(["tiny"], ["medium"], [f"{METHODS}:{name}" for name in names], results=results, **changes)
    )


def test_a_failing_cell_is_recorded_and_the_others_go_on(place, monkeypatch):
    monkeypatch.setenv("FAIL", "1")
    cells = plan(place / "results", "Failing", "Small")
    events = []
    outcome = run_cells(cells, Settings(), listener=events.append)
    assert (outcome.finished, outcome.failed) == ((1,), (0,))
    assert [event.message for event in events if event.kind == "failed"] == ["RuntimeError: the loss went away"]
    failure = json.loads(cells[0].failure_path.read_text())
    assert cells[0].failure_path.name == "0.failed.json"
    assert failure["cell"] == cells[0].cell.model_dump()
    assert "before_update" in failure["traceback"]
    assert not cells[0].record_path.exists()

    monkeypatch.delenv("FAIL")
    again = plan(place / "results", "Failing", "Small")
    assert [cell.state for cell in again] == ["waiting", "finished"]
    assert run_cells(again, Settings()).finished == (0,)
    assert not again[0].failure_path.exists()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LogsText", "log: loss: expected a number, found str"),
        ("SumsUpObjects", "run.summary.model.layers.0: a record cannot hold object"),
        ("Returnless", "method 'returnless': train must return a Policy, not NoneType"),
        ("Unloadable", "policy: not today"),
        ("OutOfBounds", r"method 'out-of-bounds', lane 0, step 0: action [5.0, 5.0] is out of bounds"),
    ],
)
def test_broken_methods_are_named(place, name, expected):
    events = []
    assert run_cells(plan(place / "results", name), Settings(), listener=events.append).failed == (0,)
    assert expected in events[-1].message


def test_workers_give_the_results_of_one_process(place):
    alone = plan(place / "alone", "Small", seeds=(0, 1, 2))
    assert run_cells(alone, Settings(threads=1)).finished == (0, 1, 2)
    together = plan(place / "together", "Small", seeds=(0, 1, 2))
    events = []
    assert run_cells(together, Settings(threads=1), workers=2, listener=events.append).finished == (0, 1, 2)
    for one, other in zip(alone, together, strict=True):
        assert read_record(one.record_path).result == read_record(other.record_path).result
    assert {event.index for event in events if event.kind == "progress"} == {0, 1, 2}
    assert len({read_record(cell.record_path).digest for cell in alone}) == 3


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux lists a process's threads")
@pytest.mark.parametrize(("wanted", "expected"), [(None, 3), pytest.param("5", 5, marks=pytest.mark.walk)])
def test_simulators_of_workers_share_the_cores(place, monkeypatch, wanted, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(7)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if wanted:
        monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    cells = plan(place / "results", "Counting", seeds=(0, 1))
    assert run_cells(cells, Settings(), workers=2).finished == (0, 1)
    assert [read_record(cell.record_path).result.summary["threads"] for cell in cells] == [expected] * 2
    assert os.environ.get("OMP_NUM_THREADS") == wanted


def test_a_worker_that_dies_fails_its_cell_only(place, monkeypatch):
    monkeypatch.setenv("KILL_AT", "3")
    cells = plan(place / "results", "Killed") + plan(place / "more", "Small", seeds=(2, 3))
    events = []
    outcome = run_cells(cells, Settings(), workers=2, listener=events.append)
    assert (outcome.failed, outcome.finished) == ((0,), (1, 2))
    messages = {event.message for event in events if event.kind == "failed"}
    assert messages == {"the worker process ended with status -9"}
    assert json.loads(cells[0].failure_path.read_text())["error"] == messages.pop()


@pytest.mark.walk
def test_no_worker_outlives_its_run(place):
    """Not even one whose method never asks whether it should stop."""
    hangs = f"{METHODS.parent}/isolation/hostile_plugin.py:HangsTraining"
    command = [sys.executable, "-m", "metabench", "run", "tiny", "-d", "medium", "-m", hangs, "--workers", "2"]
    running = subprocess.Popen([*command, "--results", str(place / "results")], stdout=subprocess.PIPE, text=True)
    for line in running.stdout:
        if "started" in line:
            break
    workers = psutil.Process(running.pid).children(recursive=True)
    assert workers
    running.terminate()  # asked once, it waits for its cells to keep their work, as after Ctrl-C
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(1.0)
    running.kill()
    running.wait()
    running.stdout.close()
    assert psutil.wait_procs(workers, timeout=30)[1] == []


def test_cancelling_stops_workers_and_keeps_what_they_did(place, monkeypatch):
    monkeypatch.setenv("SLEEP", "0.1")
    cells = plan(place / "results", "Slow", seeds=(0, 1, 2), overrides={"updates": 100})
    heard = []
    outcome = run_cells(
        cells,
        Settings(),
        workers=2,
        listener=heard.append,
        cancelled=lambda: any(event.kind == "progress" and event.done for event in heard),
    )
    assert outcome.stopped == (0, 1, 2)
    assert outcome.finished == outcome.failed == ()
    assert sorted(event.index for event in heard if event.kind == "stopped") == [0, 1]
    assert all("stopped in stage 'first'" in event.message for event in heard if event.kind == "stopped")


def test_an_unknown_device_is_refused(place):
    with pytest.raises(MetabenchError, match="device 'gpu' cannot be used"):
        run_cells(plan(place / "results", "Small"), Settings(device="gpu"))


def test_provenance_says_how_a_record_came_about(place):
    (cell,) = plan(place / "results", "Small")
    run_cells([cell], Settings(threads=1, command="metabench run tiny"))
    provenance = read_record(cell.record_path).provenance
    assert (provenance.threads, provenance.device, provenance.command) == (1, "cpu", "metabench run tiny")
    assert {"python", "metabench", "torch", "numpy", "mujoco", "minari", "transformers"} <= set(provenance.packages)
    assert str(os.cpu_count()) in provenance.host
    assert provenance.resumed == 0
    assert provenance.seconds_training > 0
    assert 0 < provenance.seconds_acting < provenance.seconds_evaluating
