"""The method class that the family shares: each member gives its configuration and its objective."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from metabench import Config, Method, Spaces, TrainingData, TrainingRun

from .config import BUDGETS, SUITES, TaskInferenceConfig
from .objective import EncoderObjective
from .policy import TaskInferencePolicy, load_task_inference
from .train import train_networks


class TaskInferenceMethod(Method):
    """A context encoder with an actor-critic on observation and code."""

    config: TaskInferenceConfig
    published: ClassVar[Mapping[str, Any]] = {}
    """What the paper's budget changes beside the family's."""
    suite_settings: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """What the paper chose for a suite, by its name; the same in every preset."""

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """The family's budgets, with what the papers chose for the suite."""
        return {
            name: cls.config_class.model_validate(
                {
                    **SUITES.get(suite, {}),
                    **budget,
                    **(cls.published if name == "paper" else {}),
                    **cls.suite_settings.get(suite, {}),
                }
            )
            for name, budget in BUDGETS.items()
        }

    @abstractmethod
    def make_objective(self, spaces: Spaces) -> EncoderObjective:
        """The encoder's loss, with its own networks."""

    def train(self, data: TrainingData, run: TrainingRun) -> TaskInferencePolicy:
        """Train on the fitting tasks; nothing is selected."""
        run.torch_seed("objective")
        objective = self.make_objective(data.spaces)
        trained = train_networks(self.config, objective, data, run)
        return TaskInferencePolicy(trained, data.spaces, self.config)

    def load(self, folder: Path, spaces: Spaces) -> TaskInferencePolicy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        return load_task_inference(folder, spaces, type(self.config), self.name)
