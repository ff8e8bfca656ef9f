"""What a check found, for methods and suites alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from metabench.system.foreign import call_foreign, name_raised


@dataclass(frozen=True)
class Remark:
    """What a check has to say although nothing is wrong."""

    text: str


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        suite: the suite of the check; empty if the check needs none.
        title: what was checked, in a word or two.
        expected: what the contract asks for.
        problem: what was found instead, in one line; None if the check passed.
        remark: useful information although the check passed, in one line; None if there is none.
    """

    suite: str
    title: str
    expected: str
    problem: str | None
    remark: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the check passed."""
        return self.problem is None


class _RaisedError(Exception):
    """What a check raised, in words."""


def run_check(
    suite: str, title: str, expected: str, check: Callable[[], str | Remark | None]
) -> Finding:
    """Run `check`, which returns the problem, a remark or None; what it raises is a problem as well."""
    try:
        # A plugin may raise anything: that is a finding, too.
        with call_foreign(lambda error: _RaisedError(name_raised(error))):
            found = check()
    except _RaisedError as error:
        found = str(error)
    if isinstance(found, Remark):
        return Finding(suite, title, expected, None, found.text)
    return Finding(suite, title, expected, found)
