"""`metabench check`: hold a method or a suite against its contract."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape


def check(
    name: Annotated[
        str,
        typer.Argument(
            metavar="METHOD_OR_SUITE",
            help="a method: name or path/to/file.py:Class, with or without /VARIANT; or a suite: name or ./its-folder",
        ),
    ],
    preset: Annotated[str, typer.Option(help="for a method: the budget to train with")] = "tiny",
) -> None:
    """Check a method or a suite against its contract: one line for each check; exit status 1 if any fails.

    A method runs on two tiny suites. For a suite, the check tests lanes, tasks
    and teacher. All of it runs in a separate process; code that exits or
    crashes fails. Lines that begin with "note" report no mistake.
    """
    from metabench.runs.isolation.checks_apart import iterate_checks_apart

    console = Console(soft_wrap=True, highlight=False)
    failed = total = 0
    for finding in iterate_checks_apart(name, preset=preset):
        total += 1
        where = f"{finding.suite}: " if finding.suite else ""
        line = escape(f"{where}{finding.title}: {finding.expected}")
        if finding.passed and finding.remark is None:
            console.print(f"[green]pass[/]  {line}")
        elif finding.passed:
            console.print(f"[yellow]note[/]  {line}: {escape(finding.remark or '')}")
        else:
            failed += 1
            console.print(
                f"[red]FAIL[/]  {escape(where + finding.title)}: expected: {escape(finding.expected)}"
            )
            console.print(f"      found: {escape(finding.problem or '')}")
    if failed:
        console.print(f"[red]{failed} of {total} checks failed[/]")
        raise typer.Exit(1)
    console.print(f"[green]all {total} checks passed[/]")
