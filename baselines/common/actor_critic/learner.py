"""One update of an actor-critic: which losses in which order, optimisers, targets."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from ..optimisation import cosine_factor, take_step
from .config import ActorCriticConfig
from .losses import (
    Info,
    Transitions,
    anchored_actor_loss,
    delayed_critic_loss,
    divergence_loss,
    imitation_loss,
    implicit_critic_loss,
    implicit_value_loss,
    regularised_actor_loss,
    regularised_critic_loss,
    weighted_imitation_loss,
)
from .networks import ActorCritic
from .soft_losses import soft_actor_loss, soft_critic_loss, temperature_loss

_DIVERGENCE_RATE = 1e-4


class Learner:
    """Trains the networks of an `ActorCritic`; a part of the checkpoint, targets and optimisers included."""

    def __init__(self, networks: ActorCritic, config: ActorCriticConfig) -> None:
        """Make the optimisers; the networks must be on their device."""
        self.networks = networks
        self._config = config
        rate = config.actor_learning_rate
        self._optimizers = {"actor": _make_optimizer(rate, networks.actor)}
        if config.backbone != "bc":
            valued = [
                networks.critic,
                *([networks.value] if config.backbone in ("iql", "brac") else []),
            ]
            self._optimizers["critic"] = _make_optimizer(rate, *valued)
        if config.backbone == "brac":
            self._optimizers["divergence"] = _make_optimizer(_DIVERGENCE_RATE, networks.divergence)
        if config.backbone == "sac":
            temperature = [networks.log_temperature]
            self._optimizers["temperature"] = torch.optim.Adam(temperature, lr=rate, fused=True)

    def update(
        self, batch: Transitions, update: int, rate: float = 1.0, beside: Tensor | None = None
    ) -> Info:
        """One step down every loss of the backbone; returns what to log.

        Args:
            batch: logged transitions.
            update: which update it is, from 1.
            rate: learning rates are multiplied by it.
            beside: sac: a further loss of the critics.
        """
        networks, config = self.networks, self._config
        if config.backbone == "bc":
            loss, info = imitation_loss(networks, batch)
            self._step(("actor",), loss, rate)
            return info
        if config.backbone == "iql":
            value_loss, advantage, info = implicit_value_loss(networks, batch, config)
            critic_loss, more = implicit_critic_loss(networks, batch, config)
            actor_loss, last = weighted_imitation_loss(networks, batch, advantage, config)
            # One pass back: no parameter is in two of the losses.
            self._step(("critic", "actor"), value_loss + critic_loss + actor_loss, rate)
            info |= more | last
        elif config.backbone == "td3bc":
            critic_loss, info = delayed_critic_loss(networks, batch, config)
            self._step(("critic",), critic_loss, rate)
            if update % config.policy_delay:
                return info
            actor_loss, more = anchored_actor_loss(networks, batch, config)
            self._step(("actor",), actor_loss, rate)
            info |= more
        elif config.backbone == "sac":
            critic_loss, info = soft_critic_loss(networks, batch, config)
            total = critic_loss if beside is None else critic_loss + beside
            self._step(("critic",), total, rate)
            actor_loss, entropy, more = soft_actor_loss(networks, batch)
            self._step(("actor",), actor_loss, rate)
            loss, last = temperature_loss(networks, entropy)
            self._step(("temperature",), loss, rate)
            info |= more | last
        else:
            info = self._update_regularised(batch, rate)
        networks.move_targets(config.target_rate)
        return info

    def _update_regularised(self, batch: Transitions, rate: float) -> Info:
        networks, config = self.networks, self._config
        for _ in range(config.divergence_updates):
            loss, _ = divergence_loss(networks, batch)
            self._step(("divergence",), loss, 1.0)
        critic_loss, info = regularised_critic_loss(networks, batch, config)
        self._step(("critic",), critic_loss, rate)
        actor_loss, more = regularised_actor_loss(networks, batch, config)
        self._step(("actor",), actor_loss, rate)
        weight = networks.get_buffer("divergence_weight")
        weight += more["divergence"] - config.divergence_aim
        weight.clamp_(0, config.largest_divergence_weight)
        return info | more | {"divergence_weight": weight.clone()}

    def _step(self, names: tuple[str, ...], loss: Tensor, rate: float) -> None:
        optimizers = [self._optimizers[name] for name in names]
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        for name, optimizer in zip(names, optimizers, strict=True):
            base = _DIVERGENCE_RATE if name == "divergence" else self._config.actor_learning_rate
            take_step(optimizer, learning_rate=base * rate)

    def state_dict(self) -> dict[str, Any]:
        """Networks, targets and optimisers."""
        return {
            "networks": dict(self.networks.state_dict()),
            **{name: optimizer.state_dict() for name, optimizer in self._optimizers.items()},
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        self.networks.load_state_dict(state_dict["networks"])
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state_dict[name])


def choose_rate(config: ActorCriticConfig, update: int, updates: int) -> float:
    """What learning rates are multiplied by at an update, counted from 1."""
    return cosine_factor(update, updates) if config.learning_rate_decay else 1.0


def _make_optimizer(rate: float, *networks: nn.Module) -> torch.optim.Adam:
    parameters = chain.from_iterable(network.parameters() for network in networks)
    return torch.optim.Adam(parameters, lr=rate, fused=True)
