"""What the user says of foreign data that its files do not, and the spaces that follow from both."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from gymnasium.envs.registration import EnvSpec

from metabench.data.foreign.flat_columns import FlatRows
from metabench.envs import DeclaredSpaces, Spaces
from metabench.envs.gymnasium.family import describe_registered
from metabench.envs.gymnasium.spaces import declare_spaces
from metabench.errors import DataError, MetabenchError
from metabench.suites import Suite, list_suites, load_suite

DEFAULT_ACTION_BOUND = 1.0

_SUITE_NAME = re.compile(r"[a-z][a-z0-9-]{1,63}")


@dataclass(frozen=True)
class Registered:
    """What Gymnasium knows of an environment.

    Attributes:
        name: its id, with the module that registers it.
        spec: how it is made; `max_episode_steps` is its time limit.
        declared: its spaces.
    """

    name: str
    spec: EnvSpec
    declared: DeclaredSpaces


@dataclass(frozen=True)
class ImportOptions:
    """Information that the user adds to a file's own.

    Attributes:
        suite: the suite that the datasets belong to. If a suite of this name exists, the data must fit its spaces,
            horizon and tasks.
        horizon: the largest number of steps of an episode; by default the existing suite's, or what the file says.
        dataset_id: the Minari id, `{task}` standing for the task; by default `<suite>/task-{task}-v0`.
        action_bound: continuous actions lie in [-bound, bound]; by default the existing suite's bounds, or 1.
        num_actions: the number of discrete actions; by default the existing suite's.
        keep_last: if a time limit cut an episode and the file lacks the observation after its last transition, keep
            this transition and repeat the observation before it. By default the transition is dropped.
        force: replace existing datasets.
        action_scale: factor that converts continuous actions to the suite's units.
        own_dataset: the name of the new dataset, if the data belong to an existing suite's tasks.
        environment: the Gymnasium id of the logged environment; the data have its spaces and its time limit.
    """

    suite: str
    horizon: int | None = None
    dataset_id: str | None = None
    action_bound: float | None = None
    num_actions: int | None = None
    keep_last: bool = False
    force: bool = False
    action_scale: float = 1.0
    own_dataset: str = "released"
    environment: str | None = None

    def __post_init__(self) -> None:
        """Refuse impossible options with a `MetabenchError`."""
        if not _SUITE_NAME.fullmatch(self.suite):
            raise MetabenchError(
                f"suite {self.suite!r}: expected lower-case letters, digits and hyphens: 'hopper-d4rl'"
            )
        if self.horizon is not None and self.horizon < 1:
            raise MetabenchError(f"horizon {self.horizon}: expected at least 1")
        if self.action_bound is not None and not 0 < self.action_bound < float("inf"):
            raise MetabenchError(
                f"action bound {self.action_bound}: expected a finite number above 0"
            )
        if not 0 < abs(self.action_scale) < float("inf"):
            raise MetabenchError(
                f"action scale {self.action_scale}: expected a finite number, not 0"
            )
        if self.num_actions is not None and self.num_actions < 1:
            raise MetabenchError(f"number of actions {self.num_actions}: expected at least 1")

    def load_suite_of_target(self) -> Suite | None:
        """The suite, if there is one of this name; raises `MetabenchError` if the options contradict it."""
        if self.suite not in list_suites():
            return None
        suite = load_suite(self.suite)
        if self.horizon not in (None, suite.spaces.horizon):
            raise MetabenchError(
                f"horizon {self.horizon}: {suite.identity} has horizon {suite.spaces.horizon}"
            )
        for given, name in (
            (self.action_bound, "action bound"),
            (self.num_actions, "number of actions"),
            (self.environment, "environment"),
        ):
            if given is not None:
                raise MetabenchError(f"{name} {given}: leave it out, {suite.identity} has its own")
        return suite

    def look_up_environment(self) -> Registered | None:
        """What Gymnasium knows of the environment that was logged, if one is named.

        Raises:
            MetabenchError: it is not known here, or other options contradict it.
        """
        if self.environment is None:
            return None
        if self.action_bound is not None or self.num_actions is not None:
            raise MetabenchError(
                f"action bound, number of actions: leave them out, {self.environment!r} has its own"
            )
        spec, made = describe_registered(self.environment)
        try:
            declared = declare_spaces(made.observation_space, made.action_space)
        except ValueError as error:
            raise MetabenchError(f"environment {self.environment!r}: {error}") from error
        finally:
            made.close()
        return Registered(self.environment, spec, declared)

    def name_dataset(self, task: int) -> str:
        """The Minari id of a task's dataset; raises `MetabenchError` if Minari does not take it as one."""
        from minari.dataset.minari_dataset import parse_dataset_id

        dataset_id = (self.dataset_id or f"{self.suite}/task-{{task}}-v0").replace(
            "{task}", str(task)
        )
        try:
            parse_dataset_id(dataset_id)
        except (ValueError, TypeError) as error:  # TypeError: it has no version
            raise MetabenchError(
                f"Minari id {dataset_id!r}: expected one like 'hopper-d4rl/task-0-v0'"
            ) from error
        if os.path.normpath(dataset_id) != dataset_id:
            raise MetabenchError(
                f"Minari id {dataset_id!r}: expected {os.path.normpath(dataset_id)!r}"
            )
        return dataset_id


def check_task(suite: Suite | None, task: int, path: Path) -> None:
    """Raise `DataError` unless `suite`, if there is one, has task `task`."""
    if task < 0:
        raise DataError(f"{path}: task {task}: expected a task id, counted from 0")
    if suite is not None and task >= len(suite.tasks):
        raise DataError(
            f"{path}: task {task}: {suite.identity} has tasks 0 to {len(suite.tasks) - 1}"
        )


def find_fitting_spaces(
    options: ImportOptions,
    suite: Suite | None,
    rows: FlatRows,
    horizon: int,
    registered: Registered | None = None,
) -> Spaces:
    """The spaces of the dataset made of `rows`: those of `suite` or `registered`, if there is one, which they must fit.

    Raises:
        DataError: the columns do not fit, or their actions are discrete and nobody says how many there are.
    """
    path, keys = rows.path, rows.keys
    if suite is not None:
        spaces, owner = suite.spaces, suite.identity
    elif registered is not None:
        spaces, owner = registered.declared.spaces(horizon), registered.name
    elif not rows.discrete:
        bound = DEFAULT_ACTION_BOUND if options.action_bound is None else options.action_bound
        return Spaces(
            rows.observation_dim, horizon, (-bound,) * rows.action_dim, (bound,) * rows.action_dim
        )
    else:
        if options.num_actions is None:
            raise DataError(
                f"{path}: {keys['actions']}: are whole numbers; say of how many (`--num-actions`)"
            )
        return Spaces(rows.observation_dim, horizon, num_actions=options.num_actions)
    if rows.observation_dim != spaces.observation_dim:
        expected = f"{spaces.observation_dim} numbers a row as {owner} has"
        raise DataError(
            f"{path}: {keys['observations']}: expected {expected}, found {rows.observation_dim}"
        )
    if rows.discrete != spaces.discrete or (
        not rows.discrete and rows.action_dim != spaces.action_dim
    ):
        expected = "one whole number" if spaces.discrete else f"{spaces.action_dim} floats"
        found = "one whole number" if rows.discrete else f"{rows.action_dim} floats"
        raise DataError(
            f"{path}: {keys['actions']}: expected {expected} a row as {owner} has, found {found}"
        )
    return spaces
