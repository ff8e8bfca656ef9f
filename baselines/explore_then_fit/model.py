"""An ensemble's dynamics with another reward: one fitted to the task's own steps, or the distance to a goal.

The ensemble is trained on all tasks and told nothing of any. What it says of rewards is never read.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from metabench import Episode

from ..common.planning.rows import Transitions
from ..common.world_models.contract import Outcome, Seen, WorldModel
from ..common.world_models.ensemble import Branches, EncodingModel, Ensemble


class Shared:
    """What all branches of a lane share: `branch_lanes` copies tensors and what is made of them, and leaves this alone.

    Attributes:
        tensors: `(L, ...)` each.
        explores: whether doubt is what pays.
    """

    def __init__(self, tensors: tuple[Tensor, ...], explores: bool) -> None:
        """Keep them."""
        self.tensors, self.explores = tensors, explores


@dataclass(frozen=True)
class TaskState:
    """Where branches are, and what pays.

    Attributes:
        inner: of the ensemble.
        pays: of the lanes.
    """

    inner: Branches
    pays: Shared


class TaskRewardModel(WorldModel):
    """The ensemble, whose rewards are replaced."""

    def __init__(self, ensemble: Ensemble, explores: str) -> None:
        """Of a trained ensemble without a context."""
        self._ensemble, self._explores = EncodingModel(ensemble), explores
        self.scales, self.spaces = ensemble.scales, ensemble.spaces

    @torch.no_grad()
    def read_support(self, memory: Any, lanes: Tensor, episodes: Sequence[Episode]) -> Any:
        """Learn from all steps of the support."""
        episodes = [episode for episode in episodes if len(episode)]
        if not episodes:
            return memory
        rows = Transitions.from_episodes(episodes, self.spaces)
        steps = (rows.actions, rows.rewards, rows.next_observations)
        found = self.learn(*(torch.as_tensor(each)[None] for each in steps))
        return self.add(memory, lanes, found)

    @torch.no_grad()
    def take_in(self, memory: Any, seen: Seen) -> Any:
        """Learn from one more step."""
        lanes = seen.there.nonzero()[:, 0]
        steps = (seen.actions, seen.rewards, seen.next_observations)
        found = self.learn(*(each[lanes, None] for each in steps))
        return self.add(memory, lanes, found)

    @abstractmethod
    def learn(self, actions: Tensor, rewards: Tensor, reached: Tensor) -> Any:
        """What `(n, T, ...)` steps of n lanes tell: a memory of n lanes."""

    @abstractmethod
    def add(self, memory: Any, lanes: Tensor, found: Any) -> Any:
        """A memory that knows of `(n,)` lanes what was found as well, of each or of all alike."""

    @abstractmethod
    def find_pay(self, memory: Any) -> tuple[Tensor, ...]:
        """Tensors `(L, ...)` that rewards are made of."""

    @abstractmethod
    def pay(
        self, pays: tuple[Tensor, ...], actions: Tensor, reached: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Rewards and their deviations `(L, N)` of `(L, N, A)` action features that lead to `(L, N, S)`."""

    def imagine_from(
        self, memory: Any, observations: Tensor, draws: Tensor | None = None
    ) -> TaskState:
        """The ensemble's beginning; with `draws`, which are not used, in order to explore."""
        lanes = len(observations)
        inner = self._ensemble.imagine_from(self._ensemble.begin(lanes), observations)
        return TaskState(inner, Shared(self.find_pay(memory), draws is not None))

    @torch.no_grad()
    def __call__(self, state: TaskState, actions: Tensor) -> Outcome:
        """The ensemble's step, and what it earns in the lane's task."""
        outcome = self._ensemble(state.inner, actions)
        lanes = len(state.pays.tensors[0])
        reached = outcome.next_observations.view(lanes, -1, outcome.next_observations.shape[-1])
        rewards, deviations = (
            each.view_as(outcome.rewards)
            for each in self.pay(
                state.pays.tensors, actions.view(lanes, -1, actions.shape[-1]), reached
            )
        )
        if state.pays.explores:
            sought = deviations if self._explores == "rewards" else outcome.disagreement
            rewards, deviations = sought, torch.zeros_like(deviations)
        return replace(
            outcome,
            rewards=rewards,
            reward_deviations=deviations,
            state=TaskState(outcome.state, state.pays),
        )

    def parameter_count(self) -> int:
        """The ensemble's."""
        return self._ensemble.parameter_count()


@dataclass(frozen=True)
class Sums:
    """Of a lane's steps, in double precision.

    Attributes:
        products: `(L, F, F)` of features with each other.
        earned: `(L, F)` of features with rewards.
    """

    products: Tensor
    earned: Tensor


