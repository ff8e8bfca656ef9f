"""Importing D4RL's HDF5 files: those that must be refused, in one line, with nothing written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import minari
import numpy as np
import pytest

from metabench.cli import main
from metabench.data.foreign.d4rl import import_d4rl
from metabench.data.foreign.options import ImportOptions
from metabench.data.foreign.write_minari import Imported
from metabench.errors import DataError, MetabenchError

Columns = dict[str, np.ndarray]
ID = "hopper-d4rl/task-0-v0"
COUNT = 57


def sound(width: int = 3) -> Columns:
    """Episodes that end with rows 6, 16, 26, 40, 50 and 56."""
    generator = np.random.default_rng(0)
    seen = generator.standard_normal((COUNT + 1, width)).astype(np.float32)
    rows = np.arange(COUNT)
    return {
        "observations": seen[:-1],
        "actions": generator.uniform(-0.1, 0.1, (COUNT, 2)).astype(np.float32),
        "rewards": generator.standard_normal(COUNT).astype(np.float32),
        "terminals": np.isin(rows, [6, 40]),
        "timeouts": np.isin(rows, [16, 26, 50]),
        "next_observations": seen[1:],
    }


def write(path: Path, columns: Mapping[str, Any], **storage: Any) -> Path:
    with h5py.File(path, "w") as file:
        for key, values in columns.items():
            file.create_dataset(key, data=values, **storage)
    return path


def pieces(columns: Columns) -> Columns:
    bounds = ((0, 7), (7, 45), (45, COUNT))
    return {
        f"virtual/{number}/{key}": values[start:stop]
        for number, (start, stop) in enumerate(bounds)
        for key, values in columns.items()
    }


def imported(path: Path, task: int = 0, **options: Any) -> Imported:
    return import_d4rl(path, task, ImportOptions(**{"suite": "hopper-d4rl", **options}))


def rewards() -> np.ndarray:
    return np.concatenate([episode.rewards for episode in minari.load_dataset(ID)])


@pytest.fixture
def columns() -> Columns:
    return sound()


def broken(columns: Columns) -> dict[str, tuple[Columns, str]]:
    """Name to columns that must be refused, and what the message says of them."""
    after = columns["next_observations"]

    def changed(key: str, row: int, value: float, dtype: type = np.float32) -> Columns:
        values = columns[key].astype(dtype)
        values[row] = value
        return {**columns, key: values}

    def without(*keys: str) -> Columns:
        return {key: values for key, values in columns.items() if key not in keys}

    def cut(key: str, **more: np.ndarray) -> Columns:
        return {**columns, key: columns[key][:-1], **more}

    two = pieces(columns)
    gap = {key.replace("virtual/1", "virtual/5"): values for key, values in two.items()}
    return {
        **{
            f"no {key}": (without(key), f"{key}: is missing; the file has ")
            for key in ("observations", "actions", "rewards", "terminals")
        },
        "nothing": ({}, "observations: is missing; the file has nothing"),
        "no timeouts": (without("timeouts"), "timeouts: is missing: say after how many steps"),
        "NaN reward": (changed("rewards", 9, np.nan), "rewards: row 9: expected finite float32 numbers, found nan"),
        "inf observation": (changed("observations", 55, np.inf), "observations: row 55: expected finite"),
        "NaN action": (changed("actions", 0, np.nan), "actions: row 0: expected finite"),
        "NaN next": (changed("next_observations", 26, np.nan), "next_observations: row 26: expected finite"),
        "too large": (changed("rewards", 9, 1e300, np.float64), "rewards: row 9: expected finite"),
        "flags": (changed("terminals", 5, 0.5), "terminals: row 5: expected 0 or 1, found 0.5"),
        "NaN flag": (changed("timeouts", 5, np.nan), "timeouts: row 5: expected 0 or 1, found nan"),
        "bounds": (changed("actions", 30, 1.1), "actions: row 30: expected numbers from -1 to 1, found"),
        **{
            f"short {key}": (cut(key), f"{key}: expected 57 rows as observations has, found 56")
            for key in ("actions", "rewards", "terminals", "timeouts", "next_observations")
        },
        "flat observations": (
            {**columns, "observations": np.zeros(57)},
            "observations: expected N rows of numbers, found float64 of shape (57,)",
        ),
        "images": ({**columns, "observations": np.zeros((57, 2, 2, 3))}, "observations: expected N rows of numbers"),
        "flat actions": ({**columns, "actions": np.zeros(57)}, "actions: expected N rows of floats, or N integers"),
        "wide rewards": ({**columns, "rewards": np.zeros((57, 2))}, "rewards: expected N numbers"),
        "text": ({**columns, "rewards": np.array([b"1"] * 57)}, "rewards: expected N numbers, found |S1"),
        "wide next": ({**columns, "next_observations": after[:, :2]}, "next_observations: expected rows as wide as"),
        "one number": ({**columns, "rewards": np.float32(1)}, "rewards: expected an array"),
        "no rows": ({key: values[:0] for key, values in columns.items()}, "observations: is empty"),
        "gap": (gap, "virtual: expected pieces 0, 1, 2 and so on without gaps, found 0, 2, 5"),
        "lacking piece": (
            {key: values for key, values in two.items() if key != "virtual/2/timeouts"},
            "virtual/2/timeouts: is missing",
        ),
        "uneven pieces": ({**two, "virtual/1/actions": np.zeros((38, 5))}, "virtual/1/actions: expected float32 of"),
    }


NAMES = sorted(broken(sound()))


@pytest.mark.parametrize("name", NAMES)
def test_bad_columns(tmp_path: Path, columns: Columns, capsys: pytest.CaptureFixture[str], name: str):
    content, message = broken(columns)[name]
    path = write(tmp_path / "data.hdf5", content)
    with pytest.raises(SystemExit) as caught:
        main(["data", "import", "d4rl", str(path), "--suite", "hopper-d4rl", "--task", "0"])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {path}: {message}")
    assert said.count("\n") == 1
    assert not minari.list_local_datasets()


def damaged(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "text":
        path.write_text("observations,actions\n1,2\n")
    elif how == "gzip file":
        path.write_bytes(b"\x1f\x8b" + content)
    elif how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "missing":
        path.unlink()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("empty", "not a whole HDF5 file"),
        ("cut", "not a whole HDF5 file"),
        ("text", "not a whole HDF5 file"),
        ("gzip file", "is compressed with gzip; unpack it first"),
        ("folder", "cannot be read: Is a directory"),
        ("missing", "cannot be read: No such file"),
    ],
)
def test_bad_files(tmp_path: Path, columns: Columns, how: str, message: str):
    path = write(tmp_path / "data.hdf5", columns)
    damaged(path, how)
    with pytest.raises(DataError, match=rf"data\.hdf5: {message}"):
        imported(path)
    assert not minari.list_local_datasets()


def test_damaged_numbers(tmp_path: Path, columns: Columns):
    path = write(tmp_path / "data.hdf5", columns, chunks=True, fletcher32=True)
    content = path.read_bytes()
    at = content.index(columns["rewards"][:8].tobytes())
    path.write_bytes(content[:at] + b"\x00" * 8 + content[at + 8 :])
    with pytest.raises(DataError, match=r"data\.hdf5: rewards: damaged"):
        imported(path)
    assert not minari.list_local_datasets()


def test_links_to_other_files_are_not_followed(tmp_path: Path, columns: Columns):
    write(tmp_path / "other.hdf5", columns)
    rest = {key: values for key, values in columns.items() if key != "rewards"}
    path = write(tmp_path / "data.hdf5", rest)
    with h5py.File(path, "a") as file:
        file["rewards"] = h5py.ExternalLink("other.hdf5", "/rewards")
    with pytest.raises(DataError, match=r"data\.hdf5: rewards: is a link"):
        imported(path)
    virtual = h5py.VirtualLayout((57,), np.float32)
    virtual[:] = h5py.VirtualSource("other.hdf5", "rewards", (57,))
    with h5py.File(write(path, rest), "a") as file:
        file.create_virtual_dataset("rewards", virtual)
    with pytest.raises(DataError, match=r"data\.hdf5: rewards: its numbers lie in another file"):
        imported(path)
    with h5py.File(write(path, rest), "a") as file:
        file.create_dataset("rewards", (57,), np.float32, external=[("other.hdf5", 0, 57 * 4)])
    with pytest.raises(DataError, match=r"data\.hdf5: rewards: its numbers lie in another file"):
        imported(path)
    assert not minari.list_local_datasets()


def test_an_existing_dataset_stays_unless_forced(tmp_path: Path, columns: Columns):
    path = write(tmp_path / "data.hdf5", columns)
    imported(path)
    other = {key: values[:10] for key, values in columns.items()}
    second = write(tmp_path / "other.hdf5", other)
    with pytest.raises(DataError, match=rf"{ID}: is already there.*--force"):
        imported(second)
    np.testing.assert_array_equal(rewards(), columns["rewards"])
    bad = write(tmp_path / "bad.hdf5", {**other, "rewards": np.full(10, np.nan)})
    with pytest.raises(DataError, match="rewards: row 0"):
        imported(bad, force=True)
    np.testing.assert_array_equal(rewards(), columns["rewards"])
    imported(second, force=True)
    np.testing.assert_array_equal(rewards(), other["rewards"])


def test_an_interrupted_import_leaves_nothing(tmp_path: Path, columns: Columns, folders: Path):
    path = write(tmp_path / "data.hdf5", columns)

    def interrupt(stage: str, done: int, total: int) -> None:
        assert done <= total
        if stage.startswith("writing") and done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_d4rl(path, 0, ImportOptions("hopper-d4rl"), progress=interrupt)
    assert not minari.list_local_datasets()
    assert [each.name for each in (folders / "minari").iterdir()] == [".importing.lock"]


def test_the_named_suite_is_checked(tmp_path: Path):
    path = write(tmp_path / "data.hdf5", sound(width=3))
    with pytest.raises(DataError, match=r"observations: expected 2 numbers a row as tiny-v1 has, found 3"):
        imported(path, suite="tiny")
    with pytest.raises(MetabenchError, match=r"horizon 30: tiny-v1 has horizon 20"):
        imported(path, suite="tiny", horizon=30)
    with pytest.raises(MetabenchError, match=r"action bound 1\.0: leave it out"):
        imported(path, suite="tiny", action_bound=1.0)
    with pytest.raises(DataError, match=r"task 99: tiny-v1 has tasks 0 to"):
        imported(path, task=99, suite="tiny")
    narrow = write(tmp_path / "narrow.hdf5", sound(width=1))
    with pytest.raises(DataError, match=r"actions: expected one whole number a row as tiny-discrete-v1 has"):
        imported(narrow, suite="tiny-discrete")
    fitting = sound(width=2)
    long = {**fitting, "terminals": np.zeros(COUNT), "timeouts": np.arange(COUNT) == 24}
    with pytest.raises(DataError, match=r"timeouts: expected at most 20 steps an episode, .* row 0 has 25"):
        imported(write(tmp_path / "long.hdf5", long), suite="tiny")
    wide = {**fitting, "actions": 2 * fitting["actions"]}
    with pytest.raises(DataError, match=r"actions: row \d+: expected numbers from -0\.1 to 0\.1"):
        imported(write(tmp_path / "wide.hdf5", wide), suite="tiny")
    assert not minari.list_local_datasets()
    assert imported(write(path, fitting), suite="tiny").horizon == 20
    space = minari.load_dataset("tiny/task-0-v0").action_space
    np.testing.assert_allclose(space.high, [0.1, 0.1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"suite": "Hopper"}, "suite 'Hopper': expected lower-case"),
        ({"horizon": 0}, "horizon 0"),
        ({"action_bound": float("nan")}, "action bound nan"),
        ({"num_actions": 0}, "number of actions 0"),
        ({"dataset_id": "no-version"}, "Minari id 'no-version'"),
        ({"dataset_id": "../../outside-v0"}, r"Minari id '\.\./\.\./outside-v0'"),
        ({"dataset_id": "a//b-v0"}, "Minari id 'a//b-v0'"),
        ({"task": -1}, "task -1"),
    ],
)
def test_bad_options(tmp_path: Path, columns: Columns, options: dict[str, Any], message: str):
    path = write(tmp_path / "data.hdf5", columns)
    with pytest.raises(MetabenchError, match=message):
        imported(path, **options)
    assert not minari.list_local_datasets()


def test_names_that_are_no_text_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "file.hdf5"
    with h5py.File(path, "w") as file:
        file[b"observ\xffations"] = np.zeros(3)
        file["actions"] = np.zeros(3)
    shown = "observations: is missing; the file has actions, observ\N{REPLACEMENT CHARACTER}ations"
    with pytest.raises(DataError, match=shown):
        imported(path)
