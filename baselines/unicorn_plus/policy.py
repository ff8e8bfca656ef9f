"""Acting by a belief over codes: by its mean where it counts, by a draw from it where that is free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metabench import (
    Array,
    DataError,
    Episode,
    Prediction,
    Spaces,
    Step,
    load_state,
    save_state,
)

from ..common.task_inference.policy import TaskInferencePolicy, load_task_inference
from ..common.task_inference.train import Trained
from ..unicorn.model import OutcomeDecoder
from .belief import Belief, measure_likelihoods
from .config import UnicornPlusConfig

DECODER = "decoder"
"""The file beside the policy's."""


class UnicornPlusPolicy(TaskInferencePolicy):
    """Asks of every known code how likely it makes the rewards and changes that were seen, whoever acted."""

    _config: UnicornPlusConfig

    def __init__(
        self, trained: Trained, decoder: OutcomeDecoder, spaces: Spaces, config: UnicornPlusConfig
    ) -> None:
        """Wrap trained networks."""
        super().__init__(trained, spaces, config)
        self._decoder = decoder.eval()

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Believe in every training task alike."""
        super().reset(groups, seeds)
        self._belief = Belief(self._trained.codes, len(groups))
        self._draws = torch.as_tensor(
            [generator.random() for generator in self._generators], device=self._device
        )
        self._drawn: Tensor | None = None

    @torch.no_grad()
    def adapt(self, support: Mapping[int, Sequence[Episode]]) -> None:
        """Learn from each group's support: how likely each code makes all of it."""
        for group, episodes in support.items():
            if not episodes:
                continue
            codes = self._trained.codes
            if self._config.support_codes:
                sums = [self._sum_embeddings([episode]) for episode in episodes]
                own = torch.stack([total / count for total, count in sums])
                codes = torch.cat([codes, own])
            parts = zip(*map(split_episode, episodes), strict=True)
            before, actions, rewards, after = (np.concatenate(each) for each in parts)
            evidence = self._measure(before, actions, rewards, after, codes.unsqueeze(0)).sum(0)
            mine = np.array([each == group for each in self._groups])
            self._belief.learn(torch.as_tensor(mine, device=self._device), codes, evidence)
            self._first_support[mine] = False

    def _measure(
        self, before: Any, actions: Array, rewards: Array, after: Any, codes: Tensor
    ) -> Tensor:
        """`(N, C)` log-likelihoods of N transitions as the simulator gives them; codes `(N or 1, C, code_dim)`."""
        scales, device = self._trained.scales, self._device
        first, second = (torch.as_tensor(each, device=device) for each in (before, after))
        features = torch.as_tensor(self._spaces.action_features(actions), device=device)
        seen = torch.cat([scales.scale_observation(first), features], dim=-1)
        reward = (torch.as_tensor(rewards, device=device) / scales.get_buffer("reward")).unsqueeze(
            -1
        )
        outcomes = (scales.scale_change(first, second), reward)
        return measure_likelihoods(self._decoder, seen, outcomes, codes.expand(len(seen), -1, -1))

    @torch.no_grad()
    def act(self, step: Step) -> Array:
        """Learn from the last transition, then act by the belief's mean, or by the code that was drawn."""
        observation = torch.as_tensor(step.observation, device=self._device)
        if self._drawn is None:
            self._drawn = self._draw_codes()
        if self._config.own_transitions:
            self._take_in(step, observation)
        self._previous = observation
        free = ~step.scored
        if self._config.own_transitions:  # else nothing would be learned from probing
            free |= self._first_support & (step.timestep < self._config.probe_steps)
        code = torch.where(
            torch.as_tensor(free, device=self._device).unsqueeze(-1),
            self._drawn,
            self._belief.average(self._config.temper),
        )
        state = self._trained.scales.describe_state(
            observation, torch.as_tensor(step.timestep, device=self._device), code
        )
        return self._spaces.actions_from_features(self._trained.networks.actor(state).cpu().numpy())

    def _draw_codes(self) -> Tensor:
        """`(lanes, code_dim)`: a code of each lane's belief, or of the training tasks', by the lane's own seed."""
        weights = self._belief.weigh(self._config.temper)
        if not self._config.posterior_exploration:
            weights = torch.zeros_like(weights)
            weights[:, : len(self._trained.codes)] = 1.0 / len(self._trained.codes)
        chosen = (weights.cumsum(-1) < self._draws.unsqueeze(-1)).sum(-1)
        chosen = chosen.clamp(max=weights.shape[1] - 1)
        return self._belief.codes[torch.arange(len(chosen), device=self._device), chosen]

    def _take_in(self, step: Step, observation: Tensor) -> None:
        """Add the evidence of the transition that led to `observation`, in the lanes that have one."""
        evidence = self._measure(
            self._previous,
            step.previous_action,
            step.previous_reward,
            observation,
            self._belief.codes,
        )
        has_one = torch.as_tensor(step.active & (step.timestep > 0), device=self._device)
        self._belief.evidence += evidence * has_one.unsqueeze(-1)

    @torch.no_grad()
    def predict(self, prefix: Sequence[Episode], actions: Array) -> Prediction:
        """What the decoders say under the belief after support and prefix: the mixture's means and deviations.

        Every code follows its own way from the last observation; ends they know none of.
        """
        scales, device = self._trained.scales, self._device
        codes = self._belief.codes  # (lanes, C, code_dim)
        evidence = self._belief.evidence.clone()
        for lane, episode in enumerate(prefix):
            if len(episode):
                evidence[lane] += self._measure(
                    *split_episode(episode), codes[lane : lane + 1]
                ).sum(0)
        weights = torch.softmax(evidence * self._config.temper, -1).unsqueeze(-1)  # (lanes, C, 1)
        now = np.stack([episode.observations[-1] for episode in prefix])
        state = torch.as_tensor(now, device=device).unsqueeze(1).expand(-1, codes.shape[1], -1)
        features = torch.as_tensor(self._spaces.action_features(actions), device=device)
        found: list[tuple[Tensor, ...]] = []
        for action in features.unbind(1):
            seen = torch.cat(
                [scales.scale_observation(state), action.unsqueeze(1).expand(*codes.shape[:2], -1)],
                -1,
            )
            (change, change_spread), (reward, reward_spread) = self._decoder(
                torch.cat([seen, codes], -1)
            )
            unit, pay = scales.get_buffer("change"), scales.get_buffer("reward")
            state = state + change * unit
            found.append(
                (
                    *mix(state, (change_spread / 2).exp() * unit, weights),
                    *mix(reward * pay, (reward_spread / 2).exp() * pay, weights),
                )
            )
        states, state_deviations, rewards, reward_deviations = (
            torch.stack(each, 1).cpu().numpy() for each in zip(*found, strict=True)
        )
        return Prediction(
            states,
            rewards[..., 0],
            np.zeros(actions.shape[:2], np.float32),
            state_deviations,
            reward_deviations[..., 0],
        )

    def parameter_count(self) -> int:
        """The decoders act as well."""
        return super().parameter_count() + sum(each.numel() for each in self._decoder.parameters())

    def save(self, folder: Path) -> None:
        """Write what unicorn's policy writes, and the decoders."""
        super().save(folder)
        save_state(dict(self._decoder.state_dict()), folder / DECODER)


