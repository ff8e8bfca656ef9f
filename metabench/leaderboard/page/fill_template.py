"""Making one HTML file of a template and its parts; the reports of runs are made the same way."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

_TEMPLATES = files("metabench.leaderboard.page") / "templates"


def read_template(name: str) -> str:
    """A part of the leaderboard's page as it lies in the package: markup, style or script."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def read_page_style() -> str:
    """The style sheet of the leaderboard's page, which reports share."""
    return read_template("style.css")


def fill_template(template: str, parts: Mapping[str, str | Markup]) -> str:
    """Put `parts` where the template names them: `{{ style }}`.

    A plain string is text, and is escaped; what is markup, style or script already comes as `Markup`.

    Raises:
        jinja2.UndefinedError: the template names a part that there is none of.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    return environment.from_string(template).render(parts)


def hash_inline_part(text: str) -> str:
    """What a content security policy admits an inline style or script by: nothing else may run or style the page."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
