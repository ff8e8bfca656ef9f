"""Policies that know a lane by a world model's memory; one plans in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from metabench import (
    Array,
    Episode,
    Policy,
    Prediction,
    Spaces,
    Step,
)

from ..planning.config import SearchConfig
from ..planning.open_loop import collect_prediction, predict_open_loop
from ..planning.planner import Planner
from .belief import BelievingModel
from .config import ContextEnsembleConfig
from .contract import Seen, WorldModel
from .ensemble import EncodingModel, Ensemble, EnsembleModel
from .saving import save_trained


class WorldModelPolicy(Policy):
    """Keeps what the model knows of each lane: of the support, and of the lane's own steps."""

    def __init__(self, model: WorldModel, spaces: Spaces) -> None:
        """Act in tasks of these spaces."""
        self.model, self._spaces = model, spaces

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Forget everything."""
        del seeds
        self._groups = np.asarray(groups)
        self._memory = self.model.begin(len(groups))
        self._previous: Tensor | None = None

    def adapt(self, support: Mapping[int, Sequence[Episode]]) -> None:
        """Let the model read each group's support."""
        for group, episodes in support.items():
            lanes = torch.from_numpy(np.flatnonzero(self._groups == group))
            self._memory = self.model.read_support(self._memory, lanes, episodes)

    def _look(self, step: Step) -> Tensor:
        """Let the model take in the step that led here; the observations `(lanes, S)`."""
        now = torch.from_numpy(np.ascontiguousarray(step.observation))
        if self._previous is not None:
            seen = Seen(
                self._previous,
                torch.from_numpy(self._spaces.action_features(step.previous_action)),
                torch.from_numpy(np.ascontiguousarray(step.previous_reward)),
                now,
                torch.from_numpy(step.active & (step.timestep > 0)),
            )
            self._memory = self.model.take_in(self._memory, seen)
        self._previous = now
        return now

    def predict(self, prefix: Sequence[Episode], actions: Array) -> Prediction:
        """What the model says after support and prefix."""
        memory = self._memory
        for seen in list_steps(prefix, self._spaces):
            memory = self.model.take_in(memory, seen)
        now = torch.from_numpy(np.stack([episode.observations[-1] for episode in prefix]))
        features = torch.from_numpy(self._spaces.action_features(actions))[None]
        found = predict_open_loop(self.model, self.model.imagine_from(memory, now), features)
        places = torch.arange(len(prefix))
        return collect_prediction(
            [(places, found)], len(prefix), deviations=self.model.tells_deviations
        )

    def parameter_count(self) -> int:
        """The model's."""
        return self.model.parameter_count()


def list_steps(episodes: Sequence[Episode], spaces: Spaces) -> list[Seen]:
    """The steps of L episodes, one after another; the shorter ones are missing from the later of these."""
    lengths = np.array([len(episode) for episode in episodes])
    longest = int(lengths.max())
    observations = np.zeros((longest + 1, len(episodes), spaces.observation_dim), np.float32)
    actions = np.zeros((longest, len(episodes), spaces.action_dim), np.float32)
    rewards = np.zeros((longest, len(episodes)), np.float32)
    for lane, episode in enumerate(episodes):
        observations[: len(episode) + 1, lane] = episode.observations
        actions[: len(episode), lane] = spaces.action_features(episode.actions)
        rewards[: len(episode), lane] = episode.rewards
    placed = [torch.from_numpy(each) for each in (observations, actions, rewards)]
    return [
        Seen(
            placed[0][time],
            placed[1][time],
            placed[2][time],
            placed[0][time + 1],
            torch.from_numpy(lengths > time),
        )
        for time in range(longest)
    ]


class ModelPlanningPolicy(WorldModelPolicy):
    """Plans in a model, anew every few steps; how it is saved is for those that it is a part of to say.

    Lanes that have ended are planned for like all others: which lanes are together never changes what one does.
    """

    def __init__(
        self,
        model: WorldModel,
        config: SearchConfig,
        spaces: Spaces,
        *,
        explores: bool = False,
        wander: float = 0.0,
    ) -> None:
        """Plan in a trained model.

        Args:
            model: to plan in.
            config: of the search.
            spaces: of the tasks.
            explores: in support episodes the model takes one possible task for true.
            wander: deviation of noise that is added to actions of support episodes.
        """
        super().__init__(model, spaces)
        self._config, self._planner = config, Planner(config, spaces)
        self._explores, self._wander = explores, wander

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Forget everything."""
        super().reset(groups, seeds)
        self._noise = [torch.Generator().manual_seed(seed % 2**63) for seed in seeds]
        self._draws = torch.stack(
            [torch.rand((), generator=generator) for generator in self._noise]
        )
        self._plans: Tensor | None = None
        self._acted = 0

    @torch.no_grad()
    def act(self, step: Step) -> Array:
        """The next action of each lane's plan."""
        now = self._look(step)
        if self._plans is None or self._acted >= self._config.replan:
            # All lanes of a rollout are scored, or none is.
            draws = None if step.scored.all() or not self._explores else self._draws
            state = self.model.imagine_from(self._memory, now, draws)
            self._plans = self._planner.plan(self.model, state, self._plans, self._noise)
            self._acted = 0
        actions = self._plans[0, :, min(self._acted, self._config.horizon - 1)]
        self._acted += 1
        if not step.scored.all() and self._wander:
            fresh = [torch.randn(actions.shape[1:], generator=each) for each in self._noise]
            actions = actions + self._wander * torch.stack(fresh)
        return self._spaces.actions_from_features(actions.numpy())


class EnsemblePlanningPolicy(ModelPlanningPolicy):
    """Plans in an ensemble."""

    def __init__(self, ensemble: Ensemble, config: SearchConfig, spaces: Spaces) -> None:
        """Plan in a trained ensemble."""
        context = ensemble.config
        explores = isinstance(context, ContextEnsembleConfig) and context.drawn_exploration
        super().__init__(make_model(ensemble), config, spaces, explores=explores)
        self._ensemble = ensemble

    def save(self, folder: Path) -> None:
        """Write networks, configuration and spaces."""
        save_trained(self._ensemble, self._config, self._spaces, folder)


def make_model(ensemble: Ensemble) -> EnsembleModel:
    """What reads by the encoder or by a belief, as the configuration says."""
    config = ensemble.config
    if isinstance(config, ContextEnsembleConfig) and config.reading == "belief":
        return BelievingModel(ensemble, config.temper)
    return EncodingModel(ensemble)
