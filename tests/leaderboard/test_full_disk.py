"""A leaderboard that is published stays as it was when the disk is full, and the same command goes on later."""

from __future__ import annotations

import errno
import os

import pytest

from metabench.errors import StorageError
from metabench.leaderboard.build import build_leaderboard
from metabench.leaderboard.submission.add import add_records
from metabench.runs.kept.record import read_record


@pytest.fixture
def disk(monkeypatch):
    """`disk(n)`: from the n-th time on that something is brought to the disk, there is no room."""
    fsync, room = os.fsync, 10**9

    def fail_when_full(number):
        nonlocal room
        room -= 1
        if room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(number)

    def fill(left):
        nonlocal room
        room = left

    monkeypatch.setattr(os, "fsync", fail_when_full)
    return fill


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("left", range(5))
def test_a_page_is_built_whole_or_stays_as_it_was(make, write, tmp_path, disk, left):
    records, page = tmp_path / "records", tmp_path / "page"
    write([make(seed=0)], records)
    build_leaderboard(records, page)
    before = contents(page)
    write([make(seed=1), make("meta-dt")], records)
    disk(left)
    with pytest.raises(StorageError, match="No space left on device; free some space there") as told:
        build_leaderboard(records, page)
    assert str(page) in str(told.value)
    assert contents(page) == before
    disk(10**9)
    build_leaderboard(records, page)
    build_leaderboard(records, tmp_path / "elsewhere")
    assert contents(page) == contents(tmp_path / "elsewhere")
    assert len(list((page / "rows").iterdir())) == 3


@pytest.mark.slow
def test_records_are_added_whole_and_the_rest_later(make, write, tmp_path, disk):
    write([make(seed=seed, suite="point-robot") for seed in range(3)], tmp_path / "results")
    disk(1)
    with pytest.raises(StorageError, match="No space left on device"):
        add_records(tmp_path / "results", tmp_path / "records")
    (added,) = [path for path in (tmp_path / "records").rglob("*") if path.is_file()]
    assert read_record(added).digest
    disk(10**9)
    addition = add_records(tmp_path / "results", tmp_path / "records")
    assert (len(addition.added), len(addition.unchanged), addition.findings) == (2, 1, ())
