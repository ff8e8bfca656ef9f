"""Importing D4RL's HDF5 files: every variant against a plain loop, random ends, and files that must be refused."""

from __future__ import annotations

import hashlib
import itertools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import minari
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minari.namespace import list_local_namespaces

from metabench.data.foreign.d4rl import import_d4rl
from metabench.data.foreign.options import ImportOptions
from metabench.data.foreign.write_minari import Imported
from metabench.errors import DataError

Columns = dict[str, np.ndarray]
ID = "hopper-d4rl/task-0-v0"


class Episode(NamedTuple):
    """Rows of the source, and whether the last observation is the one before it again."""

    rows: list[int]
    terminated: bool
    repeated: bool
    kept: int


def columns_of(terminals: list[int], timeouts: list[int], count: int, seed: int = 0) -> Columns:
    """Random numbers; `next_observations` leads to the next row but at ends."""
    generator = np.random.default_rng(seed)
    seen = generator.standard_normal((count, 3)).astype(np.float32)
    columns = {
        "observations": seen,
        "actions": generator.uniform(-1, 1, (count, 2)).astype(np.float32),
        "rewards": generator.standard_normal(count).astype(np.float32),
        "terminals": np.isin(np.arange(count), terminals),
        "timeouts": np.isin(np.arange(count), timeouts),
    }
    after = np.concatenate([seen[1:], generator.standard_normal((1, 3)).astype(np.float32)])
    ends = columns["terminals"] | columns["timeouts"]
    after[ends] = 10 + generator.standard_normal((int(ends.sum()), 3)).astype(np.float32)
    return {**columns, "next_observations": after}


def write(path: Path, columns: Mapping[str, Any], **storage: Any) -> Path:
    with h5py.File(path, "w") as file:
        for key, values in columns.items():
            file.create_dataset(key, data=values, **storage)
    return path


def plain_loop(columns: Columns, horizon: int | None, keep_last: bool = False) -> list[Episode]:
    """What should be read, one row at a time."""
    episodes, rows = [], []
    count = len(columns["rewards"])
    for row in range(count):
        rows.append(row)
        terminal = bool(columns["terminals"][row])
        over = bool(columns["timeouts"][row]) if "timeouts" in columns else len(rows) == horizon
        if terminal or over or row == count - 1:
            unknown = "next_observations" not in columns
            repeated = unknown and (terminal or keep_last)
            kept = len(rows) - (unknown and not repeated)
            if kept:
                episodes.append(Episode(rows, terminal, repeated, kept))
            rows = []
    return episodes


def check(dataset_id: str, columns: Columns, expected: list[Episode]) -> None:
    """The Minari dataset holds exactly the expected rows."""
    dataset = minari.load_dataset(dataset_id)
    assert dataset.total_episodes == len(expected)
    assert dataset.total_steps == sum(episode.kept for episode in expected)
    entries = list(dataset.storage.get_episode_metadata(range(len(expected))))
    for episode, plan, entry in zip(dataset, expected, entries, strict=True):
        rows = plan.rows[: plan.kept]
        np.testing.assert_array_equal(episode.actions, columns["actions"][rows].astype(np.float32))
        np.testing.assert_array_equal(episode.rewards, columns["rewards"][rows].reshape(-1).astype(np.float32))
        np.testing.assert_array_equal(episode.observations[:-1], columns["observations"][rows].astype(np.float32))
        if "next_observations" in columns:
            last = columns["next_observations"][rows[-1]]
        else:
            last = columns["observations"][rows[-1] if plan.repeated else plan.rows[plan.kept]]
        np.testing.assert_array_equal(episode.observations[-1], last.astype(np.float32))
        assert entry["last_observation"] == ("repeated" if plan.repeated else "recorded")
        assert (entry["task"], entry["first_row"]) == (0, rows[0])
        ends = np.arange(plan.kept) == plan.kept - 1
        np.testing.assert_array_equal(episode.terminations, ends & plan.terminated)
        np.testing.assert_array_equal(episode.truncations, ends & (not plan.terminated))


