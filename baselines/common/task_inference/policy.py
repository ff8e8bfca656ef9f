"""Acting by observation and code: the code is a running mean over support and own transitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metabench import (
    Array,
    DataError,
    Episode,
    Policy,
    Spaces,
    Step,
    load_state,
    save_state,
)

from ..actor_critic.networks import ActorCritic
from .config import TaskInferenceConfig
from .encoder import ContextEncoder, Scales, count_parameters
from .train import Trained


class TaskInferencePolicy(Policy):
    """Acts the actor's mean or most likely action, given the code of what was seen of the task.

    A code costs the same at every step, however long the context: a sum of embeddings and their number are kept.
    """

    def __init__(self, trained: Trained, spaces: Spaces, config: TaskInferenceConfig) -> None:
        """Wrap trained networks."""
        self._trained = trained
        self._spaces = spaces
        self._config = config
        self._device = trained.codes.device
        self._groups: list[int] = []

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Begin with the code of no transition in every lane."""
        lanes = len(groups)
        self._groups = list(groups)
        self._total = torch.zeros(lanes, self._config.code_dim, device=self._device)
        self._count = torch.zeros(lanes, 1, device=self._device)
        self._previous = torch.zeros(lanes, self._spaces.observation_dim, device=self._device)
        self._first_support = np.ones(lanes, bool)
        self._generators = [np.random.default_rng(seed) for seed in seeds]
        known = len(self._trained.codes)
        self._explored = torch.as_tensor(
            [int(generator.integers(known)) for generator in self._generators], device=self._device
        )

    @torch.no_grad()
    def adapt(self, support: Mapping[int, Sequence[Episode]]) -> None:
        """Add the transitions of each group's support; of its best episodes only, where the configuration says so."""
        for group, episodes in support.items():
            if not episodes:
                continue
            total, count = self._sum_embeddings(self._choose_episodes(episodes))
            mine = np.array([each == group for each in self._groups])
            self._total[mine] += total
            self._count[mine] += count
            self._first_support[mine] = False

    def _choose_episodes(self, episodes: Sequence[Episode]) -> Sequence[Episode]:
        if self._config.best_episodes is None:
            return episodes
        returns = np.array([episode.rewards.sum(dtype=np.float64) for episode in episodes])
        return [
            episodes[index]
            for index in np.argsort(-returns, kind="stable")[: self._config.best_episodes]
        ]

    def _sum_embeddings(self, episodes: Sequence[Episode]) -> tuple[Tensor, int]:
        """The sum `(code_dim,)` of all transitions' embeddings, and how many there are."""
        before = np.concatenate([episode.observations[:-1] for episode in episodes])
        after = np.concatenate([episode.observations[1:] for episode in episodes])
        actions = np.concatenate([episode.actions for episode in episodes])
        rewards = np.concatenate([episode.rewards for episode in episodes])
        embeddings = self._embed(before, actions, rewards, after)
        return embeddings.sum(0), len(rewards)

    def _embed(self, before: Any, actions: Array, rewards: Array, after: Any) -> Tensor:
        """`(N, code_dim)` embeddings of N transitions as the simulator gives them."""
        scales, device = self._trained.scales, self._device
        first, second = (torch.as_tensor(each, device=device) for each in (before, after))
        embeddings: Tensor = self._trained.encoder(
            scales.scale_observation(first),
            torch.as_tensor(self._spaces.action_features(actions), device=device),
            (torch.as_tensor(rewards, device=device) / scales.get_buffer("reward")).unsqueeze(-1),
            scales.scale_change(first, second),
        )
        return embeddings

    @torch.no_grad()
    def act(self, step: Step) -> Array:
        """Take in the last transition, then act by the code."""
        observation = torch.as_tensor(step.observation, device=self._device)
        if self._config.own_transitions:
            self._take_in(step, observation)
        self._previous = observation
        code = self._total / self._count.clamp(min=1)
        exploring = torch.as_tensor(~step.scored, device=self._device).unsqueeze(-1)
        if self._config.exploration == "training-codes":
            code = torch.where(exploring, self._trained.codes[self._explored], code)
        state = self._trained.scales.describe_state(
            observation, torch.as_tensor(step.timestep, device=self._device), code
        )
        features = self._trained.networks.actor(state).cpu().numpy()
        actions = self._spaces.actions_from_features(features)
        if self._config.exploration == "random-first":
            self._replace_by_random(actions, ~step.scored & self._first_support)
        return actions

    def _take_in(self, step: Step, observation: Tensor) -> None:
        """Add the transition that led to `observation` to the sums of the lanes that have one."""
        has_one = torch.as_tensor(step.active & (step.timestep > 0), device=self._device)
        embedding = self._embed(
            self._previous, step.previous_action, step.previous_reward, observation
        )
        self._total += embedding * has_one.unsqueeze(-1)
        self._count += has_one.unsqueeze(-1)

    def _replace_by_random(self, actions: Array, lanes: Array) -> None:
        """Put uniform actions into `lanes`, each by its own generator."""
        for lane in np.flatnonzero(lanes):
            generator = self._generators[lane]
            actions[lane] = (
                generator.integers(self._spaces.action_dim)
                if self._spaces.discrete
                else generator.uniform(self._spaces.action_low, self._spaces.action_high)
            )

    @torch.no_grad()
    def task_codes(self, episodes: Sequence[Episode], steps: int) -> Array:
        """The code of the first `steps` steps of each episode, `(len(episodes), code_dim)`."""
        codes = []
        for episode in episodes:
            count = min(steps, len(episode))
            embeddings = self._embed(
                episode.observations[:count],
                episode.actions[:count],
                episode.rewards[:count],
                episode.observations[1 : count + 1],
            )
            codes.append(embeddings.mean(0))
        return torch.stack(codes).cpu().numpy()

    def parameter_count(self) -> int:
        """Encoder and actor: the critics are not used any more."""
        return count_parameters(self._trained.encoder, self._trained.networks.actor)

    def save(self, folder: Path) -> None:
        """Write networks, configuration and spaces."""
        trained = self._trained
        state = {
            "scales": dict(trained.scales.state_dict()),
            "encoder": dict(trained.encoder.state_dict()),
            "networks": dict(trained.networks.state_dict()),
            "codes": trained.codes,
            "config": self._config.model_dump(mode="json"),
            "spaces": asdict(self._spaces),
        }
        save_state(state, folder / "policy")


def load_task_inference(
    folder: Path, spaces: Spaces, config_class: type[TaskInferenceConfig], name: str
) -> TaskInferencePolicy:
    """Read what `TaskInferencePolicy.save` wrote.

    Raises:
        DataError: it is missing, damaged, no policy of method `name`, or of other spaces.
    """
    state = load_state(folder / "policy")
    try:
        config = config_class.model_validate(state["config"])
        saved = Spaces(**state["spaces"])
        scales, encoder = Scales(saved), ContextEncoder(saved, config)
        networks = ActorCritic(saved.observation_dim + 1 + config.code_dim, saved, config)
        scales.load_state_dict(state["scales"])
        encoder.load_state_dict(state["encoder"])
        networks.load_state_dict(state["networks"])
        codes = state["codes"]
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise DataError(f"{folder}: not a policy of {name}: {problem}") from error
    if saved != spaces:
        raise DataError(f"{folder}: a policy for {saved}, expected {spaces}")
    trained = Trained(scales.eval(), encoder.eval(), networks.eval(), codes)
    return TaskInferencePolicy(trained, spaces, config)
