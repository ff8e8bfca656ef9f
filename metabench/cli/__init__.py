"""The command line: one file a verb, each imported only when it is used, so that `metabench --help` is quick.

A verb reads what users type, calls the library and shows what came of it: nothing is decided or computed here.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TextIO, cast

import typer
from typer.core import TyperCommand, TyperGroup

from metabench.cli.options import BUSY
from metabench.cli.output import PatientOutput
from metabench.errors import CancelledError, ClaimedError, MetabenchError, UnknownNameError


class Verb(NamedTuple):
    """Where a verb lives.

    Attributes:
        module: its module.
        attribute: a function, or a `typer.Typer` with verbs of its own.
        summary: its line in `metabench --help`.
    """

    module: str
    attribute: str
    summary: str


VERBS: dict[str, Verb] = {
    "list": Verb("metabench.cli.listing", "list_", "List suites, datasets and methods."),
    "describe": Verb("metabench.cli.listing", "describe", "Describe a suite or a method."),
    "data": Verb("metabench.cli.data", "app", "Build, list, show, verify and delete datasets."),
    "run": Verb(
        "metabench.cli.run",
        "run",
        "Train and evaluate methods; skip finished cells, resume others.",
    ),
    "status": Verb(
        "metabench.cli.status", "status", "Show which cells are done, running, failed or left."
    ),
    "evaluate": Verb(
        "metabench.cli.evaluate", "evaluate", "Evaluate a saved policy, without training."
    ),
    "render": Verb(
        "metabench.cli.render", "render", "Film a policy's episodes as an MP4 or GIF file."
    ),
    "pretrain": Verb(
        "metabench.cli.pretrain", "pretrain", "Train the part of a method that all suites share."
    ),
    "reproduce": Verb(
        "metabench.cli.reproduce",
        "app",
        "Repeat a paper's experiment beside its published numbers.",
    ),
    "report": Verb(
        "metabench.cli.report",
        "report",
        "Write one HTML page about a run: scores, curves, pictures.",
    ),
    "leaderboard": Verb(
        "metabench.cli.leaderboard", "app", "Build, check and export leaderboards from records."
    ),
    "compare": Verb("metabench.cli.compare", "compare", "Compare two methods by their records."),
    "suite": Verb(
        "metabench.cli.suite", "app", "Make suites from Minari datasets, and archive versions."
    ),
    "teacher": Verb("metabench.cli.teacher", "app", "Train the teachers that make the data."),
    "doctor": Verb(
        "metabench.cli.doctor",
        "doctor",
        "Find problems of an installation, and say what to do.",
    ),
    "new": Verb("metabench.cli.new", "app", "Write a working plugin package to start from."),
    "check": Verb(
        "metabench.cli.check", "check", "Check a method or a suite against its contract."
    ),
}


class _LazyCommand(TyperCommand):
    """A verb's name and summary; it is imported when its arguments are to be read."""

    def __init__(self, name: str, verb: Verb) -> None:
        # `--help` must reach the verb itself, which knows its options.
        super().__init__(name, help=verb.summary, add_help_option=False)
        self._verb = verb

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the arguments as the verb itself does; what is run then is the verb."""
        return self._import_verb().make_context(*arguments, **options)

    def _import_verb(self) -> Any:
        found = getattr(import_module(self._verb.module), self._verb.attribute)
        if not isinstance(
            found, typer.Typer
        ):  # a single function: made an application of one command
            app = typer.Typer(add_completion=False)
            app.command(self.name)(found)
            found = app
        found._add_completion = False
        return typer.main.get_command(found)


class _Verbs(TyperGroup):
    """All verbs, none of them imported."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, in the order of a user's first day."""
        del ctx
        return [*VERBS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb called `cmd_name`, or None."""
        del ctx
        return _LazyCommand(cmd_name, VERBS[cmd_name]) if cmd_name in VERBS else None

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words; raises `MetabenchError` if one is empty, as an unset variable of the shell leaves it."""
        _refuse_empty(args)
        if args and args[0] == "help" and not any(word.startswith("-") for word in args):
            args = [*args[1:], "--help"]  # as git, pip and cargo have it
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that `args` begin with; raises `UnknownNameError`."""
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            raise UnknownNameError("verb", args[0], {*VERBS, "help"})
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"metabench {version('metabench')}")
        raise typer.Exit


@app.callback()
def _metabench(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """The benchmark suite for offline meta-RL: tasks, data, methods, one evaluator, leaderboards to recompute."""
    del version


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a user's mistake or a full disk ends it with one line and status 2, Ctrl-C with 130.

    Args:
        arguments: the words; by default those that were typed, in a process of their own.
    """
    if arguments is not None:
        _run(arguments)
        return
    from metabench.cli.watched import run_watched

    run_watched(lambda: _run(sys.argv[1:]))


def _run(arguments: Sequence[str]) -> None:
    words = [_expand_home(each) for each in arguments]
    try:
        with redirect_stdout(cast("TextIO", PatientOutput(sys.stdout))):
            typer.main.get_command(app)(args=words, prog_name="metabench")
    except CancelledError as error:
        typer.echo(f"interrupted: {_join_lines(error)}", err=True)
        sys.exit(130)
    except ClaimedError as error:
        typer.echo(f"busy: {_join_lines(error)}", err=True)
        sys.exit(BUSY)
    except MetabenchError as error:
        _refuse(error)
    except Exception as error:
        from metabench.system.writing import explain_storage_error

        problem = explain_storage_error(error)
        if problem is None:  # not the user's mistake: with its traceback
            raise
        _refuse(problem)


def _expand_home(argument: str) -> str:
    """`~/runs` and `--results=~/runs`, of which shells expand the first alone, with the user's home folder."""
    option, equals, value = argument.partition("=")
    if argument.startswith("~/"):
        return str(Path(argument).expanduser())
    if option.startswith("-") and value.startswith("~/"):
        return f"{option}{equals}{Path(value).expanduser()}"
    return argument


def _refuse(error: MetabenchError) -> NoReturn:
    typer.echo(f"error: {_join_lines(error)}", err=True)
    sys.exit(2)


def _refuse_empty(words: Sequence[str]) -> None:
    for before, word in itertools.pairwise(("", *words)):
        option, equals, value = word.partition("=")
        if not word.strip():
            place = before if before.startswith("-") else before and f"the word after {before!r}"
            raise MetabenchError(
                f"{place or 'the first word'}: expected a value, found an empty one"
            )
        if word.startswith("--") and equals and not value.strip():
            raise MetabenchError(f"{option}: expected a value, found an empty one")


def _join_lines(error: Exception) -> str:
    return " ".join(str(error).split())
