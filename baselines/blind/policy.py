"""Acting as the suite's blind policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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


class BlindReferencePolicy(Policy):
    """Shows the present observations to the suite's blind policy, and nothing else."""

    def __init__(self, suite_name: str) -> None:
        """Take the blind policy of the suite `suite_name`; raises `MethodError` if it ships none."""
        self._suite_name = suite_name
        blind = load_suite(suite_name).blind()
        if blind is None:
            raise MethodError(
                f"blind: suite {suite_name!r} ships no blind policy; expected one in its folder references/"
            )
        self._blind = blind

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Begin an episode in every lane."""
        del groups
        self._blind.reset(seeds)

    def act(self, step: Step) -> Array:
        """The blind policy's actions."""
        return self._blind.act(step.observation)

    def save(self, folder: Path) -> None:
        """Write the name of the suite."""
        save_state({"suite": self._suite_name}, folder / "policy")


def load_blind(folder: Path, spaces: Spaces) -> BlindReferencePolicy:
    """Read what `BlindReferencePolicy.save` wrote; raises `DataError` if it is damaged or of other spaces."""
    suite_name = load_state(folder / "policy").get("suite")
    if not isinstance(suite_name, str):
        raise DataError(f"{folder}: expected the name of a suite, found {suite_name!r}")
    if load_suite(suite_name).spaces != spaces:
        raise DataError(
            f"{folder}: the blind policy of suite {suite_name!r} has other spaces than those asked for"
        )
    return BlindReferencePolicy(suite_name)
