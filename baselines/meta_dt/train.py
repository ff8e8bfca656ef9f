"""Training: the world model, then the transformer on its codes, prompted by the segments that it explains worst."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from metabench import Array, Spaces, TrainingData, TrainingRun, Windows

from ..common.decision_transformer.diagnose import diagnose_networks
from ..common.decision_transformer.train import (
    STAGE,
    ChooseSegments,
    Networks,
    Scales,
    TaskCodes,
    build_networks,
    choose_random_segments,
    measure_scales,
    train_networks,
)
from ..common.optimisation import RecentLosses, descend
from .config import MetaDTConfig, TaskCodeConfig
from .diagnose import diagnose_world_model
from .model import gather_transitions
from .policy import MetaDTPolicy
from .world_model import TaskCodeModel, WorldModel, encode_dataset, next_step_loss

MODEL_STAGE = "world-model"


def train_policy(config: MetaDTConfig, data: TrainingData, run: TrainingRun) -> MetaDTPolicy:
    """Train the world model, freeze it, then the transformer on its codes; adds diagnostics to the summary."""
    model, codes = None, None
    if not config.no_context:
        run.torch_seed("initialise", MODEL_STAGE)
        model = WorldModel(config, data.spaces).to(run.device)
        train_world_model(config, model, data, run)
        model.requires_grad_(False).eval()
        codes = DatasetCodes(model)
        if data.validation.num_episodes:
            run.summary["reward_error_elsewhere"] = diagnose_world_model(model, data, run)
    scales = measure_scales(config, data)
    networks, zero_shot = train_transformers(config, model, codes, data, scales, run)
    return MetaDTPolicy(config, networks, zero_shot, model, data.spaces, scales)


def train_world_model(
    config: MetaDTConfig, model: WorldModel, data: TrainingData, run: TrainingRun
) -> None:
    """Train in place on the fitting tasks; logs the loss there and on the validation tasks."""
    fitting, held_out = data.fitting, data.validation
    model.measure(fitting)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.model_learning_rate)
    recent = RecentLosses()
    interval = max(1, config.model_updates // 50)  # 50 rows of the training curve
    for update in run.steps(
        MODEL_STAGE, config.model_updates, model=model, optimizer=optimizer, recent=recent
    ):
        loss, info = next_step_loss(
            model, fitting, run.generator(MODEL_STAGE, update), config.model_batch_size
        )
        descend(optimizer, loss, clip=1.0)
        recent.values.append(float(info["loss"]))
        if update % interval == 0 or update == config.model_updates:
            metrics = {"loss": recent.take()}
            if held_out.num_episodes:
                generator = run.generator(MODEL_STAGE, "check")  # the same transitions every time
                with torch.no_grad():
                    _, info = next_step_loss(model, held_out, generator, config.model_batch_size)
                metrics["validation_loss"] = float(info["loss"])
            run.log(**metrics)


def train_transformers(
    config: TaskCodeConfig,
    model: TaskCodeModel | None,
    codes: DataCodes | None,
    data: TrainingData,
    scales: Scales,
    run: TrainingRun,
) -> tuple[Networks, Networks | None]:
    """Train the transformer on a frozen world model's codes, and the one for zero shots if it is apart.

    Args:
        config: sizes and budget.
        model: frozen; its weights count as trained again afterwards. None: no context.
        codes: of `model`.
        data: training tasks.
        scales: from `measure_scales`.
        run: randomness, log, checkpoints; its summary gets the diagnostics.
    """
    placed = data.to(run.device)

    def choose_segments(part: TrainingData) -> ChooseSegments:
        if model is None or codes is None or config.no_complementary_prompt:
            return choose_random_segments(part, config.prompt_length)
        return choose_complementary_segments(config, codes, model, part)

    def train_one(stage: str, support: bool) -> Networks:
        run.torch_seed("initialise", stage)
        networks = build_transformer(config, data.spaces)
        for module in networks.modules().values():
            module.to(run.device)
        train_networks(
            config,
            networks,
            placed,
            scales,
            run,
            codes,
            segments if support else None,
            support,
            stage,
        )
        return networks

    segments = None if config.no_prompt else choose_segments
    networks = train_one(STAGE, support=True)
    zero_shot = (
        train_one(f"{STAGE}-zero-shot", support=False) if config.separate_zero_shot else None
    )
    if data.validation.num_episodes:
        run.summary["action_error"] = diagnose_networks(
            config, networks, placed, scales, run, codes, segments
        )
    if model is not None:
        model.requires_grad_(True)  # parameters that training changed are counted by this
    return networks, zero_shot


def build_transformer(config: TaskCodeConfig, spaces: Spaces) -> Networks:
    """The transformer, untrained, with room for a code unless there is none."""
    return build_networks(
        config, spaces, 0 if config.no_context else config.code_dim, config.code_placement
    )


class DataCodes(TaskCodes, Protocol):
    """Codes of windows, and of single transitions: a code is known before each transition of a data set."""

    def encode_before(self, data: TrainingData, index: Array) -> Tensor:
        """Codes `(..., code_dim)` before transitions by flat index `(...,)`, from their own episode alone."""
        ...


class DatasetCodes:
    """Task codes of training windows from a frozen world model: computed once a data set."""

    def __init__(self, model: WorldModel) -> None:
        """Keep the model; codes are computed on first use of a data set."""
        self._model = model
        self._kept: dict[
            int, tuple[TrainingData, Array]
        ] = {}  # by id; the data are kept, so that none is used again

    def __call__(
        self, data: TrainingData, windows: Windows, supported: bool, generator: np.random.Generator
    ) -> Tensor:
        """Codes `(B, K, code_dim)`; support changes nothing: the published code reads the episode alone."""
        del supported, generator
        return self.encode_before(data, find_transitions(data, windows))

    def encode_before(self, data: TrainingData, index: Array) -> Tensor:
        """Codes `(..., code_dim)` before transitions by flat index `(...,)`."""
        if id(data) not in self._kept:
            self._kept[id(data)] = (data, encode_dataset(self._model, data))
        _, codes = self._kept[id(data)]
        return torch.as_tensor(codes[index], device=self._model.scales.reward_mean.device)


def find_transitions(data: TrainingData, windows: Windows) -> Array:
    """Flat indices `(B, K)` of the transitions of windows; of an episode's first one in padding."""
    episodes, timesteps = (
        torch.as_tensor(x).cpu().numpy() for x in (windows.episodes, windows.timesteps)
    )
    return np.asarray(data.columns.offsets[episodes][:, None] + timesteps)


