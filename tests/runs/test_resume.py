"""Whatever interrupts a cell, its result is that of the uninterrupted one, bit for bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from metabench.errors import CancelledError, MetabenchError
from metabench.runs.execute_cell import execute_cell
from metabench.runs.executors.run_cells import run_cells
from metabench.runs.kept.record import make_record, read_record, write_record
from metabench.runs.kept.record_file import read_json
from metabench.runs.kept.run_folder import claim_cell, run_folder
from metabench.runs.kept.saved_policy import policy_folder
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest
from metabench.runs.settings import Settings
from metabench.system.home import home

pytestmark = pytest.mark.slow


METHODS = Path(__file__).with_name("small_methods.py")
SETTINGS = Settings(checkpoint_seconds=0.0)


def plan(results, **changes):
    (cell,) = plan_cells(
        RunRequest(["tiny"], ["medium"], [changes.pop("method", f"{METHODS}:Small")], results=results, **changes)
    )
    return cell


def quiet(stage, done, total, metrics):
    del stage, done, total, metrics


def after(calls):
    """True from the `calls`-th time on that it is asked."""
    asked = iter(range(10**9))
    return lambda: next(asked) >= calls


@pytest.fixture
def expected(place):
    """The record of an uninterrupted run, in a results folder of its own."""
    return execute_cell(plan(place / "uninterrupted"), SETTINGS, quiet)


@pytest.mark.parametrize("calls", [0, 5, 11, 12, 17, 23, 24, 30, 80, 150])
def test_a_cancelled_cell_goes_on_to_the_same_result(place, expected, calls):
    cell = plan(place / "results")
    with pytest.raises(CancelledError):
        execute_cell(cell, SETTINGS, quiet, after(calls))
    assert not cell.record_path.exists()
    with pytest.raises(CancelledError):
        execute_cell(cell, SETTINGS, quiet, after(2))
    record = execute_cell(cell, SETTINGS, quiet)
    assert record.result == expected.result
    assert record.digest == expected.digest
    assert read_record(cell.record_path) == record
    assert record.provenance.resumed == (2 if calls < 22 else 1 if calls < 24 else 0)
    assert not run_folder(cell.cell).exists()


def test_a_finished_training_and_finished_tracks_are_not_repeated(place, expected):
    cell, stages = plan(place / "results"), []

    def listen(stage, done, total, metrics):
        stages.append(stage)

    with pytest.raises(CancelledError):
        execute_cell(cell, SETTINGS, quiet, after(24 + 20 + 30))  # in the test split's few-shot track
    record = execute_cell(cell, SETTINGS, listen)
    assert record.result == expected.result
    assert {stage.partition(":")[0] for stage in stages} == {"evaluating"}
    assert "evaluating: test few-shot: 5 shots" in stages
    assert not any("zero-shot" in stage and "test-far" not in stage for stage in stages)


RUN = """
import sys
from pathlib import Path
from metabench.runs.execute_cell import execute_cell
from metabench.runs.settings import Settings
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest
(cell,) = plan_cells(RunRequest(["tiny"], ["medium"], [sys.argv[1]], results=Path(sys.argv[2])))
execute_cell(cell, Settings(checkpoint_seconds=0.0), lambda *progress: None)
"""


def test_a_killed_process_goes_on_to_the_same_result(place, expected):
    spec, results = f"{METHODS}:Killed", place / "results"
    command = [sys.executable, "-c", RUN, spec, str(results)]
    done = subprocess.run(command, env={**os.environ, "KILL_AT": "7"}, check=False)
    assert done.returncode == -9
    cell = plan(results, method=spec)
    assert cell.state == "waiting"
    assert run_folder(cell.cell).exists()
    updates = []

    def listen(stage, done, total, metrics):
        if stage == "training: second":
            updates.append(done)

    record = execute_cell(cell, SETTINGS, listen)
    assert updates == [7, 8, 9, 10, 11, 12]
    assert record.result == expected.result
    assert record.provenance.resumed == 1


def test_a_finished_cell_is_skipped(place, expected):
    cell = plan(place / "uninterrupted")
    assert cell.state == "finished"
    events = []
    outcome = run_cells([cell], SETTINGS, listener=events.append)
    assert (outcome.finished, outcome.skipped, outcome.failed, outcome.stopped) == ((), (0,), (), ())
    assert events == []


def test_missing_tracks_are_added_without_training_again(place, expected):
    first = execute_cell(plan(place / "results", tracks=["zero-shot"]), SETTINGS, quiet)
    assert {block.track for block in first.result.blocks} == {"zero-shot"}
    assert plan(place / "results", tracks=["zero-shot"]).state == "finished"
    cell, stages = plan(place / "results"), []
    assert cell.extends
    record = execute_cell(cell, SETTINGS, lambda stage, *rest: stages.append(stage))
    assert record.result == expected.result
    assert not any(stage.startswith("training") for stage in stages)
    narrower = plan(place / "results", tracks=["few-shot"])
    assert narrower.state == "finished"


def test_a_record_of_another_cell_in_its_place_is_named_and_left_alone(place, expected):
    path = plan(place / "uninterrupted").record_path
    cell = expected.result.cell.model_copy(update={"method_version": 99})
    write_record(make_record(expected.result.model_copy(update={"cell": cell}), expected.provenance), path)
    there = path.read_bytes()
    planned = plan(place / "uninterrupted")
    assert (planned.state, planned.note) == (
        "corrupt",
        f"{path}: holds a record of another method version; delete it or use --overwrite",
    )
    assert run_cells([planned], SETTINGS).failed == (0,)
    assert path.read_bytes() == there


@pytest.mark.parametrize("damage", ["truncated", "changed"])
def test_a_damaged_record_is_named_and_left_alone_until_overwritten(place, expected, damage):
    path = plan(place / "uninterrupted").record_path
    text = read_json(path)
    changed = text.replace(b'"seed":0', b'"seed":1', 1)
    path.write_bytes(path.read_bytes()[:-50] if damage == "truncated" else changed)
    damaged = path.read_bytes()
    cell = plan(place / "uninterrupted")
    assert cell.state == "corrupt"
    assert str(path) in cell.note
    events = []
    assert run_cells([cell], SETTINGS, listener=events.append).failed == (0,)
    assert path.read_bytes() == damaged
    assert [event.kind for event in events] == ["failed"]
    anew = plan(place / "uninterrupted", overwrite=True)
    assert run_cells([anew], Settings()).finished == (0,)
    assert read_record(path).result == expected.result


def test_overwrite_begins_anew_and_can_itself_be_resumed(place, expected):
    cell, settings = plan(place / "uninterrupted", overwrite=True), Settings(checkpoint_seconds=0.0)
    assert cell.state == "waiting"
    with pytest.raises(CancelledError):
        execute_cell(cell, settings, quiet, after(15))
    assert read_record(cell.record_path) == expected  # until the next one is there
    updates = []
    again = plan(place / "uninterrupted")
    assert (again.state, again.note) == ("waiting", "continues the run that replaces its record")
    record = execute_cell(again, SETTINGS, lambda stage, done, *rest: updates.append((stage, done)))
    assert ("training: first", 1) not in updates
    assert record.result == expected.result


def test_two_processes_do_not_run_one_cell(place):
    cell = plan(place / "results")
    with claim_cell(cell.cell), pytest.raises(MetabenchError, match="another process"):
        execute_cell(cell, SETTINGS, quiet)
    execute_cell(cell, SETTINGS, quiet)
    assert list((home() / "runs").iterdir()) == []


def test_the_policy_of_a_finished_cell_is_kept(place, expected):
    folder = policy_folder(plan(place / "uninterrupted").cell)
    assert folder.is_relative_to(home() / "policies" / "tiny-v1" / "medium" / "small")
    assert sorted(path.name for path in folder.iterdir()) == ["policy", "training.json"]
    assert not list(folder.parent.glob(".*"))
