"""Options that several verbs have: one wording and one check for each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

BUSY = 3
"""Exit status: nothing is wrong, but another process has what was asked for."""

Results: TypeAlias = Annotated[Path, typer.Option(help="where records go")]
PUBLISHED = Path("leaderboard/records")
RecordFolders: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--records",
        "--results",
        help="a folder of records or results; may be repeated (default: leaderboard/records)",
    ),
]
Threads: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1, help="threads for each worker (default: cores divided by workers; ray, slurm: 1)"
    ),
]
Device: TypeAlias = Annotated[str, typer.Option(help="where to train: cpu, cuda, cuda:1")]
DryRun: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="only show what the command would do")
]
Isolate: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--isolate",
        help="train methods and let policies act in separate processes that get only arrays",
    ),
]
TimeLimit: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="end a cell or rollout that takes longer: 90 (seconds), 15m, 2h"
    ),
]
MemoryLimit: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="end a cell or rollout that uses more memory: 500M, 4G"),
]


def warn_of_gaps() -> None:
    """Say what this system does not let an isolated policy be kept from."""
    from metabench.runs.isolation.isolated_policy import confinement_gaps

    for gap in confinement_gaps():
        typer.echo(f"warning: {gap}", err=True)
