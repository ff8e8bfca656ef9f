"""Acting by observation and belief: the GRU reads the support in order, then every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metabench import Array, DataError, Episode, Policy, Spaces, Step, load_state, save_state

from ..common.actor_critic.networks import ActorCritic
from ..common.task_inference.encoder import Scales, count_parameters
from .config import BorelConfig
from .model import BeliefEncoder
from .train import Trained


class BorelPolicy(Policy):
    """Acts the actor's mean or most likely action, given the belief after all that was seen of the task."""

    def __init__(self, trained: Trained, spaces: Spaces, config: BorelConfig) -> None:
        """Wrap trained networks."""
        self._trained = trained
        self._spaces = spaces
        self._config = config
        self._device = trained.scales.get_buffer("mean").device
        self._groups: list[int] = []

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Begin with the prior in every lane; nothing is random."""
        del seeds
        lanes = len(groups)
        self._groups = list(groups)
        self._memory = torch.zeros(lanes, self._config.memory_width, device=self._device)
        self._belief = torch.zeros(lanes, 2 * self._config.latent_dim, device=self._device)
        self._previous = torch.zeros(lanes, self._spaces.observation_dim, device=self._device)

    @torch.no_grad()
    def adapt(self, support: Mapping[int, Sequence[Episode]]) -> None:
        """Read each group's support, oldest first; group by group, so that none depends on others to the last bit."""
        for group, episodes in support.items():
            if not episodes:
                continue
            beliefs, memory = self._read(
                np.concatenate([episode.observations[:-1] for episode in episodes]),
                np.concatenate([episode.actions for episode in episodes]),
                np.concatenate([episode.rewards for episode in episodes]),
                np.concatenate([episode.observations[1:] for episode in episodes]),
            )
            mine = torch.as_tensor([each == group for each in self._groups], device=self._device)
            self._memory[mine], self._belief[mine] = memory[0], beliefs[0, -1]

    def _read(
        self, before: Array, actions: Array, rewards: Array, after: Array
    ) -> tuple[Tensor, Tensor]:
        """Beliefs `(1, N, 2 latent_dim)` and memory `(1, memory_width)` of N transitions in a row."""
        scaled = self._scale(before, actions, rewards, after)
        read: tuple[Tensor, Tensor] = self._trained.encoder(*(each.unsqueeze(0) for each in scaled))
        return read

    def _scale(self, before: Any, actions: Array, rewards: Array, after: Any) -> list[Tensor]:
        """What the encoder takes, `(N, ...)`, of transitions as the simulator gives them."""
        scales, device = self._trained.scales, self._device
        first, second = (torch.as_tensor(each, device=device) for each in (before, after))
        reward = torch.as_tensor(rewards, device=device) / scales.get_buffer("reward")
        return [
            scales.scale_observation(first),
            torch.as_tensor(self._spaces.action_features(actions), device=device),
            reward.unsqueeze(-1),
            scales.scale_change(first, second),
        ]

    @torch.no_grad()
    def act(self, step: Step) -> Array:
        """Take in the last transition, then act by the belief."""
        observation = torch.as_tensor(step.observation, device=self._device)
        self._take_in(step, observation)
        self._previous = observation
        state = self._trained.scales.describe_state(
            observation, torch.as_tensor(step.timestep, device=self._device), self._belief
        )
        features = self._trained.networks.actor(state).cpu().numpy()
        return self._spaces.actions_from_features(features)

    def _take_in(self, step: Step, observation: Tensor) -> None:
        """Read the transition that led to `observation` in the lanes that have one."""
        has_one = step.active & (step.timestep > 0)
        if not has_one.any():
            return
        scaled = self._scale(
            self._previous, step.previous_action, step.previous_reward, observation
        )
        beliefs, memory = self._trained.encoder(
            *(each.unsqueeze(1) for each in scaled), self._memory
        )
        moved = torch.as_tensor(has_one, device=self._device).unsqueeze(-1)
        self._memory = torch.where(moved, memory, self._memory)
        self._belief = torch.where(moved, beliefs[:, 0], self._belief)

    @torch.no_grad()
    def task_codes(self, episodes: Sequence[Episode], steps: int) -> Array:
        """The belief's mean after the first `steps` steps of each episode, `(len(episodes), latent_dim)`."""
        codes = []
        for episode in episodes:
            count = min(steps, len(episode))
            beliefs, _ = self._read(
                episode.observations[:count],
                episode.actions[:count],
                episode.rewards[:count],
                episode.observations[1 : count + 1],
            )
            codes.append(beliefs[0, -1, : self._config.latent_dim])
        return torch.stack(codes).cpu().numpy()

    def parameter_count(self) -> int:
        """Encoder and actor: decoders and critics are not used any more."""
        return count_parameters(self._trained.encoder, self._trained.networks.actor)

    def save(self, folder: Path) -> None:
        """Write networks, configuration and spaces."""
        trained = self._trained
        state = {
            "scales": dict(trained.scales.state_dict()),
            "encoder": dict(trained.encoder.state_dict()),
            "networks": dict(trained.networks.state_dict()),
            "config": self._config.model_dump(mode="json"),
            "spaces": asdict(self._spaces),
        }
        save_state(state, folder / "policy")


def load_borel(folder: Path, spaces: Spaces) -> BorelPolicy:
    """Read what `BorelPolicy.save` wrote.

    Raises:
        DataError: it is missing, damaged, no policy of borel, or of other spaces.
    """
    state = load_state(folder / "policy")
    try:
        config = BorelConfig.model_validate(state["config"])
        saved = Spaces(**state["spaces"])
        scales, encoder = Scales(saved), BeliefEncoder(saved, config)
        inputs = saved.observation_dim + 1 + 2 * config.latent_dim
        networks = ActorCritic(inputs, saved, config)
        scales.load_state_dict(state["scales"])
        encoder.load_state_dict(state["encoder"])
        networks.load_state_dict(state["networks"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise DataError(f"{folder}: not a policy of borel: {problem}") from error
    if saved != spaces:
        raise DataError(f"{folder}: a policy for {saved}, expected {spaces}")
    trained = Trained(scales.eval(), encoder.eval(), networks.eval())
    return BorelPolicy(trained, spaces, config)
