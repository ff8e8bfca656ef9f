"""Training: the shared transformer, without task codes, prompted by random segments."""

from __future__ import annotations

from metabench import TrainingData, TrainingRun

from ..common.decision_transformer.train import (
    ChooseSegments,
    build_networks,
    choose_random_segments,
    measure_scales,
    train_networks,
)
from .config import PromptDTConfig
from .policy import PromptDTPolicy


def train_policy(config: PromptDTConfig, data: TrainingData, run: TrainingRun) -> PromptDTPolicy:
    """Train on windows of the fitting tasks, half of them after a random segment of another episode of the task."""

    def choose_segments(part: TrainingData) -> ChooseSegments:
        return choose_random_segments(part, config.prompt_length)

    trained = config
    if config.windows_a_task:
        # Drawn from all tasks' episodes alike: so many of each task in expectation.
        count = config.windows_a_task * data.fitting.num_tasks
        trained = config.model_copy(update={"batch_size": count})
    scales = measure_scales(config, data)
    run.torch_seed("networks")
    networks = build_networks(config, data.spaces)
    for module in networks.modules().values():
        module.to(run.device)
    train_networks(trained, networks, data.to(run.device), scales, run, segments=choose_segments)
    return PromptDTPolicy(config, networks, data.spaces, scales)
