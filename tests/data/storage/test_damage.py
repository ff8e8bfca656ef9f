"""Damaged or foreign data is named, refused and never half used."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from metabench.data.load import load_columns, load_data
from metabench.data.making.build import build_data, verify_dataset
from metabench.errors import DataError, MetabenchError
from metabench.runs.run import run
from metabench.suites import Suite, load_suite

REBUILD = "run `metabench data build tiny --dataset medium --force`"


@pytest.fixture
def suite(tiny_copied: Path) -> Suite:
    return load_suite("tiny")


@pytest.fixture
def store(suite: Suite, folders: Path) -> Path:
    return folders / "home" / "stores" / "tiny-v1" / "medium-v1"


@pytest.fixture
def minari(suite: Suite, folders: Path) -> Path:
    return folders / "minari" / "metabench" / "tiny" / "medium-v1"


def assert_refused(suite: Suite, path: Path, *, verify: bool = True) -> None:
    """Loading, building without force and verifying name `path` in one line."""
    actions = [
        lambda: load_data(suite, "medium"),
        lambda: load_columns(suite, "medium", "test"),
        lambda: build_data(suite, "medium"),
    ]
    if verify:
        actions.append(lambda: verify_dataset(suite, "medium"))
    for action in actions:
        with pytest.raises(DataError) as caught:
            action()
        assert str(path) in str(caught.value)
        assert REBUILD in str(caught.value)
        assert "\n" not in str(caught.value)


COLUMNS = ("observations", "actions", "rewards", "offsets", "terminated", "tasks", "behaviours", "seeds")


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("damage", ["truncated", "longer", "empty", "missing", "other dtype"])
def test_a_damaged_column_is_refused(suite, store, column, damage):
    path = store / f"{column}.npy"
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "other dtype":
        at = content.index(b"'descr': '") + 11
        path.write_bytes(content[:at] + b"c" + content[at + 1 :])
    else:
        path.write_bytes({"truncated": content[:-4], "longer": content + b"more", "empty": b""}[damage])
    assert_refused(suite, path)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda header: header.pop("manifest"), "manifest"),
        (lambda header: header["columns"].pop("rewards"), "rewards"),
        (lambda header: header.update(format=2), "format"),
        (lambda header: header["manifest"].update(trajectories="many"), "manifest.trajectories"),
        (lambda header: header["spaces"].update(observation_dim=3), "spaces"),
        (lambda header: header["manifest"].update(recipe_digest="sha256:" + "0" * 64), "recipe"),
        (lambda header: header["columns"]["rewards"].update(file="../rewards.npy"), "columns.rewards.file"),
    ],
)
def test_a_damaged_header_is_refused(suite, store, change, key):
    path = store / "header.json"
    header = json.loads(path.read_text())
    change(header)
    path.write_text(json.dumps(header))
    with pytest.raises(DataError, match=key):
        load_data(suite, "medium")
    assert_refused(suite, store)


def test_a_truncated_or_missing_header_is_refused(suite, store):
    path = store / "header.json"
    path.write_bytes(path.read_bytes()[:100])
    assert_refused(suite, path)
    path.unlink()
    assert_refused(suite, path)
    build_data(suite, "medium", force=True)
    verify_dataset(suite, "medium")
    assert load_data(suite, "medium").num_episodes == 20


@pytest.mark.parametrize(("column", "values"), [("offsets", 3), ("tasks", 9)])
def test_impossible_offsets_and_tasks_are_refused(suite, store, column, values):
    path = store / f"{column}.npy"
    array = np.load(path)
    array[5] = values
    np.save(path, array)
    assert_refused(suite, path)


@pytest.mark.parametrize("column", COLUMNS)
def test_one_wrong_bit_in_a_column_is_noticed_before_it_is_used(suite, store, column):
    load_data(suite, "medium")
    path = store / f"{column}.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert_refused(suite, path)


def test_a_run_does_not_train_on_a_wrong_bit(suite, store, tmp_path):
    content = bytearray((store / "rewards.npy").read_bytes())
    content[200] ^= 4
    (store / "rewards.npy").write_bytes(content)
    with pytest.raises(MetabenchError, match=r"rewards\.npy: its content does not match"):
        run(suite, "medium", ["bc"], preset="tiny", tracks=["zero-shot"], results=tmp_path)


@pytest.mark.parametrize("column", COLUMNS)
def test_verify_names_the_first_file_with_one_wrong_bit(suite, store, column):
    later = COLUMNS[COLUMNS.index(column) :]
    for name in later:
        path = store / f"{name}.npy"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        verify_dataset(suite, "medium")
    assert str(store / f"{column}.npy") in str(caught.value)
    assert REBUILD in str(caught.value)


def test_verify_names_the_minari_file_whose_arrays_changed(suite, minari):
    with h5py.File(minari / "data" / "main_data.hdf5", "a") as file:
        file["episode_3/rewards"][2] += 1.0
    with pytest.raises(DataError, match=r"main_data\.hdf5.*digest"):
        verify_dataset(suite, "medium")


@pytest.mark.parametrize("damage", ["truncated", "empty", "missing", "garbage", "changed", "no end", "fewer"])
def test_damaged_minari_files_are_refused(suite, store, minari, damage):
    path = minari / "data" / "main_data.hdf5"
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage in ("changed", "no end", "fewer"):
        with h5py.File(path, "a") as file:
            if damage == "changed":
                file["episode_3/rewards"][2] += 1.0
            elif damage == "no end":
                file["episode_3/truncations"][-1] = False
            else:
                del file["episode_7"]
    else:
        path.write_bytes({"truncated": content[: len(content) // 2], "empty": b"", "garbage": b"x" * 999}[damage])
    with pytest.raises(DataError, match=r"main_data\.hdf5"):
        verify_dataset(suite, "medium")
    shutil.rmtree(store)
    assert_refused(suite, path, verify=False)
    assert not store.exists()


@pytest.mark.parametrize("damage", ["truncated", "missing", "no manifest", "other digest"])
def test_damaged_minari_metadata_is_refused(suite, store, minari, damage):
    path = minari / "data" / "metadata.json"
    content = json.loads(path.read_text())
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:50])
    elif damage == "no manifest":
        del content["metabench"]
        path.write_text(json.dumps(content))
    else:
        content["metabench"]["recipe_digest"] = "sha256:" + "0" * 64
        path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"metadata\.json"):
        verify_dataset(suite, "medium")
    shutil.rmtree(store)
    assert_refused(suite, path, verify=False)


def test_verify_misses_the_minari_folder(suite, minari):
    shutil.rmtree(minari)
    assert load_data(suite, "medium").num_episodes == 20
    with pytest.raises(DataError, match="medium-v1: is missing"):
        verify_dataset(suite, "medium")


def test_data_made_from_another_recipe_is_refused_but_other_references_are_not(suite, store):
    recipe = suite.entry.datasets["medium"].model_copy(update={"seed": 99})
    changed = suite.entry.model_copy(update={"datasets": {**suite.entry.datasets, "medium": recipe}})
    assert_refused(dataclasses.replace(suite, entry=changed), store / "header.json")
    build_data(suite, "medium", force=True)
    reference = suite.tasks[0].reference.model_copy(update={"random": -99.0})
    task = suite.tasks[0].model_copy(update={"reference": reference})
    other = dataclasses.replace(suite, entry=suite.entry.model_copy(update={"task": (task, *suite.tasks[1:])}))
    assert other.digest != suite.digest
    assert verify_dataset(other, "medium") == verify_dataset(suite, "medium")
