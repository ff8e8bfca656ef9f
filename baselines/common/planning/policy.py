"""Acting by planning in a model that reads what is known of the task: the support, or the episode so far."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from metabench import Array, Episode, Policy, Prediction, Spaces, Step

from .config import PlannerConfig
from .open_loop import collect_prediction, predict_open_loop
from .planner import Planner
from .rows import DynamicsModel, Reader, Transitions, batch_transitions

CONTEXTS_AT_ONCE = 256
"""Contexts of lanes without support that are read together: that bounds memory."""


class PlanningPolicy(Policy):
    """Plans in a model, anew every few steps.

    With support the model reads the support, once; without, each lane's model reads the lane's own episode, whenever
    it plans. Nothing is ever fitted to a test task but through this reading.
    """

    def __init__(self, reader: Reader, config: PlannerConfig, spaces: Spaces) -> None:
        """Act in tasks of these spaces."""
        self.reader, self._config, self._spaces = reader, config, spaces
        self._planner = Planner(config, spaces)

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Forget everything."""
        self._groups = list(groups)
        self._noise = [torch.Generator().manual_seed(seed % 2**63) for seed in seeds]
        self._uniform = [np.random.default_rng(seed) for seed in seeds]
        self._models: list[tuple[DynamicsModel, list[list[int]]]] | None = None
        self._plans: Tensor | None = None
        self._planned_at = self._time = 0
        shape = (len(groups), self._spaces.horizon)
        self._seen = np.zeros((*shape, self._spaces.observation_dim), np.float32)
        self._acted = np.zeros((*shape, self._spaces.action_dim), np.float32)
        self._earned = np.zeros(shape, np.float32)

    def adapt(self, support: Mapping[int, Sequence[Episode]]) -> None:
        """Read each group's support, or as many of its rows as the model takes."""
        members: dict[int, list[int]] = {}
        for lane, group in enumerate(self._groups):
            members.setdefault(group, []).append(lane)
        by_size: dict[int, list[int]] = {}  # groups of as many lanes are planned for in one batch
        for group, lanes in members.items():
            by_size.setdefault(len(lanes), []).append(group)
        self._models = []
        for same in by_size.values():
            rows = [Transitions.from_episodes(support[group], self._spaces) for group in same]
            self._models.append((self._read_contexts(rows), [members[group] for group in same]))

    @torch.no_grad()
    def act(self, step: Step) -> Array:
        """The next action of each lane's plan."""
        time = self._time
        self._seen[:, time] = step.observation
        if time:
            self._acted[:, time - 1] = self._spaces.action_features(step.previous_action)
            self._earned[:, time - 1] = step.previous_reward
        self._time += 1
        if self._models is None and time < self._config.least_rows:
            return np.stack(
                [self._spaces.uniform_actions(generator, ()) for generator in self._uniform]
            )
        if self._plans is None or time - self._planned_at >= self._config.replan:
            self._plans, self._planned_at = self._plan_lanes(step.observation, step.active), time
        return self._spaces.actions_from_features(self._plans[:, time - self._planned_at].numpy())

    def predict(self, prefix: Sequence[Episode], actions: Array) -> Prediction:
        """What the model that plans are made in says: of the support where there is one, else of the prefix."""
        now = torch.from_numpy(np.stack([episode.observations[-1] for episode in prefix]))
        features = torch.from_numpy(self._spaces.action_features(actions))  # (lanes, h, A)
        parts = []
        for model, members in self._models or self._read_prefixes(prefix):
            places = torch.tensor(members)
            parts.append((places, predict_open_loop(model, now[places], features[places])))
        return collect_prediction(parts, len(prefix), deviations=self.reader.tells_deviations)

    def _read_prefixes(
        self, prefix: Sequence[Episode]
    ) -> Iterator[tuple[DynamicsModel, list[list[int]]]]:
        """Models that have read each lane's own episode, with the lanes of each group; without steps all are one."""
        rows = [Transitions.from_episodes([episode], self._spaces) for episode in prefix]
        nothing = [lane for lane, own in enumerate(rows) if not len(own)]
        if nothing:
            yield self._read_contexts([rows[nothing[0]]]), [nothing]
        begun = [lane for lane, own in enumerate(rows) if len(own)]
        for first in range(0, len(begun), CONTEXTS_AT_ONCE):
            part = begun[first : first + CONTEXTS_AT_ONCE]
            yield self._read_contexts([rows[lane] for lane in part]), [[lane] for lane in part]

    def parameter_count(self) -> int:
        """The model's trained parameters."""
        return self.reader.parameter_count()

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the reader."""

    def _plan_lanes(self, observation: Array, active: Array) -> Tensor:
        """`(lanes, H, action_dim)` plans; lanes that have ended keep theirs."""
        going = np.flatnonzero(active).tolist()
        models = self._models
        if models is None:
            own = [self._gather_own_episode(lane) for lane in going]
            models = [(self._read_contexts(own), [[lane] for lane in going])]
        lanes, now = len(self._groups), torch.from_numpy(np.ascontiguousarray(observation))
        plans = torch.zeros(lanes, self._config.horizon, self._spaces.action_dim)
        for model, members in models:
            index = torch.tensor(members)
            last = None if self._plans is None else self._plans[index]
            noise = [self._noise[lane] for lane in index.flatten().tolist()]
            plans[index] = self._planner.plan(model, now[index], last, noise)
        return plans

    def _read_contexts(self, transitions: Sequence[Transitions]) -> DynamicsModel:
        with torch.no_grad():
            return self.reader.read(
                batch_transitions([each.thin(self._config.largest_context) for each in transitions])
            )

    def _gather_own_episode(self, lane: int) -> Transitions:
        """The lane's episode so far; nothing in it has ended it."""
        time = self._time - 1
        return Transitions(
            self._seen[lane, :time],
            self._acted[lane, :time],
            self._seen[lane, 1 : time + 1],
            self._earned[lane, :time],
            np.zeros(time, bool),
        )
