"""The reference of the command line, as Markdown: read from the commands themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from metabench.cli import app
from metabench.site.tables import write_cell, write_table


def describe_commands() -> str:
    """Every verb and what follows it, with arguments and options."""
    root = typer.main.get_command(app)
    parts = [_describe(command, words) for command, words in list_commands(root, ("metabench",))]
    return "\n\n".join(parts)


def list_commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """`command` and all below it, each with the words that name it."""
    # A verb is imported when its context is made; see `metabench.cli`.
    context = command.make_context(words[-1], ["--help"], resilient_parsing=True)
    known = context.command
    names = known.list_commands(context) if hasattr(known, "list_commands") else []
    if len(words) > 1:
        yield known, words
    for name in names:
        yield from list_commands(known.get_command(context, name), (*words, name))


def _describe(command: Any, words: tuple[str, ...]) -> str:
    level = "#" * len(words)
    parts = [f"{level} `{' '.join(words)}`", _write_help(command.help or "")]
    shown = [
        parameter
        for parameter in command.params
        if not getattr(parameter, "hidden", False) and "--help" not in parameter.opts
    ]
    for title, kind in (("argument", "argument"), ("option", "option")):
        rows = [
            (_name(parameter), _meaning(parameter))
            for parameter in shown
            if parameter.param_type_name == kind
        ]
        if rows:
            parts.append(write_table((title, "meaning"), rows))
    return "\n\n".join(part for part in parts if part)


def _write_help(text: str) -> str:
    """Paragraphs as they stand; lines of TOML, with blank lines between them, as one block."""
    written: list[str] = []
    block: list[str] = []
    # The help escapes brackets for the terminal's markup.
    for paragraph in text.replace("\b", "").replace("\\[", "[").strip().split("\n\n"):
        if re.search(r"^ *(\[\[|\w+ = )", paragraph, re.MULTILINE):
            block.append(paragraph.strip())
            continue
        written += _fence(block)
        block = []
        written.append(re.sub(r"(?<!`)<([^>]+)>", r"&lt;\1&gt;", paragraph).replace("*", r"\*"))
    return "\n\n".join([*written, *_fence(block)])


def _fence(block: list[str]) -> list[str]:
    text = "\n\n".join(block)
    return [f"```toml\n{text}\n```"] if block else []


def _name(parameter: Any) -> str:
    value = (parameter.metavar or parameter.name.replace("_", "-")).upper()
    if parameter.param_type_name == "argument":
        return f"`{value}`"
    names = [*parameter.opts, *parameter.secondary_opts]
    if not getattr(parameter, "is_flag", False):
        names[0] += f" {value}"
    return ", ".join(f"`{name}`" for name in names)


def _meaning(parameter: Any) -> str:
    text = write_cell(parameter.help or "")
    if parameter.required:
        return f"{text} (required)"
    default = parameter.default
    if (
        default in (None, False, ())
        or callable(default)
        or not isinstance(default, str | int | float)
    ):
        return text
    return f"{text} (default: `{default}`)" if "default:" not in text else text
