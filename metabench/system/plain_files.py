"""Folders from elsewhere: plain files and folders are taken, whatever else lies there is refused."""

from __future__ import annotations

import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from metabench.errors import DataError

MOST_PARTS = 64
"""Parts of the path of a folder that is copied."""


def remove_folder(folder: Path) -> None:
    """Remove a folder that other people's code wrote to, however deep it is and whatever may not be read in it."""
    with suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf", "--"]):
            subprocess.run([*command, str(folder)], capture_output=True, check=False)


def copy_plain(source: Path, target: Path) -> None:
    """Copy a folder of plain files into `target`, which is made if it is missing.

    A link could lead anywhere, and a device or pipe may never end.

    Raises:
        DataError: something in it is neither a plain file nor a folder, or lies too deep; names it.
        OSError: it cannot be read or written.
    """
    found = list(_list_plain(source))  # first: the target may lie in the source
    target.mkdir(parents=True, exist_ok=True)
    for path in found:
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(exist_ok=True)
        else:
            shutil.copyfile(path, place, follow_symlinks=False)


def _list_plain(source: Path) -> Iterator[Path]:
    """All files and folders below `source`, a folder before what is in it."""
    for path in sorted(source.iterdir()):
        kind = path.lstat().st_mode
        if not stat.S_ISDIR(kind) and not stat.S_ISREG(kind):
            raise DataError(f"{path}: is neither a file nor a folder; expected plain files only")
        yield path
        if stat.S_ISDIR(kind):
            if len(path.parts) > MOST_PARTS:
                raise DataError(f"{path.parent}: too deep; expected plain files in a few folders")
            yield from _list_plain(path)
