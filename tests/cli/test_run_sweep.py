"""`metabench run SWEEP.toml`: the cells of a file, in its order, each once; what `--dry-run` says of their time."""

from __future__ import annotations

import json
import shutil

import pytest

from metabench.runs.kept.record_file import read_json
from metabench.runs.sweep import read_sweep
from metabench.suites import load_suite

SWEEP = """
[[part]]
suites = ["tiny"]
datasets = ["medium"]
methods = ["bc"]
seeds = [1]
preset = "tiny"
overrides = { updates = 3 }

[[part]]
suites = ["tiny"]
datasets = ["medium"]
methods = ["random", "bc"]
seeds = [1, 0]
preset = "tiny"

[[part]]
suites = ["tiny"]
datasets = ["medium"]
methods = ["random"]
seeds = [0]
preset = "tiny"
"""


@pytest.mark.slow
def test_a_sweep_runs_its_cells_in_order_each_once(command, place):
    (place / "sweep.toml").write_text(SWEEP)
    ended = command("run", "sweep.toml", "--dry-run")
    assert ended.status == 0, ended.err
    lines = [line.split("results/tiny-v1/medium/")[1] for line in ended.out.splitlines() if "results" in line]
    named = [(line.split("/")[0], line.rpartition("/")[2]) for line in lines]
    expected = [("bc", 1), ("random", 1), ("random", 0), ("bc", 1), ("bc", 0)]
    assert named == [(method, f"{seed}.json.gz") for method, seed in expected]
    assert lines[0] != lines[3]  # another configuration is another cell

    (place / "short.toml").write_text(SWEEP[: SWEEP.index("[[part]]", 20)])
    assert "cells: 1 done, 0 skipped" in command("run", "short.toml", "--threads", "1").out
    ended = command("run", "sweep.toml", "--threads", "1")
    assert ended.status == 0, ended.err
    assert "cells: 4 done, 1 skipped, 0 failed, 0 stopped" in ended.out

    # Of cells that were begun a results folder tells; what is left, only the sweep file.
    for target in ("results", "sweep.toml"):
        assert command("status", target).out.splitlines()[-1].startswith("cells: 5 done; ")


GRID = """
[[part]]
suites = ["./own/tiny"]
datasets = ["medium"]
methods = ["methods/mine.py:Small"]
seeds = 2
preset = ["tiny", "cpu"]
overrides = { updates = 1 }
grid = { learning_rate = [0.1, 0.2] }
"""


def test_lists_make_grids_and_paths_are_relative_to_the_file(command, place, monkeypatch):
    folder = place / "sweeps"
    (folder / "methods").mkdir(parents=True)
    shutil.copy(place / "small_methods.py", folder / "methods" / "mine.py")
    shutil.copytree(load_suite("tiny").folder, folder / "own" / "tiny")
    (folder / "grid.toml").write_text(GRID)
    for here, named in ((folder, "grid.toml"), (place, "sweeps/grid.toml")):
        monkeypatch.chdir(here)
        ended = command("run", named, "--dry-run")
        assert ended.status == 0, ended.err
        assert ended.out.endswith("cells: 8 waiting, 0 finished, 0 corrupt\n")
    parts = read_sweep(folder / "grid.toml").part
    assert list(parts[0].list_settings()) == [
        (preset, {"updates": 1, "learning_rate": rate}) for preset in ("tiny", "cpu") for rate in (0.1, 0.2)
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[0.1, 0.2]", "[]", "part 1, grid.learning_rate: expected at least 1 of them"),
        ("[0.1, 0.2]", "0.1", "part 1, grid.learning_rate: expected a list"),
        ("learning_rate = [", "updates = [", "part 1: grid: updates stands in overrides as well"),
        ("seeds = 2", "seeds = 0", "part 1, seeds: expected at least 1 of them"),
        ('["tiny", "cpu"]', "[]", "part 1, preset: expected at least 1 of them"),
    ],
)
def test_a_mistake_in_a_sweep_is_named(command, place, old, new, expected):
    (place / "grid.toml").write_text(GRID.replace(old, new))
    ended = command("run", "grid.toml")
    assert ended.status == 2
    assert ended.err.startswith(f"error: grid.toml: {expected}")


def test_the_example_of_the_help_is_a_sweep(command, place):
    text = command("run", "--help").out
    example = text[text.index("tracks = [") : text.index("Exit status")]
    (place / "sweep.toml").write_text(example)
    (part,) = read_sweep(place / "sweep.toml").part
    assert part.methods == ("bc", str(place / "my_method.py:MyMethod"))
    assert len(list(part.list_settings())) == 2


def test_tracks_hold_for_the_whole_file(command, place):
    (place / "sweep.toml").write_text('tracks = ["zero-shot"]\n' + SWEEP[: SWEEP.index("[[part]]", 20)])
    assert command("run", "sweep.toml", "--threads", "1").status == 0
    (path,) = (place / "results").rglob("[0-9]*.json.gz")
    assert {block["track"] for block in json.loads(read_json(path))["result"]["blocks"]} == {"zero-shot"}


def test_a_broken_sweep_file_is_named_with_its_key(command, place):
    (place / "sweep.toml").write_text(SWEEP.replace('methods = ["bc"]', "methods = []"))
    ended = command("run", "sweep.toml")
    assert ended.status == 2
    assert "sweep.toml: part 1, methods" in ended.err
    (place / "sweep.toml").write_text(SWEEP.replace('suites = ["tiny"]', 'suites = ["tinny"]', 1))
    assert "did you mean 'tiny'?" in command("run", "sweep.toml").err
    assert "cannot be read" in command("run", "missing.toml").err


def test_a_sweep_file_stands_alone(command, place):
    (place / "sweep.toml").write_text(SWEEP)
    for option, value in (("--method", "bc"), ("--dataset", "medium"), ("--seeds", "3"), ("--preset", "cpu")):
        ended = command("run", "sweep.toml", option, value)
        assert (ended.status, ended.err) == (
            2,
            f"error: {option} is for suites; the sweep file sweep.toml already says what to run\n",
        )
    assert "expected one sweep file or names of suites" in command("run", "sweep.toml", "tiny").err
    assert command("run", "tiny", "-d", "medium").err.startswith(
        "error: --method: expected at least one name (or a sweep file in place of the suites): ad, augwm, bc, "
    )


def test_a_dry_run_estimates_from_earlier_records(command, place):
    arguments = ("run", "tiny", "-d", "medium", "-m", "random", "--preset", "tiny", "--seeds")
    assert command(*arguments, "3", "--threads", "1").status == 0
    for seed, seconds in enumerate((100.0, 60.0, 500.0)):
        (path,) = (place / "results").rglob(f"{seed}.json.gz")
        record = json.loads(read_json(path))
        record["provenance"]["seconds_training"], record["provenance"]["seconds_evaluating"] = (
            0.25 * seconds,
            0.75 * seconds,
        )
        path.write_text(json.dumps(record))
    out = command(*arguments, "5", "--dry-run", "--workers", "2").out.splitlines()
    assert [line.split()[:3] for line in out[3:5]] == [["waiting", "2", "min"]] * 2
    assert out[5] == "earlier cells of their kind, here or published, took 3 min in all, 2 min with 2 workers"
    out = command("run", "tiny", "-d", "medium", "-m", "random,bc", "--preset", "tiny", "--seeds", "4", "--dry-run").out
    assert "earlier cells of their kind, here or published, took 2 min in all, and 4 of unknown length" in out
    assert sum(line.startswith("waiting") and "unknown" in line for line in out.splitlines()) == 4