class FittedRewardModel(TaskRewardModel):
    """Bayesian linear regression of rewards on places, actions, and the squares of both.

    Squares of places and linear terms together are distances to any goal, squared.
    """

    def __init__(self, ensemble: Ensemble, explores: str, noise: float) -> None:
        """Rewards are taken to differ from the fit by `noise`, in the training data's deviations."""
        super().__init__(ensemble, explores)
        self._noise = noise
        self._features = 1 + 2 * (ensemble.spaces.observation_dim + ensemble.spaces.action_dim)

    def begin(self, lanes: int) -> Sums:
        """No step."""
        size = self._features
        return Sums(
            torch.zeros(lanes, size, size, dtype=torch.float64),
            torch.zeros(lanes, size, dtype=torch.float64),
        )

    def learn(self, actions: Tensor, rewards: Tensor, reached: Tensor) -> Sums:
        """Sums over the steps."""
        features = self._describe(actions, reached).double()
        scaled = (rewards - self.scales.get_buffer("reward_mean")) / self.scales.get_buffer(
            "reward"
        )
        across = features.transpose(1, 2)
        return Sums(across @ features, (across @ scaled[..., None].double())[..., 0])

    def add(self, memory: Sums, lanes: Tensor, found: Sums) -> Sums:
        """Add the sums."""
        products, earned = memory.products.clone(), memory.earned.clone()
        products[lanes] += found.products
        earned[lanes] += found.earned
        return Sums(products, earned)

    def find_pay(self, memory: Sums) -> tuple[Tensor, ...]:
        """Weights `(L, F)`, and what features are multiplied by for deviations, `(L, F, F)`."""
        unit = torch.eye(self._features, dtype=torch.float64)
        factor = torch.linalg.cholesky(memory.products / self._noise**2 + unit)
        weights = torch.cholesky_solve(memory.earned[..., None] / self._noise**2, factor)[..., 0]
        spread = torch.linalg.solve_triangular(
            factor, unit.expand_as(factor), upper=False
        ).transpose(1, 2)
        return weights.float(), spread.float()

    def pay(
        self, pays: tuple[Tensor, ...], actions: Tensor, reached: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What the fit says, within the bounds of the training tasks' rewards."""
        weights, spread = pays
        features = self._describe(actions, reached)
        unit = self.scales.get_buffer("reward")
        said = torch.bmm(features, weights[..., None])[..., 0] * unit
        least, most = self.scales.get_buffer("least")[-1], self.scales.get_buffer("most")[-1]
        rewards = (said + self.scales.get_buffer("reward_mean")).clamp(least, most)
        doubt = torch.linalg.vector_norm(torch.bmm(features, spread), dim=2)
        return rewards, doubt * unit

    def _describe(self, actions: Tensor, reached: Tensor) -> Tensor:
        """`(..., F)` features."""
        both = torch.cat([self.scales.scale(reached), actions], -1)
        return torch.cat([torch.ones_like(both[..., :1]), both, both.square()], -1)


@dataclass(frozen=True)
class Best:
    """The best place of a lane's steps.

    Attributes:
        reward: `(L,)` that was earned there; minus infinity before the first step.
        place: `(L, S)` scaled.
    """

    reward: Tensor
    place: Tensor


class GoalModel(TaskRewardModel):
    """What pays is to be near the place where most was earned in one step."""

    tells_deviations: ClassVar[bool] = False

    def begin(self, lanes: int) -> Best:
        """No step."""
        return Best(
            torch.full((lanes,), -torch.inf), torch.zeros(lanes, self.spaces.observation_dim)
        )

    def learn(self, actions: Tensor, rewards: Tensor, reached: Tensor) -> Best:
        """The best of the steps."""
        del actions
        reward, step = rewards.max(1)
        return Best(reward, self.scales.scale(reached[torch.arange(len(step)), step]))

    def add(self, memory: Best, lanes: Tensor, found: Best) -> Best:
        """Keep the better place."""
        reward, place = memory.reward.clone(), memory.place.clone()
        better = found.reward > reward[lanes]
        reward[lanes] = torch.where(better, found.reward, reward[lanes])
        place[lanes] = torch.where(better[:, None], found.place, place[lanes])
        return Best(reward, place)

    def find_pay(self, memory: Best) -> tuple[Tensor, ...]:
        """The places, and 1 or, where none is known, 0."""
        return memory.place, memory.reward.isfinite().to(memory.place)

    def pay(
        self, pays: tuple[Tensor, ...], actions: Tensor, reached: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The distance to the goal, as a cost."""
        del actions
        place, known = pays
        distance = torch.linalg.vector_norm(self.scales.scale(reached) - place[:, None], dim=2)
        return -distance * known[:, None], torch.zeros_like(distance)
