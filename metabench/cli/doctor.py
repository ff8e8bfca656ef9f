"""`metabench doctor`: what is wrong here, and what to do about it."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import typer
from rich.markup import escape

from metabench.cli.options import Results
from metabench.cli.output import make_console


def doctor(results: Results = Path("results")) -> None:
    """Test what runs need: packages, torch, rendering, folders, suites, built data, methods. May take minutes.

    Exit status: 0 all is well, 1 something is wrong. Notes are not faults.
    """
    from metabench.doctor.contents import examine_contents
    from metabench.doctor.installation import examine_machine

    console = make_console()
    wrong = notes = 0
    colours = {"ok": "green", "note": "yellow", "wrong": "red"}
    for finding in chain(examine_machine(results), examine_contents()):
        if finding.level == "wrong":
            wrong += 1
        elif finding.level == "note":
            notes += 1
        line = f"[{colours[finding.level]}]{finding.level:5}[/] {escape(finding.what)}: {escape(finding.message)}"
        console.print(line, highlight=False, soft_wrap=True)
    console.print(f"{wrong} wrong, {notes} notes", highlight=False)
    if wrong:
        raise typer.Exit(1)
