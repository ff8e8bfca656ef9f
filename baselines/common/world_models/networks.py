"""The networks: members side by side as one product, and the encoder of windows."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..actor_critic.networks import TwinLinear
from .config import ContextEnsembleConfig, EnsembleConfig

LOG_VARIANCES = (-10.0, 0.5)
"""Where the learned bounds of log-variances begin, of outputs of size 1."""

SHARES = (0.25, 0.5, 0.75, 0.75, 1.0)
"""Weight decays of five layers, as published, as shares of the last one's."""


@dataclass(frozen=True)
class Said:
    """What members say of a batch, in units of the scales.

    Attributes:
        mean: `(members, B, outputs)`.
        log_variance: the same.
        end: `(members, B)` logits that the step ends the episode.
    """

    mean: Tensor
    log_variance: Tensor
    end: Tensor


class MemberNetworks(nn.Module):
    """Gaussian MLPs of equal sizes, whose log-variances have learned soft bounds."""

    def __init__(
        self, inputs: int, codes: int, actions: int, outputs: int, config: EnsembleConfig
    ) -> None:
        """Make the layers for inputs, a code of the task and an action."""
        super().__init__()
        sizes = [inputs + codes + actions, *[config.width] * config.depth, 2 * outputs + 1]
        self.layers = nn.ModuleList(
            TwinLinear(config.members, before, after) for before, after in itertools.pairwise(sizes)
        )
        by_code = isinstance(config, ContextEnsembleConfig) and config.code_gating
        first = inputs if by_code else inputs + codes
        last = first + (codes if by_code else 0) + (actions if config.action_gating else 0)
        self._gated = slice(first, last)
        self.gate = TwinLinear(config.members, last - first, config.width) if last > first else None
        self.least = nn.Parameter(torch.full((outputs,), LOG_VARIANCES[0]))
        self.largest = nn.Parameter(torch.full((outputs,), LOG_VARIANCES[1]))
        self.sizes = inputs, codes, actions, outputs

    def forward(self, inputs: Tensor, codes: Tensor, actions: Tensor) -> Said:
        """Of `(members, B, ...)` inputs, codes and actions."""
        hidden = torch.cat([inputs, codes, actions], 2)
        gate = 1.0
        if self.gate is not None:  # it is as wide as what it reads: codes, actions, or both
            gate = 1.0 + self.gate(hidden[..., self._gated])
        for number, layer in enumerate(self.layers[:-1]):
            hidden = functional.silu(layer(hidden))
            if number == 0:
                hidden = hidden * gate
        outputs = self.sizes[3]
        mean, spread, end = self.layers[-1](hidden).split([outputs, outputs, 1], 2)
        spread = self.largest - functional.softplus(self.largest - spread)
        spread = self.least + functional.softplus(spread - self.least)
        return Said(mean, spread, end.squeeze(2))

    def measure_bounds(self) -> Tensor:
        """How far the bounds of the log-variances are apart, summed over the outputs."""
        return (self.largest - self.least).sum()

    def group_decays(self, decay: float) -> list[dict[str, object]]:
        """The parameters, each layer's weights with its own decay; biases and bounds have none."""
        places = np.linspace(0, 1, len(self.layers))
        shares = np.interp(places, np.linspace(0, 1, len(SHARES)), SHARES)
        groups: list[dict[str, object]] = [
            {"params": [layer.weight], "weight_decay": decay * float(share)}
            for layer, share in zip(self.layers, shares, strict=True)
        ]
        decayed = {id(layer.weight) for layer in self.layers}
        rest = [each for each in self.parameters() if id(each) not in decayed]
        return [*groups, {"params": rest, "weight_decay": 0.0}]

    @torch.no_grad()
    def take_members(self, members: Tensor, config: EnsembleConfig) -> MemberNetworks:
        """Some of the networks alone, in the order of `(n,)` places."""
        smaller = config.model_copy(update={"members": len(members), "elites": len(members)})
        taken = MemberNetworks(*self.sizes, smaller)
        shared = ("least", "largest")
        taken.load_state_dict(
            {
                name: value if name in shared else value[members]
                for name, value in self.state_dict().items()
            }
        )
        return taken.requires_grad_(False)


class WindowEncoder(nn.Module):
    """A code from each window of steps.

    Its first layer is of products: which way an action turns is a product of the action and what it led to.
    """

    def __init__(self, features: int, window: int, widths: tuple[int, ...], code_dim: int) -> None:
        """Make the layers; `features` counts those of a step."""
        super().__init__()
        self.first = nn.Linear(window * (features + 1), 2 * widths[0])
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise([*widths, code_dim]):
            layers += [nn.Linear(before, after), nn.SiLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, steps: Tensor, there: Tensor) -> Tensor:
        """`(..., code_dim)` of `(..., window, features)` steps, which count where `(..., window)` is true."""
        flags = there.to(steps.dtype)[..., None]
        hidden, gate = self.first(torch.cat([steps * flags, flags], -1).flatten(-2)).chunk(2, -1)
        codes: Tensor = self.layers(functional.silu(hidden) * gate)
        return codes


def average_codes(codes: Tensor, weights: Tensor) -> Tensor:
    """Means `(..., code_dim)` of `(..., n, code_dim)` codes with `(..., n)` weights; zero where all weights are."""
    total = (codes * weights[..., None]).sum(-2)
    return total / weights.sum(-1, keepdim=True).clamp(min=1e-6)
