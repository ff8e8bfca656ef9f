"""Training state on disk: what goes in comes out, and a crash never leaves half of it."""

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from metabench import DataError, load_state, save_state
from metabench.methods.state_files import DIGESTS, STRUCTURE, TENSORS, has_state

DTYPES = st.sampled_from(["float32", "float64", "int64", "int32", "uint8", "bool"])
ARRAYS = DTYPES.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
KEYS = st.text(max_size=6) | st.sampled_from(["a", "b", "a.b", "0", "state"]) | st.integers(-3, 3)
VALUES = st.recursive(
    PLAIN | ARRAYS | ARRAYS.map(torch.from_numpy),
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=8,
)


def assert_same(first: object, second: object) -> None:
    assert type(first) is type(second)
    if isinstance(first, dict):
        assert list(first) == list(second)
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, list | tuple):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    elif isinstance(first, torch.Tensor):
        assert first.dtype == second.dtype
        assert first.shape == second.shape
        np.testing.assert_array_equal(first.numpy(), second.numpy())
    elif isinstance(first, np.ndarray):
        assert first.dtype == second.dtype
        assert first.shape == second.shape
        np.testing.assert_array_equal(first, second)
    elif isinstance(first, float):
        assert struct.pack("d", first) == struct.pack("d", second) or first != first
    else:
        assert first == second


@pytest.mark.slow
@given(state=st.dictionaries(KEYS, VALUES, max_size=4))
def test_nested_state_comes_back_as_it_was(state: dict, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("state") / "kept"
    save_state(state, folder)
    assert_same(load_state(folder), state)
    assert sorted(path.name for path in folder.iterdir()) == sorted([STRUCTURE, DIGESTS, TENSORS])


def test_keys_with_dots_do_not_collide_with_nesting(tmp_path: Path) -> None:
    save_state({"a.b": np.array(1.0), "a": {"b": np.array(2.0)}}, tmp_path / "s")
    state = load_state(tmp_path / "s")
    assert (state["a.b"], state["a"]["b"]) == (1.0, 2.0)


def test_optimiser_state_comes_back(tmp_path: Path) -> None:
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    save_state({"optimizer": optimizer.state_dict()}, tmp_path / "s")
    assert_same(load_state(tmp_path / "s")["optimizer"], optimizer.state_dict())


def test_a_view_is_saved_without_what_it_is_a_view_of(tmp_path: Path) -> None:
    whole = torch.arange(1000.0)
    save_state({"part": whole[:2], "turned": np.arange(6.0).reshape(2, 3).T}, tmp_path / "s")
    assert (tmp_path / "s" / TENSORS).stat().st_size < 1000
    np.testing.assert_array_equal(load_state(tmp_path / "s")["turned"], [[0, 3], [1, 4], [2, 5]])


@pytest.mark.parametrize(("state", "path"), [({"a": [object()]}, "state.a.0"), ({"b": {(1, 2): 3}}, "state.b")])
def test_what_cannot_be_kept_is_named(state: dict, path: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=path):
        save_state(state, tmp_path / "s")
    assert not has_state(tmp_path / "s")


class Killed(Exception):
    """Stands for a kill between two system calls."""


@pytest.mark.parametrize("survives", range(3))
def test_a_kill_at_any_rename_leaves_a_whole_state(
    survives: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "s"
    save_state({"n": 1}, folder)
    renames = 0
    replace = os.replace

    def replace_or_die(source: Path, target: Path) -> None:
        nonlocal renames
        if renames == survives:
            raise Killed
        renames += 1
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_or_die)
        if survives < 2:
            with pytest.raises(Killed):
                save_state({"n": 2}, folder)
        else:
            save_state({"n": 2}, folder)
    assert has_state(folder)
    assert load_state(folder) == {"n": 2 if survives == 2 else 1}
    with monkeypatch.context() as patch:  # killed again, at the first rename of the next save
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            save_state({"n": 3}, folder)
    assert load_state(folder)["n"] in (1, 2)
    save_state({"n": 4}, folder)
    assert load_state(folder) == {"n": 4}
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize("name", [STRUCTURE, TENSORS])
@pytest.mark.parametrize("damage", ["truncated", "missing", "garbage"])
def test_damage_is_refused_and_the_state_before_taken_if_there_is_one(name: str, damage: str, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    save_state({"n": 1, "x": np.zeros(100)}, folder)
    folder.rename(tmp_path / "s.old")
    save_state({"n": 2, "x": np.zeros(100)}, tmp_path / "new")
    (tmp_path / "new").rename(folder)
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"[1, 2]" + content[6:])
    assert load_state(folder)["n"] == 1
    (tmp_path / "s.old" / STRUCTURE).unlink()
    with pytest.raises(DataError, match=f"{folder}: damaged checkpoint"):
        load_state(folder)


@pytest.mark.parametrize("structure", ["3", "{}", '{"tensor": "nowhere"}', '{"odd": 1}', '{"value": 3}', "[[]]"])
def test_a_structure_that_means_nothing_is_refused(structure: str, tmp_path: Path) -> None:
    save_state({"n": 1}, tmp_path / "s")
    json.loads(structure)
    (tmp_path / "s" / STRUCTURE).write_text(structure)
    with pytest.raises(DataError, match="damaged"):
        load_state(tmp_path / "s")


def test_nothing_saved_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing was saved here"):
        load_state(tmp_path / "s")
