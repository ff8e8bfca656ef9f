"""What HDF5's library does not check of a file itself, and never returns from: its heaps of texts."""

from __future__ import annotations

import mmap
from pathlib import Path
from struct import Struct

_HEAP = b"GCOL\x01\x00\x00\x00"
"""Signature, version and three reserved bytes of a global heap collection (HDF5's format specification, III.E)."""

_SIZE, _OBJECT = Struct("<Q"), Struct("<HHIQ")


def check_heaps(path: Path) -> None:
    """Follow all global heaps of an HDF5 file, which hold its texts of any length, from object to object.

    In one whose free space is 0 bytes long the library goes round for ever (seen with HDF5 2.0.0), and no time limit in
    this process reaches it there.

    Raises:
        OSError: the file cannot be read.
        ValueError: an object of a heap does not fit into it.
    """
    with path.open("rb") as file:
        if not file.read(1):
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            begin = content.find(_HEAP)
            while begin >= 0:
                _follow(content, begin)
                begin = content.find(_HEAP, begin + 1)


def _follow(content: mmap.mmap, begin: int) -> None:
    place = begin + len(_HEAP) + _SIZE.size
    if place > len(content):
        return
    (length,) = _SIZE.unpack_from(content, begin + len(_HEAP))
    end = min(begin + length, len(content))
    while place + _OBJECT.size <= end:
        number, _, _, size = _OBJECT.unpack_from(content, place)
        taken = (
            size if number == 0 else _OBJECT.size + (size + 7) // 8 * 8
        )  # of free space, its header is a part
        if not _OBJECT.size <= taken <= end - place:
            raise ValueError(
                f"the heap at byte {begin} holds an object of {size} bytes, which does not fit"
            )
        if number == 0:
            return
        place += taken
