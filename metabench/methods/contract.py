"""The plugin contract: what a method gives and what it is given.

Whatever a method or policy raises ends its cell, and the error names method, lane and step; nothing needs to be caught.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from metabench.data.episode import Episode as Episode
from metabench.envs import Array, Spaces
from metabench.methods.presets import PRESETS

if TYPE_CHECKING:
    import numpy as np

    from metabench.data.training_data import TrainingData
    from metabench.methods.pictures import Picture
    from metabench.methods.training_run import TrainingRun


class Config(BaseModel):
    """Base of all configurations: frozen, typed, and strict about unknown keys.

    Give every field a type, a default and a `Field(description=...)`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Step:
    """What a policy sees before it acts, for all lanes at once.

    Attributes:
        observation: `(lanes, observation_dim)` float32.
        previous_action: `(lanes, action_dim)` float32 or `(lanes,)` int64; zero at an episode's start.
        previous_reward: `(lanes,)` float32; zero at an episode's start.
        timestep: `(lanes,)` int64, steps since the episode's start.
        active: `(lanes,)` bool, false once the lane's episode has ended; its action is then ignored.
        scored: `(lanes,)` bool, false in support episodes, where the policy may explore.
    """

    observation: Array
    previous_action: Array
    previous_reward: Array
    timestep: Array
    active: Array
    scored: Array


@dataclass(frozen=True)
class Prediction:
    """A world model's open-loop prediction of h steps in each lane: it sees none of them.

    Attributes:
        observations: `(lanes, h, observation_dim)` floats, means, after each of the h actions.
        rewards: `(lanes, h)` floats, means, of each of these steps.
        ends: `(lanes, h)` probabilities that the step ends the episode, or bools; false from a model that predicts no
            ends.
        observation_deviations: `(lanes, h, observation_dim)` standard deviations of the outcome around the mean; None
            from a model without them.
        reward_deviations: `(lanes, h)`, likewise.
    """

    observations: Array
    rewards: Array
    ends: Array
    observation_deviations: Array | None = None
    reward_deviations: Array | None = None


