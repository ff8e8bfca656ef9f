"""What a cell does to its process costs that cell only, and it may take what it may take."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from metabench import MetabenchError
from metabench.runs.executors.run_cells import run_cells
from metabench.runs.isolation.limits import Limits, read_limits
from metabench.runs.kept.record import read_record
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest
from metabench.runs.settings import Settings

pytestmark = pytest.mark.slow


PLUGIN = Path(__file__).with_name("hostile_plugin.py")


def plan(results, *names, **options):
    return plan_cells(
        RunRequest(["tiny"], ["medium"], [f"{PLUGIN}:{name}" for name in names], results=results, **options)
    )


def run(cells, settings, workers=1):
    """The outcome, and why each failed cell did."""
    events = []
    outcome = run_cells(cells, settings, workers=workers, listener=events.append)
    return outcome, {event.index: event.message for event in events if event.kind == "failed"}


@pytest.mark.walk
def test_misdeeds_in_training_cost_their_cell_only(place, monkeypatch):
    heartbeat = place / "heartbeat"
    monkeypatch.setenv("HEARTBEAT", str(heartbeat))
    failing = ("ExitsTraining", "GarblesTraining", "GrowsTraining", "StopsTraining")
    names = (*failing, "ForksTraining", "ComesBackTraining", "StaysTraining", "Good")
    cells = plan(place / "results", *names)
    outcome, messages = run(cells, Settings(limits=Limits(memory_bytes=1 << 30)), workers=2)
    assert outcome.finished == (4, 5, 6, 7)
    assert outcome.failed == (0, 1, 2, 3)
    assert messages[0] == "the worker process ended with status 0"
    assert messages[1] == "the worker process sent an invalid event"
    assert messages[2].startswith("used ")
    assert messages[2].endswith(" GiB of memory, more than its limit of 1 GiB")
    assert re.fullmatch(r"method 'stopstraining' raised KeyboardInterrupt \(hostile_plugin.py, line \d+\)", messages[3])
    for index, message in messages.items():
        assert json.loads(cells[index].failure_path.read_text())["error"] == message
    written = heartbeat.stat().st_size
    time.sleep(0.3)
    assert heartbeat.stat().st_size == written > 0


def test_a_cell_that_takes_too_long_is_ended_even_with_one_worker(place):
    outcome, messages = run(plan(place / "results", "HangsTraining"), Settings(limits=Limits(seconds=2.0)))
    assert (outcome.failed, messages) == ((0,), {0: "ran longer than its limit of 2 s"})


def test_leaving_by_exit_is_a_failure_of_the_cell_in_this_process_too(place):
    outcome, messages = run(plan(place / "results", "QuitsTraining", "Good"), Settings())
    assert (outcome.finished, [*messages]) == ((1,), [0])
    assert messages[0].startswith("method 'quitstraining' raised SystemExit: enough (hostile_plugin.py, line ")


def test_isolated_evaluation_changes_no_result(place):
    plain, isolated = (plan(place / name, "Good") for name in ("plain", "isolated"))
    assert run(plain, Settings(threads=1))[0].finished == (0,)
    assert run(isolated, Settings(threads=1, isolate=True))[0].finished == (0,)
    assert read_record(isolated[0].record_path).result == read_record(plain[0].record_path).result


def test_misdeeds_in_isolated_evaluation_cost_their_cell_only(place):
    outcome, messages = run(plan(place / "results", "Exits", "Good"), Settings(isolate=True))
    assert outcome.finished == (1,)
    assert messages == {0: "method 'exits': act at step 0 ended its process with exit status 0"}


@pytest.mark.parametrize(
    ("time", "memory", "expected"),
    [
        (None, None, Limits()),
        ("90", "500M", Limits(90.0, 500 << 20)),
        ("1.5m", "4GiB", Limits(90.0, 4 << 30)),
        ("2h", "2048 k", Limits(7200.0, 2 << 20)),
    ],
)
def test_limits_are_read(time, memory, expected):
    assert read_limits(time, memory) == expected


@pytest.mark.parametrize(
    ("time", "memory", "expected"),
    [
        ("soon", None, "--time-limit: expected a number above 0, perhaps with a unit (90, 90s, 15m, 2h), found 'soon'"),
        ("0", None, "--time-limit: expected a number above 0, perhaps with a unit (90, 90s, 15m, 2h), found '0'"),
        (None, "4X", "--memory-limit: expected a number above 0, perhaps with a unit (500M, 4G), found '4X'"),
    ],
)
def test_what_is_no_limit_is_named(time, memory, expected):
    with pytest.raises(MetabenchError) as caught:
        read_limits(time, memory)
    assert str(caught.value) == expected
