"""`metabench status`: what has become of cells, by files alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from metabench import load_records
from metabench.runs.kept.run_folder import claim_cell
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest

pytestmark = pytest.mark.slow


SWEEP = """
[[part]]
suites = ["tiny"]
datasets = ["medium"]
methods = ["small_methods.py:Slow", "small_methods.py:Failing", "random"]
seeds = [0, 1]
overrides = {overrides}
"""


@pytest.fixture
def sweep(place):
    """Cells of which one is killed in mid-training, two fail, and the others are left."""
    text = SWEEP.format(overrides="{ updates = 500 }").replace(', "random"', "")
    rest = SWEEP.format(overrides="{}").replace('"small_methods.py:Slow", "small_methods.py:Failing", ', "")
    (place / "sweep.toml").write_text(text + rest)
    return place


def start(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", "from metabench.cli import main; main()", "run", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
    )


def read(command, *arguments):
    ended = command("status", *arguments, "--json")
    assert ended.status == 0, ended.err
    return {cell["cell"]: cell for cell in json.loads(ended.out)}


@pytest.mark.slow
def test_every_state_is_told(command, sweep, monkeypatch):
    slow = "tiny medium small (updates=500) cpu seed 0"
    assert {cell["state"] for cell in read(command, "sweep.toml").values()} == {"left"}
    process = start("sweep.toml", SLEEP="0.05")
    while (seen := read(command, "sweep.toml"))[slow]["state"] != "running":
        assert process.poll() is None
        time.sleep(0.3)
    assert seen[slow]["progress"]["process"] == process.pid or seen[slow]["progress"]["process"] > 0
    assert seen[slow]["progress"]["stage"].startswith("training")
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 60
    while read(command, "sweep.toml")[slow]["state"] == "running" and time.monotonic() < deadline:
        time.sleep(0.3)  # the worker finds out that it is alone
    killed = read(command, "sweep.toml")[slow]
    assert killed["state"] == "interrupted"
    assert killed["seconds"] > 0

    failing = ("run", "tiny", "-d", "medium", "-m", "small_methods.py:Failing", "--set", "updates=500", "--seeds", "2")
    monkeypatch.setenv("FAIL", "1")
    assert command(*failing).status == 1
    assert command("run", "tiny", "-d", "medium", "-m", "random", "--seeds", "1").status == 0

    cells = read(command, "sweep.toml")
    assert [cell["state"] for cell in cells.values()] == ["interrupted", "left", "failed", "failed", "done", "left"]
    assert cells["tiny medium failing (updates=500) cpu seed 1"]["reason"] == "RuntimeError: the loss went away"
    assert cells["tiny medium random cpu seed 0"]["seconds"] > 0
    begun = {label: cell["state"] for label, cell in cells.items() if cell["state"] != "left"}
    assert {label: cell["state"] for label, cell in read(command, "results").items()} == begun

    shown = command("status", "sweep.toml").out.splitlines()
    assert shown[-1].startswith("cells: 1 done, 1 interrupted, 2 failed, 2 left; ")
    assert any(line.startswith("failed tiny medium failing (updates=500) cpu seed 0: RuntimeError") for line in shown)
    (line,) = [line for line in shown if line.startswith("interrupted")]
    assert line.startswith(f"interrupted {slow}: training")
    assert "last heard of" in line

    (folder,) = [
        cell
        for cell in plan_cells(RunRequest(["tiny"], ["medium"], ["small_methods.py:Slow"], overrides={"updates": 500}))
    ]
    with claim_cell(folder.cell):  # as another machine would
        assert read(command, "sweep.toml")[slow]["state"] == "running"


def test_results_may_be_named_by_the_option(command, place):
    assert command("run", "tiny", "-m", "random", "--preset", "tiny", "--results", "kept").status == 0  # of `medium`
    assert command("status", "--results", "kept").out == command("status", "kept").out
    assert "cells: 1 done" in command("status", "kept").out
    ended = command("status", "--results", "missing")
    assert (ended.status, ended.err) == (
        2,
        "error: missing: no such folder; expected a folder that holds records, or a sweep file (sweep.toml)\n",
    )
    assert "error: two results folders" in command("status", "kept", "--results", "other").err


def test_a_damaged_record_is_named(command, place):
    assert command("run", "tiny", "-d", "medium", "-m", "random", "--preset", "tiny").status == 0
    (path,) = (place / "results").rglob("0.json.gz")
    path.write_bytes(path.read_bytes()[:-40])
    (place / "sweep.toml").write_text(
        SWEEP.format(overrides="{}").replace('"small_methods.py:Slow", "small_methods.py:Failing", ', "")
        + 'preset = "tiny"\n'
    )
    cells = list(read(command, "sweep.toml").values())
    assert [cell["state"] for cell in cells] == ["corrupt", "left"]
    assert str(path.relative_to(place)) in cells[0]["reason"]


def test_what_is_no_whole_record_is_not_done(command, place):
    assert command("run", "tiny", "-d", "medium", "-m", "random", "--preset", "tiny", "--seeds", "3").status == 0
    paths = sorted((place / "results").rglob("*.json.gz"))
    paths[0].write_bytes(b"")
    paths[1].write_bytes(paths[1].read_bytes()[:-40])
    cells = list(read(command, "results").values())
    assert [cell["state"] for cell in cells] == ["corrupt", "corrupt", "done"]
    assert "is no whole record" in cells[0]["reason"]
    assert "is cut short" in cells[1]["reason"]


def test_linked_folders_are_looked_into_once(command, place):
    assert command("run", "tiny", "-d", "medium", "-m", "random", "--preset", "tiny").status == 0
    (place / "elsewhere").mkdir()
    (place / "results" / "tiny-v1").rename(place / "elsewhere" / "tiny-v1")
    (place / "results" / "tiny-v1").symlink_to(place / "elsewhere" / "tiny-v1")
    (place / "elsewhere" / "tiny-v1" / "loop").symlink_to(place / "results")
    assert [cell["state"] for cell in read(command, "results").values()] == ["done"]
    (record,) = load_records(place / "results")
    assert record.result.cell.method == "random"


def test_a_folder_that_is_not_there_is_named(command, place):
    ended = command("status")
    assert (ended.status, ended.err) == (
        2,
        "error: results: no such folder; expected a folder that holds records, or a sweep file (sweep.toml)\n",
    )
    (place / "results").mkdir()
    assert command("status").out == "cells: none; 0 s so far\n"
