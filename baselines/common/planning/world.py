"""What is imagined in: models of several tasks, and the scales of what is known of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from metabench import Array

from .config import ImaginationConfig
from .rows import Answers, DynamicsModel, Transitions

SMALLEST = 1e-6
"""Scales below this are taken for those of something constant."""


@dataclass(frozen=True)
class World:
    """What G groups imagine in, and the scales of what they know of it.

    Attributes:
        models: one a group, each asked alone: what a group learns does not depend on the others, to the last bit.
        starts: `(n, S)` a group: where its imagined episodes begin.
        mean: `(G, 1, S)` of the context's observations, for normalisation.
        spread: `(G, 1, S)` their standard deviation.
        low: `(G, 1, S)` least imagined observation.
        high: `(G, 1, S)` largest.
        units: `(G, 1, S + 1)` of uncertainty: the root mean squared change of each state axis in the context, and the
            standard deviation of its rewards; 1 where there is none.
        usual_doubt: `(G, 1, S + 1)` mean uncertainty in these units, of the model where the context is.
        end_floor: `(G, 1)` mean probability of an end, by the model, where the context's episodes go on.
        end_ceiling: `(G, 1)` the same where they end; 1 where none does.
        reward: `(G, 1)` root mean squared reward in the context; 1 where all are 0.
        ended: a rule that says of `(G, K, S)` imagined observations whether they end an episode, in place of the
            model's probabilities; None for every policy that is told no such rule.
    """

    models: Sequence[DynamicsModel]
    starts: Sequence[Tensor]
    mean: Tensor
    spread: Tensor
    low: Tensor
    high: Tensor
    units: Tensor
    usual_doubt: Tensor
    end_floor: Tensor
    end_ceiling: Tensor
    reward: Tensor
    ended: Callable[[Tensor], Tensor] | None = None

    @staticmethod
    def from_contexts(
        models: Sequence[DynamicsModel],
        contexts: Sequence[Transitions],
        starts: Sequence[Array],
        config: ImaginationConfig,
        ended: Callable[[Tensor], Tensor] | None = None,
    ) -> World:
        """Measure the contexts, one a group.

        Args:
            models: of the groups.
            contexts: what the models have read, or more of it.
            starts: `(n, S)` first observations of episodes a group; branches begin at any of the context instead.
            config: how far imagined states may leave the context, and whether there are branches.
            ended: see the class.
        """
        if config.branch:
            starts = [context.observations for context in contexts]
        begun = [torch.from_numpy(each) for each in starts]
        scales = [_measure_scales(context, config.reach) for context in contexts]
        mean, spread, low, high, units, reward = (
            torch.stack(column) for column in zip(*scales, strict=True)
        )
        at_home = [_measure_on_context(*each) for each in zip(models, contexts, units, strict=True)]
        usual, floor, ceiling = (torch.stack(column) for column in zip(*at_home, strict=True))
        return World(
            models, begun, mean, spread, low, high, units, usual, floor, ceiling, reward, ended
        )

    def add_idle_group(self) -> World:
        """A lone group and another, in which nothing happens.

        Batches of one are computed by other kernels than larger ones, which round otherwise: so no group is ever alone.
        """
        assert len(self.models) == 1
        twice = {
            name: torch.cat([value, value])
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        models, starts = [*self.models, _predict_standstill], [*self.starts, *self.starts]
        return World(models=models, starts=starts, ended=self.ended, **twice)

    def normalise(self, observations: Tensor) -> Tensor:
        """As the networks read `(G, K, S)` observations."""
        return (observations - self.mean) / self.spread

    def __call__(self, observations: Tensor, actions: Tensor) -> Answers:
        """Ask every group's model, for `(G, K, S)` observations and `(G, K, A)` action features.

        Probabilities of ends are stretched, so that in the context their means are 0 where episodes go on and 1 where
        they end: a model that finds ends likely everywhere would else cut every imagined episode short.
        """
        # One by one: a batched product rounds otherwise when other groups are in it.
        asked = zip(self.models, observations[:, None], actions[:, None], strict=True)
        parts = [vars(model(state, action)) for model, state, action in asked]
        seen = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        # However far a model runs off, imagined states stay near what the context has seen (`reach`).
        seen["next_observations"] = seen["next_observations"].maximum(self.low).minimum(self.high)
        stretched = (seen["ends"] - self.end_floor) / (self.end_ceiling - self.end_floor)
        seen["ends"] = stretched.clamp(0.0, 1.0)
        if self.ended is not None:
            seen["ends"] = self.ended(seen["next_observations"]).to(seen["ends"].dtype)
        return Answers(**seen)

    def doubt(self, seen: Answers) -> Tensor:
        """`(G, K)` from 0 to 1: how much more uncertain the most uncertain of state axes and reward is than usually."""
        return (_relative_doubt(seen, self.units) - self.usual_doubt).clamp(min=0.0).amax(-1)


def _predict_standstill(observations: Tensor, actions: Tensor) -> Answers:
    """A model of a world that stays as it is."""
    del actions
    none = torch.zeros(observations.shape[:2])
    return Answers(observations, torch.zeros_like(observations), none, none, none)


def _measure_scales(context: Transitions, reach: float) -> tuple[Tensor, ...]:
    """Of one group, as `World` has them: mean, spread, low, high, units, reward."""
    seen, after = (
        torch.from_numpy(context.observations),
        torch.from_numpy(context.next_observations),
    )
    both, rewards = torch.cat([seen, after]), torch.from_numpy(context.rewards)[:, None]
    least, most = both.amin(0, keepdim=True), both.amax(0, keepdim=True)
    middle, half = (least + most) / 2.0, reach * (most - least) / 2.0
    change = (after - seen).square().mean(0, keepdim=True).sqrt()
    units = torch.cat([change, rewards.std(0, correction=0, keepdim=True)], 1)
    reward = rewards.square().mean(0).sqrt()
    return (
        seen.mean(0, keepdim=True),
        seen.std(0, correction=0, keepdim=True).clamp(min=SMALLEST),
        middle - half,
        middle + half,
        torch.where(units < SMALLEST, 1.0, units),
        torch.where(reward < SMALLEST, 1.0, reward),
    )


@torch.no_grad()
def _measure_on_context(
    model: DynamicsModel, context: Transitions, units: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of one group's model where its context is: usual doubt, floor and ceiling of ends, as `World` has them."""
    seen = model(
        torch.from_numpy(context.observations)[None], torch.from_numpy(context.actions)[None]
    )
    ended, likely = torch.from_numpy(context.ends), seen.ends[0]
    floor = likely[~ended].mean(0, keepdim=True) if not ended.all() else torch.zeros(1)
    ceiling = likely[ended].mean(0, keepdim=True) if ended.any() else torch.ones(1)
    if float(ceiling - floor) < SMALLEST:  # it does not tell one from the other
        floor, ceiling = torch.zeros(1), torch.ones(1)
    return _relative_doubt(seen, units).mean(1), floor, ceiling


def _relative_doubt(seen: Answers, units: Tensor) -> Tensor:
    """`(G, M, S + 1)` predicted deviations of states and reward in their units, at most 1."""
    return (torch.cat([seen.deviations, seen.reward_deviations[..., None]], -1) / units).clamp(
        max=1.0
    )
