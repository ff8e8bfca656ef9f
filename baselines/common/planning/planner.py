"""Planning in a model: sequences of actions are imagined, the good ones averaged, the first few steps acted.

Good ones have more weight (MPPI), or the best few are averaged alike and what is drawn next keeps their spread (CEM).

The model is anything that predicts for many queries in many environments at once: the transformer, one of the controls
fitted to the same support, or a world model that keeps a state. All lanes of all groups are planned for in one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from metabench import Spaces

from .config import EliteSearchConfig, SearchConfig
from .rows import DynamicsModel, branch_lanes, count_lanes


class Planner:
    """Plans for K lanes in each of G groups."""

    def __init__(self, config: SearchConfig, spaces: Spaces) -> None:
        """Plan actions of these spaces."""
        self._config, self._spaces = config, spaces

    @torch.no_grad()
    def plan(
        self,
        model: DynamicsModel,
        state: Any,
        last: Tensor | None,
        noise: Sequence[torch.Generator],
    ) -> Tensor:
        """Scores of actions for the next steps.

        Args:
            model: of the G groups.
            state: now: `(G, K, S)` observations, or what a model that keeps a state begins with.
            last: `(G, K, H, action_dim)` what was returned `replan` steps ago, or None at an episode's start.
            noise: one generator a lane, in the order of `state`: a lane's plan depends on its own only.

        Returns:
            `(G, K, H, action_dim)` in [-1, 1]; of discrete actions the largest is taken.
        """
        config, (groups, lanes) = self._config, count_lanes(state)
        shape = (groups, lanes, config.horizon, self._spaces.action_dim)
        mean = torch.zeros(shape) if last is None else self._shift_plan(last)
        deviation: Tensor | float = config.deviation
        for _ in range(config.iterations):
            wander = self._draw_noise(noise).view(groups, lanes, config.samples, config.horizon, -1)
            candidates = (mean[:, :, None] + deviation * wander).clamp(
                -1.0, 1.0
            )  # (G, K, N, H, action_dim)
            candidates[:, :, 0] = mean  # what was planned before stays in the race
            returns = self._imagine_returns(model, state, candidates)
            if isinstance(config, EliteSearchConfig) and config.search_elites:
                mean, deviation = _average_elites(config, candidates, returns, mean, deviation)
                continue
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

    def _imagine_returns(self, model: DynamicsModel, state: Any, candidates: Tensor) -> Tensor:
        """`(G, K, N)` penalised returns of `(G, K, N, H, action_dim)` sequences."""
        groups, lanes, samples, horizon, _ = candidates.shape
        state = branch_lanes(state, samples)
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
            state = seen.following
        return total.view(groups, lanes, samples)

    def to_features(self, scores: Tensor) -> Tensor:
        """`(..., action_dim)` action features of as many scores: themselves, or one-hot the largest."""
        if not self._spaces.discrete:
            return scores
        return torch.nn.functional.one_hot(scores.argmax(-1), self._spaces.action_dim).to(
            scores.dtype
        )


def _average_elites(
    config: EliteSearchConfig,
    candidates: Tensor,
    returns: Tensor,
    mean: Tensor,
    deviation: Tensor | float,
) -> tuple[Tensor, Tensor]:
    """What is drawn around next, `(G, K, H, action_dim)`, and the deviations `(G, K, 1, H, action_dim)` there."""
    best = returns.topk(min(config.search_elites, returns.shape[2]), 2).indices  # (G, K, elites)
    index = best[..., None, None].expand(-1, -1, -1, *candidates.shape[3:])
    chosen = candidates.gather(2, index)
    spread = chosen.std(2, correction=0, keepdim=True).clamp(min=config.least_deviation)
    kept = config.smoothing
    return kept * mean + (1 - kept) * chosen.mean(2), kept * deviation + (1 - kept) * spread
