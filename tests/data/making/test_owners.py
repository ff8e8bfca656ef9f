"""Two folders with suites of one name: neither takes the other's data."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from metabench.data.load import load_data
from metabench.data.making.build import build_data, delete_dataset, verify_dataset
from metabench.errors import DataError
from metabench.suites import Suite, load_suite


def copy_suite(folder: Path, goal: str) -> Suite:
    """A suite `tiny` of somebody's own, with another goal of task 0."""
    text = (load_suite("tiny").folder / "suite.toml").read_text()
    (folder / "tiny").mkdir(parents=True)
    (folder / "tiny" / "suite.toml").write_text(text.replace("goal = [0.5, 0.25]", f"goal = {goal}"))
    return load_suite(folder / "tiny")


def test_the_others_data_is_neither_overwritten_nor_deleted(tmp_path: Path, folders: Path) -> None:
    first, second = copy_suite(tmp_path / "a", "[0.1, 0.2]"), copy_suite(tmp_path / "b", "[0.3, 0.2]")
    built = build_data(first, "medium")
    for attempt in (
        lambda: build_data(second, "medium", force=True),
        lambda: build_data(second, "medium"),
        lambda: load_data(second, "medium"),
        lambda: delete_dataset(second, "medium"),
        lambda: build_data("tiny", "medium", force=True),
    ):
        with pytest.raises(DataError) as refused:
            attempt()
        line = str(refused.value)
        assert f"another suite 'tiny', {first.folder}" in line
        assert (str(second.folder) in line) or (str(load_suite("tiny").folder) in line)
        assert "--force" not in line
    shutil.rmtree(folders / "home")  # somebody with another home, and the same Minari folder
    with pytest.raises(DataError, match="another suite 'tiny'"):
        build_data(second, "medium", force=True)
    assert build_data(first, "medium") == built == verify_dataset(first, "medium")


def test_a_suite_that_was_moved_or_edited_keeps_its_data(tmp_path: Path) -> None:
    first = copy_suite(tmp_path / "a", "[0.1, 0.2]")
    built = build_data(first, "medium")
    (tmp_path / "a").rename(tmp_path / "c")
    moved = load_suite(tmp_path / "c" / "tiny")
    assert build_data(moved, "medium") == built
    (moved.folder / "suite.toml").write_text((moved.folder / "suite.toml").read_text().replace("0.1,", "0.4,"))
    assert build_data(load_suite(moved.folder), "medium", force=True).digest != built.digest
    delete_dataset(load_suite(moved.folder), "medium")
    assert build_data(copy_suite(tmp_path / "d", "[0.7, 0.2]"), "medium")


def test_copies_of_one_suite_share_its_data(tmp_path: Path) -> None:
    first, second = copy_suite(tmp_path / "a", "[0.1, 0.2]"), copy_suite(tmp_path / "b", "[0.1, 0.2]")
    assert build_data(first, "medium") == build_data(second, "medium") == build_data(second, "medium", force=True)
