"""Trained policies by name: those that ship with the baselines, one folder a suite and method, as a run leaves it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from metabench.errors import MetabenchError, UnknownNameError
from metabench.methods.contract import Policy
from metabench.methods.former_names import refuse_former_name
from metabench.methods.registry import list_methods
from metabench.runs.kept.saved_policy import FACTS, POLICY, read_training, suite_for
from metabench.suites import Suite
from metabench.system.home import source_root


@dataclass(frozen=True)
class ShippedPolicy:
    """A policy that can be asked for by name.

    Attributes:
        name: the method that trained it, `bc` or `meta-dt/no_context`.
        suite: the suite that it was trained on.
        folder: where it lies, for `read_training`.
    """

    name: str
    suite: str
    folder: Path

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def list_shipped_policies() -> tuple[ShippedPolicy, ...]:
    """All of them by suite and name: the folders `policies/SUITE/METHOD` of the baselines; none is read."""
    beside = source_root()  # baselines/ in a checkout, metabench_baselines/ once installed
    found = [
        path.parent
        for package in ("baselines", "metabench_baselines")
        for path in sorted((beside / package / "policies").glob(f"*/*/{FACTS}"))
    ]
    # A variant's folder is called as in records, `meta-dt_no_context`: no built-in method has a _ in its name.
    return tuple(
        ShippedPolicy(folder.name.replace("_", "/", 1), folder.parent.name, folder)
        for folder in found
    )


def find_policy(policy: Path | str, suite: str | None = None) -> Path:
    """The folder of a saved policy.

    Args:
        policy: such a folder, as a run leaves it below `home()/policies`, or the name of a shipped policy.
        suite: a suite's name: of several policies with that name, the one that was trained on it.

    Raises:
        UnknownNameError: there is neither such a folder nor a shipped policy of this name.
        MetabenchError: policies of this name were trained on several suites, and none on `suite`; or a method had this
            name once.
    """
    if isinstance(policy, Path) or (Path(policy) / FACTS).is_file():
        return Path(policy)
    shipped = list_shipped_policies()
    named = [each for each in shipped if each.name == policy]
    chosen = [each for each in named if each.suite == suite] or named
    if len(chosen) > 1:
        suites = ", ".join(each.suite for each in chosen)
        raise MetabenchError(
            f"policy {policy!r}: expected the suite that it was trained on, one of {suites}"
        )
    if chosen:
        return chosen[0].folder
    if Path(policy).is_dir():
        return Path(policy)
    refuse_former_name(str(policy).partition("/")[0], list_methods())
    raise UnknownNameError(
        "folder or name of a trained policy", policy, {each.name for each in shipped}
    )


def load_policy(policy: Path | str, suite: Suite | str | None = None) -> Policy:
    """A trained policy, ready to be evaluated or to act: `load_policy("bc", suite="point-robot")`.

    Args:
        policy: the name of a policy that ships with metabench (`metabench list policies`), or a folder that a run
            wrote below `home()/policies`.
        suite: the suite to act in, its name or folder; None is the suite of the policy's training.

    Raises:
        UnknownNameError: no such policy or suite.
        MetabenchError: the suite has other spaces than the policy was trained for.
        DataError: the folder contains no complete policy, or its method's preset has changed since.
    """
    folder = find_policy(policy, suite.name if isinstance(suite, Suite) else suite)
    training = read_training(folder)
    return training.method().load(folder / POLICY, suite_for(training, suite).spaces)