def choose_complementary_segments(
    config: TaskCodeConfig, codes: DataCodes, model: TaskCodeModel, data: TrainingData
) -> ChooseSegments:
    """Segments of episodes by the world model's error along them, computed once."""
    error = np.zeros(data.num_transitions)
    for first in range(0, data.num_transitions, 8192):  # bounds memory
        index = np.arange(first, min(first + 8192, data.num_transitions))
        with torch.no_grad():
            known = codes.encode_before(data, index)  # (n, code_dim)
            transitions = gather_transitions(model.scales, data, index)
            error[index] = model.measure_surprise(transitions, known).cpu().numpy()
    sums = np.concatenate([[0.0], np.cumsum(error)])  # a segment's sum is the difference of two
    offsets, lengths = data.columns.offsets, data.lengths
    longest, length = int(lengths.max()), config.prompt_length
    starts = np.arange(max(longest - length, 0) + 1)
    # (E, starts): error sum of the segment that begins there; 0 where none may begin.
    scores = np.zeros((data.num_episodes, len(starts)))
    latest = np.maximum(lengths - length, 0)[:, None]
    valid = (starts <= latest) & (starts >= np.minimum(config.earliest_segment, latest))
    begin = (offsets[:-1, None] + starts)[valid]
    end = np.minimum(offsets[:-1, None] + starts + length, offsets[1:, None])[valid]
    # Never 0, or a start that is none could be drawn.
    scores[valid] = sums[end] - sums[begin] + 1e-12
    best = scores.argmax(axis=1)
    cumulative = np.cumsum(scores, axis=1)

    def choose(generator: np.random.Generator, episodes: Array) -> Array:
        if config.segment_choice == "largest-error":
            return np.asarray(best[episodes])
        threshold = generator.random((len(episodes), 1)) * cumulative[episodes, -1:]
        return np.asarray((cumulative[episodes] < threshold).sum(axis=1))

    return choose
