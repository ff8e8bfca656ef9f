"""Inside a process of foreign code: tell of a method, train it, or load its policy and do what the evaluator asks."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from metabench.envs import Spaces
from metabench.errors import (
    CancelledError,
    MetabenchError,
    MethodError,
)
from metabench.evaluation.guarded_policy import (
    PREDICTED,
    find_form_problem,
    find_prediction_problem,
)
from metabench.methods.contract import Episode, Policy, Step
from metabench.methods.registry import configure_method, load_method, load_method_class
from metabench.runs.isolation.channel import (
    ACT,
    ADAPT,
    BROKEN,
    CANCELLED,
    DESCRIBE,
    DONE,
    FAILED,
    PREDICT,
    REFUSED,
    RESET,
    TRAIN,
    Channel,
)
from metabench.runs.isolation.method_facts import read_facts
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
from metabench.system.foreign import name_raised
from metabench.system.torch_settings import set_torch_when_imported

LONGEST_MESSAGE, LONGEST_TRACE = 4000, 20_000
"""Characters of an error, and of its traceback, that are passed on."""


def serve(channel: Channel, arrays: int, kind: bytes, content: Mapping[str, Any]) -> None:
    """Do the one thing; or load a policy, and answer until the evaluator closes the connection.

    Args:
        channel: the connection.
        arrays: number of the open file of the shared memory.
        kind: `DESCRIBE`, `TRAIN` or `LOAD`.
        content: which method, and what of it.
    """
    own = os.getpid()

    def answer(do: Callable[[], Any], explain: Callable[[BaseException], bytes]) -> bool:
        """Send what came of it; whether it was done."""
        try:
            said = DONE, do()
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # a plugin may raise anything
            kind = explain(error)
            line = name_raised(error) if kind == FAILED else str(error)
            trace = "".join(traceback.format_exception(error))
            said = kind, [line[:LONGEST_MESSAGE], trace[-LONGEST_TRACE:]]
        if os.getpid() != own:  # the foreign code forked, and here the other one came back
            os._exit(1)
        channel.send(*said)
        return said[0] == DONE

    if kind == DESCRIBE:
        answer(lambda: _describe(content), _explain_setting_up)
    elif kind == TRAIN:
        from metabench.runs.training.inside_train import train

        answer(lambda: train(channel, SharedArrays(arrays), content), _explain_setting_up)
    else:
        spaces, loaded = _spaces(content["spaces"]), list[Policy]()

        def load() -> dict[str, Any]:
            policy, facts = _load(content, spaces)
            loaded.append(policy)
            return facts

        if not answer(load, _explain_setting_up):
            return
        served = _Served(loaded[0], spaces, SharedArrays(arrays))
        calls: dict[bytes, Callable[[Any], Any]] = {
            RESET: served.reset,
            ADAPT: served.adapt,
            ACT: served.act,
            PREDICT: served.predict,
        }
        while True:
            kind, asked = channel.receive()
            answer(
                partial(calls[kind], asked),
                lambda error: REFUSED if isinstance(error, _MalformedError) else FAILED,
            )


def _explain_setting_up(error: BaseException) -> bytes:
    """What to answer with where a method is imported, trained or loaded."""
    if isinstance(error, CancelledError):
        return CANCELLED
    if isinstance(error, MetabenchError):
        return BROKEN if isinstance(error, MethodError) else REFUSED
    return FAILED


class _MalformedError(Exception):
    """What a policy returned has a wrong type or shape."""


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

    def act(self, content: None) -> None:
        del content
        chosen = self._policy.act(Step(**{name: self._step[name].copy() for name in STEP_ARRAYS}))
        problem = find_form_problem(chosen, self._lanes, self._spaces)
        if problem is not None:
            raise _MalformedError(problem)
        np.copyto(self._step[ACTION], chosen, casting="unsafe")

    def predict(self, content: Mapping[str, Any]) -> list[str]:
        """The names of the arrays that the policy told."""
        lengths, steps = content["lengths"], content["steps"]
        views = self._arrays.views(lay_out_prediction(self._spaces, lengths, steps))
        prefix = [
            _copy_episode(shared, False, False) for shared in episode_arrays(views, len(lengths))
        ]
        said = self._policy.predict(prefix, views[FUTURE].copy())
        self._step = self._arrays.views(lay_out_step(self._spaces, self._lanes))
        problem = find_prediction_problem(said, len(lengths), steps, self._spaces)
        if problem is not None:
            raise _MalformedError(problem)
        told = [name for name in PREDICTED if getattr(said, name) is not None]
        for name in told:
            np.copyto(views[name], getattr(said, name), casting="unsafe")
        return told


def _copy_episode(shared: Mapping[str, Any], terminated: bool, truncated: bool) -> Episode:
    copies = {name: array.copy() for name, array in shared.items()}
    return Episode(**copies, terminated=terminated, truncated=truncated)


def _describe(content: Mapping[str, Any]) -> dict[str, Any]:
    preset, found = content["preset"], []
    load_method_class(content["method"])  # also where it is to be described for no suite
    for suite in content["suites"]:
        method = load_method(
            content["method"], preset=preset, suite=suite, overrides=content["overrides"]
        )
        found.append(read_facts(method, preset, suite).model_dump_json())
    return {"facts": found}


def _load(content: Mapping[str, Any], spaces: Spaces) -> tuple[Policy, dict[str, Any]]:
    """The policy, and what the evaluator should know of it."""
    if content["torch"] is not None:
        set_torch_when_imported(*content["torch"])
    if content["configuration"] is None:
        method = load_method(content["method"])
    else:
        method = configure_method(content["method"], content["configuration"], content["code"])
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
