"""Options that several verbs have: one wording and one check for each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Results: TypeAlias = Annotated[Path, typer.Option(help="where records go")]
Workers: TypeAlias = Annotated[int, typer.Option(min=1, help="cells at once, each in a process of its own")]
Threads: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="threads a worker (default: cores divided by workers)")
]
Device: TypeAlias = Annotated[str, typer.Option(help="where to train: cpu, cuda, cuda:1")]
DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="only show what would be done")]
