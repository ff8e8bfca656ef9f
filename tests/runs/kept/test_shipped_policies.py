"""Trained policies by name: found, listed, loaded, and worth what their records say."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import metabench
from metabench.cli import main
from metabench.errors import DataError, MetabenchError, UnknownNameError
from metabench.evaluation.evaluate import evaluate
from metabench.evaluation.rows import Row
from metabench.methods.former_names import PRESENT_NAMES
from metabench.methods.registry import find_registered_methods
from metabench.runs.again.evaluate_policy import tell_other_version
from metabench.runs.execute_cell import execute_cell
from metabench.runs.kept.record import Cell, Record, read_record
from metabench.runs.kept.saved_policy import Training, policy_folder, read_training
from metabench.runs.kept.shipped_policies import ShippedPolicy, find_policy, list_shipped_policies
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest
from metabench.system.torch_settings import torch_settings

from ...synthetic_records import RecordFactory
from ..interrupted import SETTINGS, quiet

ROOT = Path(__file__).parents[3]
LARGEST = 3_000_000  # bytes of a policy

TRAINED_ON = metabench.load_suite("point-robot-v1")
TASKS_OF_BOTH = tuple(range(45, 50))
SHIPPED = list_shipped_policies()
BY_SHIPPED = pytest.mark.parametrize("shipped", SHIPPED, ids=lambda each: f"{each.suite}-{each.name}")


def cell_of_record(training: Training) -> Cell:
    """What the training was recorded as: archived records name some methods as they were called."""
    former = {present: name for name, present in PRESENT_NAMES.items()}
    name = former.get(training.cell.method, training.cell.method)
    return training.cell.model_copy(update={"method": name})


def published(training: Training) -> Record:
    """The record of the same training."""
    cell = cell_of_record(training)
    place = cell.first_folder.with_name(f"{cell.seed}.json")
    return read_record(ROOT / "leaderboard" / "records" / place)


def rows_of(record: Record, track: str, shots: int) -> tuple[Row, ...]:
    """The published rows of one block of test tasks."""
    (block,) = [each for each in record.result.blocks if (each.split, each.track, each.shots) == ("test", track, shots)]
    return block.rows


def measure_shipped(name: str, track: str, *, shots: int, seed: int = 0) -> tuple[Row, ...]:
    """The rows of a shipped policy in all test tasks of the present version."""
    training = read_training(find_policy(name))
    privileged = training.method().privileged
    with torch_settings(training.threads):
        policy = metabench.load_policy(name)
        (block,) = evaluate(policy, "point-robot", track, shots=[shots], seed=seed, privileged=privileged).blocks
    return block.rows


def in_tasks_of_both(rows: Iterable[Row]) -> dict[int, list[Row]]:
    """The rows of each test task that policies were published in: the present version has these five as well."""
    return {task: [row for row in rows if row.task == task] for task in TASKS_OF_BOTH}


def find_scores(rows: Iterable[Row]) -> list[float]:
    """The scores of all rows in these tasks."""
    chosen = [row for part in in_tasks_of_both(rows).values() for row in part]
    return TRAINED_ON.normalised([row.task for row in chosen], [row.total_return for row in chosen])


def assert_same_mean_score(rows: Iterable[Row], name: str, track: str, shots: int) -> None:
    """Records of protocol 1 gave lanes other seeds: of policies that draw, scores can be compared, not rows."""
    expected = rows_of(published(read_training(find_policy(name))), track, shots)
    assert stats.ttest_ind(find_scores(rows), find_scores(expected), equal_var=False).pvalue > 1e-3


def test_the_tasks_that_policies_were_published_in_are_test_tasks_still() -> None:
    then = {task.id: task.parameters for task in TRAINED_ON.split("test")}
    now = {task.id: task.parameters for task in metabench.load_suite("point-robot").split("test")}
    assert {task: now[task] for task in TASKS_OF_BOTH} == then


NOT_YET = ["twm-published", "focal", "csro", "corro", "unicorn", "unicorn-idaq", "unicorn-plus", "borel", "macaw-lite"]
NEWEST = ["ad", "dpt", "dpt-own-actions", "ic-iql", "s-icql", "pets", "cadm", "cadm-plus", "mopo", "mopo-context"]
NEWEST += ["combo", "combo-context", "augwm", "world-models-2018", "explore-then-fit", "goal-mpc"]
"""No record of theirs is published yet; the blind policy ships with its suite."""


def test_every_baseline_has_one_but_those_that_are_too_large_or_the_suites() -> None:
    left_out = {"oswm-published", "oswm-published-small", "blind", "planet", "dreamer-offline", *NOT_YET, *NEWEST}
    built_in = {name for name, method in find_registered_methods().items() if method.built_in}
    assert built_in - left_out == {each.name for each in SHIPPED if each.suite == "point-robot"}


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
    assert record.result.cell == cell_of_record(training)
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "track", "shots"),
    [("bc", "few-shot", 3), ("bc", "zero-shot", 0), ("meta-dt", "zero-shot", 0), ("prompt-dt", "zero-shot", 0)],
)
def test_rows_of_policies_that_draw_nothing_are_those_of_their_records(name: str, track: str, shots: int) -> None:
    """There is no reset noise: all rows of a task are one, but for the last bits of matrix products."""
    expected = in_tasks_of_both(rows_of(published(read_training(find_policy(name))), track, shots))
    for task, rows in in_tasks_of_both(measure_shipped(name, track, shots=shots)).items():
        assert len(rows) == 5
        for row in (*rows, *expected[task]):
            assert row.total_return == pytest.approx(expected[task][0].total_return, abs=1e-3)
            assert row[4:] == expected[task][0][4:]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["random", "teacher"])
def test_scores_of_policies_that_draw_are_those_of_their_records(name: str) -> None:
    rows = [row for seed in range(1, 5) for row in measure_shipped(name, "few-shot", shots=3, seed=seed)]
    assert_same_mean_score(rows, name, "few-shot", 3)
    other = [row._replace(total_return=1.1 * row.total_return) for row in rows]
    with pytest.raises(AssertionError):
        assert_same_mean_score(other, name, "few-shot", 3)


@pytest.mark.slow
def test_twms_returns_differ_from_the_records_by_16_bits_of_its_weights() -> None:
    expected = in_tasks_of_both(rows_of(published(read_training(find_policy("twm-plus"))), "zero-shot", 0))
    differences = [
        row.total_return - other.total_return
        for task, rows in in_tasks_of_both(measure_shipped("twm-plus", "zero-shot", shots=0)).items()
        for row in rows
        for other in expected[task]
    ]
    assert abs(np.mean(differences)) < 0.02  # of returns from -23 to -5
    assert np.abs(differences).max() < 0.5


@pytest.mark.slow
def test_the_command_scores_a_name_in_the_present_version_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "meta-dt-plus", "--track", "zero-shot", "--split", "test", "--json"])
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found["suite"] == metabench.load_suite("point-robot").identity
    (block,) = found["blocks"]
    rows = [Row(*row) for row in block["rows"]]
    assert len(rows) == 150
    assert_same_mean_score(rows, "meta-dt-plus", "zero-shot", 0)
    assert printed.err == (
        "note: meta-dt-plus was trained on point-robot-v1 and is scored on point-robot-v2: its rows are not those of "
        "its record\n"
    )


@pytest.mark.slow
def test_a_policy_trained_on_the_present_version_has_its_records_rows(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In all tracks, from its folder and by name once that folder is added to those that ship."""
    (cell,) = plan_cells(RunRequest(["tiny"], ["medium"], ["bc"], preset="tiny", results=place / "results"))
    record = execute_cell(cell, SETTINGS, quiet)
    folder = policy_folder(cell.cell)
    shutil.copytree(folder, place / "metabench_baselines/policies/tiny/bc")
    monkeypatch.setattr("metabench.runs.kept.shipped_policies.source_root", lambda: place)
    for policy in (str(folder), "bc"):
        with pytest.raises(SystemExit):
            main(["evaluate", policy, "--json"])
        printed = capsys.readouterr()
        assert json.loads(printed.out)["blocks"] == record.result.model_dump(mode="json")["blocks"]
        assert printed.err == ""


