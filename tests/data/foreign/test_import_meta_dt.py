"""Importing the Meta-DT group's pickles: both spellings, every protocol, and pickles that must not be believed."""

from __future__ import annotations

import os
import pickle
import subprocess
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import minari
import numpy as np
import pytest

from metabench.data.foreign.meta_dt import import_meta_dt
from metabench.data.foreign.options import ImportOptions
from metabench.data.foreign.write_minari import Imported
from metabench.errors import DataError

Columns = dict[str, Any]
HORIZON, EPISODES = 8, 3
SPELLING = {"observations": "states", "next_observations": "next_states", "terminals": "dones"}


def columns_of(seed: int = 0, dtype: type = np.float32) -> Columns:
    """Three episodes of 8 steps; every observation is new, so that each end shows in `next_observations`."""
    generator = np.random.default_rng(seed)
    seen = generator.standard_normal((EPISODES, HORIZON + 1, 3)).astype(dtype)
    count = EPISODES * HORIZON
    return OrderedDict(
        observations=np.ascontiguousarray(seen[:, :-1].reshape(count, 3)),
        actions=generator.uniform(-1, 1, (count, 2)).astype(dtype),
        rewards=generator.standard_normal((count, 1)).astype(dtype),
        next_observations=np.ascontiguousarray(seen[:, 1:].reshape(count, 3)),
        terminals=np.zeros((count, 1), dtype),
        masks=np.ones((count, 1), dtype),
    )


def write(folder: Path, content: Any, task: int = 0, protocol: int = 4) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"dataset_task_{task}.pkl"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
    return path


def imported(folder: Path, **options: Any) -> tuple[Imported, ...]:
    return import_meta_dt(folder, ImportOptions(**{"suite": "cheetah-meta-dt", "horizon": HORIZON, **options}))


def refused(folder: Path, message: str, **options: Any) -> None:
    with pytest.raises(DataError, match=message) as caught:
        imported(folder, **options)
    assert "\n" not in str(caught.value)
    assert not minari.list_local_datasets()


def check(task: int, columns: Columns, lengths: list[int], ended: list[bool]) -> None:
    """Episode by episode, one row at a time."""
    dataset = minari.load_dataset(f"cheetah-meta-dt/task-{task}-v0")
    assert [len(episode.rewards) for episode in dataset] == lengths
    row = 0
    for episode, terminated in zip(dataset, ended, strict=True):
        for step in range(len(episode.rewards)):
            np.testing.assert_array_equal(episode.observations[step], columns["observations"][row].astype(np.float32))
            after = columns["next_observations"][row].astype(np.float32)
            np.testing.assert_array_equal(episode.observations[step + 1], after)
            np.testing.assert_array_equal(episode.actions[step], columns["actions"][row].astype(np.float32))
            assert episode.rewards[step] == np.float32(columns["rewards"][row, 0])
            row += 1
        assert bool(episode.terminations[-1]) is terminated
        assert bool(episode.truncations[-1]) is not terminated
    assert row == len(columns["rewards"])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("spelled", [{}, SPELLING], ids=["observations", "states"])
def test_both_spellings_in_every_protocol(tmp_path: Path, spelled: dict[str, str], protocol: int):
    for task, dtype in ((0, np.float32), (3, np.float64)):
        columns = columns_of(task, dtype)
        columns["actions"] = np.asfortranarray(columns["actions"])
        content = OrderedDict((spelled.get(key, key), values) for key, values in columns.items())
        content["note"] = {"return_scale": [np.float64(1.5), np.int64(2)], "kind": ("medium", None, True)}
        write(tmp_path / "data", content, task, protocol)
    for name in ("dataset_task_prompt0.pkl", "task_goals.pkl", "task_info.json"):
        (tmp_path / "data" / name).write_bytes(b"not read")
    results = imported(tmp_path / "data")
    assert [(each.task, each.episodes, each.steps, each.dropped) for each in results] == [(0, 3, 24, 0), (3, 3, 24, 0)]
    for task, dtype in ((0, np.float32), (3, np.float64)):
        check(task, columns_of(task, dtype), [8, 8, 8], [False] * 3)
    assert minari.load_dataset("cheetah-meta-dt/task-3-v0").storage.metadata["horizon"] == HORIZON


