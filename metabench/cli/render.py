"""`metabench render`: a policy's episodes in one task as a film."""

from __future__ import annotations

from contextlib import nullcontext
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
        str | None, typer.Option(help="suite to act in (default: the one it was trained on)")
    ] = None,
    task: Annotated[
        int | None, typer.Option(help="the task's id (default: the first of the split)")
    ] = None,
    split: Annotated[str, typer.Option(help="test, test-far, validation")] = "test",
    shots: Annotated[int, typer.Option(help="support episodes before the scored one")] = 3,
    seed: Annotated[
        int | None, typer.Option(help="evaluation seed (default: the training seed)")
    ] = None,
    teacher: Annotated[bool, typer.Option(help="show the teacher beside it")] = True,
    size: Annotated[str, typer.Option(help="pixels of each lane")] = "320x240",
    fps: Annotated[
        float | None, typer.Option(help="frames a second (default: 20, for short episodes 8)")
    ] = None,
    every: Annotated[
        int | None, typer.Option(help="steps from frame to frame (default: at most 20 seconds)")
    ] = None,
    output: Annotated[
        Path, typer.Option("--out", "-o", help="the .mp4 or .gif file to write")
    ] = Path("episode.mp4"),
) -> None:
    """Watch a policy: its support episodes and then a scored one, the teacher beside it.

    It acts as in `metabench evaluate`: the scored episode is that of the record. MuJoCo renders through EGL or OSMesa;
    without them, and in all other suites, episodes are drawn flat. MP4 needs the extra `video`, GIF nothing.
    """
    from rich.console import Console

    from metabench.cli.arguments import read_size
    from metabench.cli.progress import show_progress
    from metabench.runs.again.open_policy import open_policy
    from metabench.system.torch_settings import torch_settings
    from metabench.watching.acting import act_watched
    from metabench.watching.clip import make_clip
    from metabench.watching.video import check_output, write_clip

    check_output(output)
    width, height = read_size(size, "--size")
    opened = open_policy(policy, suite)
    opened.suite.check_available()
    settings = nullcontext() if opened.threads is None else torch_settings(opened.threads)
    with (
        settings,
        show_progress(Console(stderr=True), "render") as progress,
    ):
        watched = act_watched(
            opened.opener,
            opened.suite,
            opened.name,
            split=split,
            task=task,
            shots=shots,
            seed=opened.seed if seed is None else seed,
            privileged=opened.privileged,
            teacher=teacher and opened.name != "teacher",
            progress=progress,
        )
    clip = make_clip(
        watched,
        width=width,
        height=height,
        fps=fps,
        every=every,
        notify=lambda line: typer.echo(f"note: {line}", err=True),
    )
    frames = write_clip(clip, output)
    scored = watched.episodes[-1]
    typer.echo(
        f"{output}: {frames / clip.pace.fps:.1f} s, {clip.size[0]}x{clip.size[1]}, every {clip.pace.every} of "
        f"{len(scored)} steps, scored return {scored.total_return:.2f}"
    )
