"""In-context implicit Q-learning, of transitions and of a world model's codes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from metabench import Array, Config, Method, MethodError, Spaces, TrainingData, TrainingRun

from ..common.in_context.policy import load_network
from ..common.in_context.train import train_network
from ..common.in_context.transition_policy import TransitionPolicy
from ..common.training_tasks import choose_training_tasks
from ..meta_dt.train import train_world_model
from .codes import encode_transitions
from .config import BUDGETS, MODEL_BUDGETS, SUITES, VARIANTS, ICIQLConfig, SICQLConfig
from .contexts import TrialSource
from .model import ICIQLNetwork, SICQLNetwork
from .policy import SICQLPolicy


class ICIQL(Method):
    """In-context implicit Q-learning: a transformer reads transitions of the task, and its heads act and value.

    It acts with what it has seen of the task as its context; no weight changes.
    """

    name = "ic-iql"
    paper = "https://arxiv.org/abs/2506.01299"
    config_class: ClassVar[type[ICIQLConfig]] = ICIQLConfig
    config: ICIQLConfig
    variants = VARIANTS

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """The same budgets for every suite."""
        return {
            name: ICIQLConfig.model_validate({**SUITES.get(suite, {}), **budget})
            for name, budget in BUDGETS.items()
        }

    def train(self, data: TrainingData, run: TrainingRun) -> TransitionPolicy:
        """Value and imitate logged actions of the fitting tasks after parts of contexts; nothing is selected.

        Raises:
            MethodError: there is one training task only, or all rewards are equal.
        """
        check_rewards(self.config, data)
        run.torch_seed("initialisation")
        network = ICIQLNetwork(self.config, data.spaces)

        def open_source(part: TrainingData) -> TrialSource:
            def describe(index: Array) -> Tensor:
                seen = part.transitions(index)
                return network.describe_transitions(
                    seen.observations, seen.actions, seen.rewards, seen.next_observations
                )

            return TrialSource(self.config, part, describe)

        train_network(self.config, network, open_source, data, run)
        return TransitionPolicy(network, data.spaces, self.config)

    def load(self, folder: Path, spaces: Spaces) -> TransitionPolicy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        network, config = load_network(folder, spaces, ICIQLConfig, ICIQLNetwork, self.name)
        return TransitionPolicy(network, spaces, config)


class SICQL(ICIQL):
    """ic-iql with a world model: the context holds its codes of what was seen, in place of transitions."""

    name = "s-icql"
    config_class: ClassVar[type[ICIQLConfig]] = SICQLConfig
    config: SICQLConfig

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """ic-iql's, and budgets of the world model."""
        return {
            name: SICQLConfig.model_validate(
                {**preset.model_dump(exclude_unset=True), **MODEL_BUDGETS[name]}
            )
            for name, preset in super().presets(suite).items()
        }

    def train(self, data: TrainingData, run: TrainingRun) -> SICQLPolicy:
        """Train the world model, freeze it, then all else on its codes.

        Raises:
            MethodError: there is one training task only, or all rewards are equal.
        """
        check_rewards(self.config, data)
        choose_training_tasks(data, "learning in context")  # before minutes of a world model
        run.torch_seed("initialisation")
        network = SICQLNetwork(self.config, data.spaces)
        model = network.world_model.to(run.device)
        train_world_model(self.config.world_model_config, model, data, run)
        model.requires_grad_(False)
        stride = self.config.choose_stride(data.spaces.horizon)

        def open_source(part: TrainingData) -> TrialSource:
            codes = encode_transitions(model, part, stride)
            return TrialSource(
                self.config, part, lambda index: codes[torch.as_tensor(index, device=codes.device)]
            )

        train_network(self.config, network, open_source, data, run)
        model.requires_grad_(True)  # parameters that training changed are counted by this
        return SICQLPolicy(network, data.spaces, self.config)

    def load(self, folder: Path, spaces: Spaces) -> SICQLPolicy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        network, config = load_network(folder, spaces, SICQLConfig, SICQLNetwork, self.name)
        return SICQLPolicy(network, spaces, config)


def check_rewards(config: ICIQLConfig, data: TrainingData) -> None:
    """Refuse data in which no action is better than another.

    Raises:
        MethodError: all rewards are equal.
    """
    rewards = data.columns.rewards
    if config.backbone != "bc" and rewards.min() == rewards.max():
        raise MethodError(
            f"{data.suite_name or 'the data'}: every reward is {float(rewards[0]):g}, so that no action has a higher "
            "value; expected rewards that vary, or backbone=bc"
        )
