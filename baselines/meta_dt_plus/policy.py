"""Acting: evidence kept running lane by lane, exploration where it is free, probing where nothing is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from metabench import Array, Episode, Spaces, Step

from ..meta_dt.model import Transitions
from ..meta_dt.policy import (
    CodesOfLanes,
    MetaDTPolicy,
    group_by_length,
    scale_episode,
    scale_episodes,
    scale_last_transition,
)
from ..meta_dt.world_model import TaskCodeModel
from .config import MetaDTPlusConfig
from .world_model import HistoryWorldModel


class HistoryLaneCodes:
    """The task code of every lane, from its group's support and its whole episode so far."""

    def __init__(self, model: HistoryWorldModel, spaces: Spaces) -> None:
        """Keep the trained model, in evaluation mode."""
        self._model, self._spaces = model.eval(), spaces

    @torch.inference_mode()
    def reset(self, support: Sequence[Sequence[Episode]]) -> None:
        """Start one episode a lane with the evidence of its support."""
        encoder = self._model.encoder
        device = self._model.scales.reward_mean.device
        self._evidence = torch.zeros(
            len(support), encoder.evidence_dim, device=device
        )  # (lanes, evidence_dim)
        self._last: Transitions | None = None
        self._before: Array | None = None
        read: dict[int, Tensor] = {}  # lanes of one group have the same episodes: each is read once
        for lane, episodes in enumerate(support):
            for episode in episodes:
                if id(episode) not in read:
                    transitions = scale_episode(self._model, self._spaces, episode)
                    read[id(episode)] = encoder.gather_evidence(transitions)[0, -1]
                self._evidence[lane] += read[id(episode)]

    @torch.inference_mode()
    def advance(self, step: Step) -> Tensor:
        """Take in the transition that led to `step`, if any; returns codes `(lanes, code_dim)`."""
        encoder = self._model.encoder
        if self._before is not None:
            newest = scale_last_transition(self._model, self._spaces, self._before, step)
            # The newest is read with the one before it, for the change of the reward; only what it adds is taken.
            known = [newest] if self._last is None else [self._last, newest]
            pair = {name: torch.cat([part[name] for part in known], dim=1) for name in newest}
            evidence = encoder.gather_evidence(pair)
            self._evidence = self._evidence + evidence[:, -1] - evidence[:, -2]
            self._last = newest
        self._before = np.array(step.observation)
        return encoder.compute_codes(self._evidence)

    @torch.inference_mode()
    def read_prefixes(self, prefix: Sequence[Episode]) -> Tensor:
        """Codes `(lanes, code_dim)` of the support and each lane's episode so far."""
        evidence = self._evidence.clone()
        for lanes in group_by_length(prefix):
            if len(prefix[lanes[0]]):
                read = scale_episodes(self._model, self._spaces, [prefix[lane] for lane in lanes])
                evidence[lanes] += self._model.encoder.gather_evidence(read)[:, -1]
        return self._model.encoder.compute_codes(evidence)


class MetaDTPlusPolicy(MetaDTPolicy):
    """Acts as Meta-DT does on another code; explores in unscored episodes, and probes where it has no support."""

    config: MetaDTPlusConfig

    def _build_lane_codes(self, model: TaskCodeModel) -> CodesOfLanes:
        assert isinstance(model, HistoryWorldModel)
        return HistoryLaneCodes(model, self.spaces)

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Start without support; each lane's random actions are drawn from its own seed."""
        super().reset(groups, seeds)
        horizon = self.spaces.horizon
        self._supported = np.zeros(len(groups), bool)
        self._explores = self.config.exploration > 0 or self.config.probe_steps > 0
        if (
            self._explores
        ):  # all that an episode may need, so that a lane's draws do not depend on other lanes
            generators = [np.random.default_rng([seed, 1]) for seed in seeds]
            self._coins = np.stack(
                [generator.random(horizon) for generator in generators]
            )  # (lanes, horizon)
            random = [
                self.spaces.uniform_actions(generator, (horizon,)) for generator in generators
            ]
            self._random = np.stack(random)  # (lanes, horizon, ...)

    def adapt(self, support: Mapping[int, Sequence[Episode]]) -> None:
        """Give every lane its group's support."""
        self._supported = np.array([bool(support.get(group)) for group in self._groups])
        super().adapt(support)

    def act(self, step: Step) -> Array:
        """The predicted actions; random ones where exploring costs nothing or probing is due."""
        actions = super().act(step)
        if self._explores:
            lane = np.arange(len(actions))
            timestep = np.minimum(step.timestep, self.spaces.horizon - 1)
            explore = ~step.scored & (self._coins[lane, timestep] < self.config.exploration)
            probe = step.scored & ~self._supported & (step.timestep < self.config.probe_steps)
            chosen = explore | probe
            actions[chosen] = self._random[lane, timestep][chosen]
        return actions
