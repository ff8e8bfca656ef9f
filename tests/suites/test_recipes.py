"""Recipes of histories and of labelled datasets: what is filled in, what is refused, what lists say of them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from metabench import DataError, load_suite
from metabench.cli import app
from metabench.suites.catalogue import describe_suite, list_suite_summaries
from metabench.suites.recipes.kinds import MIXTURE, describe_recipe


def edit(folder: Path, old: str, new: str, name: str = "tiny") -> Path:
    """A copy of a suite with one line of its suite.toml changed."""
    shutil.copytree(load_suite(name).folder, folder / name)
    path = folder / name / "suite.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return folder / name


def test_a_labelled_dataset_is_filled_up_from_the_one_whose_trajectories_it_has():
    suite = load_suite("point-robot")
    base, labelled = suite.dataset("medium"), suite.dataset("expert-actions")
    own = {"labels_of", "digest"}
    assert labelled.model_dump(exclude=own) == base.model_dump(exclude=own)
    assert (labelled.labels_of, base.labels_of) == ("medium", None)
    assert labelled.digest != base.digest
    assert suite.find_datasets(expert_labels=True, stages=False) == ("expert-actions",)
    assert suite.find_datasets(expert_labels=False, stages=True) == ("histories",)
    assert suite.find_datasets(expert_labels=True, stages=True) == ()
    assert suite.find_datasets(expert_labels=False, stages=False) == tuple(suite.entry.datasets)


def test_histories_have_twenty_stages_of_five_or_a_checkpoint_each(tmp_path):
    recipe = load_suite("point-robot").dataset("histories")
    assert (recipe.stage_count, recipe.trajectories, recipe.behaviours) == (20, 100, {MIXTURE: 1.0})
    suite = load_suite(edit(tmp_path, "stages = 5", 'stages = ["stage-1", "expert"]'))
    assert suite.dataset("histories").stage_count == 2
    assert suite.dataset("histories").behaviours == {"stage-1": 0.5, "expert": 0.5}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("stages = 5", "stages = 4", "datasets.histories: trajectories (10) must be a multiple of the 4 stages"),
        ("stages = 5", "stages = 1", "datasets.histories.stages"),
        ("stages = 5", 'stages = ["stage-1", "stage-1"]', "stages must name each behaviour once"),
        ("stages = 5", 'stages = ["stage-1", "stage-9"]', "datasets.histories.stages: unknown behaviour 'stage-9'"),
        (
            "stages = 5",
            "stages = 5\nbehaviours = { random = 1.0 }",
            "expected either behaviours (rolled out) or stages",
        ),
        ("stages = 5", 'stages = 5\nminari = { 0 = "a-v0" }', "expected either stages (rolled out) or minari"),
        (
            '"medium"\n',
            '"medum"\n',
            "datasets.expert-actions.labels_of: unknown dataset 'medum'; did you mean 'medium'",
        ),
        ('"medium"\n', '"expert-actions"\n', "expected a dataset that is rolled out here, found 'expert-actions'"),
        ('"medium"\n', '"medium"\nseed = 9\n', "datasets.expert-actions.seed: must equal that of 'medium'"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(tmp_path, old, new, expected):
    with pytest.raises(DataError, match=re.escape(expected)) as refused:
        load_suite(edit(tmp_path, old, new))
    assert "\n" not in str(refused.value)


def test_lists_say_what_they_are():
    datasets = {summary.name: summary for summary in list_suite_summaries()}["point-robot"].datasets
    assert datasets["histories"]["description"].startswith("20 stages of expert mixed with random actions")
    assert datasets["expert-actions"]["trajectories"] == 100
    assert datasets["expert-actions"]["behaviours"] == {"medium": 1.0}
    described = describe_suite(load_suite("point-robot"))["datasets"]
    for name, recipe in datasets.items():
        assert recipe["description"] == described[name]["description"]
    assert described["mixed"]["description"] == "70 % medium, 30 % expert"
    assert described["expert-actions"]["description"] == (
        "the trajectories of medium, with the expert's action in every state"
    )
    checkpoints = describe_recipe({"stages": ["stage-1", "expert"], "behaviours": {}})
    assert checkpoints == "2 stages in the order of learning: stage-1, expert"


def test_the_command_line_shows_them():
    listed = CliRunner().invoke(app, ["list", "datasets", "--json"])
    rows = [row for row in json.loads(listed.stdout)["datasets"] if row["suite"] == "grid-world"]
    assert [row["dataset"] for row in rows][-2:] == ["histories", "expert-actions"]
    shown = " ".join(CliRunner().invoke(app, ["describe", "grid-world"], env={"COLUMNS": "200"}).stdout.split())
    assert "20 stages of expert mixed with random actions: a synthetic history, not a learner's" in shown