def test_other_versions_and_states_of_the_suite_are_told(make: RecordFactory) -> None:
    training, suite = read_training(find_policy("bc")), metabench.load_suite("point-robot")
    assert tell_other_version(training, TRAINED_ON) is None
    assert tell_other_version(training, metabench.load_suite("tiny")) is None  # asked for: that is plain
    assert tell_other_version(training, suite).startswith("bc was trained on point-robot-v1 and is scored on point-rob")
    edited = training.model_copy(update={"cell": make("bc", suite="point-robot").result.cell})
    assert tell_other_version(edited, suite) is None
    changed = edited.cell.model_copy(update={"suite_digest": "sha256:" + 64 * "0"})
    told = tell_other_version(edited.model_copy(update={"cell": changed}), suite)
    assert told.startswith("bc was trained on another point-robot-v2 (sha256:00000000...) and is scored on point-rob")


def test_names_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["list", "policies", "--json"])
    rows = json.loads(capsys.readouterr().out)["policies"]
    assert [(row["suite"], row["name"]) for row in rows] == [(each.suite, each.name) for each in SHIPPED]
    row = next(row for row in rows if row["name"] == "bc")
    assert (row["dataset"], row["preset"], row["seed"]) == ("medium", "cpu", 0)
    assert Path(row["folder"]) == find_policy("bc")


def test_a_name_of_protocol_1_gets_the_present_one() -> None:
    with pytest.raises(MetabenchError, match="'oswm' is called 'oswm-plus' now; as published it is 'oswm-published'"):
        metabench.load_policy("oswm")


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
