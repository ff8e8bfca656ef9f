"""Whose data a folder holds: suites in two folders may have one name, and neither may take the other's data."""

from __future__ import annotations

from pathlib import Path

from metabench.errors import DataError
from metabench.suites import Suite
from metabench.suites.folders import is_suite_name
from metabench.system.writing import write_whole


class ClashError(DataError):
    """What is there belongs to another suite of the same name."""


def claim_folder(folder: Path, suite: Suite) -> None:
    """Note beside the dataset in `folder` which suite it was made for: its name, or the folder of its suite.toml."""
    write_whole(_find_note(folder), f"{suite.argument}\n")


def release_folder(folder: Path) -> None:
    """Forget whose data was in `folder`."""
    _find_note(folder).unlink(missing_ok=True)


def check_owner(folder: Path, suite: Suite) -> None:
    """Raise `ClashError` if the dataset in `folder` was made for another suite that still is where it was then."""
    try:
        owner = _find_note(folder).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return
    there = is_suite_name(owner) if "/" not in owner else (Path(owner) / "suite.toml").is_file()
    if folder.exists() and owner != suite.argument and there:
        place = suite.argument if "/" in suite.argument else suite.folder
        raise ClashError(
            f"{folder}: holds the data of another suite {suite.name!r}, {owner}; that in {place} has the same name: "
            "give one of them another, as its folder and as `name` in its suite.toml"
        )


def _find_note(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.suite")
