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
        scored: `(lanes,)` bool, false in support episodes, in which the policy may explore.
    """

    observation: Array
    previous_action: Array
    previous_reward: Array
    timestep: Array
    active: Array
    scored: Array


@dataclass(frozen=True)
class Prediction:
    """What a world model says of h steps in each lane, open loop: it sees none of them.

    Attributes:
        observations: `(lanes, h, observation_dim)` floats, means, after each of the h actions.
        rewards: `(lanes, h)` floats, means, of each of these steps.
        ends: `(lanes, h)` probabilities that the step ends the episode, or bools; false from a model of no ends.
        observation_deviations: `(lanes, h, observation_dim)` standard deviations, of the outcome around the mean; None
            from a model without any.
        reward_deviations: `(lanes, h)`, likewise.
    """

    observations: Array
    rewards: Array
    ends: Array
    observation_deviations: Array | None = None
    reward_deviations: Array | None = None


class Policy(ABC):
    """What training returns: acts in many lanes of unknown tasks at once."""

    @abstractmethod
    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Forget everything and start one episode in every lane.

        A lane acts by what it sees itself and by its group's support alone: the evaluator lets some lanes act again
        beside others than before, and their actions must be equal.

        Args:
            groups: `(lanes,)`. Lane i acts in an unknown task with a support, together named `groups[i]`: lanes of
                one group share both. The numbers mean nothing else.
            seeds: `(lanes,)` whole numbers of 63 bits; `seeds[i]` is the only randomness that lane i may use.
        """

    def adapt(self, support: Mapping[int, Sequence[Episode]]) -> None:
        """Learn from support episodes; called once after `reset` where there are any. The default ignores them.

        Args:
            support: for each group of `reset`, all its support episodes so far, oldest first. The arrays are copies,
                and may be kept or changed.
        """
        del support

    @abstractmethod
    def act(self, step: Step) -> Array:
        """Choose an action in every lane.

        Args:
            step: what is seen; its arrays are copies.

        Returns:
            `(lanes, action_dim)` floats within the bounds of the spaces, or `(lanes,)` integers from 0 for discrete
            actions. What is out of bounds by no more than 1e-6 is clipped, anything else ends the cell. Actions of
            lanes that are not `active` may be anything of this shape.
        """

    def predict(self, prefix: Sequence[Episode], actions: Array) -> Prediction:
        """Say what actions would lead to; for policies with a world model, which the track `prediction` scores.

        Called after `reset` and `adapt`, perhaps several times: each call stands alone. No lane acts meanwhile.

        Args:
            prefix: `(lanes,)` the episode so far in each lane, neither terminated nor truncated; perhaps of 0 steps,
                then with one observation. The arrays are copies.
            actions: `(lanes, h, action_dim)` float32 or `(lanes, h)` int64: what is done next, whatever comes of it.
                Predictions beyond an end are not scored.

        Returns:
            h steps of every lane, all numbers finite. A lane's depend on its prefix, its actions, its group's support
            and its seed alone.
        """
        del prefix, actions
        raise NotImplementedError(f"{type(self).__name__} predicts nothing")

    @property
    def predicts(self) -> bool:
        """Whether `predict` can be called: by default, whether it is overridden. A policy that cannot has no row."""
        return type(self).predict is not Policy.predict

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write everything `Method.load` needs into `folder` as safetensors and JSON, never pickle.

        `metabench.save_state` does so for nested tensors, arrays and plain values.
        """

    def parameter_count(self) -> int:
        """Number of trained parameters that acting uses; 0 where the idea does not apply."""
        return 0

    def task_codes(self, episodes: Sequence[Episode], steps: int) -> Array | None:
        """What the policy makes of an unknown task, for diagnostics: metabench regresses task parameters on it.

        Args:
            episodes: episodes of any tasks, each taken alone.
            steps: only the first `steps` steps of each may be used; fewer where an episode is shorter.

        Returns:
            `(len(episodes), code_dim)` floats, or None for a policy that has no code of the task.
        """
        del episodes, steps
        return None

    def pictures(self, data: TrainingData, generator: np.random.Generator) -> Sequence[Picture]:
        """What the policy has learned, to look at: `metabench report` draws it. The default has none.

        Args:
            data: logged trajectories, tasks as indices: held-out ones of training tasks, or those of the test tasks.
            generator: the randomness, for choosing among them.

        Returns:
            `LinePlot`, `HeatMap` and `ImageStrip`, in the order in which they are to be shown.
        """
        del data, generator
        return ()

    def reveal(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Privileged methods only: what each lane's task is, told after `reset`.

        Args:
            tasks: `(lanes,)` parameters, as the suite's suite.toml writes them.
        """
        del tasks