def test_names_that_numpy_1_wrote(tmp_path: Path):
    content = pickle.dumps(dict(columns_of()), 2)
    assert content.count(b"numpy._core.multiarray") == 1
    write(tmp_path / "data", content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    imported(tmp_path / "data")
    check(0, columns_of(), [8, 8, 8], [False] * 3)


def test_masks_tell_the_ends_of_tasks_from_time_limits(tmp_path: Path):
    columns = columns_of()
    columns["terminals"][[4, 7, 15, 23]] = 1
    columns["masks"][4] = 0
    # The third episode lies where it did: the ends within the first do not move the cuts after them.
    columns["next_observations"][4] += 5
    write(tmp_path / "data", columns)
    imported(tmp_path / "data")
    check(0, columns, [5, 3, 8, 8], [True, False, False, False])


def test_without_next_observations_a_step_of_each_episode_is_dropped(tmp_path: Path):
    columns = columns_of()
    del columns["next_observations"], columns["masks"]
    columns["terminals"][23] = 1
    write(tmp_path / "data", columns)
    (result,) = imported(tmp_path / "data")
    assert (result.steps, result.dropped) == (7 + 7 + 8, 2)
    (result,) = imported(tmp_path / "data", keep_last=True, force=True)
    assert (result.steps, result.dropped) == (24, 0)


def test_horizon_of_another_length(tmp_path: Path):
    write(tmp_path / "data", columns_of())
    refused(tmp_path / "data", r"dataset_task_0\.pkl: next_observations: row 7 does not lead to row 8", horizon=12)
    with pytest.warns(UserWarning, match="is the horizon longer than 4"):
        imported(tmp_path / "data", horizon=4)


def test_all_or_nothing(tmp_path: Path):
    write(tmp_path / "data", columns_of(), 0)
    write(tmp_path / "data", {**columns_of(), "rewards": np.full(24, np.nan)}, 1)
    refused(tmp_path / "data", r"dataset_task_1\.pkl: rewards: row 0: expected finite")


def test_the_named_suite_is_checked(tmp_path: Path):
    write(tmp_path / "data", columns_of(), 40)
    refused(tmp_path / "data", r"dataset_task_40\.pkl: task 40: tiny-v1 has tasks 0 to", suite="tiny", horizon=None)
    (tmp_path / "data" / "dataset_task_40.pkl").rename(tmp_path / "data" / "dataset_task_1.pkl")
    write(tmp_path / "data", columns_of(), 0)
    message = r"dataset_task_0\.pkl: observations: expected 2 numbers a row as tiny-v1 has, found 3"
    refused(tmp_path / "data", message, suite="tiny", horizon=None)


class Calls:
    """Pickled as a call of `function`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.called = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.called


ALLOWED = "expected NumPy arrays of numbers and plain containers only"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.system, ("touch ran",), f"{os.system.__module__}.system"),
        (eval, ("open('ran', 'w')",), r"(builtins|__builtin__)\.eval"),
        (exec, ("open('ran', 'w')",), r"(builtins|__builtin__)\.exec"),
        (getattr, ({}, "keys"), r"(builtins|__builtin__)\.getattr"),
        (subprocess.run, (["touch", "ran"],), r"(subprocess|commands)\.run"),
        (Path, ("ran",), r"pathlib\.Path"),
        (np.savetxt, ("ran", [1.0]), r"numpy\.savetxt"),
        (np.load, ("other.npy",), r"numpy\.load"),
        (np.fromfile, ("other",), r"numpy(\._core)?(\.multiarray)?\.fromfile"),
        (np.matrix, ([1.0],), r"numpy\.matrix"),
        (np.ma.masked_array, ([1.0],), r"numpy\.ma(\.core)?\.MaskedArray"),
    ],
)
def test_no_other_name_is_called(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    named: str,
    protocol: int,
):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data", {**columns_of(), "rewards": Calls(function, *arguments)}, protocol=protocol)
    refused(tmp_path / "data", rf"dataset_task_0\.pkl: names {named}: {ALLOWED}")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([{"a": 1}], object), "holds an array of dtype 'O8'"),
        (np.array(["text"]), "holds an array of dtype 'U4'"),
        (np.zeros(3, [("a", "f4"), ("b", "i8")]), "holds an array of dtype 'V12'"),
        (np.array(["2020-01-01"], "M8[D]"), "holds an array of dtype 'M8'"),
        (Calls(np.ndarray, (10**6,)), r"calls numpy\.ndarray"),
        (Calls(np.dtype, "O"), "holds an array of dtype 'O'"),
    ],
)
def test_arrays_of_other_things_than_numbers(tmp_path: Path, value: Any, message: str):
    write(tmp_path / "data", {**columns_of(), "rewards": value}, protocol=2)
    refused(tmp_path / "data", rf"dataset_task_0\.pkl: {message}: {ALLOWED}")


@pytest.mark.parametrize(
    "content",
    [
        b"cnumpy\ndtype\n}S'x'\nI1\nsb.",  # sets an attribute of what stands for numpy.dtype
        b"cnumpy\ndtype\n(NN}S'__call__'\nI1\nstb.",
        b"c_codecs\nencode\n(Va\nVzip\ntR.",
        b"cnumpy.core.multiarray\nscalar\n(I1\nS'a'\ntR.",
        b"cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\n(I1\ntNNI-1\nI-1\nI0\ntb.",
        b"cnumpy\ndtype.newbyteorder\n.",
    ],
)
def test_misuse_of_allowed_names(tmp_path: Path, content: bytes):
    write(tmp_path / "data", content)
    refused(tmp_path / "data", rf"dataset_task_0\.pkl: .*: {ALLOWED}")


def test_an_array_whose_bytes_are_too_few(tmp_path: Path):
    content = pickle.dumps({"rewards": np.zeros(24, np.float32)}, 4)
    write(tmp_path / "data", content.replace(b"K\x18\x85", b"K\x19\x85"))
    refused(tmp_path / "data", r"dataset_task_0\.pkl: not a whole pickle: cannot reshape")


def test_cut_short_at_any_place(tmp_path: Path):
    content = pickle.dumps(columns_of(), 4)
    for length in [0, 1, 2, *np.linspace(3, len(content) - 1, 40).astype(int).tolist()]:
        write(tmp_path / "data", content[:length])
        refused(tmp_path / "data", r"dataset_task_0\.pkl: (is empty or ends too early|not a whole pickle)")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda columns: [columns], "expected a mapping from names to arrays, found list"),
        (lambda columns: np.zeros(3), "expected a mapping from names to arrays, found an array"),
        (lambda columns: {}, "observations: is missing; the file has nothing"),
        (lambda columns: {"states": columns["observations"]}, "actions: is missing; the file has states"),
        (lambda columns: columns | {"rewards": [1.0] * 24}, "rewards: expected an array, found list"),
        (
            lambda columns: columns | {"rewards": np.zeros(23)},
            "rewards: expected 24 rows as observations has, found 23",
        ),
        (lambda columns: columns | {"masks": np.full(24, 2)}, "masks: row 0: expected 0 or 1, found 2"),
        (
            lambda columns: columns | {"actions": columns["actions"] * 3},
            "actions: row 0: expected numbers from -1",
        ),
        (lambda columns: {key: values[:0] for key, values in columns.items()}, "observations: is empty"),
    ],
)
def test_bad_columns(tmp_path: Path, change: Callable[[Columns], Any], message: str):
    columns = columns_of()
    columns["actions"][0] = 0.9
    write(tmp_path / "data", change(columns))
    refused(tmp_path / "data", rf"dataset_task_0\.pkl: {message}")


@pytest.mark.parametrize("target", ["../secret.pkl", "{root}/secret.pkl", "../data/../secret.pkl"])
def test_links_that_lead_outside(tmp_path: Path, target: str):
    folder = tmp_path / "data"
    write(folder, columns_of())
    (tmp_path / "secret.pkl").write_bytes(pickle.dumps(columns_of()))
    (folder / "dataset_task_1.pkl").symlink_to(target.format(root=tmp_path))
    refused(folder, r"dataset_task_1\.pkl: leads outside the folder, to .*secret\.pkl")
    (folder / "dataset_task_1.pkl").unlink()
    (folder / "dataset_task_1.pkl").symlink_to("dataset_task_0.pkl")
    assert len(imported(folder)) == 2


def test_folders_without_data(tmp_path: Path):
    refused(tmp_path / "nowhere", "nowhere: expected a folder with")
    (tmp_path / "data").mkdir()
    refused(tmp_path / "data", r"data: expected files dataset_task_<i>\.pkl, found none")
    (tmp_path / "data" / "dataset_task_0.pkl").mkdir()
    refused(tmp_path / "data", r"dataset_task_0\.pkl: expected a file")
