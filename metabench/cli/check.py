"""`metabench check`: hold a method against its contract."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape


def check(
    method: Annotated[str, typer.Argument(help="a method's name, or path/to/file.py:Class; either with /VARIANT")],
    preset: Annotated[str, typer.Option(help="budget to train with")] = "tiny",
) -> None:
    """Run a method through the contract on two tiny suites, one line a check; exit status 1 if any fails."""
    from metabench.runs.check import iterate_checks

    console = Console(soft_wrap=True, highlight=False)
    failed = total = 0
    for finding in iterate_checks(method, preset=preset):
        total += 1
        where = f"{finding.suite}: " if finding.suite else ""
        if finding.passed:
            console.print(f"[green]pass[/]  {escape(where + finding.title)}: {escape(finding.expected)}")
            continue
        failed += 1
        console.print(f"[red]FAIL[/]  {escape(where + finding.title)}: expected: {escape(finding.expected)}")
        console.print(f"      found: {escape(finding.problem or '')}")
    if failed:
        console.print(f"[red]{failed} of {total} checks failed[/]")
        raise typer.Exit(1)
    console.print(f"[green]all {total} checks passed[/]")
