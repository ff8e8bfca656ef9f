"""The published loop: play, fit the world model, imagine, learn to act; and its pretraining."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from metabench import Spaces, TrainingRun

from ...common.optimisation import descend
from ..actor_critic import ActorCritic
from ..config import TWMConfig
from ..model.world_model import Sequences, WorldModel
from ..training.batches import BalancedSampler
from ..training.gradient_steps import PolicyOptimizers, make_adam, update_in_imagination
from ..training.published_updates import (
    pair_steps,
    update_on_sequences,
    update_policy_on_sequences,
)
from .play import Collector, sample_actions

PUBLISHED_STEPS, PUBLISHED_PREFILL, PUBLISHED_UPDATES = 100_000, 5_000, 125_000
"""Of the paper: steps in all, those at random, updates after pretraining."""

PRETRAINING_SHARES = {"observation-model": 18_750, "dynamics": 9_400, "policy": 21_875}
"""Published updates of the stages of pretraining, each of which is scaled as the updates of the loop are."""


@dataclass(frozen=True)
class Schedule:
    """How many steps and updates there are.

    Attributes:
        steps: steps of the game.
        prefill: those of them that are acted at random, before all learning.
        updates: updates of the loop, spread evenly over the other steps.
        evaluation_interval: steps between evaluations; 0: there are none in the loop.
    """

    steps: int
    prefill: int
    updates: int
    evaluation_interval: int

    def steps_before(self, update: int) -> int:
        """Steps that precede update number `update`."""
        return self.prefill + -(-(self.steps - self.prefill) * update // self.updates)

    def is_evaluation_due(self, before: int, after: int) -> bool:
        """Whether an evaluation is due when `after` steps were played, and was not at `before`."""
        interval = self.evaluation_interval
        return interval > 0 and after // interval > before // interval

    def count_pretraining_updates(self, stage: str) -> int:
        """Updates of a stage of pretraining: so many a loop's update as in the paper."""
        return max(1, round(PRETRAINING_SHARES[stage] * self.updates / PUBLISHED_UPDATES))


