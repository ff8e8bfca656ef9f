"""Counts in sentences."""

from __future__ import annotations

import pytest

from metabench.system.wording import pluralise, say_count


@pytest.mark.parametrize(("count", "text"), [(0, "0 shots"), (1, "1 shot"), (2, "2 shots"), (21, "21 shots")])
def test_one_is_singular_all_else_plural(count, text):
    assert say_count(count, "shot") == text
    assert f"{count} {pluralise('shot', count)}" == text
