"""`metabench render`: a policy's episodes in one task as a film."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def render(
    policy: Annotated[
        str,
        typer.Argument(
            metavar="POLICY",
            help="a name from `metabench list policies`, a policy's folder, or teacher, random, blind",
        ),
    ],
    suite: Annotated[
        str | None, typer.Option(help="suite to act in (default: the suite of its training)")
    ] = None,
    task: Annotated[
        int | None, typer.Option(help="the task's id (default: the first of the split)")
    ] = None,
    split: Annotated[str, typer.Option(help="test, test-far, validation")] = "test",
    shots: Annotated[int, typer.Option(help="support episodes before the scored one")] = 3,
    seed: Annotated[
        int | None, typer.Option(help="evaluation seed (default: the training seed)")
    ] = None,
    teacher: Annotated[bool, typer.Option(help="show the teacher beside the policy")] = True,
    size: Annotated[str, typer.Option(help="pixels of each lane")] = "320x240",
    fps: Annotated[
        float | None, typer.Option(help="frames a second (default: 20; 8 for short episodes)")
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(help="steps between two frames (default: the film lasts at most 20 seconds)"),
    ] = None,
    output: Annotated[
        Path, typer.Option("--out", "--output", "-o", help="the .mp4 or .gif file to write")
    ] = Path("episode.mp4"),
) -> None:
    """Film a policy's support episodes and then a scored one, with the teacher beside it.

    The policy acts as in `metabench evaluate`; the scored episode is that of the record. MuJoCo renders through EGL or
    OSMesa. Without them, and in all other suites, episodes are drawn flat. MP4 needs the extra `video`; GIF needs none.
    """
    from rich.console import Console

    from metabench.cli.arguments import read_size
    from metabench.cli.progress import show_progress
    from metabench.runs.again.render_episode import render_episode

    with show_progress(Console(stderr=True), "render") as progress:
        written = render_episode(
            policy,
            output,
            suite=suite,
            task=task,
            split=split,
            shots=shots,
            seed=seed,
            teacher=teacher,
            size=read_size(size, "--size"),
            fps=fps,
            every=every,
            progress=progress,
            notify=lambda line: typer.echo(f"note: {line}", err=True),
        )
    steps = "every step" if written.every == 1 else f"one step in {written.every}"
    typer.echo(
        f"{written.path}: {written.seconds:.1f} s, {written.size[0]}x{written.size[1]}, {steps}; "
        f"scored return {written.total_return:.2f} in {written.length} steps"
    )
