"""Acting as the suite's expert teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metabench import (
    Array,
    DataError,
    MethodError,
    Policy,
    Spaces,
    Step,
    load_state,
    load_suite,
    save_state,
)


class TeacherPolicy(Policy):
    """Shows every lane's task to the suite's teacher and does what its expert behaviour does."""

    def __init__(self, suite_name: str) -> None:
        """Take the teacher of the suite `suite_name`; raises `MethodError` if it has none, or `UnknownNameError`."""
        self._suite_name = suite_name
        self._teacher = load_suite(suite_name).teacher()
        if "expert" not in self._teacher.behaviours:
            raise MethodError(f"teacher: suite {suite_name!r} has no teacher")
        self._seeds: list[int] = []
        self._revealed = False

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Keep the lanes' seeds; the tasks come with `reveal`."""
        del groups
        self._seeds = list(seeds)
        self._revealed = False

    def reveal(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Start the teacher in the lanes' tasks, each lane's noise from its own seed."""
        self._teacher.reset(["expert"] * len(tasks), tasks, self._seeds)
        self._revealed = True

    def act(self, step: Step) -> Array:
        """The teacher's actions; raises `MethodError` if the tasks were not revealed."""
        if not self._revealed:
            raise MethodError(
                "teacher: expected reveal(tasks) between reset and act; it is a privileged method"
            )
        return self._teacher.act(step.observation)

    def save(self, folder: Path) -> None:
        """Write the name of the suite."""
        save_state({"suite": self._suite_name}, folder / "policy")


def load_teacher(folder: Path, spaces: Spaces) -> TeacherPolicy:
    """Read what `TeacherPolicy.save` wrote; raises `DataError` if it is damaged or of other spaces."""
    suite_name = load_state(folder / "policy").get("suite")
    if not isinstance(suite_name, str):
        raise DataError(f"{folder}: expected the name of a suite, found {suite_name!r}")
    if load_suite(suite_name).spaces != spaces:
        raise DataError(
            f"{folder}: the teacher of suite {suite_name!r} has other spaces than those asked for"
        )
    return TeacherPolicy(suite_name)
