"""metabench: the benchmark suite for offline meta-RL.

The public API stands in `__init__.pyi`, each name once. Names are imported on first use, so that `import metabench`
costs nothing. Baselines use these names only.
"""

from __future__ import annotations

import sys
from importlib import import_module
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
    _register_gymnasium_ids()
    return _import_name(name)


def __dir__() -> list[str]:
    return sorted(__all__)


def _register_gymnasium_ids() -> None:
    """Give Gymnasium the suites' ids, if it is in use: metabench itself never imports it for that."""
    if hasattr(sys.modules.get("gymnasium"), "register"):
        import_module("metabench.suites.gymnasium_ids").register_ids()


_register_gymnasium_ids()
