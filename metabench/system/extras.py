"""Packages that only some runs need."""

from __future__ import annotations

from importlib.metadata import requires
from importlib.util import find_spec

from packaging.requirements import Requirement

from metabench.errors import MetabenchError


def require(package: str, extra: str, what: str) -> None:
    """Raise `MetabenchError` if `package` is not installed, saying what installs it and `what` needs it."""
    if find_spec(package) is None:
        raise MetabenchError(f"{what} needs the package {package}: {say_installation(extra)}")


def say_installation(extra: str) -> str:
    """The command that installs what an extra of metabench asks for: `pip install 'ray>=2.40'`.

    It names the packages themselves: metabench may have come from a checkout, which no index knows.
    """
    found = [Requirement(each) for each in requires("metabench") or ()]
    needed = [
        f"'{each.name}{each.specifier}'"
        for each in found
        if each.marker is not None
        and each.marker.evaluate({"extra": extra})
        and not each.marker.evaluate({"extra": ""})
    ]
    return f"pip install {' '.join(needed)}"
