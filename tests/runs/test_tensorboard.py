"""Curves and scores for TensorBoard, read back with TensorBoard's own reader."""

from __future__ import annotations

import pytest

from metabench.errors import CancelledError
from metabench.evaluation.scores import score_rows
from metabench.runs.execute_cell import execute_cell
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest
from metabench.runs.settings import Settings
from metabench.runs.tensorboard import check_tensorboard, tensorboard_folder, write_record_curves
from metabench.suites import load_suite

pytest.importorskip("tensorboard", reason="the extra tracking is not installed")


def read(root, cell):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tensorboard_folder(root, cell)))
    events.Reload()
    scalars = {tag: [(row.step, row.value) for row in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    return scalars, events.Tags()["tensors"]


def quiet(stage, done, total, metrics):
    del stage, done, total, metrics


def after(calls):
    asked = iter(range(10**9))
    return lambda: next(asked) >= calls


def test_a_resumed_cell_has_one_whole_curve_and_its_scores(place, small):
    (cell,) = plan_cells(RunRequest(["tiny"], ["medium"], [small], results=place / "results"))
    settings = Settings(checkpoint_seconds=0.0, tensorboard=place / "curves")
    with pytest.raises(CancelledError):
        execute_cell(cell, settings, quiet, after(7))
    scalars, _ = read(place / "curves", cell.cell)
    assert [step for step, _ in scalars["training/first/loss"]] == list(range(1, 9))
    record = execute_cell(cell, settings, quiet)

    scalars, texts = read(place / "curves", cell.cell)
    for stage in ("first", "second"):
        rows = [row for row in record.result.curve if row["stage"] == stage]
        assert [step for step, _ in scalars[f"training/{stage}/loss"]] == [row["update"] for row in rows]
        values = [value for _, value in scalars[f"training/{stage}/loss"]]
        assert values == pytest.approx([row["loss"] for row in rows], rel=1e-6)
    suite = load_suite("tiny")
    expected = {
        (f"{block.split}/{block.track}/score", block.shots): score_rows(block.rows, suite).headline
        for block in record.result.blocks
    }
    found = {(tag, step): value for tag, points in scalars.items() if tag.endswith("/score") for step, value in points}
    assert found == pytest.approx(expected, rel=1e-5)
    assert len(texts) == 1

    write_record_curves(record, suite, place / "later")
    assert read(place / "later", cell.cell)[0] == scalars


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setattr("metabench.system.extras.find_spec", lambda name: None)
    with pytest.raises(Exception, match=r"--tensorboard needs the package tensorboard: pip install .tensorboard>="):
        check_tensorboard()
