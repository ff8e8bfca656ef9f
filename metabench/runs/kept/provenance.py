"""How a result came about: versions, machine, revision."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from metabench.evaluation.prediction.sums import PredictionCost
from metabench.evaluation.rows import StageCost
from metabench.runs.kept.record import ForeignCode, Provenance
from metabench.system.home import source_root

PACKAGES = (
    "metabench",
    "torch",
    "numpy",
    "scipy",
    "mujoco",
    "minari",
    "transformers",
    "gymnasium",
    "metaworld",
)
"""Packages whose versions a record names, beside Python's."""


LONGEST_TEXT = 2000
"""Characters of a text that a record may be published with; none of the first 329 has 200."""


@dataclass(frozen=True)
class Timings:
    """Wall-clock seconds of a cell's parts, over all attempts that finished.

    Attributes:
        training: of training.
        evaluating: of all evaluation.
        stages: of its rollouts.
        predicting: of the track `prediction`.
        pretraining: before the cell, once for all; None where there was none, or nobody measured it.
    """

    pretraining: float | None
    training: float
    evaluating: float
    stages: Sequence[StageCost]
    predicting: Sequence[PredictionCost] = ()


def make_provenance(
    timings: Timings,
    *,
    resumed: int,
    device: str,
    threads: int,
    command: str,
    warnings: Sequence[str],
    foreign_code: Sequence[ForeignCode] = (),
) -> Provenance:
    """Provenance of a cell that finishes now, on this machine."""
    revision, dirty = git_state(source_root())
    return Provenance(
        created=timestamp(),
        seconds_training=timings.training,
        seconds_pretraining=timings.pretraining,
        seconds_adapting=sum(stage.seconds_adapting for stage in timings.stages),
        seconds_acting=sum(stage.seconds_acting for stage in timings.stages),
        seconds_evaluating=timings.evaluating,
        stages=tuple(timings.stages),
        predicting=tuple(timings.predicting),
        resumed=resumed,
        device=device_words(device),
        host=host_words(),
        threads=threads,
        packages=package_versions(),
        git_revision=revision,
        git_dirty=dirty,
        command=command[:LONGEST_TEXT],
        warnings=tuple(warnings),
        foreign_code=tuple(foreign_code),
    )


def timestamp() -> str:
    """Now, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that results may depend on, where they are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_state(checkout: Path) -> tuple[str | None, bool | None]:
    """Revision of a checkout and whether files differ from it; (None, None) where it is none."""
    if not (checkout / ".git").exists():
        return None, None
    revision, status = _git(checkout, "rev-parse", "HEAD"), _git(checkout, "status", "--porcelain")
    return revision, None if status is None else bool(status)


def _git(checkout: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *arguments], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def host_words() -> str:
    """This machine's type: processor, cores, operating system."""
    return f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def device_words(device: str) -> str:
    """A device's name for people: `cpu`, `cuda:0 (NVIDIA A100)`."""
    if not device.startswith("cuda"):
        return device
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})"
