"""Cells of every trainable method, killed at random moments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .killing import METHODS, kill_often

pytestmark = pytest.mark.slow


IN_EVERY_RUN = ("bc",)


@pytest.mark.parametrize(
    "method", [method if method in IN_EVERY_RUN else pytest.param(method, marks=pytest.mark.walk) for method in METHODS]
)
def test_a_cell_that_is_killed_ends_as_if_it_had_not_been(method: str, tiny_built: Path, tmp_path: Path) -> None:
    kills = 5 if method == "bc" else 3  # 20 in all
    # The same moments in every run, so that a find can be repeated; with these, few cells end before they are killed.
    moments = np.random.default_rng(0)
    found = kill_often(tiny_built, tmp_path, method, kills=kills, generator=moments)
    assert found.kills == kills
    assert found.differing == 0