class Policy(ABC):
    """The result of training. It acts in many lanes of unknown tasks at once."""

    @abstractmethod
    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Forget everything and start one episode in every lane.

        A lane may use only its own observations and its group's support. The evaluator lets some lanes act again
        beside other lanes, and their actions must be equal.

        Args:
            groups: `(lanes,)`. Lanes with the same number share one unknown task and one support. The numbers have no
                other meaning.
            seeds: `(lanes,)` whole numbers of 63 bits; `seeds[i]` is the only randomness that lane i may use.
        """

    def adapt(self, support: Mapping[int, Sequence[Episode]]) -> None:
        """Learn from support episodes; called once after `reset` if there are any. The default ignores them.

        Args:
            support: for each group of `reset`, all its support episodes so far, oldest first. The arrays are copies,
                and may be kept or changed.
        """
        del support

    @abstractmethod
    def act(self, step: Step) -> Array:
        """Choose an action in every lane.

        Args:
            step: what the policy sees; its arrays are copies.

        Returns:
            `(lanes, action_dim)` floats within the bounds of the spaces, or `(lanes,)` integers from 0 for discrete
            actions. Actions that exceed the bounds by at most 1e-6 are clipped; any other error ends the cell. In
            lanes that are not `active`, any action of this shape is allowed.
        """

    def predict(self, prefix: Sequence[Episode], actions: Array) -> Prediction:
        """Predict the outcome of actions; for policies with a world model. The track `prediction` scores it.

        Called after `reset` and `adapt`, perhaps several times. Each call is independent, and no lane acts in
        between.

        Args:
            prefix: `(lanes,)` the episode so far in each lane, neither terminated nor truncated. With 0 steps it has
                one observation. The arrays are copies.
            actions: `(lanes, h, action_dim)` float32 or `(lanes, h)` int64: the next h actions, whatever their
                outcome. Predictions beyond an episode's end are not scored.

        Returns:
            h steps for every lane, all numbers finite. A lane's prediction depends only on its prefix, its actions,
            its group's support and its seed.
        """
        del prefix, actions
        raise NotImplementedError(f"{type(self).__name__} predicts nothing")

    @property
    def predicts(self) -> bool:
        """Whether `predict` can be called; by default, whether it is overridden. Otherwise the policy has no row."""
        return type(self).predict is not Policy.predict

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write everything that `Method.load` needs into `folder`, as safetensors and JSON, never as pickle.

        `metabench.save_state` does this for nested tensors, arrays and plain values.
        """

    def parameter_count(self) -> int:
        """Number of trained parameters that acting uses; 0 if the policy has none."""
        return 0

    def task_codes(self, episodes: Sequence[Episode], steps: int) -> Array | None:
        """The policy's codes of unknown tasks, for diagnostics: metabench regresses task parameters on them.

        Args:
            episodes: episodes of any tasks, each taken alone.
            steps: only the first `steps` steps of each may be used; fewer where an episode is shorter.

        Returns:
            `(len(episodes), code_dim)` floats, or None for a policy that has no code of the task.
        """
        del episodes, steps
        return None

    def pictures(self, data: TrainingData, generator: np.random.Generator) -> Sequence[Picture]:
        """Pictures of what the policy has learned, which `metabench report` draws. The default has none.

        Args:
            data: logged trajectories with tasks as indices: held-out ones of training tasks, or those of the test
                tasks.
            generator: the randomness, for choosing among them.

        Returns:
            `LinePlot`, `HeatMap` and `ImageStrip`, in the order of display.
        """
        del data, generator
        return ()

    def reveal(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Privileged methods only: learn each lane's task, after `reset`.

        Args:
            tasks: `(lanes,)` parameters, as the suite's suite.toml writes them.
        """
        del tasks


class Method(ABC):
    """An algorithm with its configuration.

    Class attributes:
        name: the name it is registered under, used in records.
        version: raise it whenever the results of an unchanged configuration change.
        privileged: it is told the test tasks (`Policy.reveal`), or was trained in the simulator; its rows are marked
            and never ranked.
        trains: false for methods with nothing to train.
        discrete_actions, continuous_actions: the kinds of actions that it supports; runs refuse other suites.
        uses_expert_labels: it trains on `expert-actions` with `TrainingData.gather_expert_actions`, and no other
            method gets these labels; runs refuse data without labels, and its rows are marked.
        uses_stages: it learns from `TrainingData.stages`; runs refuse data without stages, which only `histories`
            has.
        predicts: its policies have a world model, `Policy.predict`, and runs score it in the track `prediction`.
        variants: named configuration overrides, such as ablations: `meta-dt/no_context`.
        pretraining: named budgets of `pretrain`, for a method that trains something once for all suites.
        paper: address of its paper, which leaderboards cite; None if there is none.
        reproduction: the configuration of `reproduce`, for a method that can repeat its paper's experiment.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    privileged: ClassVar[bool] = False
    trains: ClassVar[bool] = True
    discrete_actions: ClassVar[bool] = True
    continuous_actions: ClassVar[bool] = True
    uses_expert_labels: ClassVar[bool] = False
    uses_stages: ClassVar[bool] = False
    predicts: ClassVar[bool] = False
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    pretraining: ClassVar[Mapping[str, Config]] = {}
    paper: ClassVar[str | None] = None
    reproduction: ClassVar[type[Config] | None] = None

    config_class: ClassVar[type[Config]] = Config

    def __init__(self, config: Config | None = None) -> None:
        """Keep `config`; None takes the defaults of `config_class`."""
        self.config = self.config_class() if config is None else config

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """Named budgets for `suite`: those names of `PRESETS` that the method has; by default all of them.

        Args:
            suite: the suite's name; configurations may differ by suite.
        """
        del suite
        return {name: cls.config_class() for name in PRESETS}

    @abstractmethod
    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """Train on logged data of the training tasks, without a simulator.

        Args:
            data: trajectories of the training tasks, which are known only by index, with their validation part.
            run: seed, device, log and checkpoints; `run.steps` also handles resuming and cancellation.

        Returns:
            The policy, ready to be saved and to act. It may stay on `run.device`. The evaluator scores the policy
            that `load` makes from the saved files.

        Raises:
            CancelledError: the run was asked to stop; `run.steps` raises it.
        """

    @abstractmethod
    def load(self, folder: Path, spaces: Spaces) -> Policy:
        """Read what `Policy.save` wrote. On the same device the policy acts like the saved one, bit for bit.

        `load` decides on which device the policy acts. `load_state` returns tensors on the CPU, which every evaluator
        has. A policy's inputs and outputs are NumPy arrays in any case.

        Args:
            folder: what `Policy.save` was given.
            spaces: observations, actions and horizon of the suite; they say nothing about its tasks.

        Raises:
            DataError: a file is missing or damaged; names it.
        """

    @classmethod
    def pretrain(cls, config: Config, run: TrainingRun) -> Mapping[str, Any]:
        """Train the part that all suites share, without any suite's data: `metabench pretrain`.

        Args:
            config: one of `pretraining`, perhaps with keys changed.
            run: seed, device, log and checkpoints.

        Returns:
            Nested tensors, arrays and plain values, as `save_state` writes them.
        """
        raise NotImplementedError(f"{cls.name} declares no pretraining")

    def pretraining_seconds(self) -> float | None:
        """The time of the pretraining that this configuration uses, for the record.

        Returns:
            Seconds; None if it uses no pretraining, or if nobody measured it. `metabench pretrain` writes them beside
            the weights, under the key `seconds`.
        """
        return None

    @classmethod
    def reproduce(cls, config: Config, run: TrainingRun) -> Sequence[Mapping[str, Any]]:
        """Repeat the paper's experiment with the configuration of `reproduction`: `metabench reproduce`.

        Returns:
            Rows of a table, with the published numbers beside the measured ones. Rows with the same keys share a
            table.
        """
        raise NotImplementedError(f"{cls.name} declares no reproduction")
