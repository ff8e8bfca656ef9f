"""Start-up: nobody should wait for torch to read a help text."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

AIM = 0.5
"""Seconds."""


@pytest.mark.parametrize("arguments", [["--help"], ["list"]], ids=" ".join)
def test_start(arguments: list[str], benchmark: Callable, report: Callable) -> None:
    command = [Path(sys.executable).parent / "metabench", *arguments]

    def start() -> None:
        subprocess.run(command, check=True, capture_output=True)

    benchmark.pedantic(start, rounds=7, warmup_rounds=1)
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    torch_seconds = time.perf_counter() - began
    seconds = benchmark.stats.stats.median
    report(
        f"metabench {' '.join(arguments)}: {seconds:.2f} s, {seconds / AIM:.2f} of the {AIM} s aimed at, "
        f"{seconds / torch_seconds:.2f} of what importing torch takes"
    )
