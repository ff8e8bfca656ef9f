"""The search: covariance matrix adaptation, as a part of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from cmaes import CMA, SepCMA

from metabench import Array

from .config import WorldModels2018Config


class Search:
    """Keeps a Gaussian over controllers' numbers, and moves it to where returns are larger."""

    def __init__(self, numbers: int, config: WorldModels2018Config) -> None:
        """Begin around controllers that do nothing."""
        strategy = CMA if numbers <= config.largest_full_search else SepCMA
        self._strategy: CMA | SepCMA = strategy(
            mean=np.zeros(numbers), sigma=config.first_deviation, population_size=config.population
        )

    def ask(self, seed: int) -> Array:
        """`(population, numbers)` controllers to try."""
        self._strategy.reseed_rng(seed)
        asked = [self._strategy.ask() for _ in range(self._strategy.population_size)]
        return np.stack(asked)

    def tell(self, tried: Array, returns: Array) -> None:
        """What these controllers earned, `(population,)`; what is no number counts as the worst."""
        costs = -np.nan_to_num(returns.astype(np.float64), nan=-np.inf, neginf=-1e300, posinf=1e300)
        costs = np.minimum(costs, 1e300)
        self._strategy.tell(list(zip(tried, costs.tolist(), strict=True)))
        # What is kept of the covariances is one triangle. Eigenvectors may turn round by a last bit of the other: the
        # search goes on from what a checkpoint keeps, whether it was resumed or not.
        self._strategy.__setstate__(self._strategy.__getstate__())

    @property
    def mean(self) -> Array:
        """`(numbers,)` the middle of the Gaussian: what is acted in the end."""
        mean: Array = self._strategy.mean
        return mean

    def state_dict(self) -> dict[str, Any]:
        """All that the strategy keeps but its generator, which every generation seeds anew."""
        state = self._strategy.__getstate__()
        return {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in state.items()
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        state = {
            name: np.asarray(value) if hasattr(value, "shape") else value
            for name, value in state_dict.items()
        }
        self._strategy.__setstate__(state)
