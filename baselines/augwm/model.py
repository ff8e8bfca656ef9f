"""The model: an ensemble whose changes are scaled by the factors that fit the support and the lane's own steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metabench import Episode

from ..common.planning.rows import Transitions
from ..common.world_models.contract import Outcome, Seen, TellingModel
from ..common.world_models.ensemble import Branches, EncodingModel, Ensemble
from .scaling import ChangeScaling


@dataclass(frozen=True)
class Sums:
    """What was seen of L lanes: sums over steps.

    Attributes:
        products: `(L, S)` of the change times the expected one.
        squares: `(L, S)` of the expected one's square.
    """

    products: Tensor
    squares: Tensor


@dataclass(frozen=True)
class ScaledBranches:
    """Where M branches of G lanes are, and their `(G, M, S)` factors."""

    branches: Branches
    factors: Tensor


class ScaledModel(TellingModel):
    """Elites whose changes are scaled; before anything is seen all factors are 1."""

    def __init__(self, ensemble: Ensemble) -> None:
        """Ask a trained ensemble without an encoder."""
        self._base = EncodingModel(ensemble)
        self._spaces, self._scales = ensemble.spaces, ensemble.scales
        self._scaling = ChangeScaling(ensemble)

    def begin(self, lanes: int) -> Sums:
        """No steps."""
        nothing = torch.zeros(lanes, self._spaces.observation_dim)
        return Sums(nothing, nothing)

    def read_support(self, memory: Sums, lanes: Tensor, episodes: Sequence[Episode]) -> Sums:
        """Add all steps of the support."""
        if not sum(map(len, episodes)):
            return memory
        rows = Transitions.from_episodes(
            [episode for episode in episodes if len(episode)], self._spaces
        )
        products, squares = self._scaling.measure(
            *map(torch.as_tensor, (rows.observations, rows.actions, rows.next_observations))
        )
        total = Sums(memory.products.clone(), memory.squares.clone())
        total.products[lanes] += products.sum(0)
        total.squares[lanes] += squares.sum(0)
        return total

    def take_in(self, memory: Sums, seen: Seen) -> Sums:
        """Add one step."""
        products, squares = self._scaling.measure(
            seen.observations, seen.actions, seen.next_observations
        )
        there = seen.there[:, None]
        return Sums(
            memory.products + torch.where(there, products, 0.0),
            memory.squares + torch.where(there, squares, 0.0),
        )

    def find_factors(self, memory: Sums) -> Tensor:
        """`(L, S)` by which the lanes' changes differ from the expected ones."""
        return self._scaling.fit(memory.products, memory.squares)

    def find_codes(self, memory: Sums, draws: Tensor | None = None) -> Tensor:
        """What the actor is told of the factors; nothing is drawn."""
        del draws
        return self._scaling.tell(self.find_factors(memory))

    def imagine_from(
        self, memory: Sums, observations: Tensor, draws: Tensor | None = None
    ) -> ScaledBranches:
        """All elites begin where the lanes are."""
        known = self._base.begin(len(observations))
        branches = self._base.imagine_from(known, observations, draws)
        return ScaledBranches(branches, self.find_factors(memory)[None])

    @torch.no_grad()
    def __call__(self, state: ScaledBranches, actions: Tensor) -> Outcome:
        """A step of every elite, as long as the factors say."""
        said, before = self._base(state.branches, actions), state.branches
        factors = state.factors[:, :, None]
        after = self._scaling.scale_changes(
            before.observations, said.state.observations, factors
        )  # (G, M, E, S)
        noise = said.state.variance - before.variance
        variance = before.variance + factors.square() * noise
        middle = after.mean(2)
        spread = (after - middle[:, :, None]).square().mean(2)
        unit = self._scales.get_buffer("change")
        branches = replace(before, observations=after, variance=variance)
        return replace(
            said,
            next_observations=middle,
            deviations=(variance.mean(2) + spread).sqrt(),
            state=ScaledBranches(branches, state.factors),
            disagreement=(spread / unit.square()).mean(-1).sqrt(),
        )

    def parameter_count(self) -> int:
        """The elites'."""
        return self._base.parameter_count()
