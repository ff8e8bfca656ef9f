"""Packages that only some runs need."""

from __future__ import annotations

from importlib.util import find_spec

from metabench.errors import MetabenchError


def require(package: str, extra: str, what: str) -> None:
    """Raise `MetabenchError` if `package` is not installed, naming the extra that has it and `what` needs it."""
    if find_spec(package) is None:
        raise MetabenchError(
            f"{what} needs the package {package}: pip install 'metabench[{extra}]'"
        )
