"""Training on windows of logged episodes, prompted by segments of other episodes of the same task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from metabench import Array, Spaces, TrainingData, TrainingRun, Windows

from ..optimisation import RecentLosses, cosine_factor, take_step
from .blocks import choose_precision
from .config import CodePlacement, TransformerConfig
from .model import AchievableReturn, PromptedTransformer, expectile_loss
from .prompted_episodes import choose_sources, count_plain

STAGE = "policy"


@dataclass(frozen=True)
class Scales:
    """What inputs are normalised by; from training data only.

    Attributes:
        observation_mean, observation_deviation: `(observation_dim,)` float32.
        returns: returns-to-go are divided by it.
        target: scaled return asked for at an episode's start.
    """

    observation_mean: Array
    observation_deviation: Array
    returns: float
    target: float

    def normalise(self, observations: Any) -> Any:
        """Normalised observations, NumPy or torch as given."""
        if isinstance(observations, Tensor):
            mean, deviation = (
                torch.as_tensor(x) for x in (self.observation_mean, self.observation_deviation)
            )
            return (observations - mean.to(observations)) / deviation.to(observations)
        return (observations - self.observation_mean) / self.observation_deviation


def measure_scales(config: TransformerConfig, data: TrainingData) -> Scales:
    """Scales and target return of the fitting tasks."""
    data = data.fitting
    mean, deviation = data.observation_statistics
    returns = data.episode_returns
    best = np.maximum.reduceat(returns, data.task_offsets[:-1])  # (tasks,)
    scale = config.return_scale or float(np.abs(returns).max()) or 1.0  # 1: every return is 0
    target = best.max() if config.target_return == "best" else best.mean()
    return Scales(mean, deviation, scale, float(target) / scale)


class TaskCodes(Protocol):
    """Where a batch's task codes come from, if the method has any."""

    def __call__(
        self, data: TrainingData, windows: Windows, supported: bool, generator: np.random.Generator
    ) -> Tensor:
        """Codes `(B, K, code_dim)` of windows, known before each of their steps; perhaps with support."""
        ...


ChooseSegments = Callable[[np.random.Generator, Array], Array]
"""First steps of prompt segments in the given `(B,)` episodes."""


@dataclass(frozen=True)
class Networks:
    """All that acting needs: the transformer, and the predictor of achievable returns if the target is predicted."""

    transformer: PromptedTransformer
    achievable: AchievableReturn | None

    def modules(self) -> dict[str, torch.nn.Module]:
        """The networks by name."""
        named: dict[str, torch.nn.Module] = {"transformer": self.transformer}
        if self.achievable is not None:
            named["achievable"] = self.achievable
        return named


def build_networks(
    config: TransformerConfig, spaces: Spaces, code_dim: int = 0, placement: CodePlacement = "token"
) -> Networks:
    """Make the networks, untrained."""
    transformer = PromptedTransformer(config, spaces, code_dim, placement)
    achievable = AchievableReturn(spaces, code_dim) if config.target_return == "predicted" else None
    return Networks(transformer, achievable)


def choose_random_segments(data: TrainingData, length: int) -> ChooseSegments:
    """Segments of `length` steps that begin anywhere in their episode, uniformly."""

    def choose(generator: np.random.Generator, episodes: Array) -> Array:
        latest = np.maximum(data.lengths[episodes] - length, 0)
        return np.asarray((generator.random(len(episodes)) * (latest + 1)).astype(np.int64))

    return choose


class Batches:
    """Draws batches of windows with their codes and prompts."""

    def __init__(
        self,
        config: TransformerConfig,
        data: TrainingData,
        scales: Scales,
        codes: TaskCodes | None,
        segments: ChooseSegments | None,
    ) -> None:
        """Keep the parts; `segments` None means that no window has a prompt."""
        self._config, self._data, self._scales = config, data, scales
        self._codes, self._segments = codes, segments
        self._sources = choose_sources(data, config.training_prompts)

    def draw(
        self, generator: np.random.Generator, count: int, supported: bool
    ) -> tuple[dict[str, Any], Any]:
        """Steps and prompt, as `PromptedTransformer` takes them, of `count` windows with or without support."""
        data, config = self._data, self._config
        episodes = data.sample_episodes(generator, count)
        # Full windows, or the whole of a shorter episode: no compute is spent on padding.
        least = config.window if config.window_starts == "full" else 2
        latest = np.maximum(data.lengths[episodes] - least, 0)
        starts = (generator.random(count) * (latest + 1)).astype(np.int64)
        windows = data.windows(episodes, starts, config.window)
        steps = self._scale_windows(windows)
        steps["codes"] = None
        if self._codes:
            steps["codes"] = self._codes(data, windows, supported, generator)  # (B, K, code_dim)
        prompt = None
        if supported and self._segments is not None:
            sources = self._sources(generator, episodes)
            first = self._segments(generator, sources)
            prompt = self._scale_windows(data.windows(sources, first, config.prompt_length))
        return steps, prompt

    def _scale_windows(self, windows: Windows) -> dict[str, Any]:
        return {
            "returns": windows.returns_to_go / self._scales.returns,
            "observations": self._scales.normalise(windows.observations),
            "actions": windows.actions,
            "timesteps": windows.timesteps,
            "mask": windows.mask,
        }


def compute_action_error(
    spaces: Spaces, predicted: Tensor, actions: Tensor, mask: Tensor
) -> Tensor:
    """Mean squared error of action features over real steps, or cross-entropy of discrete actions."""
    predicted, actions = predicted[mask], actions[mask]
    if spaces.discrete:
        return functional.cross_entropy(predicted, actions.argmax(dim=-1))
    return functional.mse_loss(predicted, actions)


