"""Imagined transitions: short branches from logged states, by the actor, whose doubtful rewards are worth less."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metabench import TrainingData, TrainingRun

from ...actor_critic.losses import Transitions
from ...actor_critic.networks import ActorCritic
from ..batches import Batches, find_most_windows
from ..config import ContextEnsembleConfig
from ..ensemble import Ensemble
from .config import ImaginingConfig

TASKS = 32
"""Tasks that the starts of a round are of, with a context each."""

FIELDS = ("state", "action", "reward", "next_state", "continues")


class Store:
    """Transitions of the last few rounds; a part of the checkpoint."""

    def __init__(self, rounds: int) -> None:
        """Begin empty."""
        self._most = rounds
        self._rounds: list[Transitions] = []
        self._joined: dict[str, Tensor] = {}

    def add(self, transitions: Transitions) -> None:
        """Keep a round's, and forget the oldest if there are too many."""
        self._keep([*self._rounds[-(self._most - 1) :], transitions][-self._most :])

    def _keep(self, rounds: list[Transitions]) -> None:
        # Joined once a round: to join at every draw takes longer than an update.
        self._rounds = rounds
        self._joined = {
            name: torch.cat([getattr(each, name) for each in rounds]) for name in FIELDS
        }

    def draw(self, generator: np.random.Generator, count: int) -> Transitions:
        """Some of them, with replacement."""
        index = torch.as_tensor(generator.integers(len(self._joined["reward"]), size=count))
        return Transitions(**{name: column[index] for name, column in self._joined.items()})

    def state_dict(self) -> dict[str, Any]:
        """The rounds."""
        return {"rounds": [{name: getattr(each, name) for name in FIELDS} for each in self._rounds]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Put back the rounds."""
        rounds = [Transitions(**each) for each in state_dict["rounds"]]
        if rounds:
            self._keep(rounds)


def describe_state(
    ensemble: Ensemble, observations: Tensor, timesteps: Tensor, told: Tensor
) -> Tensor:
    """What actor and critics see, `(B, S + 1 + C)`: with the time that is left, and what is told of the task."""
    elapsed = timesteps.to(observations.dtype)[:, None] / ensemble.spaces.horizon
    return torch.cat([ensemble.scales.scale(observations), elapsed, told], 1)


class Augmentation(ABC):
    """Branches in other dynamics than the ensemble's, which actor and critics are told."""

    @abstractmethod
    def read(self, observations: Tensor, actions: Tensor, after: Tensor) -> Tensor:
        """`(T, C)` what is told of the dynamics of T tasks, of `(T, b, ...)` logged steps of each."""

    @abstractmethod
    def draw(self, count: int) -> Tensor:
        """`(count, C)` what is told in so many branches; drawn by torch's own generator."""

    @abstractmethod
    def change(self, before: Tensor, after: Tensor, told: Tensor) -> Tensor:
        """Where `(B, S)` steps lead instead of `(B, S)` where the ensemble's lead, as `(B, C)` says."""


class Imagination:
    """Draws logged transitions, and branches off them in the ensemble."""

    def __init__(
        self,
        ensemble: Ensemble,
        config: ImaginingConfig,
        data: TrainingData,
        augmentation: Augmentation | None = None,
    ) -> None:
        """Begin at states of `data`, which is on the ensemble's device; without an augmentation codes are told."""
        self._ensemble, self._config, self._data = ensemble, config, data
        self._augmentation = augmentation
        self._batches = Batches(ensemble, data, None)

    @torch.no_grad()
    def imagine(
        self, networks: ActorCritic, run: TrainingRun, update: int
    ) -> tuple[Transitions, Transitions]:
        """A round: the logged transitions that it begins at, and the imagined ones."""
        generator = run.generator("imagination", update)
        tasks = generator.integers(self._data.num_tasks, size=TASKS)
        each = -(-self._config.starts // TASKS)
        rows = self._data.sample_task_transitions(generator, tasks, each)
        codes = self._draw_codes(generator, tasks).repeat_interleave(each, 0)
        observations, after, actions, rewards, ended, timesteps = (
            column.flatten(0, 1)
            for column in (
                rows.observations,
                rows.next_observations,
                rows.actions,
                rows.rewards,
                rows.terminated,
                rows.timesteps,
            )
        )
        ensemble, pay = self._ensemble, self._ensemble.scales.get_buffer("reward")
        told, augmentation = codes, self._augmentation
        if augmentation is not None:
            told = augmentation.read(rows.observations, rows.actions, rows.next_observations)
            told = told.repeat_interleave(each, 0)
        real = Transitions(
            describe_state(ensemble, observations, timesteps, told),
            actions,
            rewards / pay,
            describe_state(ensemble, after, timesteps + 1, told),
            1.0 - ended.float(),
        )
        if augmentation is not None:
            told = augmentation.draw(len(observations))
        found = []
        for _ in range(self._config.steps):
            state = describe_state(ensemble, observations, timesteps, told)
            actions = choose_actions(networks, state)
            after, rewards, ends, doubt = self._step(observations, actions, codes)
            if augmentation is not None:
                after = augmentation.change(observations, after, told)
            timesteps = timesteps + 1
            following = describe_state(ensemble, after, timesteps, told)
            reward = rewards / pay - self._config.penalty * doubt
            found.append(Transitions(state, actions, reward, following, 1.0 - ends.float()))
            going = ~ends & (timesteps < ensemble.spaces.horizon)
            observations, timesteps = after[going], timesteps[going]
            codes, told = codes[going], told[going]
        columns = {name: torch.cat([getattr(each, name) for each in found]) for name in FIELDS}
        return real, Transitions(**columns)

    def _draw_codes(self, generator: np.random.Generator, tasks: np.ndarray) -> Tensor:
        """`(T, code_dim)` codes of contexts of the tasks, some of them empty."""
        config = self._ensemble.config
        windows = generator.integers(1, 1 + find_most_windows(config), size=len(tasks))
        if not isinstance(config, ContextEnsembleConfig):
            return torch.zeros(
                len(tasks), 0, device=self._ensemble.scales.get_buffer("mean").device
            )
        windows[generator.random(len(tasks)) < config.empty_contexts] = 0
        return self._ensemble.encode(*self._batches.draw_contexts(generator, tasks, windows))

    def _step(
        self, observations: Tensor, actions: Tensor, codes: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Next observations, rewards, ends and doubts of B branches, drawn from an elite's Gaussian each."""
        ensemble = self._ensemble
        count, branches = ensemble.config.members, len(observations)
        said = ensemble.ask(
            ensemble.members,
            *(each.expand(count, -1, -1) for each in (observations, actions, codes)),
        )
        elites = ensemble.get_buffer("elites")
        who = elites[torch.randint(len(elites), (branches,), device=elites.device)]
        every = torch.arange(branches, device=elites.device)
        deviations = (said.log_variance / 2).exp()
        outcome = said.mean[who, every] + deviations[who, every] * torch.randn_like(said.mean[0])
        after, rewards = ensemble.scales.reach_outcome(observations, outcome)
        chance = said.end[who, every].sigmoid() * ensemble.scales.get_buffer("ends")
        ends = torch.rand_like(chance) < chance
        return after, rewards, ends, measure_doubt(deviations)


def measure_doubt(deviations: Tensor) -> Tensor:
    """`(B,)`: the largest over all members of the L2 norms of their `(members, B, outputs)` deviations."""
    sizes: Tensor = deviations.square().sum(2).sqrt()
    return sizes.amax(0)


def choose_actions(networks: ActorCritic, state: Tensor) -> Tensor:
    """`(B, action_dim)` features of actions that are drawn from the actor; without a deviation its own."""
    actor = networks.actor
    if actor.discrete:
        chances = actor(state).softmax(-1)
        chosen = torch.multinomial(chances, 1)[:, 0]
        return torch.nn.functional.one_hot(chosen, chances.shape[1]).to(state.dtype)
    if actor.stochastic:
        return actor.sample(state)[0]
    acted: Tensor = actor(state)
    return acted
