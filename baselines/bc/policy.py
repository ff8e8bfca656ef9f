"""Acting: one forward pass for all lanes; nothing is remembered between steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from metabench import Array, DataError, Policy, Spaces, Step, load_state, save_state

from .config import BCConfig
from .model import BCNetwork


class BCPolicy(Policy):
    """Acts the network's mean action, or its most likely discrete one: deterministic and without memory."""

    def __init__(self, network: BCNetwork, spaces: Spaces, config: BCConfig) -> None:
        """Wrap a trained network."""
        self._network = network
        self._spaces = spaces
        self._config = config

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """There is nothing to forget and nothing random."""
        del groups, seeds

    @torch.no_grad()
    def act(self, step: Step) -> Array:
        """Choose from each lane's observation and timestep alone."""
        device = self._network.get_buffer("mean").device
        observation = torch.as_tensor(step.observation, device=device)
        features = self._network(observation, torch.as_tensor(step.timestep, device=device))
        return self._spaces.actions_from_features(features.cpu().numpy())

    def save(self, folder: Path) -> None:
        """Write weights, configuration and spaces."""
        state = {
            "network": dict(self._network.state_dict()),
            "config": self._config.model_dump(mode="json"),
            "spaces": asdict(self._spaces),
        }
        save_state(state, folder / "policy")

    def parameter_count(self) -> int:
        """Weights and biases of the network."""
        return sum(parameter.numel() for parameter in self._network.parameters())


def load_policy(folder: Path, spaces: Spaces) -> BCPolicy:
    """Read what `BCPolicy.save` wrote; raises `DataError` if it is missing, damaged, or of other spaces."""
    state = load_state(folder / "policy")
    try:
        config = BCConfig.model_validate(state["config"])
        saved = Spaces(**state["spaces"])
        network = BCNetwork(saved, config.width, config.depth)
        network.load_state_dict(state["network"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(f"{folder}: not a policy of bc: {' '.join(str(error).split())}") from error
    if saved != spaces:
        raise DataError(f"{folder}: a policy for {saved}, expected {spaces}")
    return BCPolicy(network.eval(), spaces, config)
