"""Planning in a model: sequences of actions are imagined, the good ones averaged, the first few steps acted (MPPI).

The model is anything that predicts for many queries in many environments at once: the transformer, or one of the
controls fitted to the same support. All lanes of all groups are planned for in one batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from metabench import Spaces

from .config import PlannerConfig
from .rows import DynamicsModel


class Planner:
    """Plans for K lanes in each of G groups."""

    def __init__(self, config: PlannerConfig, spaces: Spaces) -> None:
        """Plan actions of these spaces."""
        self._config, self._spaces = config, spaces

    @torch.no_grad()
    def plan(
        self,
        model: DynamicsModel,
        observations: Tensor,
        last: Tensor | None,
        noise: Sequence[torch.Generator],
    ) -> Tensor:
        """Scores of actions for the next steps.

        Args:
            model: of the G groups.
            observations: `(G, K, S)` now.
            last: `(G, K, H, action_dim)` what was returned `replan` steps ago, or None at an episode's start.
            noise: one generator a lane, in the order of `observations`: a lane's plan depends on its own only.

        Returns:
            `(G, K, H, action_dim)` in [-1, 1]; of discrete actions the largest is taken.
        """
        config, (groups, lanes) = self._config, observations.shape[:2]
        shape = (groups, lanes, config.horizon, self._spaces.action_dim)
        mean = torch.zeros(shape) if last is None else self._shift_plan(last)
        for _ in range(config.iterations):
            wander = self._draw_noise(noise).view(groups, lanes, config.samples, config.horizon, -1)
            candidates = (mean[:, :, None] + config.deviation * wander).clamp(
                -1.0, 1.0
            )  # (G, K, N, H, action_dim)
            candidates[:, :, 0] = mean  # what was planned before stays in the race
            returns = self._imagine_returns(model, observations, candidates)
            # Weights do not depend on the size or the origin of rewards, so one temperature serves all suites.
            best = returns.amax(2, keepdim=True)
            spread = returns.std(2, keepdim=True).clamp(min=1e-6)
            weights = ((returns - best) / (config.temperature * spread)).softmax(2)
            mean = (weights[..., None, None] * candidates).sum(2)
        return mean

    def _draw_noise(self, noise: Sequence[torch.Generator]) -> Tensor:
        """`(lanes, samples, H, action_dim)`: noise that wanders, so that a sequence goes somewhere."""
        config = self._config
        shape = (config.samples, config.horizon, self._spaces.action_dim)
        fresh = torch.stack([torch.randn(shape, generator=generator) for generator in noise])
        kept = config.persistence
        for timestep in range(1, config.horizon):
            # The second factor keeps the deviation at 1 from step to step.
            fresh[:, :, timestep] = (
                kept * fresh[:, :, timestep - 1] + (1 - kept**2) ** 0.5 * fresh[:, :, timestep]
            )
        return fresh

    def _shift_plan(self, last: Tensor) -> Tensor:
        """The rest of the last plan; beyond it nothing is planned."""
        steps = min(self._config.replan, last.shape[2])
        return torch.cat([last[:, :, steps:], torch.zeros_like(last[:, :, :steps])], 2)

    def _imagine_returns(
        self, model: DynamicsModel, observations: Tensor, candidates: Tensor
    ) -> Tensor:
        """`(G, K, N)` penalised returns of `(G, K, N, H, action_dim)` sequences."""
        groups, lanes, samples, horizon, _ = candidates.shape
        state = (
            observations[:, :, None]
            .expand(-1, -1, samples, -1)
            .reshape(groups, lanes * samples, -1)
        )
        going = torch.ones(
            groups, lanes * samples
        )  # the probability that the episode still goes on
        total = torch.zeros(groups, lanes * samples)
        for timestep in range(horizon):
            features = self.to_features(
                candidates[:, :, :, timestep].reshape(groups, lanes * samples, -1)
            )
            seen = model(state, features)
            # The step's own reward is still earned where it ends the episode; what follows is not.
            total = total + going * (seen.rewards - self._config.penalty * seen.reward_deviations)
            going = going * (1.0 - seen.ends)
            state = seen.next_observations
        return total.view(groups, lanes, samples)

    def to_features(self, scores: Tensor) -> Tensor:
        """`(..., action_dim)` action features of as many scores: themselves, or one-hot the largest."""
        if not self._spaces.discrete:
            return scores
        return torch.nn.functional.one_hot(scores.argmax(-1), self._spaces.action_dim).to(
            scores.dtype
        )
