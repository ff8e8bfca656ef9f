"""`metabench teacher`: training from the command line, and mistakes."""

from __future__ import annotations

import inspect
import shutil

import pytest

from metabench.cli.teacher import train
from metabench.suites import datasets_folder, load_suite
from metabench.teachers.ppo import TeacherConfig


def test_both_defaults_of_the_number_of_steps_are_the_same():
    assert inspect.signature(train).parameters["steps"].default == TeacherConfig().steps


@pytest.mark.slow
def test_a_teacher_is_trained_from_the_command_line(command, tmp_path):
    settings = [part for pair in ("lanes=8", "rollout=16", "width=8", "every=2") for part in ("--set", pair)]
    out = tmp_path / "training"
    ended = command("teacher", "train", "cheetah-dir", "--out", str(out), "--steps", "2000", *settings)
    assert ended.status == 0, ended.err
    assert "M steps" in ended.out
    assert "metabench teacher install cheetah-dir" in ended.out
    assert {path.suffix for path in out.iterdir()} == {".safetensors", ".csv", ".json"}


@pytest.mark.slow
def test_a_blind_policy_is_trained_installed_measured_and_judged(command, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    suite, out = str(tmp_path / "tiny"), str(tmp_path / "training")
    (tmp_path / "tiny").mkdir()
    shutil.copy(datasets_folder() / "tiny" / "suite.toml", suite)
    assert command("teacher", "judge", suite).err == "error: suite tiny ships no blind policy\n"
    settings = [part for pair in ("lanes=8", "rollout=16", "width=8", "every=2") for part in ("--set", pair)]
    ended = command("teacher", "train", suite, "--blind", "--out", out, "--steps", "2000", *settings)
    assert f"next: metabench teacher install {suite} {out} --blind" in ended.out
    ended = command("teacher", "install", suite, out, "--blind")
    assert ended.status == 0, ended.err
    assert "128 steps, with noise" in ended.out
    assert f"next: metabench data references {suite} --write" in ended.out
    assert command("data", "references", suite, "--write", "--episodes", "20").status == 0
    loaded = load_suite(tmp_path / "tiny")
    assert all(task.reference.blind is not None for task in loaded.tasks)
    before = (tmp_path / "tiny" / "suite.toml").read_text()
    again = ("data", "references", suite, "--write", "--episodes", "30", "--behaviour")
    assert command(*again, "blind").status == 0
    lines = zip(before.splitlines(), (tmp_path / "tiny" / "suite.toml").read_text().splitlines(), strict=True)
    assert all(old.partition("blind")[0] == new.partition("blind")[0] for old, new in lines)
    assert command(*again, "blnid").err == "error: unknown reference of suite tiny 'blnid'; did you mean 'blind'?\n"
    judged = command("teacher", "judge", suite, "--episodes", "2").out
    assert f"{loaded.headroom('test'):.1f}" in judged  # all episodes are alike: nothing is random
    assert command("teacher", "install", suite).err.startswith("error: suite tiny: expected the folder of `metabench")


def test_mistakes_get_one_line(command, tmp_path):
    train = ("teacher", "train", "cheetah-dir", "--out", str(tmp_path / "training"))
    ended = command(*train, "--set", "widht=3")
    assert (ended.status, ended.err) == (2, "error: unknown setting 'widht'; did you mean 'width'?\n")
    ended = command(*train, "--set", "width=none")
    assert ended.status == 2
    assert ended.err.startswith("error: --set width: ")
    assert "expected checkpoints" in command("teacher", "install", "cheetah-dir", str(tmp_path)).err
    assert not (tmp_path / "training").exists()
