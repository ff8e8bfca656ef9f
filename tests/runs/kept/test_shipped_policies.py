"""Trained policies by name: found, listed, loaded, and worth what their records say."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import metabench
from metabench.cli import main
from metabench.errors import DataError, MetabenchError, UnknownNameError
from metabench.evaluation.evaluate import evaluate
from metabench.evaluation.rows import Row
from metabench.leaderboard.submission.rows_agree import compare_by_interval
from metabench.methods.registry import find_registered_methods
from metabench.runs.kept.record import Record, read_record
from metabench.runs.kept.saved_policy import Training, read_training
from metabench.runs.kept.shipped_policies import ShippedPolicy, find_policy, list_shipped_policies
from metabench.system.torch_settings import torch_settings

ROOT = Path(__file__).parents[3]
LARGEST = 3_000_000
"""Bytes of a policy."""

SHIPPED = list_shipped_policies()
BY_SHIPPED = pytest.mark.parametrize("shipped", SHIPPED, ids=lambda each: f"{each.suite}-{each.name}")


def published(training: Training) -> Record:
    """The record of the same training."""
    place = training.cell.first_folder.with_name(f"{training.cell.seed}.json")
    return read_record(ROOT / "leaderboard" / "records" / place)


def rows_of(record: Record, split: str, track: str, shots: int) -> tuple[Row, ...]:
    """The published rows of one block."""
    (block,) = [each for each in record.result.blocks if (each.split, each.track, each.shots) == (split, track, shots)]
    return block.rows


def assert_agree(rows: Sequence[Row], record: Record, split: str, track: str, shots: int) -> None:
    """The same score, and in a suite without reset noise the same rows but for the last bits of matrix products.

    Records of protocol 1 gave each track and shot count seeds and lanes of its own: of policies that draw their
    actions, scores can be compared, not rows.
    """
    expected = rows_of(record, split, track, shots)
    suite = metabench.load_suite(record.result.cell.suite)
    found = compare_by_interval(f"{split} {track}", expected, rows, suite, 1)
    assert found.agrees, found.text
    if record.result.cell.method != "bc":
        return
    assert [row.total_return for row in rows] == pytest.approx([row.total_return for row in expected], abs=1e-3)
    assert [row._replace(total_return=0.0) for row in rows] == [row._replace(total_return=0.0) for row in expected]


def test_every_baseline_has_one_but_those_that_are_too_large() -> None:
    names = {each.name for each in SHIPPED if each.suite == "point-robot"}
    too_large = {"oswm-faithful", "oswm-faithful-small"}
    assert names == {name for name, method in find_registered_methods().items() if method.built_in} - too_large


@BY_SHIPPED
def test_a_shipped_policy_is_small_whole_and_of_a_published_record(shipped: ShippedPolicy) -> None:
    training = read_training(shipped.folder)
    assert (training.cell.suite, training.cell.method) == (shipped.suite, shipped.name)
    assert training.spec == shipped.name  # never a file
    assert training.cell.seed == 0
    files = [path for path in shipped.folder.rglob("*") if path.is_file()]
    assert shipped.size == sum(len(path.read_bytes()) for path in files) <= LARGEST
    assert {path.suffix for path in files} == {".json", ".safetensors"}
    kept = {path.relative_to(shipped.folder / "policy").as_posix() for path in files if path.name != "training.json"}
    assert set(training.files) == kept
    record = published(training)
    assert record.result.cell == training.cell
    assert record.result.configuration == training.configuration
    assert record.provenance.threads == training.threads


@BY_SHIPPED
def test_a_shipped_policy_loads_and_acts(shipped: ShippedPolicy) -> None:
    """Whole evaluations take seconds; that rows are equal is tested with those that are quick."""
    training = read_training(shipped.folder)
    policy = metabench.load_policy(shipped.name, suite=shipped.suite)
    assert policy.parameter_count() == training.parameters
    suite = metabench.load_suite(shipped.suite)
    task = suite.split("test")[0]
    policy.reset([0], [0])
    if training.method().privileged:
        policy.reveal([task.parameters])
    start = metabench.Step(
        observation=suite.environment().reset([task.parameters], [0]),
        previous_action=np.zeros((1, suite.spaces.action_dim), np.float32),
        previous_reward=np.zeros(1, np.float32),
        timestep=np.zeros(1, np.int64),
        active=np.ones(1, bool),
        scored=np.ones(1, bool),
    )
    actions = policy.act(start)
    assert actions.shape == (1, suite.spaces.action_dim)


@pytest.mark.parametrize("name", ["bc", "random", "teacher"])
def test_scores_are_those_of_the_record_and_rows_of_a_policy_that_draws_nothing(name: str) -> None:
    training = read_training(find_policy(name, "point-robot"))
    with torch_settings(training.threads):
        policy = metabench.load_policy(name, suite="point-robot")
        measured = evaluate(policy, "point-robot", "few-shot", privileged=name == "teacher")
    for block in measured.blocks:
        assert_agree(block.rows, published(training), "test", "few-shot", block.shots)


def test_twms_rows_differ_from_the_records_by_16_bits_of_its_weights() -> None:
    training = read_training(find_policy("twm"))
    with torch_settings(training.threads):
        measured = evaluate(metabench.load_policy("twm"), "point-robot", "zero-shot")
    (block,) = measured.blocks
    expected = rows_of(published(training), "test", "zero-shot", 0)
    differences = [row.total_return - other.total_return for row, other in zip(block.rows, expected, strict=True)]
    assert abs(np.mean(differences)) < 0.02  # of returns from -20 to -2
    assert np.abs(differences).max() < 0.5


def test_the_command_scores_a_name_as_the_record_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(
            ["evaluate", "meta-dt-plus", "--suite", "point-robot", "--track", "zero-shot", "--split", "test", "--json"]
        )
    (block,) = json.loads(capsys.readouterr().out)["blocks"]
    record = published(read_training(find_policy("meta-dt-plus")))
    assert_agree([Row(*row) for row in block["rows"]], record, "test", "zero-shot", 0)


def test_names_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["list", "policies", "--json"])
    rows = json.loads(capsys.readouterr().out)["policies"]
    assert [(row["suite"], row["name"]) for row in rows] == [(each.suite, each.name) for each in SHIPPED]
    row = next(row for row in rows if row["name"] == "bc")
    assert (row["dataset"], row["preset"], row["seed"]) == ("medium", "cpu", 0)
    assert Path(row["folder"]) == find_policy("bc")


def test_an_unknown_name_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnknownNameError, match="unknown folder or name of a trained policy 'meta-td'; did you mean"):
        metabench.load_policy("meta-td")
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "promt-dt"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith("'promt-dt'; did you mean 'prompt-dt'?\n")


def test_a_suite_with_other_spaces_is_refused() -> None:
    with pytest.raises(MetabenchError, match="suite 'tiny-discrete' has other spaces than 'point-robot'"):
        metabench.load_policy("bc", suite="tiny-discrete")
    assert metabench.load_policy("bc", suite="tiny").parameter_count() > 0  # its spaces are the same


def test_a_folder_of_a_policy_comes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bc").mkdir()
    assert find_policy("bc").is_absolute()  # a folder that holds no policy is not meant
    shutil.copytree(find_policy("random"), tmp_path / "bc", dirs_exist_ok=True)
    assert find_policy("bc") == Path("bc")
    assert metabench.load_policy("bc").parameter_count() == 0
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty/training.json: cannot be read.*expected the folder of a saved policy"):
        metabench.load_policy("empty")


def test_adding_a_folder_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variant's folder, and one more suite with a policy of the same name."""
    bc, policies = find_policy("bc"), tmp_path / "metabench_baselines" / "policies"
    for place in ("point-robot/bc", "point-robot/meta-dt_no_context", "tiny/bc"):
        shutil.copytree(bc, policies / place)
    monkeypatch.setattr("metabench.runs.kept.shipped_policies.source_root", lambda: tmp_path)
    assert [(each.suite, each.name) for each in list_shipped_policies()] == [
        ("point-robot", "bc"),
        ("point-robot", "meta-dt/no_context"),
        ("tiny", "bc"),
    ]
    assert find_policy("meta-dt/no_context") == policies / "point-robot" / "meta-dt_no_context"
    assert find_policy("bc", "tiny") == policies / "tiny" / "bc"
    with pytest.raises(MetabenchError, match="'bc': expected the suite that it was trained on, one of point-robot, ti"):
        find_policy("bc")


def test_a_policy_outlives_its_preset(tmp_path: Path) -> None:
    """Its configuration is its own; one that is not the cell's is refused, and so is one that the method lacks."""
    folder = tmp_path / "bc"
    shutil.copytree(find_policy("bc"), folder)
    facts = json.loads((folder / "training.json").read_text())
    facts["cell"]["preset"] = "of-old"
    (folder / "training.json").write_text(json.dumps(facts))
    assert metabench.load_policy(folder).parameter_count() == 67_330
    facts["configuration"]["width"] = 7
    (folder / "training.json").write_text(json.dumps(facts))
    with pytest.raises(DataError, match="its digest is not the cell's config_digest"):
        metabench.load_policy(folder)
