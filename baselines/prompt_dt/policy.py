"""Acting with a prompted transformer that has no task code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from metabench import Array, Episode, Policy, Spaces, Step

from ..common.decision_transformer.policy import Actor, choose_prompts, choose_random_prompt
from ..common.decision_transformer.saving import count_trained_parameters, save_networks
from ..common.decision_transformer.train import Networks, Scales
from .config import PromptDTConfig


class PromptDTPolicy(Policy):
    """Prompts each lane with a random segment of its group's support; acts without a prompt at zero shots."""

    def __init__(
        self, config: PromptDTConfig, networks: Networks, spaces: Spaces, scales: Scales
    ) -> None:
        """Wrap trained networks."""
        self.config, self.networks, self.spaces, self.scales = config, networks, spaces, scales
        self._actor = Actor(config, networks, spaces, scales)
        self._choose = choose_random_prompt(config.prompt_length)

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Start without support."""
        self._groups, self._seeds = list(groups), list(seeds)
        self._actor.reset(len(self._groups), [None] * len(self._groups))

    def adapt(self, support: Mapping[int, Sequence[Episode]]) -> None:
        """Choose every lane's prompt."""
        self._actor.reset(
            len(self._groups), choose_prompts(self._groups, support, self._seeds, self._choose)
        )

    def act(self, step: Step) -> Array:
        """The predicted actions."""
        return self.spaces.actions_from_features(self._actor.act(step, None))

    def save(self, folder: Path) -> None:
        """Write networks, scales and configuration."""
        save_networks(folder, self.config, self.spaces, self.scales, self.networks.modules())

    def parameter_count(self) -> int:
        """Trained parameters."""
        return count_trained_parameters(self.networks.modules())
