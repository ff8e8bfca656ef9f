"""`metabench data`: every verb on the suite `tiny`."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from metabench.cli.data import app
from metabench.data.load import load_data, read_dataset_identity
from metabench.errors import DataError, UnknownNameError
from metabench.suites import load_suite


def run(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=answer)


def succeed(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def editable_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The suite.toml of a copy of `tiny` that the verbs find in its place."""
    copy = tmp_path / "tiny"
    shutil.copytree(load_suite("tiny").folder, copy)
    monkeypatch.setattr("metabench.cli.data.load_suite", lambda name: load_suite(copy))
    return copy / "suite.toml"


def test_build_verify_show_delete():
    output = succeed("build", "tiny", "--dataset", "mixed", "-d", "expert")
    identity = read_dataset_identity(load_suite("tiny"), "mixed")
    assert identity.digest in output
    assert output.count("built") == 2
    assert identity.digest in succeed("verify", "tiny")
    shown = succeed("show", "tiny", "mixed")
    assert "30 trajectories, 600 steps; 21 medium, 9 expert" in shown
    assert identity.digest in shown
    assert run("delete", "tiny", "--dataset", "mixed", answer="n\n").exit_code == 1
    load_data("tiny", "mixed", build=False)
    assert "deleted" in succeed("delete", "tiny", "--dataset", "mixed", "--yes")
    assert "there was nothing" in succeed("delete", "tiny", "--dataset", "mixed", "--yes")
    with pytest.raises(DataError, match="not built"):
        load_data("tiny", "mixed", build=False)


def test_list_and_show_as_json(tiny_copied):
    suite = load_suite("tiny")
    (tiny_copied / "home" / "stores" / "tiny-v1" / "expert-v1" / "rewards.npy").unlink()
    shutil.rmtree(tiny_copied / "home" / "stores" / "tiny-v1" / "mixed-v1")
    run("delete", "tiny", "-d", "replay", "-y")
    states = {state["dataset"]: state for state in json.loads(succeed("list", "tiny", "--json"))}
    assert {name: state["state"] for name, state in states.items()} == {
        "random": "built",
        "medium": "built",
        "expert": "damaged",
        "mixed": "minari",
        "replay": "missing",
        "histories": "built",
        "expert-actions": "built",
    }
    assert "rewards.npy: is missing" in states["expert"]["problem"]
    assert states["medium"]["trajectories"] == 40
    assert states["medium"]["digest"] == read_dataset_identity(suite, "medium").digest
    shown = json.loads(succeed("show", "tiny", "medium", "--json"))
    columns = load_data(suite, "medium").columns
    returns = sorted(columns.rewards.reshape(20, 20).sum(axis=1, dtype=float))
    train = shown["splits"]["train"]
    assert (train["tasks"], train["trajectories"], train["steps"]) == ([0, 1], 20, 400)
    assert train["mean_return"] == pytest.approx(sum(returns) / 20)
    assert train["return_quantiles"][0] == pytest.approx(returns[0])
    assert train["return_quantiles"][2] == pytest.approx((returns[9] + returns[10]) / 2)
    assert train["return_quantiles"][4] == pytest.approx(returns[19])
    assert train["success"] is None
    assert shown["behaviours"] == {"medium": 40}
    assert Path(shown["store"], "header.json").is_file()


@pytest.mark.slow
def test_list_leaves_internal_suites_out_unless_asked_for():
    assert "tiny" not in {state["suite"] for state in json.loads(succeed("list", "--json"))}
    assert "point-robot" in succeed("list")
    assert succeed("list", "tiny").count("missing") == 7


def test_verify_fails_with_the_file(tiny_copied):
    path = tiny_copied / "home" / "stores" / "tiny-v1" / "medium-v1" / "rewards.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    result = run("verify", "tiny", "--dataset", "medium")
    assert isinstance(result.exception, DataError)
    assert str(path) in str(result.exception)


def test_verify_fails_without_data():
    assert isinstance(run("verify", "tiny-discrete").exception, DataError)


def test_discrete_suites_show_success_and_termination():
    succeed("build", "tiny-discrete", "-d", "medium")
    train = json.loads(succeed("show", "tiny-discrete", "medium", "--json"))["splits"]["train"]
    assert 0 < train["success"] <= 1
    assert 0 < train["terminated"] <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("build", "tinny"), "unknown suite 'tinny'; did you mean 'tiny'?"),
        (("build", "tiny", "-d", "medum"), "unknown dataset of suite tiny 'medum'; did you mean 'medium'?"),
        (("show", "tiny", "medum"), "did you mean 'medium'?"),
        (("verify", "tiny", "-d", "medum"), "did you mean 'medium'?"),
        (("delete", "tiny", "-d", "medum", "-y"), "did you mean 'medium'?"),
        (("list", "tinny"), "did you mean 'tiny'?"),
        (("references", "tinny"), "did you mean 'tiny'?"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(arguments, message):
    result = run(*arguments)
    assert isinstance(result.exception, UnknownNameError)
    assert message in str(result.exception)


def test_digests_are_written_and_a_difference_is_a_warning(editable_suite):
    text = editable_suite.read_text()
    editable_suite.write_text(re.sub(r"sha256:\w+", "sha256:" + "0" * 64, text))
    result = run("build", "tiny", "-d", "medium", "-d", "expert")
    assert result.exit_code == 0
    assert result.stderr.count("warning") == 2
    assert succeed("list", "tiny").count(" ≠") == 2
    assert "warning" not in succeed("build", "tiny", "--write-manifest")
    assert editable_suite.read_text() == text


def test_references_are_measured_and_written(editable_suite):
    before = load_suite(editable_suite.parent)
    assert f"{before.tasks[0].reference.expert:.4f}" in succeed("references", "tiny", "--episodes", "100")
    assert load_suite(editable_suite.parent).tasks == before.tasks
    succeed("references", "tiny", "--episodes", "100", "--write")
    after = load_suite(editable_suite.parent)
    assert after.tasks != before.tasks
    for task, old in zip(after.tasks, before.tasks, strict=True):
        assert task.reference.expert == pytest.approx(old.reference.expert, abs=0.1)
    assert after.entry.model_copy(update={"task": ()}) == before.entry.model_copy(update={"task": ()})
