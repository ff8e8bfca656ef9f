"""`metabench pretrain` and `metabench reproduce`: what a method does apart from suites."""

from __future__ import annotations

import fcntl
import json
import sys

import pytest

from metabench import load_state

METHOD = """
import numpy as np
from pydantic import Field
from metabench import Config, Method

class Budget(Config):
    updates: int = Field(default=4, ge=1, description="updates")
    stop_at: int = Field(default=0, ge=0, description="update to fail at; 0: none")

class Throws(Config):
    sides: int = Field(default=6, ge=2, description="of the dice")
    many_throws: int = Field(default=10, ge=1, description="throws")

class Dice(Method):
    name = "dice"
    pretraining = {"tiny": Budget(updates=2), "cpu": Budget()}
    reproduction = Throws

    @classmethod
    def pretrain(cls, config, run):
        total = Sum()
        for update in run.steps("sum", config.updates, thrown=total):
            if update == config.stop_at:
                raise OSError("the power failed")
            total.value += float(run.generator("x", update).random())
            run.log(total=total.value)
        return {"total": total.value}

    @classmethod
    def reproduce(cls, config, run):
        thrown = run.generator("throws").integers(1, config.sides + 1, size=config.many_throws)
        return [{"sides": config.sides, "mean": float(np.mean(thrown)), "published": None}]

    def train(self, data, run): ...
    def load(self, folder, spaces): ...

class Sum:
    value = 0.0
    def state_dict(self): return {"value": self.value}
    def load_state_dict(self, state): self.value = state["value"]

class Plain(Method):
    name = "plain"
    def train(self, data, run): ...
    def load(self, folder, spaces): ...
"""


@pytest.fixture
def dice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dice.py").write_text(METHOD, encoding="utf-8")
    return "dice.py:Dice"


def test_pretraining_writes_weights_and_the_curve(command, dice, tmp_path):
    ended = command("pretrain", dice)
    assert ended.status == 0, ended.err
    assert "wrote pretrained/dice/weights" in ended.out
    weights = load_state(tmp_path / "pretrained" / "dice" / "weights")
    assert weights["method"] == "dice"
    assert weights["config"] == {"updates": 4, "stop_at": 0}
    assert 0.0 < weights["seconds"] < 60.0
    curve = [json.loads(line) for line in (tmp_path / "pretrained/dice/curve.jsonl").read_text().splitlines()]
    assert [row["update"] for row in curve] == [1, 2, 3, 4]
    assert curve[-1]["total"] == weights["total"]
    assert not (tmp_path / "pretrained/dice/checkpoints").exists()


def test_a_seed_gives_the_same_weights_and_another_others(command, dice, tmp_path):
    for out, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        assert command("pretrain", dice, "--preset", "tiny", "--out", out, "--seed", seed).status == 0
    first, second, third = (load_state(tmp_path / out / "weights")["total"] for out in "abc")
    assert first == second != third


def test_a_folder_holds_one_pretraining(command, dice, tmp_path):
    assert command("pretrain", dice, "--out", "a").status == 0
    ended = command("pretrain", dice, "--out", "a", "--set", "updates=5")
    assert ended.status == 2
    assert ended.err == "error: a: holds another run, of updates 4; choose another folder\n"
    ended = command("pretrain", dice, "--out", "a", "--seed", "3")
    assert "holds another run, of seed 0" in ended.err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    assert "expected a new or an empty folder" in command("pretrain", dice, "--out", "full").err


def test_a_folder_in_which_another_process_trains_is_busy(command, dice, tmp_path):
    assert command("pretrain", dice, "--out", "a").status == 0
    with (tmp_path / "a" / "started.json").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ended = command("pretrain", dice, "--out", "a")
        assert (ended.status, ended.err) == (3, "busy: a: another process is training in it\n")
    assert command("pretrain", dice, "--out", "a").status == 0


def test_a_table_is_reproduced_with_options_for_keys(command, dice, tmp_path):
    ended = command("reproduce", dice, "--many-throws", "1000", "--sides=2", "--out", "r")
    assert ended.status == 0, ended.err
    (row,) = json.loads((tmp_path / "r" / "rows.json").read_text())
    assert row["sides"] == 2
    assert row["mean"] == pytest.approx(1.5, abs=0.1)
    assert f"{row['mean']:.4g}" in ended.out
    assert "published" not in ended.out  # nothing is, so there is no column of it


def test_the_keys_of_an_experiment_are_listed(command, dice, tmp_path):
    ended = command("reproduce", dice, "--keys")
    assert ended.status == 0
    assert "many-throws" in ended.out
    assert not (tmp_path / "reproduced").exists()


@pytest.mark.parametrize("paper", ["oswm", "twm"])
def test_a_paper_names_its_experiment_and_no_method(command, paper):
    named, own = (command("reproduce", name, "--keys") for name in (paper, f"{paper}-plus"))
    assert (named.status, named.err, named.out) == (0, "", own.out)
    assert command("pretrain", paper).err.startswith(f"error: method '{paper}' is called '{paper}-plus' now")
    assert command("reproduce", f"{paper}-meta").status == 2


def test_what_a_paper_names_is_kept_under_its_name(command, dice, tmp_path, monkeypatch):
    info = tmp_path / "thrown-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thrown\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[metabench.methods]\ndice-plus = thrown:Dice\n")
    (tmp_path / "thrown.py").write_text(METHOD.replace('"dice"', '"dice-plus"'))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "thrown", raising=False)
    ended = command("reproduce", "dice")
    assert ended.status == 0, ended.err
    assert json.loads((tmp_path / "reproduced" / "dice" / "started.json").read_text())["method"] == "dice-plus"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("pretrain", "dice.py:Plain"), "method 'plain' has nothing to pretrain; expected one that declares it"),
        (("pretrain", "dice.py:Dice", "--preset", "cpus"), "unknown pretraining preset of method dice 'cpus'; did you"),
        (("pretrain", "dice.py:Dice", "--set", "update=3"), "unknown configuration key of method dice 'update'; did"),
        (("reproduce", "dice.py:Plain"), "method 'plain' has no experiment to reproduce; expected one that declares"),
        (("reproduce", "dice.py:Dice", "--side", "3"), "unknown configuration key of method dice 'side'; did you mean"),
        (("reproduce", "dice.py:Dice", "--sides"), "--sides: expected a value after it"),
        (("reproduce", "dice.py:Dice", "sides"), "expected an option (--key value), found 'sides'"),
        (("reproduce", "dice.py:Dice", "--sides", "one"), "configuration key 'sides': "),
    ],
)
def test_mistakes_get_one_line(command, dice, tmp_path, arguments, error):
    ended = command(*arguments)
    assert ended.status == 2
    assert error in ended.err
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "pretrained").exists()
    assert not (tmp_path / "reproduced").exists()