class Method(ABC):
    """An algorithm with its configuration.

    Class attributes:
        name: the name it is registered under, used in records.
        version: raise it whenever the results of an unchanged configuration change.
        privileged: it is shown the test tasks (`Policy.reveal`), or was trained in the simulator; its rows are marked
            and never ranked.
        trains: false for methods with nothing to train.
        discrete_actions, continuous_actions: what it can act with; the planner refuses other suites.
        uses_expert_labels: it is trained on `expert-actions` with `TrainingData.gather_expert_actions`, which no other
            method is given; the planner refuses data without labels, and its rows are marked.
        uses_stages: it learns from `TrainingData.stages`; the planner refuses data without, so all but `histories`.
        predicts: its policies have a world model, `Policy.predict`, which runs score by the track `prediction`.
        variants: named configuration overrides, such as ablations: `meta-dt/no_context`.
        pretraining: named budgets of `pretrain`, for a method that trains something once for all suites.
        paper: address of the paper that it is from, which leaderboards cite; None where there is none.
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
        """Named budgets for `suite`, of those of `PRESETS` that the method has; by default one under every name.

        Args:
            suite: the suite's name; configurations may differ by suite.
        """
        del suite
        return {name: cls.config_class() for name in PRESETS}

    @abstractmethod
    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """Train on logged data of the training tasks; no simulator is within reach.

        Args:
            data: trajectories of the training tasks, which are known as numbers only, and their validation part.
            run: seed, device, log and checkpoints; `run.steps` gives resuming and cancellation as well.

        Returns:
            The policy, ready to be saved and to act. It may stay on `run.device`; it is saved, and what `load` makes
            of the files is what acts and is scored.

        Raises:
            CancelledError: the run was asked to stop; `run.steps` raises it.
        """

    @abstractmethod
    def load(self, folder: Path, spaces: Spaces) -> Policy:
        """Read back what `Policy.save` wrote; it acts as the saved one did, bit for bit where both are on one device.

        Here is decided where the policy acts: `load_state` gives tensors on the CPU, which every evaluator has, and
        what a policy is given, and returns, are NumPy arrays anyway.

        Args:
            folder: what `Policy.save` was given.
            spaces: observations, actions and horizon of the suite; of its tasks nothing is told.

        Raises:
            DataError: a file is missing or damaged; names it.
        """

    @classmethod
    def pretrain(cls, config: Config, run: TrainingRun) -> Mapping[str, Any]:
        """Train what serves every suite, on no suite's data: `metabench pretrain`.

        Args:
            config: one of `pretraining`, perhaps with keys changed.
            run: seed, device, log and checkpoints.

        Returns:
            Tensors, arrays and plain values, nested: what `save_state` writes.
        """
        raise NotImplementedError(f"{cls.name} declares no pretraining")

    def pretraining_seconds(self) -> float | None:
        """How long `pretrain` took for what this configuration uses, for the record.

        Returns:
            Seconds; None where it uses nothing of the kind, or nobody measured it. `metabench pretrain` writes them
            beside the weights, under the key `seconds`.
        """
        return None

    @classmethod
    def reproduce(cls, config: Config, run: TrainingRun) -> Sequence[Mapping[str, Any]]:
        """Repeat the paper's experiment with the configuration of `reproduction`: `metabench reproduce`.

        Returns:
            Rows of a table, with the published numbers beside the measured ones. Rows of equal keys share a table.
        """
        raise NotImplementedError(f"{cls.name} declares no reproduction")