def policy_loss(
    config: TransformerConfig,
    networks: Networks,
    steps: dict[str, Any],
    prompt: dict[str, Any] | None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Errors of the actions, those of the prompt too, and of achievable returns; logged is that of the main window."""
    spaces = networks.transformer.spaces
    # (B, K, action_dim), (B, k, action_dim)
    predicted, prompt_predicted = networks.transformer(steps, prompt)
    actions = compute_action_error(spaces, predicted, steps["actions"], steps["mask"])
    loss = actions
    if prompt is not None and prompt_predicted is not None and config.prompt_loss:
        # As if all k + K steps were averaged.
        share = config.prompt_length / (config.prompt_length + config.window)
        prompted = compute_action_error(spaces, prompt_predicted, prompt["actions"], prompt["mask"])
        loss = (1.0 - share) * actions + share * prompted
    if networks.achievable is not None:
        expected = networks.achievable(steps["observations"], steps["codes"], steps["timesteps"])
        error = (steps["returns"] - expected)[steps["mask"]]
        loss = loss + expectile_loss(error, config.target_expectile).mean()
    return loss, {"loss": actions.detach()}


def train_networks(
    config: TransformerConfig,
    networks: Networks,
    data: TrainingData,
    scales: Scales,
    run: TrainingRun,
    codes: TaskCodes | None = None,
    segments: Callable[[TrainingData], ChooseSegments] | None = None,
    support: bool = True,
    stage: str = STAGE,
) -> None:
    """Train in place on the fitting tasks; logs the action loss, and in every tenth row that on the validation tasks.

    Args:
        config: sizes and budget.
        networks: from `build_networks`, on `run.device`.
        data: training tasks, on `run.device`.
        scales: from `measure_scales`.
        run: randomness, log, checkpoints.
        codes: where task codes come from.
        segments: makes the choice of prompt segments for a data set; None trains without prompts.
        support: whether windows have support (prompts, and support in their codes), but for a share of them.
        stage: name of the training stage.
    """
    optimizer = make_optimizer(config, networks)
    fitting = data.fitting
    batches = Batches(config, fitting, scales, codes, segments(fitting) if segments else None)
    checks = None
    if data.validation.num_episodes:
        held_out = data.validation
        checks = Batches(config, held_out, scales, codes, segments(held_out) if segments else None)
    recent = RecentLosses()
    for update in run.steps(
        stage, config.updates, optimizer=optimizer, recent=recent, **networks.modules()
    ):
        # A resumed training goes on as it began, on another processor, too.
        if "precision" not in run.summary:
            run.summary["precision"] = choose_precision(config.precision, run.device)
        networks.transformer.use_precision(run.summary["precision"])
        generator = run.generator(stage, update)
        loss = take_update(config, networks, optimizer, batches, generator, update, support)
        recent.values.append(loss)
        if update % config.log_interval == 0 or update == config.updates:
            metrics = {"loss": recent.take()}
            if checks and (update % (10 * config.log_interval) == 0 or update == config.updates):
                generator = run.generator(stage, "check")  # the same windows every time
                metrics["validation_loss"] = measure_loss(config, networks, checks, generator)
            run.log(**metrics)


def make_optimizer(config: TransformerConfig, networks: Networks) -> torch.optim.Optimizer:
    """AdamW, fused, of all that is trained."""
    modules = networks.modules().values()
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    return torch.optim.AdamW(
        parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )


def take_update(
    config: TransformerConfig,
    networks: Networks,
    optimizer: torch.optim.Optimizer,
    batches: Batches,
    generator: np.random.Generator,
    update: int,
    support: bool = True,
) -> float:
    """Draw a batch and take one step down its gradient; the action loss. `update` counts from 1."""
    plain = count_plain(config, update) if support else config.batch_size
    optimizer.zero_grad(set_to_none=True)
    logged = torch.zeros(())
    # Windows without and with support go through apart, since a prompt makes sequences longer.
    for count, supported in ((plain, False), (config.batch_size - plain, True)):
        if count == 0:
            continue
        steps, prompt = batches.draw(generator, count, supported)
        loss, info = policy_loss(config, networks, steps, prompt)
        # Gradients of the parts add up.
        torch.autograd.backward(loss * (count / config.batch_size))
        logged = logged + info["loss"].cpu() * (count / config.batch_size)
    rate = compute_learning_rate(config, update)
    take_step(optimizer, clip=config.gradient_clip, learning_rate=rate)
    return float(logged)


@torch.no_grad()
def measure_loss(
    config: TransformerConfig,
    networks: Networks,
    batches: Batches,
    generator: np.random.Generator,
    count: int = 256,
) -> float:
    """Action loss without prompt on `count` windows of the validation tasks, the same windows every time."""
    for module in networks.modules().values():
        module.eval()
    steps, _ = batches.draw(generator, count, supported=False)
    _, info = policy_loss(config, networks, steps, None)
    for module in networks.modules().values():
        module.train()
    return float(info["loss"])


def compute_learning_rate(config: TransformerConfig, update: int) -> float:
    """Linear warm-up, then constant or cosine decay to a tenth."""
    factor = min(1.0, update / config.warmup) if config.warmup else 1.0
    if config.decay:
        factor = factor * cosine_factor(update, config.updates, last=0.1)
    return config.learning_rate * factor
