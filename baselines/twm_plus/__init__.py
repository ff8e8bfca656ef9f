"""TWM: the transformer world model, adapted to offline meta-RL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from metabench import Config, Method, Policy, Spaces, TrainingData, TrainingRun

from .actor_critic import ActorCritic
from .config import TWMConfig
from .inspect.diagnostics import diagnose
from .model.world_model import WorldModel
from .policy import TWMPolicy, load_twm_policy
from .presets import PRESETS, VARIANTS
from .reproduction.reproduce import TWMReproduceConfig, reproduce_twm
from .training.batches import BatchSource
from .training.relabelling import train_task_rewards
from .training.train import train_policy, train_world_model


class TWMPlus(Method):
    """A world model of all training tasks (Robine et al., ICLR 2023) that infers the task from what it has seen.

    Actor and critic learn in its imagination, on the latent and the transformer's output.
    """

    name: ClassVar[str] = "twm-plus"
    paper: ClassVar[str | None] = "https://arxiv.org/abs/2303.07109"
    predicts: ClassVar[bool] = True
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS
    reproduction: ClassVar[type[Config] | None] = TWMReproduceConfig
    config_class: ClassVar[type[Config]] = TWMConfig
    config: TWMConfig

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """The same budgets for every suite."""
        del suite
        return PRESETS

    @classmethod
    def reproduce(cls, config: Config, run: TrainingRun) -> Sequence[Mapping[str, Any]]:
        """The paper's experiment: Atari games, played and learned from online."""
        assert isinstance(config, TWMReproduceConfig)
        return reproduce_twm(config, run)

    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """Train the world model, freeze it, then actor and critic; adds diagnostics to the summary.

        Raises:
            DataError: rewards overflow, episodes are shorter than the context, or frames are expected and missing.
        """
        config = self.config.adapt_to_horizon(data.spaces.horizon)
        run.torch_seed("initialise")
        model = WorldModel(config, data.spaces)
        policy = ActorCritic(config, data.spaces)
        fitting = data.fitting
        model.measure(fitting)
        if config.reward_transform == "scaled":
            policy.measure(fitting, float(model.get_buffer("reward_scale")))
        model.to(run.device)
        policy.to(run.device)
        wanted = config.relabelled or config.reward_map
        rewards = train_task_rewards(config, model, fitting, run) if wanted else None
        source = BatchSource(config, fitting, run.device, rewards)
        train_world_model(config, model, source, run)
        train_policy(config, model, policy, source, run)
        if data.validation.num_episodes:
            run.summary.update(diagnose(config, model, policy, data.validation, run))
        return TWMPolicy(config, model, policy, data.spaces)

    def load(self, folder: Path, spaces: Spaces) -> Policy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        return load_twm_policy(folder, spaces)
