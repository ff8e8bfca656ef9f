"""metabench: the benchmark suite for offline meta-RL.

The public API stands in `__init__.pyi`, each name once. Names are imported on first use, so that `import metabench`
costs nothing. Baselines use these names only.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import lazy_loader

_import_name, _, _public = lazy_loader.attach_stub(__name__, __file__)
__all__ = [*_public, "__version__"]


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name == "__version__":
        return import_module("importlib.metadata").version("metabench")
    if name not in _public:
        raise AttributeError(f"module 'metabench' has no attribute {name!r}")
    return _import_name(name)


def __dir__() -> list[str]:
    return sorted(__all__)


def _register_gymnasium_ids() -> None:
    import_module("metabench.suites.gymnasium_ids").register_ids()


class _AfterGymnasium(MetaPathFinder):
    """Registers the suites' ids whenever a program imports Gymnasium; metabench itself never imports it for that.

    `gymnasium.make("metabench:...")` imports metabench for its ids: that does nothing where it was imported before.
    Gymnasium itself has had no entry points for plugins since its version 1. This finder stays: programs look for
    Gymnasium without importing it, or import it anew.
    """

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Find Gymnasium as if this finder were not there, and register once it is whole."""
        if name != "gymnasium":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next((each for each in found if each is not None), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                _register_gymnasium_ids()

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _AfterGymnasium())
if "gymnasium" in sys.modules:
    _register_gymnasium_ids()
