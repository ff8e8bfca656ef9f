"""Datasets are built whole or not at all, on disks that are full, read-only or fail."""

from __future__ import annotations

import errno
import os

import pytest

from metabench.cli import main
from metabench.data.load import load_data
from metabench.data.making.build import build_data, verify_dataset
from metabench.errors import StorageError
from metabench.suites import load_suite
from metabench.system.writing import check_room, explain_storage_error, writing


def refused(capsys, *arguments):
    """What the command says, in one line, when it ends with status 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("variable", "left"),
    [("METABENCH_HOME", left) for left in (0, 3, 9)] + [("MINARI_DATASETS_PATH", left) for left in (0, 3, 9, 30)],
)
def test_a_full_disk_is_told_and_leaves_nothing(folders, small_disk, monkeypatch, capsys, variable, left):
    monkeypatch.setenv(variable, str(small_disk.path))
    small_disk.fill(left)
    line = refused(capsys, "data", "build", "tiny", "--dataset", "medium")
    assert line.startswith(f"error: {small_disk.path}/")
    assert f"No space left on device; free some space there, or choose another folder with ${variable}, then" in line
    kept = [path.name for path in small_disk.path.rglob("*") if path.is_file()]
    assert sorted(kept) == [".medium-v1.lock", "filler"]
    small_disk.free()
    build_data("tiny", "medium")
    assert verify_dataset(load_suite("tiny"), "medium").as_published


def test_what_was_built_outlives_a_failing_rebuild(tiny_copied, monkeypatch):
    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"observations\.npy: cannot be written: No space left"):
            build_data("tiny", "medium", force=True)
    assert verify_dataset(load_suite("tiny"), "medium").as_published
    assert load_data("tiny", "medium").num_episodes == 20


def test_a_read_only_folder_of_data_can_be_read(small_disk, monkeypatch, capsys):
    monkeypatch.setenv("METABENCH_HOME", str(small_disk.path / "home"))
    build_data("tiny", "medium")
    small_disk.make_read_only()
    assert load_data("tiny", "medium").num_episodes == 20
    line = refused(capsys, "data", "build", "tiny", "--dataset", "expert")
    assert (
        "cannot be written: Read-only file system; make the folder writable, or choose another one with $META" in line
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "Disk quota exceeded; free some space"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error; look after the disk"),
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied; make the folder writable"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory"), "Not a directory; choose another folder"),
        (OSError("1600 requested and 992 written"), "No space left on device"),
        (RuntimeError("Can't flush (errno = 28, error message = 'No space left on device')"), "No space left"),
        (ValueError("I/O error: No space left on device (os error 28)"), "No space left on device"),
    ],
)
def test_all_that_disks_do_is_told_in_a_line(tmp_path, error, said):
    with pytest.raises(StorageError) as told, writing(tmp_path / "file"):
        raise error
    assert str(told.value).startswith(f"{tmp_path / 'file'}: cannot be written: {said}")
    assert str(told.value).endswith("then run the same command again")
    assert said in str(explain_storage_error(error))


@pytest.mark.parametrize("error", [ValueError("odd"), FileNotFoundError(errno.ENOENT, "no"), KeyError("errno")])
def test_what_is_not_the_disks_fault_passes(tmp_path, error):
    with pytest.raises(type(error)) as told, writing(tmp_path):
        raise error
    assert told.value is error
    assert explain_storage_error(error) is None


def test_another_file_that_cannot_be_read_is_not_blamed_on_the_one_that_is_written(tmp_path):
    with pytest.raises(PermissionError), writing(tmp_path / "a" / "b"):
        raise PermissionError(errno.EACCES, "Permission denied", "/somewhere/else")


def test_room_is_asked_for_and_given_back(small_disk):
    free = os.statvfs(small_disk.path).f_bfree
    check_room(small_disk.path / "new" / "folder", 512 << 10)
    assert list((small_disk.path / "new" / "folder").iterdir()) == []
    assert os.statvfs(small_disk.path).f_bfree >= free - 2
    with pytest.raises(StorageError, match="No space left"):
        check_room(small_disk.path, 2 << 20)
    assert [path.name for path in small_disk.path.iterdir()] == ["new"]
