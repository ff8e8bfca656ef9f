"""metabench: the benchmark suite for offline meta-RL.

The public API stands in `__init__.pyi`, each name once. Names are imported on first use, so that `import metabench`
costs nothing. Baselines use these names only.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
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
    """Registers the suites' ids as soon as a program imports Gymnasium; metabench itself never imports it for that.

    `gymnasium.make("metabench:...")` imports metabench for its ids: that does nothing where it was imported before.
    """

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Find Gymnasium as if this finder were not there, and register once it is whole."""
        if name != "gymnasium":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                _register_gymnasium_ids()

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


if "gymnasium" in sys.modules:
    _register_gymnasium_ids()
else:
    sys.meta_path.insert(0, _AfterGymnasium())
