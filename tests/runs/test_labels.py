"""Who is given expert labels and an order of learning: planned, trained here and apart, recorded and marked."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from metabench import check_method, load_data, load_suite
from metabench.errors import MetabenchError
from metabench.leaderboard.scores.aggregate import aggregate
from metabench.runs.execute_cell import execute_cell
from metabench.runs.kept.record import Record
from metabench.runs.kept.saved_policy import policy_folder
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest
from metabench.runs.settings import Settings
from metabench.runs.training.isolated_training import ForeignMethod, train_isolated
from metabench.runs.training.train_policy import TrainingTask

from .interrupted import quiet

METHODS = Path(__file__).with_name("labelled_methods.py")


def plan(results: Path, name: str, dataset: str, suite: str = "tiny"):
    method = name if name.islower() else f"{METHODS}:{name}"
    request = RunRequest(
        [suite], [dataset], [method], results=results, preset="tiny", tracks=["zero-shot"], splits=["test"]
    )
    return plan_cells(request)[0]


def run(results: Path, name: str, dataset: str) -> Record:
    return execute_cell(plan(results, name, dataset), Settings(threads=1), quiet)


@pytest.mark.parametrize(
    ("name", "dataset", "expected"),
    [
        (
            "Labelled",
            "medium",
            "method 'labelled' needs expert labels, which dataset 'medium' of 'tiny' has not; expected expert-actions",
        ),
        (
            "Ordered",
            "replay",
            "method 'ordered' needs an order of learning, which dataset 'replay' of 'tiny' has not; expected histories",
        ),
        (
            "Both",
            "histories",
            "method 'both' needs expert labels and an order of learning, which dataset 'histories' of 'tiny' has not; "
            "no dataset of it has",
        ),
    ],
)
def test_the_planner_refuses_data_that_lacks_what_a_method_needs(place, name, dataset, expected):
    with pytest.raises(MetabenchError, match=f"^{re.escape(expected)}$"):
        plan(place / "results", name, dataset)


@pytest.mark.slow
def test_labels_go_to_those_who_say_so_and_their_rows_are_marked(place):
    labelled, asks = (run(place / "results", name, "expert-actions") for name in ("Labelled", "Asks"))
    assert (labelled.result.summary["has_labels"], labelled.result.summary["uses_expert_labels"]) == (True, True)
    assert asks.result.summary["has_labels"] is False
    assert "uses_expert_labels" not in asks.result.summary
    assert asks.result.summary["refused"].startswith("dataset expert-actions of tiny: no expert labels here")
    marked = {entry.label: entry.uses_expert_labels for entry in aggregate([labelled, asks])}
    assert {name.partition(" ")[0]: mark for name, mark in marked.items()} == {"labelled": True, "asks": False}


@pytest.mark.walk
@pytest.mark.parametrize(("name", "given"), [("Asks", False), ("Labelled", True)])
def test_so_it_is_in_a_process_apart(place, name, given):
    planned = plan(place / "results", name, "expert-actions")
    method = ForeignMethod(planned.spec, planned.facts.configuration, planned.cell.method_code)
    task = TrainingTask(
        load_suite("tiny"), "expert-actions", 0, "cpu", None, expert_labels=planned.facts.uses_expert_labels
    )
    with train_isolated(method, task, 1, place, quiet, lambda: False) as (_, learned):
        assert learned.summary["has_labels"] is given


@pytest.mark.slow
def test_without_the_flag_a_method_learns_what_it_learns_from_medium(place):
    records = [run(place / "results", "bc", dataset) for dataset in ("expert-actions", "medium")]
    first, second = (record.result for record in records)
    assert first.cell.dataset_digest != second.cell.dataset_digest
    assert first.curve == second.curve
    assert first.blocks == second.blocks
    folders = [policy_folder(record.result.cell) / "policy" for record in records]
    names = sorted(path.relative_to(folders[0]) for path in folders[0].rglob("*") if path.is_file())
    assert names
    for name in names:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


@pytest.mark.slow
def test_a_method_of_histories_gets_their_order(place):
    record = run(place / "results", "Ordered", "histories")
    assert record.result.summary == {"has_labels": False, "has_stages": True}
    data = load_data("tiny", "histories")
    last = data.action_features[np.repeat(data.stages == 4, data.lengths)]
    assert record.result.training_tasks == 2
    assert len(last) == 2 * 2 * 20


@pytest.mark.walk
@pytest.mark.parametrize("name", ["Labelled", "Ordered"])
def test_the_checks_train_on_what_the_method_needs(place, name):
    findings = list(check_method(f"{METHODS}:{name}", preset="tiny"))
    assert [finding for finding in findings if not finding.passed] == []
