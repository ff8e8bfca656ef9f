"""What README says of results is so; the verbs and options that any page names exist, published sweeps can be run."""

import itertools
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import click
import pytest
import typer

from metabench.cli import app
from metabench.errors import UnknownNameError
from metabench.leaderboard.scores.overall import CORE_SUITES
from metabench.runs.request import RunRequest
from metabench.runs.sweep import plan_sweep, read_sweep

from ..pages import PAGES, ROOT, read_blocks, read_page

README = read_page("README.md")


def test_gymnasium_learns_the_ids_when_it_is_imported_first() -> None:
    """As pages show it, in a process of its own, as their reader's."""
    program = 'import gymnasium as gym\ngym.make("metabench:metabench/PointRobot-v2", task=3)'
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_sweep_of_the_core_set_holds_every_method_in_every_core_suite() -> None:
    parts = tomllib.loads((ROOT / "leaderboard" / "sweeps" / "core.toml").read_text(encoding="utf-8"))["part"]
    found = {
        (suite, method, seed)
        for part in parts
        for suite, method, seed in itertools.product(part["suites"], part["methods"], part["seeds"])
    }
    methods = {point.name for point in distribution("metabench").entry_points if point.group == "metabench.methods"}
    methods -= {"oswm-published"}  # its full size needs an accelerator; oswm-published-small takes its place
    methods -= {"ad", "dpt"}  # are trained on histories and on expert-actions, which most of these suites lack
    assert found == set(itertools.product(CORE_SUITES, methods, range(5)))


@pytest.mark.slow
def test_every_published_sweep_can_be_run(tmp_path: Path) -> None:
    paths = sorted((ROOT / "leaderboard" / "sweeps").glob("*.toml"))
    assert len(paths) >= 3
    for path in paths:
        assert len(plan_sweep(read_sweep(path), RunRequest([], [], [], results=tmp_path))) > 0


def documented_commands() -> list[list[str]]:
    """All `metabench ...` that pages show, as words."""
    commands: list[str] = []
    for page in PAGES:
        commands += re.findall(r"`(metabench [^`]*)`", read_page(page))
        shell = "\n".join(block.text for block in read_blocks(page) if block.language == "sh")
        commands += re.findall(r"^(metabench .*)$", shell.replace("\\\n", " "), re.MULTILINE)
    return [command.split()[1:] for command in commands]


def resolve_command(words: list[str]) -> tuple[Any, str]:
    """The command that the first words name, and these words; raises where a verb or what follows it is unknown."""
    group = typer.main.get_command(app)
    with click.Context(group) as context:
        _, verb, rest = group.resolve_command(context, list(words))
        with verb.make_context(words[0], ["--help"], resilient_parsing=True) as inner:
            command, named = inner.command, words[:1]
    while (known := getattr(command, "commands", {})) and rest and re.fullmatch(r"[a-z][a-z0-9-]*", rest[0]):
        assert rest[0] in known, f"metabench {' '.join(named)} {rest[0]}: expected one of {', '.join(known)}"
        command, named, rest = known[rest[0]], [*named, rest[0]], rest[1:]
    return command, " ".join(named)


@pytest.mark.slow
def test_commands_and_options_that_the_documents_show_exist() -> None:
    seen = set()
    for words in documented_commands():
        if not words or words[0].startswith("-") or words[0] in ("VERB", "help"):
            continue
        command, name = resolve_command(words)
        seen.add(name)
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)} - {"--help"}
        if not command.context_settings.get("ignore_unknown_options"):
            assert given <= options, f"metabench {name}: {sorted(given - options)} unknown"
    assert {"run", "list", "data build", "leaderboard build", "new method", "teacher train", "check"} <= seen


@pytest.mark.parametrize("words", [["rum"], ["data", "bild"], ["leaderboard", "nonsense"]])
def test_an_unknown_command_would_be_noticed(words: list[str]) -> None:
    with pytest.raises((AssertionError, UnknownNameError)):
        resolve_command(words)


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    text = "\n".join(map(read_page, PAGES))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= targets
    assert {"demo", "test", "lint", "docs", "performance", "clean"} <= targets


def test_one_version_stands_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)[1] == version
    assert re.search(r"@software\{metabench,.*?version = \{(.*?)\}", README, re.DOTALL)[1] == version
    newest = re.search(r"^## \[(.*?)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest[1] == version
    assert re.search(r"^date-released: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)[1] == newest[2]


def test_the_readme_is_short_and_begins_with_a_command() -> None:
    lines = README.splitlines()
    assert len(lines) <= 200
    assert lines.index("```sh") < 25
