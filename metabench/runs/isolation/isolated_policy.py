"""Policies in a process of their own, which receives arrays and nothing else.

The process is a new interpreter, not a fork. Its environment variables, arguments, working directory and open files
name no suite and no task; what it is shown and what it answers passes through shared memory and a connection of fixed
messages, and nothing that it sends is unpickled. On Linux it runs in namespaces of its own: it sees no other process,
reads nobody's memory, reaches no network, writes nowhere but in a temporary folder that goes with it, and whatever it
starts ends with it. `confinement_gaps` says what of this the system at hand does not grant.

What it does not prevent: a plugin may know the suite, whose data it was trained on, and read the published suite.toml,
or have kept what it read there in its weights; the seeds of the protocol's reset noise are public, so that a first
observation may name a task. Against that helps scoring it in tasks that did not exist when it was trained. It can read
the files that its user can, but for the folders hidden from it, and is told where the evaluator imports packages from.
A process that trains a method runs the method's code as well: `train_isolated` keeps that out of the evaluator's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from metabench.envs import Array, Spaces
from metabench.errors import DataError, MethodError
from metabench.evaluation.guarded_policy import PREDICTED
from metabench.methods.contract import Episode, Policy, Prediction, Step
from metabench.runs.isolation.channel import ACT, ADAPT, LOAD, PREDICT, RESET
from metabench.runs.isolation.confinement import unreadable
from metabench.runs.isolation.limits import NO_LIMITS, Limits
from metabench.runs.isolation.process import (
    PolicyProcess,
    make_scratch,
    name_for_process,
    start_policy_process,
)
from metabench.runs.isolation.shared_arrays import (
    ACTION,
    EPISODE_ARRAYS,
    FUTURE,
    STEP_ARRAYS,
    episode_arrays,
    lay_out_prediction,
    lay_out_step,
    lay_out_support,
)
from metabench.system.foreign import copy_plain


@contextmanager
def open_isolated(
    method: str,
    folder: Path,
    spaces: Spaces,
    limits: Limits = NO_LIMITS,
    *,
    configuration: Mapping[str, Any] | None = None,
    code: str | None = None,
    hidden: Sequence[Path] = (),
) -> Iterator[Policy]:
    """A saved policy in a process of its own, to be used like any other while entered.

    Its actions are those of the policy loaded here, bit for bit: torch computes with as many threads there as here.
    The method's code is not imported here.

    Args:
        method: what `load_method` takes: a name, `name/variant`, `path/to/file.py:Class`.
        folder: what `Policy.save` wrote; the process gets a copy.
        spaces: the spaces that it acts in.
        limits: what the process, with all that it starts, may take from now on; it is ended if it takes more.
        configuration: the method's whole configuration as a record has it; None is that of its preset `cpu`.
        code: the hash of the method's code that the process must find; None takes any.
        hidden: folders that the process finds empty.

    Yields:
        The policy. Its calls raise `PolicyProcessError`: it raised something, or its process failed or took too much.

    Raises:
        DataError: the folder cannot be read, or holds no whole policy.
        MethodError: the method is privileged, cannot be imported, or failed to load the policy.
        MetabenchError: the process cannot be had, or a folder cannot be hidden from it.
    """
    with ExitStack() as stack:
        place = stack.enter_context(make_scratch())
        copy, scratch = place / "policy", place / "own"
        scratch.mkdir()
        try:
            copy_plain(folder, copy)
        except OSError as error:
            raise DataError(
                f"{folder}: cannot be read; expected the folder that a policy was saved in"
            ) from error
        stack.enter_context(unreadable())
        process = stack.enter_context(start_policy_process(scratch, limits, hidden=hidden))
        content = {
            **name_for_process(method),
            "configuration": None if configuration is None else dict(configuration),
            "code": code,
            "folder": str(copy),
            "spaces": asdict(spaces),
            "torch": read_torch_settings(),
        }
        try:
            facts = process.describe(LOAD, content, f"method {method!r}: load")
        except DataError as error:
            raise DataError(str(error).replace(str(copy), str(folder))) from error
        if facts.get("privileged") is not False:
            raise MethodError(
                f"method {method!r} is privileged: it is told the task, and cannot be kept from it"
            )
        parameters = facts.get("parameters")
        yield IsolatedPolicy(
            process,
            spaces,
            folder,
            parameters if isinstance(parameters, int) and parameters >= 0 else 0,
            predicts=facts.get("predicts") is True,
        )


def confinement_gaps() -> tuple[str, ...]:
    """What this system does not let an isolated policy be kept from, a line each; empty where nothing is missing."""
    with make_scratch() as scratch, start_policy_process(scratch, NO_LIMITS) as process:
        return process.gaps


class IsolatedPolicy(Policy):
    """A policy that lives in another process; it keeps the contract of that policy, but has no task codes."""

    def __init__(
        self,
        process: PolicyProcess,
        spaces: Spaces,
        folder: Path,
        parameters: int,
        *,
        predicts: bool,
    ) -> None:
        """Stand for the policy of `process`, which was saved in `folder`."""
        self._process = process
        self._spaces = spaces
        self._folder = folder
        self._parameters = parameters
        self._predicts = predicts
        self._lanes = 0
        self._step: dict[str, Array] = {}

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Forget everything and start one episode in every lane."""
        self._lanes = len(groups)
        self._step = self._process.arrays.grow(lay_out_step(self._spaces, self._lanes))
        self._process.call(
            RESET,
            {"groups": [int(group) for group in groups], "seeds": [int(seed) for seed in seeds]},
        )

    def adapt(self, support: Mapping[int, Sequence[Episode]]) -> None:
        """Learn from support episodes."""
        episodes = [
            (int(group), episode) for group, several in support.items() for episode in several
        ]
        views = self._process.arrays.grow(
            lay_out_support(self._spaces, [len(episode) for _, episode in episodes])
        )
        _share_episodes([episode for _, episode in episodes], views)
        content = [
            (group, len(episode), bool(episode.terminated), bool(episode.truncated))
            for group, episode in episodes
        ]
        self._process.call(
            ADAPT, {"groups": [int(group) for group in support], "episodes": content}
        )
        self._step = self._process.arrays.grow(lay_out_step(self._spaces, self._lanes))

    def act(self, step: Step) -> Array:
        """Choose actions: `(lanes, action_dim)` float64, whatever floats the policy returned, or `(lanes,)` int64."""
        for name in STEP_ARRAYS:
            np.copyto(self._step[name], getattr(step, name), casting="same_kind")
        self._process.call(ACT)
        return self._step[ACTION].copy()

    @property
    def predicts(self) -> bool:
        """Whether the policy has a world model, as it says."""
        return self._predicts

    def predict(self, prefix: Sequence[Episode], actions: Array) -> Prediction:
        """What the policy says, as float64, whatever floats it returned."""
        lengths, steps = [len(episode) for episode in prefix], actions.shape[1]
        views = self._process.arrays.grow(lay_out_prediction(self._spaces, lengths, steps))
        _share_episodes(prefix, views)
        np.copyto(views[FUTURE], actions, casting="same_kind")
        told = self._process.call(PREDICT, {"lengths": lengths, "steps": steps})
        names = told if isinstance(told, list) else []
        found = {
            name: views[name].copy()
            for name in PREDICTED
            if name in names or not name.endswith("deviations")
        }
        self._step = self._process.arrays.grow(lay_out_step(self._spaces, self._lanes))
        return Prediction(**found)

    def save(self, folder: Path) -> None:
        """Copy what the policy was loaded from."""
        copy_plain(self._folder, folder)

    def parameter_count(self) -> int:
        """Number of trained parameters that acting uses, as the policy says."""
        return self._parameters


def _share_episodes(episodes: Sequence[Episode], views: Mapping[str, Array]) -> None:
    """Write episodes where the process reads them."""
    for episode, arrays in zip(episodes, episode_arrays(views, len(episodes)), strict=True):
        for name in EPISODE_ARRAYS:
            np.copyto(arrays[name], getattr(episode, name), casting="same_kind")


def read_torch_settings() -> tuple[int, bool] | None:
    """Threads, and whether algorithms are deterministic; None if torch is not in use here."""
    torch: Any = sys.modules.get("torch")
    return (
        None
        if torch is None
        else (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
    )
