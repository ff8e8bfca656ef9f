"""Parts go where a template names them; text is escaped, markup is not."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from metabench.leaderboard.page.fill_template import fill_template


def test_braces_within_a_part_are_not_filled_in_again():
    filled = fill_template("<p>{{ name }}</p>{{ ends }}", {"name": "{{ends}} and {{more", "ends": ""})
    assert filled == "<p>{{ends}} and {{more</p>"


def test_text_is_escaped_and_markup_is_not():
    parts = {"name": "<b>&", "body": Markup("<b>&amp;</b>")}
    assert fill_template("{{ name }} {{ body }}\n", parts) == "&lt;b&gt;&amp; <b>&amp;</b>\n"


def test_a_template_without_parts_stays_as_it_is():
    assert fill_template("a { b } c", {}) == "a { b } c"


def test_a_part_that_is_missing_is_named():
    with pytest.raises(UndefinedError, match="style"):
        fill_template("{{ style }}", {"body": ""})
