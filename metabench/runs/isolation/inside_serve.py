"""Inside a policy's own process: load the policy, then do what the evaluator asks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from metabench.envs import Spaces
from metabench.errors import DataError, MetabenchError, first_problem
from metabench.evaluation.guarded_policy import (
    PREDICTED,
    find_form_problem,
    find_prediction_problem,
)
from metabench.methods.contract import Episode, Policy, Step
from metabench.methods.registry import check_method_code, load_method, load_method_class
from metabench.runs.isolation.channel import (
    ACT,
    ADAPT,
    CONFIGURE,
    DONE,
    FAILED,
    PREDICT,
    REFUSED,
    RESET,
    Channel,
)
from metabench.runs.isolation.shared_arrays import (
    ACTION,
    FUTURE,
    STEP_ARRAYS,
    SharedArrays,
    episode_arrays,
    lay_out_prediction,
    lay_out_step,
    lay_out_support,
)

LONGEST_MESSAGE = 4000
"""Characters of an error that are passed on."""


def serve(channel: Channel, arrays: int, kind: bytes, content: Mapping[str, Any]) -> None:
    """Tell a method's configuration; or load a policy, and answer until the evaluator closes the connection.

    Args:
        channel: the connection.
        arrays: number of the open file of the shared memory.
        kind: `CONFIGURE` or `LOAD`.
        content: which method, and for `LOAD` which policy.
    """
    try:
        if kind == CONFIGURE:
            channel.send(DONE, _configuration(content))
            return
        spaces = _spaces(content["spaces"])
        policy, facts = _load(content, spaces)
    except MetabenchError as error:
        channel.send(REFUSED, str(error)[:LONGEST_MESSAGE])
        return
    except Exception as error:  # a plugin may raise anything
        channel.send(FAILED, _line(error))
        return
    channel.send(DONE, facts)
    served = _Served(policy, spaces, SharedArrays(arrays))
    answers: dict[bytes, Callable[[Any], Any]] = {
        RESET: served.reset,
        ADAPT: served.adapt,
        ACT: served.act,
        PREDICT: served.predict,
    }
    while True:
        kind, asked = channel.receive()
        try:
            answer = answers[kind](asked)  # text is a problem
        except Exception as error:
            channel.send(FAILED, _line(error))
        else:
            channel.send(REFUSED if isinstance(answer, str) else DONE, answer)


class _Served:
    """A policy that takes its arguments from shared memory."""

    def __init__(self, policy: Policy, spaces: Spaces, arrays: SharedArrays) -> None:
        self._policy = policy
        self._spaces = spaces
        self._arrays = arrays
        self._step: dict[str, Any] = {}
        self._lanes = 0

    def reset(self, content: Mapping[str, Any]) -> None:
        self._lanes = len(content["groups"])
        self._step = self._arrays.views(lay_out_step(self._spaces, self._lanes))
        self._policy.reset(content["groups"], content["seeds"])

    def adapt(self, content: Mapping[str, Any]) -> None:
        """Copies: the policy may keep what it is given, and the memory is used again."""
        support: dict[int, list[Episode]] = {group: [] for group in content["groups"]}
        episodes = content["episodes"]
        views = self._arrays.views(
            lay_out_support(self._spaces, [length for _, length, _, _ in episodes])
        )
        arrays = episode_arrays(views, len(episodes))
        for (group, _, terminated, truncated), shared in zip(episodes, arrays, strict=True):
            support[group].append(_copy_episode(shared, terminated, truncated))
        self._step = self._arrays.views(lay_out_step(self._spaces, self._lanes))
        self._policy.adapt(support)

    def act(self, content: None) -> str | None:
        del content
        chosen = self._policy.act(Step(**{name: self._step[name].copy() for name in STEP_ARRAYS}))
        problem = find_form_problem(chosen, self._lanes, self._spaces)
        if problem is None:
            np.copyto(self._step[ACTION], chosen, casting="unsafe")
        return problem

    def predict(self, content: Mapping[str, Any]) -> str | list[str]:
        """The names of the arrays that the policy told."""
        lengths, steps = content["lengths"], content["steps"]
        views = self._arrays.views(lay_out_prediction(self._spaces, lengths, steps))
        prefix = [
            _copy_episode(shared, False, False) for shared in episode_arrays(views, len(lengths))
        ]
        said = self._policy.predict(prefix, views[FUTURE].copy())
        problem = find_prediction_problem(said, len(lengths), steps, self._spaces)
        if problem is None:
            told = [name for name in PREDICTED if getattr(said, name) is not None]
            for name in told:
                np.copyto(views[name], getattr(said, name), casting="unsafe")
        self._step = self._arrays.views(lay_out_step(self._spaces, self._lanes))
        return told if problem is None else problem


def _copy_episode(shared: Mapping[str, Any], terminated: bool, truncated: bool) -> Episode:
    copies = {name: array.copy() for name, array in shared.items()}
    return Episode(**copies, terminated=terminated, truncated=truncated)


def _configuration(content: Mapping[str, Any]) -> dict[str, Any]:
    method = load_method(
        content["method"],
        preset=content["preset"],
        suite=content["suite"],
        overrides=content["overrides"],
    )
    return method.config.model_dump(mode="json")


def _load(content: Mapping[str, Any], spaces: Spaces) -> tuple[Policy, dict[str, Any]]:
    """The policy, and what the evaluator should know of it."""
    if content["torch"] is not None:
        sys.meta_path.insert(0, _TorchSettings(*content["torch"]))
    if content["configuration"] is None:
        method = load_method(content["method"])
    else:
        found, _ = load_method_class(content["method"])
        check_method_code(found, content["code"])
        try:
            method = found(found.config_class.model_validate(content["configuration"]))
        except ValidationError as error:
            problem = first_problem(error, "(whole configuration)")
            raise DataError(
                f"method {found.name!r}: the configuration does not fit it: {problem}"
            ) from error
    policy = method.load(Path(content["folder"]), spaces)
    if not isinstance(policy, Policy):
        raise TypeError(f"load must return a Policy, not {type(policy).__name__}")
    return policy, {
        "privileged": method.privileged,
        "parameters": int(policy.parameter_count()),
        "predicts": bool(policy.predicts),
    }


def _spaces(declared: Mapping[str, Any]) -> Spaces:
    bounds = {key: tuple(declared[key]) for key in ("action_low", "action_high")}
    return Spaces(**{**declared, **bounds})


class _TorchSettings(MetaPathFinder):
    """Makes torch compute as in the evaluator's process, as soon as the policy imports it, if it does."""

    def __init__(self, threads: int, deterministic: bool) -> None:
        self._threads = threads
        self._deterministic = deterministic

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        del path, target
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def execute_and_set(torch: Any) -> None:
                execute(torch)
                torch.set_num_threads(self._threads)
                torch.use_deterministic_algorithms(self._deterministic, warn_only=True)
                torch.utils.deterministic.fill_uninitialized_memory = False

            loader.exec_module = execute_and_set
        return spec


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:LONGEST_MESSAGE]
