"""Folders from elsewhere: plain files and folders are taken, whatever else lies there is refused."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

from metabench.errors import DataError


def remove_folder(folder: Path) -> None:
    """Remove a folder that other people's code wrote to, however deep it is and whatever may not be read in it."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:
        pass
    if folder.exists():
        for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf", "--"]):
            subprocess.run([*command, str(folder)], capture_output=True, check=False)


def copy_plain(source: Path, target: Path) -> None:
    """Copy a folder of plain files into `target`, which is made if it is missing.

    A link could lead anywhere, and a device or pipe may never end.

    Raises:
        DataError: something in it is neither a plain file nor a folder; names it.
        OSError: it cannot be read or written.
    """
    target.mkdir(parents=True, exist_ok=True)
    with os.scandir(source) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        kind = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(kind):
            copy_plain(Path(entry.path), target / entry.name)
        elif stat.S_ISREG(kind):
            shutil.copyfile(entry.path, target / entry.name, follow_symlinks=False)
        else:
            raise DataError(
                f"{entry.path}: is neither a file nor a folder; expected a saved policy"
            )
