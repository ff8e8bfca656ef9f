"""Where the saved policy of a record lies."""

from __future__ import annotations

from pathlib import Path

from metabench.errors import DataError
from metabench.leaderboard.records import POLICIES
from metabench.runs.kept.record import Record
from metabench.runs.kept.saved_policy import FACTS, POLICY, read_training
from metabench.system.home import home


def find_policies_beside(place: Path) -> Path:
    """The folder of policies beside the records of `place`, or that of `home()` where there is none."""
    beside = place / POLICIES
    return beside if beside.is_dir() else home() / "policies"


def find_saved_policy(record: Record, policies: Path) -> Path:
    """The saved policy of `record`, in `policies` or in its place below."""
    cell = record.result.cell
    for folder in (policies, policies / record.folder):
        if _can_be_found(folder / FACTS):
            if read_training(folder).cell != cell:
                raise DataError(f"{folder}: holds the policy of another cell than {record.path}")
            return folder / POLICY
    raise DataError(
        f"{policies}: holds no policy of {record.path}; expected {record.folder / FACTS} below it "
        "(--checkpoint FOLDER names another place, --retrain needs none)"
    )


def _can_be_found(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a record's names may be such that no file can have them
        return False
