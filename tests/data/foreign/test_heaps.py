"""HDF5's heaps of texts: those that the library would never come back from are refused, whole ones are not."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from metabench.data.foreign.d4rl import import_d4rl
from metabench.data.foreign.options import ImportOptions
from metabench.data.storage.hdf5_heaps import check_heaps
from metabench.data.storage.minari_files import MAIN_FILE, read_minari
from metabench.data.storage.recorded_minari import open_recorded
from metabench.errors import DataError

HEAD = struct.Struct("<HHIQ")


def texts(path: Path, count: int) -> None:
    """A file of texts of many lengths."""
    with h5py.File(path, "w") as file:
        for number in range(count):
            file.attrs[f"text-{number}"] = "x" * (number * 37 % 3000)
        file["numbers"] = np.arange(1000.0)


def last_object(content: bytes) -> int:
    """Where the free space of the first heap begins."""
    heap = content.index(b"GCOL\x01\x00\x00\x00")
    place = heap + 16
    while (head := HEAD.unpack_from(content, place))[0] != 0:
        place += HEAD.size + (head[3] + 7) // 8 * 8
    return place


def spoil(path: Path, size: int) -> None:
    """Say of the first heap's free space that it has `size` bytes."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<Q", content, last_object(bytes(content)) + 8, size)
    path.write_bytes(content)


@pytest.mark.parametrize("count", [0, 1, 7, 100, 1000])
def test_whole_files_pass(tmp_path: Path, count: int) -> None:
    texts(tmp_path / "file.hdf5", count)
    check_heaps(tmp_path / "file.hdf5")


def test_a_whole_dataset_passes(tiny_built: Path) -> None:
    files = sorted(tiny_built.rglob("*.hdf5"))
    assert files
    for file in files:
        check_heaps(file)


def test_neither_nothing_nor_the_beginning_of_a_heap_is_a_reason(tmp_path: Path) -> None:
    for content in (b"", b"GCOL", b"numbers GCOL\x01\x00\x00\x00\x10"):
        (tmp_path / "file.hdf5").write_bytes(content)
        check_heaps(tmp_path / "file.hdf5")


@pytest.mark.parametrize("size", [0, 8, 1 << 40, (1 << 64) - 16])
def test_free_space_of_an_impossible_size_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file.hdf5"
    texts(path, 7)
    spoil(path, size)
    with pytest.raises(ValueError, match=f"object of {size} bytes, which does not fit"):
        check_heaps(path)


def test_all_readers_refuse_it(tmp_path: Path, tiny_copied: Path) -> None:
    main = sorted(tiny_copied.rglob("main_data.hdf5"))[0]
    folder = main.parent.parent
    spoil(main, 0)
    with pytest.raises(DataError, match=rf"{MAIN_FILE}: damaged: the heap at byte \d+ holds an object of 0 bytes"):
        read_minari(folder)
    shutil.copytree(folder, tiny_copied / "minari" / "recorded")
    with pytest.raises(DataError, match=r"'recorded': cannot be read from .*: the heap at byte"):
        open_recorded("recorded", download=False, remedy="")
    path = tmp_path / "file.hdf5"
    texts(path, 7)
    spoil(path, 0)
    with pytest.raises(DataError, match="not a whole HDF5 file: the heap at byte"):
        import_d4rl(path, 0, ImportOptions(suite="foreign", horizon=8))
