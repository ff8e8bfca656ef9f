"""`list`, `describe`, `check` and `new` as a user meets them."""

import json
import shutil
from pathlib import Path

import pytest

from metabench.cli import main
from metabench.suites import datasets_folder, load_suite
from metabench.suites.imported import imported_path, write_imported


@pytest.fixture
def command(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> object:
    """Runs a command line; returns status, standard output, standard error."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return run


@pytest.mark.slow
def test_everything_is_listed(command: object) -> None:
    status, out, _ = command("list")
    assert status == 0
    assert "point-robot-v2" in out
    assert "45 train, 30 test, 10 test-far" in out
    assert "metabench_baselines.bc:BC (metabench)" in out
    assert "70 % medium, 30 % expert" not in out
    assert "70 % medium, 30 % expert" in command("list", "datasets")[1]
    assert "tiny" not in out
    assert "tiny-discrete-v1" in command("list", "suites", "--all")[1]


@pytest.mark.slow
def test_the_json_list_agrees_with_the_validated_suites(command: object) -> None:
    listed = json.loads(command("list", "--json", "--all")[1])
    assert set(listed) == {"suites", "methods", "datasets", "policies"}
    for row in listed["suites"]:
        suite = load_suite(row["name"])
        assert row["version"] == suite.entry.version
        assert row["title"] == suite.entry.title
        assert row["internal"] == suite.entry.internal
        assert row["tasks"] == {split: len(suite.split(split)) for split in suite.splits}
        assert row["problem"] is None
        assert row["headroom"] == suite.headroom("test")
    for row in listed["datasets"]:
        entry = load_suite(row["suite"]).dataset(row["dataset"])
        assert (row["version"], row["trajectories"]) == (entry.version, entry.trajectories)
        assert row["behaviours"] == entry.behaviours
    assert set(json.loads(command("list", "methods", "--json")[1])) == {"methods"}


def test_imported_datasets_stand_beside_those_of_their_suite(command: object) -> None:
    suite = load_suite("tiny")
    write_imported(suite, "found", suite.dataset("random"))
    rows = json.loads(command("list", "--json", "--all")[1])
    (tiny,) = (row for row in rows["suites"] if row["name"] == "tiny")
    assert set(tiny["datasets"]) == {*suite.entry.datasets, "found"} == set(load_suite("tiny").entry.datasets)
    assert [row["dataset"] for row in rows["datasets"] if row["suite"] == "tiny"].count("found") == 1
    imported_path(suite, "found").write_text("{")
    rows = json.loads(command("list", "suites", "--json", "--all")[1])["suites"]
    (problem,) = (row["problem"] for row in rows if row["problem"])
    assert "found.json: cannot be read" in problem and "import it again or delete it" in problem


def test_a_broken_suite_is_listed_with_its_problem(
    command: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(datasets_folder() / "tiny", tmp_path / "good")
    text = (tmp_path / "good/suite.toml").read_text().replace('name = "tiny"', 'name = "good"')
    (tmp_path / "good/suite.toml").write_text(text)
    flat = text.replace("random = -15.7323, expert = -2.2271", "random = -2.0, expert = -2.0, blind = -9.0")
    assert flat != text
    for name, content in [
        ("no-toml", "= 3"),
        ("no-title", text.replace("title =", "titel =")),
        ("no-scale", flat.replace('name = "good"', 'name = "no-scale"')),
    ]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "suite.toml").write_text(content)
    monkeypatch.setattr("metabench.suites.folders.datasets_folder", lambda: tmp_path)
    rows = {row["name"]: row for row in json.loads(command("list", "suites", "--all", "--json")[1])["suites"]}
    assert rows["good"]["problem"] is None
    assert "not valid TOML" in rows["no-toml"]["problem"]
    assert "title" in rows["no-title"]["problem"]
    assert "task.2.reference: expert (-2) must be above random (-2)" in rows["no-scale"]["problem"]


def test_an_unknown_kind_or_name_gets_one_line(command: object) -> None:
    assert command("list", "suits") == (2, "", "error: unknown kind of list 'suits'; did you mean 'suites'?\n")
    status, _, err = command("describe", "point-robto")
    assert (status, err) == (2, "error: unknown suite or method 'point-robto'; did you mean 'point-robot'?\n")


@pytest.mark.parametrize("verb", ["describe", "check", "evaluate", "pretrain"])
def test_names_of_protocol_1_get_one_line_that_names_what_to_use(command: object, verb: str) -> None:
    both = "as published it is 'oswm-published' or 'oswm-published-small'"
    assert command(verb, "oswm") == (2, "", f"error: method 'oswm' is called 'oswm-plus' now; {both}\n")


def test_a_suite_is_described(command: object) -> None:
    out = command("describe", "point-robot")[1]
    scored = "Scored: 5 episodes a test task; few-shot from 5 supports each, 1, 3, 5 shots; 20 shots from one; headline"
    for part in ("minus the Euclidean distance", "Horizon: 20 steps", scored, "sha256:"):
        assert part in out
    assert "few-shot from 2 supports each, 1, 3, 5 shots; headline" in command("describe", "cheetah-vel")[1]
    content = json.loads(command("describe", "tiny-discrete", "--json")[1])
    assert content["actions"] == {"discrete": 3}
    assert content["splits"]["train"]["validation_tasks"] == 1
    assert content["splits"]["test"]["mean_expert_return"] == load_suite("tiny-discrete").tasks[2].reference.expert


def test_headroom_is_listed_and_described(command: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "test headroom: not measured: no blind reference, task 2" in command("describe", "tiny")[1]
    assert "test headroom: 0, little to adapt to: the observation tells the task" in command("describe", "sweep")[1]
    (tmp_path / "datasets").mkdir()
    shutil.copytree(datasets_folder() / "tiny", tmp_path / "datasets" / "tiny")
    path = tmp_path / "datasets" / "tiny" / "suite.toml"
    text = path.read_text()
    path.write_text(
        text.replace("expert = -2.2271 }", "expert = -2.2271, blind = -5.0 }").replace(
            "expert = -7.7723 }", "expert = -7.7723, blind = -30.0 }"
        )
    )
    assert path.read_text() != text
    monkeypatch.setattr("metabench.suites.folders.source_root", lambda: tmp_path)
    out = command("describe", "tiny")[1]
    assert "test headroom: 21, little to adapt to\n" in out  # 100 (5 - 2.2271) / (15.7323 - 2.2271)
    assert "test-far headroom: 100\n" in out
    assert json.loads(command("describe", "tiny", "--json")[1])["headroom"] == {
        "test": pytest.approx(20.53, abs=0.01),
        "test-far": pytest.approx(99.93, abs=0.01),
    }
    assert "headroom: 21, little to adapt to" in command("list", "suites", "--all")[1]


def test_a_method_is_described(command: object) -> None:
    out = command("describe", "bc")[1]
    assert "gradient steps" in out
    assert "Behaviour cloning on all training tasks" in out
    assert "privileged" in command("describe", "teacher")[1]
    content = json.loads(command("describe", "meta-dt", "--json")[1])
    assert {"tiny", "cpu", "paper"} <= set(content["presets"])
    assert {"no_context", "no_complementary_prompt", "no_prompt"} <= set(content["variants"])
    assert set(content["keys"]) == set(content["presets"]["cpu"])
    assert all(content["keys"].values())


@pytest.mark.slow
@pytest.mark.walk
def test_a_new_method_is_written_and_checked(
    command: object, tmp_path: Path, tiny_copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, _ = command("new", "method", "my-method")
    assert status == 0
    assert "wrote my-method/my_method/method.py" in out
    status, out, _ = command("check", "my-method/my_method/method.py:MyMethod")
    assert status == 0
    assert "pass  tiny: deterministic: training again with the same seed: same curve, same actions" in out
    assert "FAIL" not in out
    path = Path("my-method/my_method/method.py")
    path.write_text(path.read_text().replace("run.log(", "dict("))
    status, out, _ = command("check", f"{path}:MyMethod")
    assert status == 1
    assert "FAIL  tiny: curve: expected: training logs at least one row, all numbers finite" in out
    assert "found: nothing was logged" in out
    assert "2 of " in out.splitlines()[-1]
