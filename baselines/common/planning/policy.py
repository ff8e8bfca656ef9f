"""Acting by planning in a model that reads what is known of the task: the support, or the episode so far."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from metabench import Array, Episode, Policy, Prediction, Spaces, Step

from .config import PlannerConfig
from .open_loop import collect_prediction, predict_open_loop
from .planner import Planner
from .rows import (
    DynamicsModel,
    Reader,
    Transitions,
    batch_transitions,
    join_transitions,
    take_groups,
)

CONTEXTS_AT_ONCE = 256
"""Contexts that are read together, and whose lanes are planned for together, at most: that bounds memory."""

LIKE = 1.5
"""Contexts are padded to at most about so many times their rows."""

GROWTH = 1.125
"""A lane's own episode is read anew once it has so many times the rows that were read last."""

GROWTH_BESIDE_SUPPORT = 2.0
"""The same beside a support, whose rows make every reading dear.

`kernel-model` on validation tasks, growth by 1.5, by 2, and the support alone: few-shot with 3 episodes in reach 96, 87
and 70, pendulum-param 90, 92 and 67, point-robot 54, 58 and 64; logged-shot 72, 87 and 27, 89, 88 and 86, 48, 45 and 3.
"""


class PlanningPolicy(Policy):
    """Plans in a model, anew every few steps.

    Each lane's model reads the support, if there is any, and the lane's own episode: when it plans and the episode has
    grown enough. Nothing is ever fitted to a test task but through this reading.

    Lanes whose episodes have ended are not planned for, and lanes are in one batch whose contexts are of like size.
    Which are together depends on sizes and on what has ended, never on what was seen: last bits may depend on it.
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
        self._support: dict[int, Transitions] = {}
        self._models: list[_Part] = []
        self._read_rows = 0
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
        self._support = {
            group: Transitions.from_episodes(support[group], self._spaces) for group in members
        }
        self._models = self._read_in_parts([*self._support.values()], [*members.values()])

    @torch.no_grad()
    def act(self, step: Step) -> Array:
        """The next action of each lane's plan."""
        time = self._time
        self._seen[:, time] = step.observation
        if time:
            self._acted[:, time - 1] = self._spaces.action_features(step.previous_action)
            self._earned[:, time - 1] = step.previous_reward
        self._time += 1
        if not self._support and time < self._config.least_rows:
            return np.stack(
                [self._spaces.uniform_actions(generator, ()) for generator in self._uniform]
            )
        if self._plans is None or time - self._planned_at >= self._config.replan:
            self._plans, self._planned_at = self._plan_lanes(step.observation, step.active), time
        return self._spaces.actions_from_features(self._plans[:, time - self._planned_at].numpy())

    def predict(self, prefix: Sequence[Episode], actions: Array) -> Prediction:
        """What the model that plans begin with says: of the support where there is one, else of the prefix.

        Reading the prefix beside a support would take a reading a lane: more than all that is predicted.
        """
        now = torch.from_numpy(np.stack([episode.observations[-1] for episode in prefix]))
        features = torch.from_numpy(self._spaces.action_features(actions))  # (lanes, h, A)
        parts = []
        for part in self._models or self._read_prefixes(prefix):
            places = torch.tensor(part.members)
            parts.append((places, predict_open_loop(part.model, now[places], features[places])))
        return collect_prediction(parts, len(prefix), deviations=self.reader.tells_deviations)

    def _read_prefixes(self, prefix: Sequence[Episode]) -> list[_Part]:
        """Models that have read each lane's own episode; without steps all are one."""
        rows = [Transitions.from_episodes([episode], self._spaces) for episode in prefix]
        nothing = [lane for lane, own in enumerate(rows) if not len(own)]
        begun = [lane for lane, own in enumerate(rows) if len(own)]
        parts = self._read_in_parts([rows[lane] for lane in begun], [[lane] for lane in begun])
        if nothing:
            parts.append(_Part(self._read_contexts([rows[nothing[0]]]), [nothing]))
        return parts

    def parameter_count(self) -> int:
        """The model's trained parameters."""
        return self.reader.parameter_count()

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the reader."""

    def _plan_lanes(self, observation: Array, active: Array) -> Tensor:
        """`(lanes, H, action_dim)` plans; lanes that have ended have none."""
        parts = self._models = self._read_own_episodes(active)
        lanes, now = len(self._groups), torch.from_numpy(np.ascontiguousarray(observation))
        plans = torch.zeros(lanes, self._config.horizon, self._spaces.action_dim)
        for part in parts:
            index = torch.tensor(part.members)
            last = None if self._plans is None else self._plans[index]
            noise = [self._noise[lane] for lane in index.flatten().tolist()]
            plans[index] = self._planner.plan(part.model, now[index], last, noise)
        return plans

    def _read_own_episodes(self, active: Array) -> list[_Part]:
        """Models of what is known of each lane, or a little less of it: those of before."""
        rows = self._time - 1
        growth = GROWTH_BESIDE_SUPPORT if self._support else GROWTH
        reads = self._config.reads_own_episode or not self._support
        grown = rows >= growth * max(1, self._read_rows)
        if self._models and not (reads and grown):
            return _drop_ended(self._models, active)
        self._read_rows = rows
        going = np.flatnonzero(active).tolist()
        contexts = [self._gather_context(lane) for lane in going]
        return self._read_in_parts(contexts, [[lane] for lane in going])

    def _read_in_parts(
        self, contexts: Sequence[Transitions], members: Sequence[list[int]]
    ) -> list[_Part]:
        """Read the contexts of groups, whose lanes are `members`: those of like size and as many lanes together."""
        thin = [each.thin(self._config.largest_context) for each in contexts]
        alike: dict[tuple[int, int], list[int]] = {}
        for place, (rows, lanes) in enumerate(zip(thin, members, strict=True)):
            size = math.ceil(math.log(max(1, len(rows)), LIKE))
            alike.setdefault((len(lanes), size), []).append(place)
        parts = []
        for places in alike.values():
            for first in range(0, len(places), CONTEXTS_AT_ONCE):
                some = places[first : first + CONTEXTS_AT_ONCE]
                model = self._read_contexts([thin[place] for place in some])
                parts.append(_Part(model, [members[place] for place in some]))
        return parts

    def _read_contexts(self, transitions: Sequence[Transitions]) -> DynamicsModel:
        with torch.no_grad():
            return self.reader.read(batch_transitions(transitions))

    def _gather_context(self, lane: int) -> Transitions:
        """The lane's episode so far beside its support, each at least half of what is read if it has so many rows."""
        own = self._gather_own_episode(lane)
        support = self._support.get(self._groups[lane])
        if support is None:
            return own
        most = self._config.largest_context
        own = own.thin(max(most - len(support), most // 2))
        return join_transitions([support.thin(most - len(own)), own])

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


@dataclass(frozen=True)
class _Part:
    """A model of some groups, and the lanes of each: as many in all."""

    model: DynamicsModel
    members: list[list[int]]


def _drop_ended(parts: Sequence[_Part], active: Array) -> list[_Part]:
    """Without the groups whose lanes have all ended."""
    left = []
    for part in parts:
        going = [place for place, lanes in enumerate(part.members) if active[lanes].any()]
        if len(going) == len(part.members):
            left.append(part)
        elif going:
            model = take_groups(part.model, torch.tensor(going))
            left.append(_Part(model, [part.members[place] for place in going]))
    return left