def written() -> list[str]:
    return sorted(minari.list_local_datasets())


def imported(path: Path, task: int = 0, sha256: str | None = None, **options: Any) -> Imported:
    return import_d4rl(path, task, ImportOptions(**{"suite": "hopper-d4rl", **options}), sha256=sha256)


@pytest.fixture
def columns() -> Columns:
    return columns_of(terminals=[6, 7, 31, 40], timeouts=[16, 26, 40, 50], count=57)


def pieces(columns: Columns) -> Columns:
    """In three pieces, of which the second begins within an episode."""
    bounds = ((0, 7), (7, 45), (45, 57))
    return {
        f"virtual/{number}/{key}": values[start:stop]
        for number, (start, stop) in enumerate(bounds)
        for key, values in columns.items()
    }


@pytest.mark.parametrize("keep_last", [False, True])
@pytest.mark.parametrize("recorded", [True, False], ids=["next", "no-next"])
@pytest.mark.parametrize("timed", [True, False], ids=["timeouts", "no-timeouts"])
@pytest.mark.parametrize("form", ["flat", "tall", "virtual", "gzip", "float64"])
def test_every_variant(tmp_path: Path, columns: Columns, form: str, timed: bool, recorded: bool, keep_last: bool):
    chosen = dict(columns)
    horizon = None if timed else 10
    if not timed:
        # Without flags an end shows in next_observations only: as long as the horizon says.
        terminals = np.flatnonzero(columns["terminals"]).tolist()
        chosen = columns_of(terminals, [17, 27, 50], 57)
        del chosen["timeouts"]
    if not recorded:
        del chosen["next_observations"]
    stored, storage = chosen, {}
    if form == "tall":
        stored = {key: values[:, None] if values.ndim == 1 else values for key, values in chosen.items()}
    elif form == "virtual":
        stored = pieces(chosen)
    elif form == "gzip":
        storage = {"compression": "gzip", "chunks": True}
    elif form == "float64":
        stored = {key: values.astype(np.float64) for key, values in chosen.items()}
    path = write(tmp_path / "data.hdf5", stored, **storage)
    result = imported(path, horizon=horizon, keep_last=keep_last)
    expected = plain_loop(chosen, horizon, keep_last)
    check(ID, chosen, expected)
    assert (result.dataset_id, result.episodes) == (ID, len(expected))
    assert result.steps + result.dropped == 57
    assert (result.dropped == 0) == (recorded or keep_last)
    sums = [float(chosen["rewards"][each.rows[: each.kept]].sum(dtype=np.float64)) for each in expected]
    np.testing.assert_allclose(result.returns, (min(sums), np.mean(sums), max(sums)), rtol=1e-6)


