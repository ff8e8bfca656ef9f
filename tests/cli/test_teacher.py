"""`metabench teacher`: training from the command line, and mistakes."""

from __future__ import annotations

import inspect

import pytest

from metabench.cli.teacher import train
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


def test_mistakes_get_one_line(command, tmp_path):
    train = ("teacher", "train", "cheetah-dir", "--out", str(tmp_path / "training"))
    ended = command(*train, "--set", "widht=3")
    assert (ended.status, ended.err) == (2, "error: unknown setting 'widht'; did you mean 'width'?\n")
    ended = command(*train, "--set", "width=none")
    assert ended.status == 2
    assert ended.err.startswith("error: --set width: ")
    assert "expected checkpoints" in command("teacher", "install", "cheetah-dir", str(tmp_path)).err
    assert not (tmp_path / "training").exists()
