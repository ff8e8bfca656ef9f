"""Parts go where a template names them, whatever they hold."""

from __future__ import annotations

import pytest

from metabench.leaderboard.page.fill_template import fill_template


def test_braces_within_a_part_are_not_filled_in_again():
    filled = fill_template("<p>{{name}}</p>{{ends}}", {"name": "{{ends}} and {{more", "ends": ""})
    assert filled == "<p>{{ends}} and {{more</p>"


def test_a_template_without_parts_stays_as_it_is():
    assert fill_template("a { b } c", {}) == "a { b } c"


def test_a_part_that_is_missing_is_named():
    with pytest.raises(KeyError, match="style"):
        fill_template("{{style}}", {"body": ""})