def test_metadata_says_what_the_data_is(tmp_path: Path, columns: Columns):
    path = write(tmp_path / "data.hdf5", columns)
    result = imported(path, task=3, dataset_id="own/name-v{task}")
    dataset = minari.load_dataset("own/name-v3")
    assert written() == ["own/name-v3"]
    assert "own" in list_local_namespaces()
    assert dataset.observation_space.shape == (3,)
    np.testing.assert_array_equal(dataset.action_space.low, [-1, -1])
    metadata = dataset.storage.metadata
    assert result.horizon == 10
    assert "horizon" not in metadata  # the longest episode is no time limit
    assert metadata["source"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert metadata["source"]["file"] == "data.hdf5"
    imported(path, horizon=12)
    assert minari.load_dataset(ID).storage.metadata["horizon"] == 12


def test_discrete_actions(tmp_path: Path, columns: Columns):
    numbers = np.random.default_rng(1).integers(3, size=57)
    path = write(tmp_path / "data.hdf5", {**columns, "actions": numbers[:, None]})
    with pytest.raises(DataError, match=r"data\.hdf5: actions: are whole numbers.*--num-actions"):
        imported(path)
    imported(path, num_actions=3)
    dataset = minari.load_dataset(ID)
    assert dataset.action_space.n == 3
    np.testing.assert_array_equal(np.concatenate([episode.actions for episode in dataset]), numbers)
    row = int(np.argmax(numbers == 2))
    with pytest.raises(DataError, match=rf"actions: row {row}: expected a number from 0 to 1, found 2"):
        imported(path, num_actions=2, force=True)


def test_an_end_that_only_the_next_observation_shows(tmp_path: Path, columns: Columns):
    timed = columns_of([6], [20, 26], 40)
    timed["timeouts"][20] = False
    path = write(tmp_path / "data.hdf5", timed)
    with pytest.warns(UserWarning, match=r"next_observations: 1 rows, the first of them 20, do not lead to the next"):
        imported(path)
    assert [len(episode.rewards) for episode in minari.load_dataset(ID)] == [7, 14, 6, 13]


def test_a_horizon_too_short_is_doubted(tmp_path: Path):
    columns = columns_of([], [19, 39], 40)
    del columns["timeouts"]
    path = write(tmp_path / "data.hdf5", columns)
    with pytest.warns(UserWarning, match=r"at 2 of 4 ends the row leads on to the next: is the horizon longer than 10"):
        imported(path, horizon=10)


@pytest.mark.slow
@given(
    count=st.integers(1, 60),
    terminals=st.lists(st.integers(0, 59), max_size=12),
    timeouts=st.none() | st.lists(st.integers(0, 59), max_size=12),
    horizon=st.integers(1, 20),
    recorded=st.booleans(),
    keep_last=st.booleans(),
)
@settings(max_examples=60)
def test_no_pair_of_observations_crosses_an_end(
    count: int, terminals: list[int], timeouts: list[int] | None, horizon: int, recorded: bool, keep_last: bool
):
    columns = columns_of(terminals, timeouts or [], count)
    if timeouts is None:
        del columns["timeouts"]
    # Every observation names its row; what follows row r in its own episode is r + 1, at an end r + 1000.
    columns["observations"] = np.arange(count, dtype=np.float32)[:, None]
    ends = {episode.rows[-1] for episode in plain_loop(columns, horizon, keep_last=True)}
    following = [[row + 1000.0 if row in ends else row + 1.0] for row in range(count)]
    del columns["next_observations"]
    if recorded:
        columns["next_observations"] = np.array(following, np.float32)
    expected = plain_loop(columns, horizon, keep_last)
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "data.hdf5", columns)
        options = {"horizon": horizon if timeouts is None else None, "keep_last": keep_last, "force": True}
        if not expected:
            with pytest.raises(DataError, match="has no episode"):
                imported(path, **options)
            return
        result = imported(path, **options)
    check(ID, columns, expected)
    pairs, rows = [], []
    for episode in minari.load_dataset(ID):
        seen = episode.observations[:, 0].tolist()
        pairs += list(itertools.pairwise(seen))
        rows += [int(row) for row in seen[:-1]]
    for now, then in pairs:
        assert then == (following[int(now)][0] if recorded or now not in ends else now)
    dropped = set(range(count)) - set(rows)
    assert rows == sorted(rows)
    assert len(dropped) == result.dropped
    assert dropped <= ends
    if recorded or keep_last:
        assert not dropped
    else:
        assert dropped == {row for row in ends if not columns["terminals"][row]}


def test_actions_a_rounding_error_out_of_bounds_are_clipped(tmp_path: Path, columns: Columns):
    actions = columns["actions"].copy()
    actions[4] = 1 + 5e-7
    imported(write(tmp_path / "data.hdf5", {**columns, "actions": actions}))
    assert minari.load_dataset(ID)[0].actions[4].tolist() == [1, 1]