def split_episode(episode: Episode) -> tuple[Array, Array, Array, Array]:
    """Observations, actions, rewards and what these led to, of all its transitions."""
    return (
        episode.observations[:-1],
        episode.actions,
        episode.rewards,
        episode.observations[1:],
    )


def mix(means: Tensor, deviations: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation `(lanes, size)` of mixtures of C Gaussians `(lanes, C, size)` with weights `(lanes, C, 1)`."""
    mean = (weights * means).sum(1)
    variance = (weights * (deviations.square() + (means - mean.unsqueeze(1)).square())).sum(1)
    return mean, variance.sqrt()


def load_unicorn_plus(folder: Path, spaces: Spaces, name: str) -> UnicornPlusPolicy:
    """Read what `UnicornPlusPolicy.save` wrote; raises `DataError` as `load_task_inference` does."""
    plain = load_task_inference(folder, spaces, UnicornPlusConfig, name)
    config = plain._config
    assert isinstance(config, UnicornPlusConfig)
    decoder = OutcomeDecoder(spaces, config.code_dim, config.decoder_width)
    try:
        decoder.load_state_dict(load_state(folder / DECODER))
    except (RuntimeError, TypeError) as error:
        problem = " ".join(str(error).split())
        raise DataError(f"{folder}: not a policy of {name}: {problem}") from error
    return UnicornPlusPolicy(plain._trained, decoder, spaces, config)
