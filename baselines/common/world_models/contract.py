"""What a world model of a family of tasks reads, keeps and says; planners and learners know no more of it.

A planner asks a model for `Answers` to states and actions, and then about `Answers.following`. Of a model that has no
state of its own (`DynamicsModel`) these are the observations that were reached; so both kinds are planned in alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from torch import Tensor

from metabench import Episode

from ..planning.rows import Answers

Memory: TypeAlias = Any
"""What a model keeps of L lanes: frozen dataclasses of tensors `(L, ...)`."""

State: TypeAlias = Any
"""Where M branches of G lanes are: a tensor, or a frozen dataclass of tensors, `(G, M, ...)`."""


@dataclass(frozen=True)
class Seen:
    """A step of each of L lanes.

    Attributes:
        observations: `(L, S)` before it.
        actions: `(L, A)` features.
        rewards: `(L,)`.
        next_observations: `(L, S)`.
        there: `(L,)` bool: false where the lane has made no such step.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    next_observations: Tensor
    there: Tensor


@dataclass(frozen=True)
class Outcome(Answers):
    """What M branches in each of G lanes lead to, in a model that keeps a state.

    Deviations are of all steps since imagination began.

    Attributes:
        state: what the model is asked about next.
        disagreement: `(G, M)` how far the model's own parts are apart, in units of one step's changes; 0 without any.
    """

    state: State
    disagreement: Tensor

    @property
    def following(self) -> State:
        """What the model is asked about next."""
        return self.state

    @property
    def accumulated(self) -> bool:
        """Deviations hold those of the steps before."""
        return True


class WorldModel(ABC):
    """A model of a family of tasks, trained before any of the lanes' tasks is seen.

    It can be asked for any number of steps. What it says of a lane depends on its memory, state and actions alone.

    Class attributes:
        tells_deviations: whether deviations of its answers are more than zeros.
    """

    tells_deviations: ClassVar[bool] = True

    @abstractmethod
    def begin(self, lanes: int) -> Memory:
        """A memory of lanes of which nothing is known."""

    @abstractmethod
    def read_support(self, memory: Memory, lanes: Tensor, episodes: Sequence[Episode]) -> Memory:
        """A memory that knows the support of some lanes, `(n,)` places; without episodes it is as it was."""

    @abstractmethod
    def take_in(self, memory: Memory, seen: Seen) -> Memory:
        """A memory that knows one more of each lane's own steps."""

    @abstractmethod
    def imagine_from(
        self, memory: Memory, observations: Tensor, draws: Tensor | None = None
    ) -> State:
        """Where imagination of L lanes begins.

        Args:
            memory: of the lanes.
            observations: `(L, S)` now.
            draws: `(L,)` uniform numbers by which a model that holds several tasks possible takes one of them for true,
                for exploring; None takes what is expected.

        Returns:
            `(1, L, ...)`.
        """

    @abstractmethod
    def __call__(self, state: State, actions: Tensor) -> Outcome:
        """One step of `(G, M)` branches under `(G, M, A)` action features; branches do not touch each other."""

    @abstractmethod
    def parameter_count(self) -> int:
        """Trained parameters."""


class TellingModel(WorldModel):
    """A world model that also says what an actor is told of the lanes' tasks."""

    @abstractmethod
    def find_codes(self, memory: Memory, draws: Tensor | None = None) -> Tensor:
        """`(L, C)` numbers of what is known; `draws` as `imagine_from` has them."""
