"""Dynamics amplitude sampling: changes that are scaled, and how the factors are fitted to what was seen."""

from __future__ import annotations

import torch
from torch import Tensor

from ..common.world_models.dyna.imagination import Augmentation
from ..common.world_models.ensemble import Ensemble
from .config import AugwmConfig


class ChangeScaling(Augmentation):
    """Every coordinate's change times a factor.

    What is told of factors is -1 at the least and 1 at the largest. Rewards and ends are the ensemble's own.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        """Scale the changes of a trained ensemble, by its configuration."""
        assert isinstance(ensemble.config, AugwmConfig)
        config = ensemble.config
        self._ensemble, self._config = ensemble, config
        elites = ensemble.get_buffer("elites")
        self._elites = ensemble.members.take_members(elites, config).to(elites.device)
        self._middle = (config.largest_scale + config.least_scale) / 2
        self._half = (config.largest_scale - config.least_scale) / 2

    def tell(self, factors: Tensor) -> Tensor:
        """`(..., S)` of as many factors."""
        return (factors - self._middle) / self._half

    def find_factors(self, told: Tensor) -> Tensor:
        """What `tell` was given."""
        return self._middle + self._half * told

    def read(self, observations: Tensor, actions: Tensor, after: Tensor) -> Tensor:
        """The factors of logged steps of T tasks: those of each task are fitted together."""
        products, squares = self.measure(
            *(each.flatten(0, 1) for each in (observations, actions, after))
        )
        tasks, each = observations.shape[:2]
        summed = (part.view(tasks, each, -1).sum(1) for part in (products, squares))
        return self.tell(self.fit(*summed))

    def draw(self, count: int) -> Tensor:
        """Uniform factors."""
        size = self._ensemble.spaces.observation_dim
        device = self._ensemble.get_buffer("elites").device
        free = size if self._config.scale_coordinates else 1
        return (2 * torch.rand(count, free, device=device) - 1).expand(-1, size)

    def change(self, before: Tensor, after: Tensor, told: Tensor) -> Tensor:
        """The change times its factor, which does not lead further than imagination may go."""
        return self.scale_changes(before, after, self.find_factors(told))

    def scale_changes(self, before: Tensor, after: Tensor, factors: Tensor) -> Tensor:
        """The same, told the factors themselves."""
        size = self._ensemble.spaces.observation_dim
        least, most = (self._ensemble.scales.get_buffer(name)[:size] for name in ("least", "most"))
        return (before + factors * (after - before)).maximum(least).minimum(most)

    @torch.no_grad()
    def measure(
        self, observations: Tensor, actions: Tensor, after: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Of B steps `(B, S)`: the change times the one that the elites expect, and the square of that.

        Changes are in units of their deviation in the training data.
        """
        ensemble, count = self._ensemble, self._ensemble.config.elites
        rows, acted = (each.expand(count, -1, -1) for each in (observations, actions))
        said = ensemble.ask(self._elites, rows, acted, rows.new_zeros(*rows.shape[:2], 0))
        reached = ensemble.scales.reach_outcome(rows, said.mean)[0].mean(0)
        unit = ensemble.scales.get_buffer("change")
        expected, found = (reached - observations) / unit, (after - observations) / unit
        return found * expected, expected.square()

    def fit(self, products: Tensor, squares: Tensor) -> Tensor:
        """`(..., S)` factors by least squares, held to 1, from sums over steps of what `measure` returned."""
        if not self._config.scale_coordinates:
            products, squares = (
                each.mean(-1, keepdim=True).expand_as(each) for each in (products, squares)
            )
        ridge = self._config.scale_ridge
        factors = (products + ridge) / (squares + ridge)
        return factors.clamp(self._config.least_scale, self._config.largest_scale)
