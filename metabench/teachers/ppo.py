"""Proximal policy optimisation (Schulman et al., 2017) of a teacher: networks, settings and one update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from metabench.envs import Array
from metabench.errors import MetabenchError
from metabench.teachers.actions import ActionDistribution, ChosenActions, NormalActions


class TeacherConfig(BaseModel):
    """PPO's settings; the learning rate follows the divergence of each update, so it needs no tuning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0)
    steps: int = Field(10_000_000, ge=1, description="environment steps in all")
    lanes: int = Field(
        256, ge=4, description="episodes in parallel, in four groups that are out of phase"
    )
    rollout: int = Field(64, ge=1, description="steps of each lane between two updates")
    width: int = Field(128, ge=1, description="units of each of the two hidden layers")
    suite_tasks: float = Field(
        0.8, ge=0, le=1, description="share of episodes in the suite's own tasks; rest: drawn"
    )
    discount: float = Field(0.99, gt=0, lt=1)
    trace: float = Field(0.95, ge=0, le=1, description="lambda of generalised advantage estimation")
    clip: float = Field(0.2, gt=0, description="largest change of an action's probability ratio")
    epochs: int = Field(5, ge=1)
    minibatches: int = Field(8, ge=1)
    learning_rate: float = Field(3e-4, gt=0, description="at the beginning")
    divergence: float = Field(
        0.02, gt=0, description="KL divergence of an update that the learning rate aims at"
    )
    entropy: float = Field(0.0, ge=0, description="weight of the entropy bonus")
    deviation: float = Field(
        0.5, gt=0, description="standard deviation of actions at the beginning"
    )
    blind: bool = Field(
        False, description="told neither task nor past, on the training tasks: a blind reference"
    )
    begin_blind: bool = Field(
        False,
        description="a teacher that begins as the suite's blind policy: what it is told counts for nothing at first",
    )
    every: float = Field(
        1.12, gt=1, description="growth of the number of steps from one checkpoint to the next"
    )


class ActorCritic(nn.Module):
    """Actor and critic over normalised features."""

    mean: Tensor
    deviation: Tensor
    distribution: ActionDistribution

    def __init__(
        self, features: int, actions: int, width: int, deviation: float, discrete: bool = False
    ) -> None:
        """Make the networks; `deviation` is the first standard deviation of continuous actions."""
        super().__init__()
        self.action_dim, self.discrete = actions, discrete
        self.distribution = ChosenActions() if discrete else NormalActions()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))
        self.actor, self.critic = (
            _make_layers(features, width, actions),
            _make_layers(features, width, 1),
        )
        last = self.actor[-1]
        assert isinstance(last, nn.Linear)
        nn.init.orthogonal_(last.weight, 0.01)  # first actions are small
        self.log_deviation = nn.Parameter(torch.full((actions,), float(np.log(deviation))))

    @torch.no_grad()
    def begin_as(self, tensors: Mapping[str, Array]) -> None:
        """Act as an actor, as `tensors` wrote it, that read the first of the features alone; noise begins anew.

        Raises:
            MetabenchError: it is of another size.
        """
        own = self.tensors()
        given = {name: torch.as_tensor(value) for name, value in tensors.items()}
        read = len(given["mean"])
        for name, value in given.items():
            expected = own[name][:read] if name in ("mean", "deviation", "weight_0") else own[name]
            if value.shape != expected.shape:
                raise MetabenchError(
                    f"blind policy: {name}: expected shape {expected.shape} as of the teacher's, "
                    f"found {tuple(value.shape)}"
                )
        self.mean[:read], self.deviation[:read] = given["mean"], given["deviation"]
        linear = [layer for layer in self.actor if isinstance(layer, nn.Linear)]
        for index, layer in enumerate(linear):
            layer.bias.copy_(given[f"bias_{index}"])
            layer.weight[:, : len(given[f"weight_{index}"])] = given[f"weight_{index}"].t()
        linear[0].weight[:, read:] = 0.0

    def normalise(self, features: Array) -> Tensor:
        """Inputs of both networks for `(..., features)`, clamped so that a rare value cannot drown the others."""
        values = (torch.as_tensor(features, dtype=torch.float32) - self.mean) / self.deviation
        return values.clamp(-10.0, 10.0)

    def tensors(self) -> dict[str, Array]:
        """The actor in the form that `NetworkTeacher` reads; noise is the standard deviation of its actions."""
        linear = [layer for layer in self.actor if isinstance(layer, nn.Linear)]
        tensors = {
            "mean": self.mean,
            "deviation": self.deviation,
            "noise": self.log_deviation.exp(),
        }
        for index, layer in enumerate(linear):
            tensors |= {f"weight_{index}": layer.weight.t(), f"bias_{index}": layer.bias}
        return {
            name: value.detach().numpy().astype(np.float32).copy()
            for name, value in tensors.items()
        }


