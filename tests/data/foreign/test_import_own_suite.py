"""Released files of a suite's own tasks: a dataset of the suite, if its simulator says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metabench import DataError, ImportOptions, TrainingRun, import_meta_dt, load_data, load_method, load_suite
from metabench.cli import main
from metabench.errors import MetabenchError
from tests.released_files import Columns, make_columns, write_columns, write_released


def take_in(folder: Path, suite: str = "tiny", scale: float = 0.1, **options: Any) -> None:
    import_meta_dt(folder, ImportOptions(suite, action_scale=scale, **options))


def refuse(folder: Path, message: str, kind: type[Exception] = DataError, **options: Any) -> None:
    with pytest.raises(kind, match=message) as caught:
        take_in(folder, **options)
    assert "\n" not in str(caught.value)
    assert "released" not in load_suite("tiny").entry.datasets


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    return int(caught.value.code or 0)


def test_the_suite_has_the_data_in_its_own_units(tmp_path: Path) -> None:
    written = write_released(tmp_path / "files")
    digest = load_suite("tiny").digest
    take_in(tmp_path / "files")
    suite = load_suite("tiny")
    assert (suite.dataset("released").splits, suite.digest) == (("train",), digest)
    data = load_data("tiny", "released", build=False)
    assert (data.num_episodes, data.validation_tasks) == (12, (1,))
    for task, columns in written.items():
        for number in range(6):
            episode, rows = data.episode(6 * task + number), slice(20 * number, 20 * number + 20)
            np.testing.assert_allclose(episode.actions, 0.1 * columns["actions"][rows], atol=1e-7)
            np.testing.assert_allclose(episode.observations[1:], columns["next_observations"][rows], atol=1e-7)
            np.testing.assert_allclose(episode.rewards, columns["rewards"][rows], atol=1e-6)


@pytest.mark.slow
def test_a_method_runs_on_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_copied: Path) -> None:
    write_released(tmp_path / "files")
    arguments = ("data", "import", "meta-dt", str(tmp_path / "files"), "--suite", "tiny", "--action-scale", "0.1")
    assert run(*arguments) == 0
    said = capsys.readouterr()
    assert said.out.startswith("imported released of tiny-v1 (train): 2 tasks, 12 episodes, 240 steps, returns ")
    assert "next: metabench run tiny --dataset released --method meta-dt\n" in said.out
    assert said.err == ""
    results = tmp_path / "results"
    names = ("--dataset", "released", "--method", "meta-dt", "--preset", "tiny", "--results", str(results))
    assert run("run", "tiny", *names, "--track", "zero-shot", "--threads", "1") == 0, capsys.readouterr().err
    assert len(list(results.rglob("released/meta-dt/tiny-*/0.json.gz"))) == 1
    assert run(*arguments) == 2
    assert "is already there" in capsys.readouterr().err
    assert run(*arguments, "--force") == 0


def spoil(key: str, row: int, value: Any) -> Callable[[Columns], Columns]:
    def change(columns: Columns) -> Columns:
        columns[key][row] = value
        return columns

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            spoil("rewards", 27, -0.5),
            r"rewards: row 27: expected -[\d.]+, what task 1 of tiny-v1 pays there, found -0.5",
        ),
        (
            spoil("next_observations", 39, [0.25, 0.5]),
            r"observations: row 39: expected \[.*\], where the actions lead in",
        ),
        (
            spoil("observations", 20, [0.25, 0.5]),
            r"observations: row 20: expected \[0.0, 0.0\], where the actions lead",
        ),
        (lambda _: make_columns([0.5, 0.25], 0, 2), r"rewards: row 0: expected -.*, what task 1 of tiny-v1 pays"),
        (lambda columns: columns | {"actions": columns["actions"] * 0.5}, r"observations: row 1: expected "),
    ],
)
def test_what_the_simulator_does_not_confirm(
    tmp_path: Path, change: Callable[[Columns], Columns], message: str
) -> None:
    written = write_released(tmp_path / "files")
    write_columns(tmp_path / "files", 1, change(written[1]))
    refuse(tmp_path / "files", rf"dataset_task_1\.pkl: {message}")


def test_actions_of_other_units(tmp_path: Path) -> None:
    write_released(tmp_path / "files")
    problem = (
        r"dataset_task_0\.pkl: actions: row 0: expected numbers from -0.1 to 0.1 \(of other units\? `--action-scale`"
    )
    refuse(tmp_path / "files", problem, scale=1.0)
    refuse(tmp_path / "files", r"dataset_task_0\.pkl: observations: row 1: expected", scale=0.05)
    refuse(tmp_path / "files", "action scale 0.0: expected a finite number, not 0", MetabenchError, scale=0.0)


def test_whole_splits_only(tmp_path: Path) -> None:
    write_released(tmp_path / "files")
    (tmp_path / "files" / "dataset_task_1.pkl").rename(tmp_path / "files" / "kept")
    missing = "expected a file for each of the 2 training tasks of tiny-v1, that of task 1 is missing"
    refuse(tmp_path / "files", missing)
    (tmp_path / "files" / "kept").rename(tmp_path / "files" / "dataset_task_1.pkl")
    write_released(tmp_path / "files", split="test")
    take_in(tmp_path / "files")
    assert load_suite("tiny").dataset("released").splits == ("train", "test")


def test_files_of_a_part_of_a_split_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_released(tmp_path / "files", "point-robot", episodes=1)
    write_columns(tmp_path / "files", 45, make_columns([0.0, 0.0], 0, 1))  # not even looked at
    with pytest.warns(
        UserWarning, match=r"1 files, the first of them of task 45, are left out: a dataset covers whole"
    ):
        take_in(tmp_path / "files", "point-robot")
    assert load_suite("point-robot").dataset("released").splits == ("train",)


def test_names_that_the_suite_has_stay_its_own(tmp_path: Path) -> None:
    write_released(tmp_path / "files")
    taken = "dataset 'medium': tiny-v1 already has a dataset of this name"
    refuse(tmp_path / "files", taken, MetabenchError, own_dataset="medium")
    refuse(tmp_path / "files", "dataset 'Mine!': expected lower-case", MetabenchError, own_dataset="Mine!")


def test_the_same_files_again(tmp_path: Path) -> None:
    written = write_released(tmp_path / "files")
    options = ImportOptions("tiny", action_scale=0.1)
    assert len(import_meta_dt(tmp_path / "files", options, keep=True)) == 2
    assert import_meta_dt(tmp_path / "files", options, keep=True) == ()
    write_columns(tmp_path / "files", 0, {**written[0], "terminals": np.zeros((120, 1))})
    with pytest.raises(DataError, match=r"'released' of tiny-v1 was made of other files than those in .*--force"):
        import_meta_dt(tmp_path / "files", options, keep=True)


def test_a_damaged_entry_is_named(tmp_path: Path, folders: Path) -> None:
    write_released(tmp_path / "files")
    take_in(tmp_path / "files")
    path = folders / "home" / "imported" / "tiny-v1" / "released.json"
    content = json.loads(path.read_text())
    del content["minari"]["1"]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"released\.json: .*task 1 is missing; import it again or delete it"):
        load_suite("tiny")
    path.write_text("{")
    with pytest.raises(DataError, match=r"released\.json: cannot be read: .*; import it again or delete it"):
        load_suite("tiny")


def test_suites_where_chance_has_a_part_are_not_compared(tmp_path: Path) -> None:
    suite = load_suite("cartpole-param")
    generator = np.random.default_rng(0)
    for task in suite.split("train"):
        seen = generator.standard_normal((11, suite.spaces.observation_dim))
        columns = {"observations": seen[:-1], "next_observations": seen[1:], "rewards": np.ones(10)}
        columns |= {"actions": np.zeros(10, np.int64), "terminals": np.arange(10) == 9}
        write_columns(tmp_path / "files", task.id, columns)
    with pytest.warns(
        UserWarning, match=r"not compared with the suite's simulator: episodes of cartpole-param-v\d begin"
    ):
        take_in(tmp_path / "files", "cartpole-param", 1.0)
    data = load_data("cartpole-param", "released", build=False)
    assert data.num_episodes == len(suite.split("train"))
    method = load_method("bc", preset="tiny", suite="cartpole-param", overrides={"updates": 1})
    assert method.train(data, TrainingRun(0)).parameter_count() > 0
