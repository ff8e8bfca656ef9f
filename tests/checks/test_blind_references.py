"""The check of suites holds blind references against the blind policy that the suite ships."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from metabench.checks.suite_teacher import TeacherChecks
from metabench.data.making.references import measure_references
from metabench.suites import load_suite
from metabench.suites.edit_toml import write_references


def test_a_blind_reference_must_be_what_the_shipped_policy_gives(tmp_path: Path) -> None:
    shutil.copytree(load_suite("tiny").folder, tmp_path / "tiny")
    path = tmp_path / "tiny" / "suite.toml"
    suite = load_suite(tmp_path / "tiny")

    def check() -> str | None:
        checks = TeacherChecks(load_suite(tmp_path / "tiny")).list_checks()
        (found,) = [run() for title, _, run in checks if title == "references"]
        return None if found is None else str(found)

    measured = measure_references(suite, 20, ["blind"])
    write_references(path, measured)
    assert check() is None
    write_references(path, {2: {"reference": {"blind": measured[2]["reference"]["blind"] - 3.0}}})
    assert re.match(
        r"task 2: reference\.blind is -.*, of 20 episodes it is -.*; metabench data references", check() or ""
    )
    shutil.rmtree(suite.references_folder)
    assert "but the suite ships no blind policy" in (check() or "")
