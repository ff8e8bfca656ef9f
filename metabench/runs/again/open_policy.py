"""A policy by what users call it: a saved folder, a shipped one's name, or a reference that needs no training."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metabench.data.columns import Columns
from metabench.data.training_data import TrainingData
from metabench.errors import MetabenchError, UnknownNameError
from metabench.evaluation.evaluate import PolicyOpener, copy_anew
from metabench.methods.contract import Policy
from metabench.methods.registry import load_method
from metabench.methods.training_run import TrainingRun
from metabench.runs.kept.saved_policy import (
    FACTS,
    load_trained_policy,
    read_training,
    suite_for,
)
from metabench.runs.kept.shipped_policies import find_policy, list_shipped_policies
from metabench.suites import Suite, load_suite

REFERENCES = ("teacher", "random", "blind")
"""Methods that learn nothing from data: every suite has their policies, and none need be saved."""


@dataclass(frozen=True)
class OpenedPolicy:
    """A policy that can act.

    Attributes:
        opener: opens it anew, as `evaluate` wants it.
        suite: where it is to act.
        name: of its method.
        seed: the evaluation seed of its record; 0 where it has none.
        privileged: it is to be told the tasks.
        threads: of torch, as in its training; None where it had none.
    """

    opener: PolicyOpener
    suite: Suite
    name: str
    seed: int
    privileged: bool
    threads: int | None


def open_policy(policy: Policy | Path | str, suite: Suite | str | None = None) -> OpenedPolicy:
    """Find a policy: a saved folder, a shipped one's name, or `teacher`, `random`, `blind` in any suite.

    Args:
        policy: as users call it; or the policy itself, which is copied anew each time it is opened.
        suite: a suite, its name or folder; None is the one that the policy was trained on.

    Raises:
        UnknownNameError: no such policy or suite.
        MetabenchError: the suite has other spaces than the policy was trained for, or has no such reference.
    """
    loaded = load_suite(suite) if isinstance(suite, str) else suite
    if isinstance(policy, Policy):
        if loaded is None:
            raise MetabenchError("a policy that is not saved: expected the suite to act in")
        name = type(policy).__name__
        return OpenedPolicy(copy_anew(policy, None), loaded, name, 0, False, None)
    saved = (Path(policy) / FACTS).is_file()
    shipped = any(each.name == policy and loaded is None for each in list_shipped_policies())
    if policy in REFERENCES and not saved and not shipped:
        if loaded is None:
            raise MetabenchError(f"policy {str(policy)!r}: expected --suite, the suite to act in")
        return _open_reference(str(policy), loaded)
    try:
        folder = find_policy(policy, None if loaded is None else loaded.name)
    except UnknownNameError as error:
        raise MetabenchError(f"{error}; {', '.join(REFERENCES)} act in every suite") from error
    training = read_training(folder)
    method, acts_in = training.method(), suite_for(training, loaded)
    return OpenedPolicy(
        lambda: nullcontext(load_trained_policy(method, folder, acts_in.spaces)),
        acts_in,
        training.cell.method,
        training.cell.seed,
        method.privileged,
        training.threads,
    )


def _open_reference(name: str, suite: Suite) -> OpenedPolicy:
    """Train on no data at all: it asks for spaces and suite alone."""
    method = load_method(name, suite=suite.name)
    spaces = suite.spaces
    no_episodes = Columns(
        observations=np.zeros((0, spaces.observation_dim), np.float32),
        actions=spaces.null_actions(0),
        rewards=np.zeros(0, np.float32),
        offsets=np.zeros(1, np.int64),
        terminated=np.zeros(0, bool),
        tasks=np.zeros(0, np.int64),
    )

    def open_anew() -> nullcontext[Policy]:
        data = TrainingData(no_episodes, spaces, suite_name=suite.argument)
        return nullcontext(method.train(data, TrainingRun(0)))

    return OpenedPolicy(open_anew, suite, name, 0, method.privileged, None)
