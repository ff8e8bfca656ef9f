"""`metabench pretrain`: train what a method uses in every suite, once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from metabench.cli.options import Device, Threads
from metabench.cli.output import make_console


def pretrain(
    method: Annotated[str, typer.Argument(help="a method that pretrains, such as oswm-plus")],
    preset: Annotated[str, typer.Option(help="budget and size, one of the method's")] = "cpu",
    out: Annotated[
        Path | None, typer.Option(help="folder for weights and curve (default: pretrained/METHOD)")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="the training seed")] = 0,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="a configuration key; may be repeated"),
    ] = None,
    threads: Threads = None,
    device: Device = "cpu",
) -> None:
    """Pretrain a method on data that it makes itself. A stopped run continues.

    Exit status: 0 done, 2 a name or value is wrong, 130 interrupted.
    """
    from metabench.cli.arguments import read_overrides
    from metabench.cli.interrupt import catch_interrupt
    from metabench.cli.progress import show_training_progress
    from metabench.runs import pretraining
    from metabench.runs.executors.local import check_device

    console = make_console()
    found, config = pretraining.pretraining_of(method, preset, read_overrides(set_ or []))
    check_device(device)
    folder = out or Path("pretrained") / found.name
    with show_training_progress(console, found.name) as progress, catch_interrupt() as cancelled:
        weights = pretraining.pretrain(
            found,
            config,
            folder,
            seed=seed,
            device=device,
            threads=threads or os.cpu_count() or 1,
            progress=progress,
            cancelled=cancelled,
        )
    console.print(
        f"wrote {weights}; use it with: --set weights={weights}", soft_wrap=True, highlight=False
    )