class OnlineLearner:
    """World model, actor and critic of one game, with their optimisers."""

    def __init__(
        self, config: TWMConfig, spaces: Spaces, collector: Collector, run: TrainingRun
    ) -> None:
        """Make the networks; raises `DataError` if `spaces` has no frames."""
        run.torch_seed("initialise")
        self.config, self.run, self.collector, self.replay = (
            config,
            run,
            collector,
            collector.replay,
        )
        self.model = WorldModel(config, spaces).to(run.device)
        self.policy = ActorCritic(config, spaces).to(run.device)
        self.observation = make_adam(
            config, self.model.observation, config.observation_learning_rate
        )
        self.dynamics = make_adam(config, self.model.dynamics, config.dynamics_learning_rate)
        self.optimizers = PolicyOptimizers.make(config, self.policy)
        self.sampler = BalancedSampler(0, config.sampling_temperature, config.sampling)
        self._sequences = config.tasks_per_update * config.windows_per_task

    def train(self, name: str, schedule: Schedule, evaluate: Callable[[], None]) -> None:
        """Play at random, pretrain, then alternate between playing and learning.

        Args:
            name: begins the names of the stages.
            schedule: how long.
            evaluate: called after pretraining, and then as the schedule says.
        """
        self._play_at_random(name, schedule)
        self._pretrain_observation_model(name, schedule)
        self._pretrain_dynamics(name, schedule)
        self._pretrain_policy(name, schedule)
        self._play_and_learn(name, schedule, evaluate)

    def _play_at_random(self, name: str, schedule: Schedule) -> None:
        actions = self.policy.action_dim
        for step in self.run.steps(f"{name}-prefill", schedule.prefill, collector=self.collector):
            self.collector.observation()
            self.collector.step(int(self.run.generator(name, "prefill", step).integers(actions)))

    def _pretrain_observation_model(self, name: str, schedule: Schedule) -> None:
        """Encoder and decoder on single observations, all of which are as likely."""
        run, config, model = self.run, self.config, self.model
        total = schedule.count_pretraining_updates("observation-model")
        stage = f"{name}-observation-model"
        for update in run.steps(stage, total, model=model.observation, optimizer=self.observation):
            generator = run.generator(name, "observation-model", update)
            index = generator.integers(self.replay.size + 1, size=config.observation_batch)
            observations = torch.as_tensor(self.replay.stack_frames(index), device=run.device)
            loss, info = model.observation_loss(observations)
            descend(self.observation, loss, clip=config.model_clip)
            self._log(update, total, info)

    def _pretrain_dynamics(self, name: str, schedule: Schedule) -> None:
        """The dynamics on frozen encodings; all sequences are as likely."""
        total = schedule.count_pretraining_updates("dynamics")
        for update in self.run.steps(
            f"{name}-dynamics", total, model=self.model.dynamics, optimizer=self.dynamics
        ):
            self.model.train()
            windows = self._draw_windows(name, "dynamics", update)
            info = update_on_sequences(self.model, windows, self.dynamics, None)
            self._log(update, total, info)

    def _pretrain_policy(self, name: str, schedule: Schedule) -> None:
        """Critic and actor on real sequences; all are as likely."""
        config, policy, optimizers = self.config, self.policy, self.optimizers
        total = schedule.count_pretraining_updates("policy")
        parts: dict[str, Any] = {
            "policy": policy,
            "actor": optimizers.actor,
            "critic": optimizers.critic,
        }
        for update in self.run.steps(f"{name}-policy", total, **parts):
            windows = self._draw_windows(name, "policy", update)
            info = update_policy_on_sequences(config, self.model, policy, optimizers, windows)
            self._log(update, total, info)

    def _play_and_learn(self, name: str, schedule: Schedule, evaluate: Callable[[], None]) -> None:
        """Play until the update is due, then update everything; evaluate before the first and as scheduled."""
        run, model, policy = self.run, self.model, self.policy
        parts: dict[str, Any] = {
            "model": model,
            "policy": policy,
            "observation": self.observation,
            "dynamics": self.dynamics,
            "actor": self.optimizers.actor,
            "critic": self.optimizers.critic,
            "sampler": self.sampler,
            "collector": self.collector,
        }
        for update in run.steps(f"{name}-online", schedule.updates, **parts):
            model.eval()
            before = self.replay.size
            if update == 1:
                evaluate()
            while self.replay.size < schedule.steps_before(update):
                observation = self.collector.observation()
                self.collector.step(int(sample_actions(model, policy, observation[None])[0]))
            self._log(update, schedule.updates, self._update(name, update))
            if schedule.is_evaluation_due(before, self.replay.size):
                evaluate()
        model.eval()

    def _update(self, name: str, update: int) -> Mapping[str, Tensor]:
        """One update of everything; returns what is logged."""
        config, run, possible = self.config, self.run, self.replay.count_starts(self.config.window)
        self.sampler.grow(possible)
        starts = self.sampler.draw(run.generator(name, "online", update), self._sequences)
        windows = self.replay.gather_sequences(starts, config.window, run.device)
        self.model.train()
        info = update_on_sequences(self.model, windows, self.dynamics, self.observation)
        self.model.eval()  # imagination runs without dropout
        pairs = pair_steps(windows, config.starts)
        info |= update_in_imagination(config, self.model, self.policy, self.optimizers, pairs)
        if config.ensemble == 1:
            del info["disagreement"]  # of one head with itself
        return info | {"real_reward": self.model.transform_rewards(windows.rewards).mean()}

    def _draw_windows(self, name: str, stage: str, update: int) -> Sequences:
        starts = self.run.generator(name, stage, update).integers(
            self.replay.count_starts(self.config.window), size=self._sequences
        )
        return self.replay.gather_sequences(starts, self.config.window, self.run.device)

    def _log(self, update: int, total: int, info: Mapping[str, Tensor]) -> None:
        if update == 1 or update == total or update % self.config.log_interval == 0:
            self.run.log(**{name: float(value.detach()) for name, value in info.items()})
