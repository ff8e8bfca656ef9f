"""Torch's process-wide settings while something runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def torch_settings(threads: int) -> Iterator[None]:
    """`threads` threads and deterministic algorithms; put back afterwards."""
    import torch

    deterministic: Any = torch.utils.deterministic
    before, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    fill = deterministic.fill_uninitialized_memory
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    deterministic.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_deterministic_debug_mode(mode)
        deterministic.fill_uninitialized_memory = fill
