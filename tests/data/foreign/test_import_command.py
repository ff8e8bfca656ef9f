"""`metabench data import`: what it says, how it finds files, and what follows from its data."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import NamedTuple

import h5py
import minari
import numpy as np
import pytest

from metabench.cli import main


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]):
    def run(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as caught:
            main(["data", "import", *arguments])
        printed = capsys.readouterr()
        return Ended(int(caught.value.code or 0), printed.out, printed.err)

    return run


def write(path: Path, count: int = 25) -> Path:
    """Episodes of 10 steps, the last of which is cut short, all with reward 1."""
    generator = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file["observations"] = generator.standard_normal((count, 3))
        file["actions"] = generator.uniform(-1, 1, (count, 2))
        file["rewards"] = np.ones(count)
        file["terminals"] = np.zeros(count, bool)
        file["timeouts"] = np.arange(count) % 10 == 9
    return path


def test_d4rl(tmp_path: Path, command):
    path = str(write(tmp_path / "hopper.hdf5"))
    ended = command("d4rl", path, "--suite", "hopper-d4rl", "--task", "2", "--horizon", "15")
    assert ended.status == 0
    assert ended.err == ""
    assert "imported hopper-d4rl/task-2-v0: 3 episodes of at most 15 steps, 22 steps (3 dropped: " in ended.out
    assert "returns 4.00 to 9.00, mean 7.33" in ended.out
    assert "next: metabench suite from-minari hopper-d4rl/task-2-v0 ID --test ID" in ended.out
    assert list(minari.list_local_datasets()) == ["hopper-d4rl/task-2-v0"]
    again = command("d4rl", path, "--suite", "hopper-d4rl", "--task", "2")
    assert (again.status, again.out) == (2, "")
    assert again.err.startswith("error: hopper-d4rl/task-2-v0: is already there")
    arguments = ("d4rl", path, "--suite", "hopper-d4rl", "--task", "2", "--force", "--keep-last")
    assert "25 steps, returns 5.00 to 10.00" in command(*arguments).out


def test_meta_dt(tmp_path: Path, command):
    generator = np.random.default_rng(0)
    for task in (0, 1, 2):
        seen = generator.standard_normal((40, 3)).astype(np.float32)
        columns = {
            "observations": seen,
            "next_observations": np.concatenate([seen[1:], seen[:1]]),
            "actions": generator.uniform(-1, 1, (40, 2)),
            "rewards": np.ones((40, 1)),
            "terminals": np.zeros((40, 1)),
        }
        columns["next_observations"][19] = 9
        (tmp_path / f"dataset_task_{task}.pkl").write_bytes(pickle.dumps(columns))
    ended = command("meta-dt", str(tmp_path), "--suite", "cheetah-meta-dt", "--horizon", "20")
    assert ended.status == 0
    ids = [f"cheetah-meta-dt/task-{task}-v0" for task in (0, 1, 2)]
    for dataset_id in ids:
        assert f"imported {dataset_id}: 2 episodes of at most 20 steps, 40 steps, returns 20.00 to 20.00" in ended.out
    assert f"next: metabench suite from-minari {ids[0]} {ids[1]} --test {ids[2]}" in ended.out
    assert sorted(minari.list_local_datasets()) == ids
    refused = command("meta-dt", str(tmp_path), "--suite", "other-meta-dt")
    assert refused.status == 2
    assert "give the horizon (`--horizon`)" in refused.err


def test_finding_the_file_and_its_hash(tmp_path: Path, command, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    path = write(tmp_path / "there" / "data.hdf5")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path / "there"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    arguments = ("d4rl", "data.hdf5", "--suite", "hopper-d4rl", "--task", "0", "--force", "--sha256")
    wrong = command(*arguments, "0" * 64)
    assert wrong.status == 2
    assert f"{path}: sha256: expected {'0' * 64}, found {digest}" in wrong.err
    assert not minari.list_local_datasets()
    assert ", 22 steps" in command(*arguments, f"sha256:{digest}").out
    write(Path("data.hdf5"), count=5)
    assert ", 4 steps" in command(*arguments[:-1]).out
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path))
    Path("data.hdf5").unlink()
    assert command(*arguments[:-1]).err == "error: data.hdf5: cannot be read: No such file or directory\n"


@pytest.mark.parametrize(
    ("name", "faults"),
    [
        ("hopper_medium-v2.hdf5", []),
        ("antmaze-umaze-v0.hdf5", ["1 at the goal", "issue 77"]),
        ("Ant_maze_u-maze_noisy_multistart_False_multigoal_False_sparse.hdf5", ["1 at the goal", "issue 77"]),
        ("Ant_maze_u-maze_noisy_multistart_False_multigoal_False_sparse_fixed.hdf5", ["1 at the goal"]),
        ("maze2d-umaze-sparse-v1.hdf5", ["issue 85"]),
    ],
)
def test_known_faults_are_told(tmp_path: Path, command, name: str, faults: list[str]):
    ended = command("d4rl", str(write(tmp_path / name)), "--suite", "maze-d4rl", "--task", "0")
    assert ended.status == 0
    lines = ended.err.splitlines()
    assert len(lines) == len(faults)
    for line, fault in zip(lines, faults, strict=True):
        assert line.startswith(f"warning {name}: ")
        assert fault in line
