"""Torch's process-wide settings while something runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
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


def set_torch_when_imported(threads: int, deterministic: bool) -> None:
    """Set torch as `torch_settings` does, for good, once it is imported: a process without it need not wait for it."""
    sys.meta_path.insert(0, _TorchSettings(threads, deterministic))


class _TorchSettings(MetaPathFinder):
    """Finds torch as it is found, and sets it once it is imported."""

    def __init__(self, threads: int, deterministic: bool) -> None:
        self._threads = threads
        self._deterministic = deterministic

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        del path, target
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def execute_and_set(torch: Any) -> None:
                execute(torch)
                torch.set_num_threads(self._threads)
                torch.use_deterministic_algorithms(self._deterministic, warn_only=True)
                torch.utils.deterministic.fill_uninitialized_memory = False

            loader.exec_module = execute_and_set
        return spec
