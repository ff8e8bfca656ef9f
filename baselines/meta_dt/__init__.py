"""Meta-DT: a decision transformer with a task code from a world model and a complementary prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from metabench import Config, Method, Policy, Spaces, TrainingData, TrainingRun

from ..common.decision_transformer.saving import load_networks, load_settings
from ..common.decision_transformer.train import (
    STAGE,
    Networks,
    build_networks,
    diagnose_networks,
    measure_scales,
    random_segments,
    train_networks,
)
from .config import ABLATIONS, MetaDTConfig, presets
from .model import WorldModel
from .policy import MetaDTPolicy
from .reproduction.reproduce import ReproduceConfig, reproduce
from .train import DatasetCodes, complementary_segments, diagnose_world_model, train_world_model


class MetaDT(Method):
    """Meta-DT (Wang et al., NeurIPS 2024, arXiv 2410.11448), true to the paper."""

    name: ClassVar[str] = "meta-dt"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = ABLATIONS
    reproduction: ClassVar[type[Config] | None] = ReproduceConfig
    config_class: ClassVar[type[Config]] = MetaDTConfig
    plus: ClassVar[bool] = False
    config: MetaDTConfig

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """Configurations for `suite` by preset."""
        return presets(suite, cls.plus)

    @classmethod
    def reproduce(cls, config: Config, run: TrainingRun) -> Sequence[Mapping[str, Any]]:
        """Published numbers of Meta-DT and Prompt-DT beside those of our records, and what differs."""
        assert isinstance(config, ReproduceConfig)
        return reproduce(config, run)

    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """Train the world model, freeze it, then the transformer on its codes; adds diagnostics to the summary."""
        config = self.config
        scales = measure_scales(config, data)
        model: WorldModel | None = None
        codes: DatasetCodes | None = None
        if not config.no_context:
            run.torch_seed("initialise", "world-model")
            model = WorldModel(config, data.spaces).to(run.device)
            train_world_model(config, model, data, run)
            model.requires_grad_(False).eval()
            codes = DatasetCodes(config, model)
            if data.validation.num_episodes:
                run.summary["reward_error_elsewhere"] = diagnose_world_model(config, model, data, run)

        def segments(part: TrainingData) -> Any:
            if model is None or codes is None or config.no_complementary_prompt:
                return random_segments(part, config.prompt_length)
            return complementary_segments(config, codes, model, part)

        def fitted(stage: str, support: bool) -> Networks:
            run.torch_seed("initialise", stage)
            networks = _networks(config, data.spaces)
            for module in networks.modules().values():
                module.to(run.device)
            train_networks(config, networks, placed, scales, run, codes, choice if support else None, support, stage)
            return networks

        placed = data.to(run.device)
        choice = None if config.no_prompt else segments
        networks = fitted(STAGE, support=True)
        zero_shot = fitted(f"{STAGE}-zero-shot", support=False) if config.separate_zero_shot else None
        if data.validation.num_episodes:
            run.summary["action_error"] = diagnose_networks(config, networks, placed, scales, run, codes, choice)
        if model is not None:
            model.requires_grad_(True)
        return MetaDTPolicy(config, networks, zero_shot, model, data.spaces, scales)

    def load(self, folder: Path, spaces: Spaces) -> Policy:
        """Read back a saved policy."""
        config, scales, weights = load_settings(folder, spaces, MetaDTConfig)
        networks = _networks(config, spaces)
        zero_shot = _networks(config, spaces) if config.separate_zero_shot else None
        model = None if config.no_context else WorldModel(config, spaces)
        policy = MetaDTPolicy(config, networks, zero_shot, model, spaces, scales)
        load_networks(folder, weights, policy.modules())
        return policy


class MetaDTPlus(MetaDT):
    """Meta-DT with a code of the whole history and support, trained to predict elsewhere in the task."""

    name: ClassVar[str] = "meta-dt-plus"
    reproduction: ClassVar[type[Config] | None] = None
    plus: ClassVar[bool] = True


def _networks(config: MetaDTConfig, spaces: Spaces) -> Networks:
    return build_networks(config, spaces, 0 if config.no_context else config.code_dim, config.code_placement)
