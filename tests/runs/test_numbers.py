"""NaN and infinities in what a training says of itself are kept and shown as such, and NumPy's numbers taken."""

import json
import math

import numpy as np
import pytest
import torch

import metabench
from metabench import MethodError, TrainingRun
from metabench.report.training import render_training
from metabench.runs.executors.run_cells import run_cells
from metabench.runs.kept.record import read_record
from metabench.runs.kept.record_file import read_json
from metabench.runs.settings import Settings
from metabench.system.plain_values import read_number

from .interrupted import METHODS, plan

pytestmark = pytest.mark.slow


def test_they_stand_in_the_record_by_name(place):
    cell = plan(place / "results", "NotANumber")
    assert run_cells([cell], Settings()).finished == (0,)
    stored = json.loads(read_json(cell.record_path))["result"]
    assert {key: stored["curve"][-1][key] for key in ("loss", "worst", "best")} == {
        "loss": "NaN",
        "worst": "-Infinity",
        "best": "Infinity",
    }
    assert stored["summary"] == {
        "norm": pytest.approx(stored["summary"]["norm"]),
        "bound": "-Infinity",
        "count": 3,
        "device": "cpu",
        "errors": [0.5, "NaN"],
    }
    record = read_record(cell.record_path)
    assert read_number(record.result.curve[-1]["worst"]) == -math.inf


def test_a_report_says_how_many_and_where(place):
    curve = [{"stage": "policy", "update": 5 * i, "loss": "NaN" if i in (2, 3) else 1.0 / i} for i in (1, 2, 3, 4)]
    text = " ".join(render_training([*curve, {"stage": "policy", "update": 25, "loss": "Infinity"}]).itertext())
    assert "at the end Infinity; Infinity 1 times, NaN 2 times, first at update 10" in text
    assert "first at" not in " ".join(render_training(curve[:1]).itertext())


def test_what_a_record_cannot_hold_is_said_when_it_is_logged():
    run = TrainingRun(0)
    for value in ("low", None, [1.0], 1j, object(), torch.ones(2)):
        with pytest.raises(MethodError, match="log: loss: expected a number, found"):
            run.log(loss=value)
    for name in ("stage", "update"):
        with pytest.raises(MethodError, match=f"log: '{name}' is a name that every row already has"):
            run.log(**{name: 1.0})
    assert run.curve == []
    run.log(loss=np.float32(0.5), other=torch.tensor(2), count=np.int64(3), whole=np.array(4.0))
    assert run.curve == [{"stage": "", "update": 0, "loss": 0.5, "other": 2.0, "count": 3.0, "whole": 4.0}]


def test_what_a_record_cannot_hold_is_said_when_it_is_summed_up():
    run = TrainingRun(0)
    for put in (
        lambda: run.summary.__setitem__("a", object()),
        lambda: run.summary.update(a=object()),
        lambda: run.summary.setdefault("a", object()),
        lambda: setattr(run, "summary", {"a": object()}),
    ):
        with pytest.raises(MethodError, match=r"run\.summary\.a: a record cannot hold object"):
            put()
    run.summary |= {"b": np.arange(2)}
    assert run.summary == {"b": [0, 1]}


def test_numbers_of_numpy_and_a_device_of_torch_are_taken_as_arguments(place):
    found = metabench.run(
        "tiny",
        "medium",
        [f"{METHODS}:Small"],
        seeds=np.arange(1, 2),
        overrides={"updates": np.int64(2), "learning_rate": np.float32(0.5)},
        device=torch.device("cpu"),
        tracks=["zero-shot"],
        results=place / "results",
        threads=1,
    )
    (record,) = found
    assert record.result.configuration == {"updates": 2, "learning_rate": 0.5}
    assert (record.result.cell.seed, record.provenance.device) == (1, "cpu")
