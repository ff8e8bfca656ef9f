"""What models of unknown environments read and say, whatever they are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, ClassVar, Protocol, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from metabench import Array, Episode, MetabenchError, Spaces

Model = TypeVar("Model")


@dataclass(frozen=True)
class Rows:
    """Transitions of G environments, N rows each; their order means nothing.

    Attributes:
        observations: `(G, N, S)`; slots beyond an environment's observation are 0.
        actions: `(G, N, A)` features: coordinates in [-1, 1], or one-hot; slots beyond are 0.
        next_observations: `(G, N, S)`.
        rewards: `(G, N)`.
        ends: `(G, N)` bool: the task itself ended the episode with this step.
        valid: `(G, N)` bool: false rows are padding.
    """

    observations: Tensor
    actions: Tensor
    next_observations: Tensor
    rewards: Tensor
    ends: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Answers:
    """What M queries in each of G environments lead to.

    Attributes:
        next_observations: `(G, M, S)` means or medians.
        deviations: `(G, M, S)` standard deviations, in the units of the observations; 0 of models without any.
        rewards: `(G, M)` means.
        reward_deviations: `(G, M)`.
        ends: `(G, M)` probabilities that the step ends the episode.
    """

    next_observations: Tensor
    deviations: Tensor
    rewards: Tensor
    reward_deviations: Tensor
    ends: Tensor

    @property
    def following(self) -> Any:
        """What the model is asked about next: of a model without a state of its own, the observations reached."""
        return self.next_observations

    @property
    def accumulated(self) -> bool:
        """Whether deviations hold those of the steps before as well."""
        return False


class DynamicsModel(Protocol):
    """A model of G environments that has read its context."""

    def __call__(self, observations: Any, actions: Tensor, /) -> Answers:
        """Predict for `(G, M, S)` observations and `(G, M, A)` action features; queries do not touch each other.

        A model that keeps a state (`world_models`) is asked about states in place of observations.
        """
        ...


@dataclass(frozen=True)
class AskedInParts:
    """A model that is asked at most so many queries at once: all of a few groups, or some of one.

    What is computed of them, and what is known of their groups, then stays in the processor's cache: up to three times
    as fast as all groups at once, each with a few of its queries.
    """

    model: DynamicsModel
    queries: int

    def __call__(self, observations: Tensor, actions: Tensor) -> Answers:
        """As the model itself."""
        groups = max(1, self.queries // max(1, observations.shape[1]))
        parts = [
            self._ask(slice(first, first + groups), observations, actions)
            for first in range(0, len(observations), groups)
        ]
        return _join_answers(parts, 0)

    def _ask(self, groups: slice, observations: Tensor, actions: Tensor) -> Answers:
        """Of some groups, a few queries at once if these are many."""
        model = take_groups(self.model, groups)
        asked = zip(
            torch.split(observations[groups], self.queries, 1),
            torch.split(actions[groups], self.queries, 1),
            strict=True,
        )
        return _join_answers([model(*each) for each in asked], 1)


def _join_answers(parts: Sequence[Answers], axis: int) -> Answers:
    columns = [vars(part) for part in parts]
    return Answers(
        **{name: torch.cat([each[name] for each in columns], axis) for name in columns[0]}
    )


def take_groups(model: Model, groups: Tensor | slice) -> Model:
    """The model of some of its environments alone: `(n,)` places among its G, or a slice of them, which copies nothing.

    Readers make models of frozen dataclasses whose tensors all have G rows; whatever else is in them, all groups share.
    """
    taken: Any = model
    if isinstance(model, Tensor):
        taken = model[groups]
    elif isinstance(model, tuple) and not all(isinstance(each, int) for each in model):
        taken = tuple(take_groups(each, groups) for each in model)
    elif is_dataclass(model) and not isinstance(model, type):
        parts = {each.name: getattr(model, each.name) for each in fields(model)}
        taken = replace(model, **{name: take_groups(part, groups) for name, part in parts.items()})
    return cast("Model", taken)


def join_groups(models: Sequence[Model]) -> Model:
    """One model of the environments of several, which are alike but for these: what `take_groups` takes apart."""
    first = models[0]
    joined: Any = first
    if isinstance(first, Tensor):
        joined = torch.cat([cast("Tensor", model) for model in models])
    elif is_dataclass(first) and not isinstance(first, type):
        names = [each.name for each in fields(first)]
        parts = {name: join_groups([getattr(model, name) for model in models]) for name in names}
        joined = replace(first, **parts)
    return cast("Model", joined)


def branch_lanes(state: Model, branches: int) -> Model:
    """`(G, K * branches, ...)` of `(G, K, ...)`: each of K lanes so many times, one after another.

    States are tensors, or frozen dataclasses of them.
    """
    branched: Any = state
    if isinstance(state, Tensor):
        spread = state[:, :, None].expand(-1, -1, branches, *state.shape[2:])
        branched = spread.reshape(state.shape[0], state.shape[1] * branches, *state.shape[2:])
    elif is_dataclass(state) and not isinstance(state, type):
        parts = {each.name: getattr(state, each.name) for each in fields(state)}
        branched = replace(
            state, **{name: branch_lanes(part, branches) for name, part in parts.items()}
        )
    return cast("Model", branched)


def count_lanes(state: Any) -> tuple[int, int]:
    """G and K of a state."""
    while not isinstance(state, Tensor):
        state = getattr(state, fields(state)[0].name)
    return state.shape[0], state.shape[1]


class Reader(ABC):
    """Makes models of environments from some of their transitions.

    Class attributes:
        tells_deviations: whether the deviations of its models' answers are more than zeros.
    """

    tells_deviations: ClassVar[bool] = True

    @abstractmethod
    def read(self, context: Rows) -> DynamicsModel:
        """A model of each of the G environments of `context`, which may have no rows; `take_groups` takes it apart."""

    def parameter_count(self) -> int:
        """Trained parameters; 0 for a model that is fitted to the context alone."""
        return 0


@dataclass(frozen=True)
class Transitions:
    """Transitions of one environment, T of them.

    Attributes:
        observations: `(T, observation_dim)` float32.
        actions: `(T, action_dim)` float32 features.
        next_observations: `(T, observation_dim)` float32.
        rewards: `(T,)` float32.
        ends: `(T,)` bool.
    """

    observations: Array
    actions: Array
    next_observations: Array
    rewards: Array
    ends: Array

    def __len__(self) -> int:
        """T."""
        return len(self.rewards)

    @staticmethod
    def from_episodes(episodes: Sequence[Episode], spaces: Spaces) -> Transitions:
        """All steps of one or more episodes."""
        ends = [np.zeros(len(episode), bool) for episode in episodes]
        for flags, episode in zip(ends, episodes, strict=True):
            flags[-1:] = episode.terminated
        return Transitions(
            np.concatenate([episode.observations[:-1] for episode in episodes]),
            np.concatenate([spaces.action_features(episode.actions) for episode in episodes]),
            np.concatenate([episode.observations[1:] for episode in episodes]),
            np.concatenate([episode.rewards for episode in episodes]),
            np.concatenate(ends),
        )

    def select(self, index: Array) -> Transitions:
        """Some of them."""
        return Transitions(
            self.observations[index],
            self.actions[index],
            self.next_observations[index],
            self.rewards[index],
            self.ends[index],
        )

    def thin(self, most: int) -> Transitions:
        """At most `most` of them: all, or every n-th, so that all parts of all episodes remain, and every end."""
        if len(self) <= most:
            return self
        ends = np.flatnonzero(self.ends)[:most]
        others = np.flatnonzero(~self.ends)
        kept = others[np.linspace(0, len(others) - 1, most - len(ends)).round().astype(np.int64)]
        return self.select(np.sort(np.concatenate([ends, kept])))


def join_transitions(transitions: Sequence[Transitions]) -> Transitions:
    """All of them, one after another."""
    columns = [vars(each) for each in transitions]
    return Transitions(
        **{name: np.concatenate([each[name] for each in columns]) for name in columns[0]}
    )


def batch_transitions(transitions: Sequence[Transitions]) -> Rows:
    """Transitions of G environments of equal spaces, padded to the longest.

    Raises:
        MetabenchError: a number is not finite.
    """
    for number, each in enumerate(transitions):
        for name in ("observations", "actions", "next_observations", "rewards"):
            if not np.isfinite(getattr(each, name)).all():
                raise MetabenchError(
                    f"context {number}: {name}: expected finite numbers, found NaN or infinity"
                )
    longest = max(len(each) for each in transitions)

    def pad_rows(arrays: Sequence[Array]) -> Tensor:
        whole = np.zeros((len(arrays), longest, *arrays[0].shape[1:]), arrays[0].dtype)
        for row, array in zip(whole, arrays, strict=True):
            row[: len(array)] = array
        return torch.from_numpy(whole)

    return Rows(
        pad_rows([each.observations for each in transitions]),
        pad_rows([each.actions for each in transitions]),
        pad_rows([each.next_observations for each in transitions]),
        pad_rows([each.rewards for each in transitions]),
        pad_rows([each.ends for each in transitions]),
        pad_rows([np.ones(len(each), bool) for each in transitions]),
    )
