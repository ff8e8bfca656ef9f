"""Acting: every group has its own last layer and FiLM, which its support has moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from metabench import Array, DataError, Episode, Policy, Spaces, Step, load_state, save_state

from .adaptation import InnerRates, Transitions, adapt
from .config import MacawLiteConfig
from .model import FilmNetwork
from .train import Trained


class MacawLitePolicy(Policy):
    """Acts the mean or most likely action of the network that the steps on the support have left."""

    def __init__(self, trained: Trained, spaces: Spaces, config: MacawLiteConfig) -> None:
        """Wrap a trained network."""
        self._trained = trained
        self._spaces = spaces
        self._config = config
        self._device = trained.network.scales.get_buffer("mean").device
        self._groups: list[int] = []

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Begin where no step was taken, in every lane."""
        self._groups = list(groups)
        self._generators = [np.random.default_rng(seed) for seed in seeds]
        start = self._trained.network.start(len(groups))
        self._fast = {name: value.detach().clone() for name, value in start.items()}

    @torch.no_grad()
    def adapt(self, support: Mapping[int, Sequence[Episode]]) -> None:
        """Take the steps on each group's support; group by group, so that none depends on others to the last bit."""
        if not self._config.gradient_steps:
            return
        for group, episodes in support.items():
            if not episodes:
                continue
            read = self._read(episodes)
            fast, _ = adapt(self._trained.network, self._trained.rates, read, self._config)
            mine = torch.as_tensor([each == group for each in self._groups], device=self._device)
            for name, value in fast.items():
                self._fast[name][mine] = value.detach()

    def _read(self, episodes: Sequence[Episode]) -> Transitions:
        """All transitions of one group's support, with the returns that followed."""

        def place(parts: list[Array]) -> torch.Tensor:
            return torch.as_tensor(np.concatenate(parts), device=self._device).unsqueeze(0)

        returns = [episode.rewards[::-1].cumsum(dtype=np.float64)[::-1] for episode in episodes]
        return Transitions(
            place([episode.observations[:-1] for episode in episodes]),
            place([np.arange(len(episode)) for episode in episodes]),
            place([self._spaces.action_features(episode.actions) for episode in episodes]),
            place(returns).to(torch.float32) / self._trained.network.scales.get_buffer("reward"),
        )

    @torch.no_grad()
    def act(self, step: Step) -> Array:
        """Act by each lane's own network; in support episodes with noise, where the configuration says so."""
        features = self._trained.network(
            torch.as_tensor(step.observation, device=self._device).unsqueeze(1),
            torch.as_tensor(step.timestep, device=self._device).unsqueeze(1),
            self._fast,
        )
        acted = features[:, 0].cpu().numpy()
        if self._config.support_noise and not step.scored.all():
            acted = self._explore(acted, step.active & ~step.scored)
        return self._spaces.actions_from_features(acted)

    def _explore(self, features: Array, lanes: Array) -> Array:
        """Action features with noise in `lanes`, each by its own generator."""
        noise, changed = self._config.support_noise, features.copy()
        for lane in np.flatnonzero(lanes):
            generator = self._generators[lane]
            if not self._spaces.discrete:
                drawn = features[lane] + noise * generator.standard_normal(features.shape[1])
                changed[lane] = drawn.clip(-1, 1)
            elif generator.random() < noise:
                changed[lane] = np.eye(features.shape[1])[generator.integers(features.shape[1])]
        return changed

    def parameter_count(self) -> int:
        """The network with what is adapted, and the sizes of the steps."""
        modules = (self._trained.network, self._trained.rates)
        return sum(each.numel() for module in modules for each in module.parameters())

    def save(self, folder: Path) -> None:
        """Write network, rates, configuration and spaces."""
        state = {
            "network": dict(self._trained.network.state_dict()),
            "rates": dict(self._trained.rates.state_dict()),
            "config": self._config.model_dump(mode="json"),
            "spaces": asdict(self._spaces),
        }
        save_state(state, folder / "policy")


def load_macaw_lite(folder: Path, spaces: Spaces) -> MacawLitePolicy:
    """Read what `MacawLitePolicy.save` wrote.

    Raises:
        DataError: it is missing, damaged, no policy of macaw-lite, or of other spaces.
    """
    state = load_state(folder / "policy")
    try:
        config = MacawLiteConfig.model_validate(state["config"])
        saved = Spaces(**state["spaces"])
        network = FilmNetwork(saved, config.width, config.depth)
        rates = InnerRates(network, config.inner_rate)
        network.load_state_dict(state["network"])
        rates.load_state_dict(state["rates"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise DataError(f"{folder}: not a policy of macaw-lite: {problem}") from error
    if saved != spaces:
        raise DataError(f"{folder}: a policy for {saved}, expected {spaces}")
    return MacawLitePolicy(Trained(network.eval(), rates.eval()), spaces, config)
