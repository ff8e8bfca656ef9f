"""`metabench sweep`: the cells of a file, in its order."""

from __future__ import annotations

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


def test_a_sweep_runs_its_parts_in_order_and_skips_what_is_done(command, place):
    (place / "sweep.toml").write_text(SWEEP)
    ended = command("sweep", "sweep.toml", "--dry-run")
    assert ended.status == 0, ended.err
    lines = [line.split("results/tiny-v1/medium/")[1] for line in ended.out.splitlines() if "results" in line]
    named = [(line.split("/")[0], line.rpartition("/")[2]) for line in lines]
    assert named[:5] == [
        ("bc", "1.json"),
        ("random", "1.json"),
        ("random", "0.json"),
        ("bc", "1.json"),
        ("bc", "0.json"),
    ]
    assert named[5:] == [("random", "0.json")]
    assert lines[0] != lines[3]  # another configuration is another cell

    (place / "short.toml").write_text(SWEEP.partition("[[part]]\nsuites")[0] + SWEEP[: SWEEP.index("[[part]]", 20)])
    assert "cells: 1 done, 0 skipped" in command("sweep", "short.toml", "--threads", "1").out
    ended = command("sweep", "sweep.toml", "--threads", "1")
    assert ended.status == 0, ended.err
    counts = [line for line in ended.out.splitlines() if line.startswith("cells:")]
    assert [line.split(", ")[:2] for line in counts] == [
        ["cells: 0 done", "1 skipped"],
        ["cells: 4 done", "0 skipped"],
        ["cells: 0 done", "1 skipped"],
    ]


def test_a_broken_sweep_file_is_named_with_its_key(command, place):
    (place / "sweep.toml").write_text(SWEEP.replace('methods = ["bc"]', "methods = []"))
    ended = command("sweep", "sweep.toml")
    assert ended.status == 2
    assert "sweep.toml: part.0.methods" in ended.err
    (place / "sweep.toml").write_text(SWEEP.replace('suites = ["tiny"]', 'suites = ["tinny"]', 1))
    assert "did you mean 'tiny'?" in command("sweep", "sweep.toml").err
    assert "cannot be read" in command("sweep", "missing.toml").err
