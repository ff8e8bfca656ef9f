"""`metabench run` and `metabench evaluate` on the tiny suite, from data to tables."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from metabench.cli.run import record_command
from metabench.runs.kept.record import read_record
from metabench.runs.kept.run_folder import claim_cell
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest

pytestmark = pytest.mark.slow


SMALL = "small_methods.py:Small"


def records(place):
    return sorted((place / "results").rglob("[0-9]*.json.gz"))


def test_the_vertical_path(command, place, monkeypatch):
    arguments = ("run", "tiny", "--dataset", "medium", "--method", "random,bc", "--preset", "tiny", "--seeds", "2")
    arguments += ("--threads", "1")
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/metabench", *arguments, "--results", "/mine", "--results=/mine"])
    ended = command(*arguments)
    assert ended.status == 0, ended.err
    assert "cells: 4 done, 0 skipped, 0 failed, 0 stopped" in ended.out
    assert "few-shot" in ended.out
    assert [str(path.relative_to(place / "results")).split("/")[:3] for path in records(place)] == [
        ["tiny-v1", "medium", "bc"],
        ["tiny-v1", "medium", "bc"],
        ["tiny-v1", "medium", "random"],
        ["tiny-v1", "medium", "random"],
    ]
    record = read_record(records(place)[0])
    assert record.provenance.command == " ".join(("metabench", *arguments))
    assert record.result.curve
    before = {path: path.read_bytes() for path in records(place)}

    again = command(*arguments)
    assert again.status == 0
    assert "cells: 0 done, 4 skipped, 0 failed, 0 stopped" in again.out
    assert "few-shot" in again.out
    assert {path: path.read_bytes() for path in records(place)} == before

    one = command(*arguments, "--track", "zero-shot")
    assert one.status == 0
    assert "zero-shot" in one.out
    assert "few-shot" not in one.out  # the records have it, and it was not asked for


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("/home/me/mine.py:Mine/wide,bc", "mine.py:Mine/wide,bc"),
        ("--method=/home/me/mine.py:Mine", "--method=mine.py:Mine"),
        ("~/suites/own", "own"),
        ("mine.py:Mine,/x/theirs.py:Theirs", "mine.py:Mine,theirs.py:Theirs"),
        ('weights="/home/me/w"', "'weights=\"w\"'"),
        ("./mine.py:Mine", "./mine.py:Mine"),
        ("meta-dt/no_context", "meta-dt/no_context"),
        ("10.0.0.1:6379", "10.0.0.1:6379"),
    ],
)
def test_the_command_in_a_record_names_no_folder_of_this_machine(typed, kept):
    assert record_command(["/opt/bin/metabench", "run", typed, "--results", "/r"]) == f"metabench run {kept}"


def test_a_dry_run_only_shows_what_would_be_done(command, place):
    ended = command("run", "tiny", "-d", "medium", "-m", f"random,{SMALL}", "--dry-run", "--seeds", "0,3")
    assert ended.status == 0
    assert ended.out.count("waiting ") == 4
    assert "small" in ended.out
    assert ended.out.endswith("cells: 4 waiting, 0 finished, 0 corrupt\n")
    assert not (place / "results").exists()


def test_overrides_reach_the_configuration_and_its_digest(command, place):
    ended = command("run", "tiny", "-d", "medium", "-m", SMALL, "--set", "updates=3", "--track", "zero-shot")
    assert ended.status == 0, ended.err
    (path,) = records(place)
    result = read_record(path).result
    assert result.configuration == {"updates": 3, "learning_rate": 0.05}
    assert result.overrides == {"updates": 3}
    assert {(block.split, block.track) for block in result.blocks} == {("test", "zero-shot"), ("test-far", "zero-shot")}


def test_a_cell_that_another_process_runs_is_no_failure_of_this_command(command, place):
    arguments = ("run", "tiny", "-d", "medium", "-m", "random", "--preset", "tiny", "--track", "zero-shot")
    (cell,) = plan_cells(RunRequest(["tiny"], ["medium"], ["random"], preset="tiny"))
    with claim_cell(cell.cell):
        ended = command(*arguments, "--results", "mine")
    assert ended.status == 3
    assert "cells: 0 done, 0 skipped, 0 failed, 0 stopped, 1 busy elsewhere (--wait waits for them)" in ended.out
    assert "random seed 0: busy: another process is running this cell" in ended.out
    assert command(*arguments, "--results", "mine", "--wait").status == 0


def test_a_failing_method_is_named_and_the_status_says_so(command, place, monkeypatch):
    monkeypatch.setenv("FAIL", "1")
    ended = command("run", "tiny", "-d", "medium", "-m", f"small_methods.py:Failing,{SMALL}")
    assert ended.status == 1
    assert "cells: 1 done, 0 skipped, 1 failed, 0 stopped" in ended.out
    (line,) = [line for line in ended.err.splitlines() if line.startswith("failed:")]
    assert line.startswith("failed: tiny medium failing seed 0; see results/tiny-v1/medium/failing/")
    assert line.endswith("/0.failed.json")


def test_a_saved_policy_scores_what_its_record_says(command, place):
    assert command("run", "tiny", "-d", "medium", "-m", SMALL, "--seeds", "1,").status == 0
    (path,) = records(place)
    folder = place / "home" / "policies" / path.relative_to(place / "results").with_suffix("").with_suffix("")
    ended = command("evaluate", str(folder), "--json")
    assert ended.status == 0
    found = json.loads(ended.out)
    assert found["suite"] == "tiny-v1"
    assert found["blocks"] == read_record(path).result.model_dump(mode="json")["blocks"]

    table = command(
        "evaluate", str(folder), "--suite", "tiny", "--track", "few-shot", "--split", "test", "--shots", "2"
    )
    assert table.status == 0
    assert "few-shot" in table.out
    assert command("evaluate", str(folder), "--suite", "tiny-discrete").err == (
        "error: suite 'tiny-discrete' has other spaces than 'tiny', on which the policy was trained\n"
    )
    assert command("evaluate", str(folder), "--track", "fewshot").err == (
        "error: unknown track 'fewshot'; did you mean 'few-shot'?\n"
    )
    (folder / "policy" / "weights" / "structure.json").write_text("{")
    damaged = command("evaluate", str(folder))
    assert damaged.status == 2
    assert str(folder) in damaged.err
    assert command("evaluate", str(place)).err.startswith(f"error: {place}/training.json: cannot be read")


def test_an_interrupted_run_says_so_and_goes_on(command, place):
    arguments = ["run", "tiny", "-d", "medium", "-m", "small_methods.py:Slow", "--set", "updates=20"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from metabench.cli import main; main()", *arguments],
        env={**os.environ, "SLEEP": "0.2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while "started" not in process.stdout.readline():
        assert process.poll() is None
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted: the same command continues from here\n" in err
    assert "cells: 0 done, 0 skipped, 0 failed, 1 stopped" in out
    assert not records(place)

    ended = command(*arguments)
    assert ended.status == 0
    assert read_record(records(place)[0]).provenance.resumed == 1
