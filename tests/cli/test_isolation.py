"""`--isolate` and the limits on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from metabench.runs.kept.record import read_record

pytestmark = pytest.mark.slow


HOSTILE = Path(__file__).parents[1] / "runs" / "isolation" / "hostile_plugin.py"


@pytest.fixture
def plugin(place) -> str:
    """The hostile methods, in the working folder."""
    return str(Path(shutil.copy(HOSTILE, place)).relative_to(place))


def test_a_foreign_method_that_exits_costs_its_cell_only(command, place, plugin):
    ended = command("run", "tiny", "-d", "medium", "-m", f"{plugin}:ExitsTraining,random", "--preset", "tiny")
    assert ended.status == 1
    assert "cells: 1 done, 0 skipped, 1 failed, 0 stopped" in ended.out
    assert "exitstraining" in ended.err


def test_a_saved_policy_is_evaluated_in_a_process_of_its_own(command, place, plugin):
    arguments = ("run", "tiny", "-d", "medium", "-m", f"{plugin}:Good", "--preset", "tiny", "--isolate")
    ended = command(*arguments, "--time-limit", "10m", "--memory-limit", "4G")
    assert ended.status == 0, ended.err
    (path,) = (place / "results").rglob("[0-9]*.json.gz")
    folder = str(place / "home" / "policies" / path.relative_to(place / "results").with_suffix("").with_suffix(""))
    options = ("--isolate", "--time-limit", "5m", "--track", "few-shot", "--split", "test", "--json")
    found = json.loads(command("evaluate", folder, *options).out)["blocks"]
    blocks = read_record(path).result.model_dump(mode="json")["blocks"]
    assert found == [block for block in blocks if (block["track"], block["split"]) == ("few-shot", "test")]

    assert command("evaluate", folder, "--memory-limit", "4G").err == (
        "error: --time-limit and --memory-limit need --isolate: only a policy in another process can be ended\n"
    )
    assert command(*arguments, "--time-limit", "soon").err.startswith("error: --time-limit: expected a number above 0")
