"""How many cores a simulator may use."""

from __future__ import annotations

import os


def count_available_cores(processes: int = 1) -> int:
    """For each of so many processes: `OMP_NUM_THREADS`, or without it an equal share of what this process may use."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, cores // processes)