@dataclass(frozen=True)
class Batch:
    """What was acted since the last update: B steps, float32.

    Attributes:
        inputs: `(B, features)` normalised.
        actions: `(B, action_dim)` as drawn, or `(B,)` numbers of choices.
        means: `(B, action_dim)` of the distribution that they were drawn from; logits of choices.
        log_probability: `(B,)` of the actions, but for a constant.
        advantage: `(B,)`.
        target: `(B,)` what the critic should say.
        log_deviation: `(action_dim,)` of that distribution.
    """

    inputs: Tensor
    actions: Tensor
    means: Tensor
    log_probability: Tensor
    advantage: Tensor
    target: Tensor
    log_deviation: Tensor


def update_policy(
    network: ActorCritic,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    config: TeacherConfig,
    generator: np.random.Generator,
    progress: float,
) -> float:
    """Several epochs of clipped policy gradient; the learning rate is cut or raised by the divergence it causes.

    `progress` is the share of the training that is done. Returns the divergence that the last epoch saw.
    """
    count = len(batch.inputs)
    rate = float(optimizer.param_groups[0]["lr"])
    target = config.divergence * max(1.0 - progress, 0.1)  # smaller steps towards the end
    old = batch.log_deviation
    seen: list[float] = []  # the divergence from the policy that acted, before each step
    for _ in range(config.epochs):
        order = generator.permutation(count)
        for part in np.array_split(order, config.minibatches):
            index = torch.as_tensor(part)
            inputs, actions = batch.inputs[index], batch.actions[index]
            outputs = network.actor(inputs)  # (n, action_dim)
            log_deviation = network.log_deviation  # (action_dim,)
            distribution = network.distribution
            log_probability = distribution.log_probability(outputs, log_deviation, actions)
            ratio = (log_probability - batch.log_probability[index]).exp()
            advantage = batch.advantage[index]
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            gain = torch.min(
                ratio * advantage, ratio.clamp(1.0 - config.clip, 1.0 + config.clip) * advantage
            )
            value = network.critic(inputs)[:, 0]
            loss = (value - batch.target[index]).square().mean() - gain.mean()
            loss = loss - config.entropy * distribution.entropy(outputs, log_deviation)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            with torch.no_grad():
                before = batch.means[index]
                seen.append(distribution.divergence(before, old, outputs, log_deviation))
            optimizer.step()
    divergence = float(np.mean(seen[-config.minibatches :]))
    # Too far from the policy that acted, its advantages say nothing any more; too near, the batch is wasted.
    if divergence > 1.5 * target:
        optimizer.param_groups[0]["lr"] = max(rate / 1.5, 3e-5)
    elif divergence < target / 1.5:
        optimizer.param_groups[0]["lr"] = min(rate * 1.5, 3e-3)
    return divergence


def _make_layers(inputs: int, width: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in (inputs, width):
        linear = nn.Linear(size, width)
        nn.init.orthogonal_(linear.weight, 2.0**0.5)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.Tanh()]
    last = nn.Linear(width, outputs)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)
