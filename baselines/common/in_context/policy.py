"""What policies share that act by a context: keys and values of what was seen, drawing actions, saving."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from metabench import (
    Array,
    DataError,
    Episode,
    MethodError,
    Policy,
    Spaces,
    Step,
    load_state,
    save_state,
)

from ..decision_transformer.caching import append_tokens, make_cache
from ..decision_transformer.saving import count_trained_parameters
from .config import InContextConfig
from .network import InContextNetwork

ConfigT = TypeVar("ConfigT", bound=InContextConfig)
NetworkT = TypeVar("NetworkT", bound=InContextNetwork)


class InContextPolicy(Policy):
    """Acts by a context of support and running episode; no weight changes.

    Every lane has its own context; keys and values of its tokens are kept, so that a step costs what its own tokens do.
    """

    def __init__(self, network: InContextNetwork, spaces: Spaces, config: InContextConfig) -> None:
        """Wrap a trained network."""
        self._network = network.eval()
        self._spaces = spaces
        self._config = config
        self._stride = config.choose_stride(spaces.horizon)
        self._slots = config.count_slots(spaces.horizon)
        self._device = network.deviation.device
        self._deviation: Array = network.deviation.cpu().numpy()
        self._groups: list[int] = []

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Begin with an empty context in every lane."""
        self._groups = list(groups)
        self._generators = [np.random.default_rng(seed) for seed in seeds]
        self._time = 0
        transformer = self._network.transformer
        # One place beside the context: for the token that is asked and not kept.
        capacity = self._config.episodes * self._slots + 1
        with torch.no_grad():
            self._cache = make_cache(transformer, len(groups), capacity, self._network.deviation)

    @torch.no_grad()
    def adapt(self, support: Mapping[int, Sequence[Episode]]) -> None:
        """Read each group's support, as much of it as the context holds beside the running episode."""
        kept = {group: self._keep_episodes(episodes) for group, episodes in support.items()}
        of_lanes = [kept.get(group, []) for group in self._groups]
        if any(of_lanes):
            tokens, visible = self._embed_support(of_lanes)
            append_tokens(self._network.transformer, self._cache, tokens, visible)

    def _keep_episodes(self, episodes: Sequence[Episode]) -> list[Episode]:
        chosen = [episode for episode in episodes if len(episode)]
        if self._config.kept_support == "best":
            chosen.sort(key=lambda episode: episode.total_return)
        return chosen[-(self._config.episodes - 1) :]

    @abstractmethod
    def _embed_support(self, episodes: Sequence[Sequence[Episode]]) -> tuple[Tensor, Tensor]:
        """Tokens `(lanes, (episodes - 1) * slots, W)` of each lane's episodes, and which of them there are."""

    @abstractmethod
    def _embed_step(self, step: Step) -> tuple[Tensor, Tensor, bool]:
        """Tokens `(lanes, n, W)` of this step, which are seen later `(lanes, n)`, and whether the last one is kept."""

    @torch.no_grad()
    def act(self, step: Step) -> Array:
        """Add to the context what the last step led to, and ask for an action.

        Raises:
            MethodError: the episode is longer than the longest that the context has room for.
        """
        if self._time >= self._spaces.horizon:
            raise MethodError(
                f"step {self._time + 1} of an episode: the context has room for {self._spaces.horizon}, the horizon; "
                "expected a reset before"
            )
        tokens, visible, kept = self._embed_step(step)
        hidden = append_tokens(self._network.transformer, self._cache, tokens, visible)
        if not kept:
            self._cache.length -= 1
        self._time += 1
        features = self._network.read(hidden).float().cpu().numpy()
        return self._choose_actions(features, step.scored)

    def _choose_actions(self, features: Array, scored: Array) -> Array:
        """The most likely actions, in lanes that draw drawn ones, and in support perhaps random ones."""
        config, spaces = self._config, self._spaces
        if config.sampling != "never":
            drawn = np.ones_like(scored) if config.sampling == "always" else ~scored
            for lane in np.flatnonzero(drawn):
                features[lane] += self._draw_noise(self._generators[lane])
        actions = spaces.actions_from_features(features)
        if config.random_support:
            for lane in np.flatnonzero(~scored):
                generator = self._generators[lane]
                if generator.random() < config.random_support:
                    actions[lane] = spaces.uniform_actions(generator, ())
        return actions

    def _draw_noise(self, generator: np.random.Generator) -> Array:
        """`(action_dim,)` float32: logits with Gumbel noise have their largest where a draw would fall."""
        size = self._spaces.action_dim
        if self._spaces.discrete:
            return generator.gumbel(size=size).astype(np.float32)
        return generator.standard_normal(size, np.float32) * self._deviation

    def parameter_count(self) -> int:
        """All trained weights."""
        return count_trained_parameters({"network": self._network})

    def save(self, folder: Path) -> None:
        """Write network, configuration and spaces."""
        state = {
            "network": dict(self._network.state_dict()),
            "config": self._config.model_dump(mode="json"),
            "spaces": asdict(self._spaces),
        }
        save_state(state, folder / "policy")

    def _place(self, values: Any) -> Tensor:
        return torch.as_tensor(values, device=self._device)


def load_network(
    folder: Path,
    spaces: Spaces,
    config_class: type[ConfigT],
    build: Callable[[ConfigT, Spaces], NetworkT],
    name: str,
) -> tuple[NetworkT, ConfigT]:
    """Read what `InContextPolicy.save` wrote.

    Raises:
        DataError: it is missing, damaged, no policy of method `name`, or of other spaces.
    """
    state = load_state(folder / "policy")
    try:
        config = config_class.model_validate(state["config"])
        saved = Spaces(**state["spaces"])
        network = build(config, saved)
        network.load_state_dict(state["network"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise DataError(f"{folder}: not a policy of {name}: {problem:.200}") from error
    if saved != spaces:
        raise DataError(f"{folder}: a policy for {saved}, expected {spaces}")
    return network, config
