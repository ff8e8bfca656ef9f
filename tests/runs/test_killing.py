"""Cells of every trainable method, killed at random moments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .killing import METHODS, kill_often


@pytest.mark.parametrize("method", METHODS)
def test_a_cell_that_is_killed_ends_as_if_it_had_not_been(method: str, tiny_built: Path, tmp_path: Path) -> None:
    found = kill_often(tiny_built, tmp_path, method, kills=4, generator=np.random.default_rng())
    assert found.kills == 4
    assert found.differing == 0
