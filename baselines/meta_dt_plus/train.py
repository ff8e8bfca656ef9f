"""Training: the task table that relabels, the world model, then Meta-DT's transformer on its codes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from metabench import Array, TrainingData, TrainingRun, Windows

from ..common.decision_transformer.train import measure_scales
from ..common.optimisation import RecentLosses, cosine_factor, descend
from ..meta_dt.diagnose import diagnose_world_model
from ..meta_dt.train import MODEL_STAGE, find_transitions, train_transformers
from .config import MetaDTPlusConfig
from .objective import elsewhere_loss, table_loss
from .policy import MetaDTPlusPolicy
from .world_model import HistoryWorldModel, TaskTable, gather_dataset_evidence

TABLE_STAGE = "task-table"


def train_policy(
    config: MetaDTPlusConfig, data: TrainingData, run: TrainingRun
) -> MetaDTPlusPolicy:
    """Train task table and world model, freeze them, then the transformer; adds diagnostics to the summary."""
    model, codes = None, None
    if not config.no_context:
        run.torch_seed("initialise", MODEL_STAGE)
        model = HistoryWorldModel(config, data.spaces).to(run.device)
        model.measure(data.fitting)
        table = (
            train_task_table(config, model, data.fitting, run)
            if config.relabelled_context > 0
            else None
        )
        train_world_model(config, model, table, data, run)
        model.requires_grad_(False).eval()
        codes = HistoryCodes(config, model)
        if data.validation.num_episodes:
            run.summary["reward_error_elsewhere"] = diagnose_world_model(model, data, run)
    scales = measure_scales(config, data)
    networks, zero_shot = train_transformers(config, model, codes, data, scales, run)
    return MetaDTPlusPolicy(config, networks, zero_shot, model, data.spaces, scales)


def train_task_table(
    config: MetaDTPlusConfig, model: HistoryWorldModel, data: TrainingData, run: TrainingRun
) -> TaskTable:
    """Fit a free code for each task of `data`, with decoders, to all its transitions."""
    run.torch_seed("initialise", TABLE_STAGE)
    table = TaskTable(config, data.spaces, data.num_tasks).to(run.device)
    largest_rate = 2 * config.model_learning_rate
    optimizer = torch.optim.Adam(table.parameters(), lr=largest_rate)
    total = max(1, config.model_updates // 2)
    for update in run.steps(TABLE_STAGE, total, table=table, optimizer=optimizer):
        generator = run.generator(TABLE_STAGE, update)
        loss, info = table_loss(model.scales, table, data, generator, 16 * config.model_batch_size)
        factor = cosine_factor(update, total, last=0.01)
        descend(optimizer, loss, learning_rate=largest_rate * factor)
        if update % max(1, total // 10) == 0:
            run.log(loss=float(info["loss"]))
    return table.requires_grad_(False).eval()


def train_world_model(
    config: MetaDTPlusConfig,
    model: HistoryWorldModel,
    table: TaskTable | None,
    data: TrainingData,
    run: TrainingRun,
) -> None:
    """Train in place on the fitting tasks; logs the loss there and on the validation tasks.

    The table has no codes of validation tasks, so nothing is relabelled in their loss.
    """
    fitting, held_out = data.fitting, data.validation
    optimizer = torch.optim.Adam(model.parameters(), lr=config.model_learning_rate)
    recent = RecentLosses()
    interval = max(1, config.model_updates // 50)  # 50 rows of the training curve
    for update in run.steps(
        MODEL_STAGE, config.model_updates, model=model, optimizer=optimizer, recent=recent
    ):
        loss, info = elsewhere_loss(
            config, model, fitting, run.generator(MODEL_STAGE, update), table
        )
        factor = (
            cosine_factor(update, config.model_updates, last=0.01) if config.model_decay else 1.0
        )
        descend(optimizer, loss, clip=1.0, learning_rate=config.model_learning_rate * factor)
        recent.values.append(float(info["loss"]))
        if update % interval == 0 or update == config.model_updates:
            metrics = {"loss": recent.take()}
            if held_out.num_episodes:
                generator = run.generator(MODEL_STAGE, "check")  # the same episodes every time
                with torch.no_grad():
                    _, info = elsewhere_loss(config, model, held_out, generator, None)
                metrics["validation_loss"] = float(info["loss"])
            run.log(**metrics)


class HistoryCodes:
    """Task codes of training windows from a frozen world model: evidence is computed once a data set."""

    def __init__(self, config: MetaDTPlusConfig, model: HistoryWorldModel) -> None:
        """Keep the model; evidence is computed on first use of a data set."""
        self._most, self._model = config.support_episodes, model
        self._kept: dict[int, tuple[TrainingData, Array, Array]] = {}

    def __call__(
        self, data: TrainingData, windows: Windows, supported: bool, generator: np.random.Generator
    ) -> Tensor:
        """Codes `(B, K, code_dim)`; those of supported windows have read 1 to `support_episodes` other episodes."""
        before, after = self._read_evidence(data)
        index = find_transitions(data, windows)
        evidence = before[index]  # (B, K, evidence_dim)
        if supported:
            episodes = data.transition_episodes[index[:, 0]]
            support = data.sample_same_task(generator, episodes, self._most)  # (B, most)
            count = generator.integers(1, self._most + 1, size=(len(episodes), 1))
            used = np.arange(self._most) < count  # (B, most)
            evidence = evidence + (after[support] * used[..., None]).sum(axis=1)[:, None]
        return self._encode(evidence)

    def encode_before(self, data: TrainingData, index: Array) -> Tensor:
        """Codes `(..., code_dim)` before transitions by flat index `(...,)`, without support."""
        before, _ = self._read_evidence(data)
        return self._encode(before[index])

    def _encode(self, evidence: Array) -> Tensor:
        with torch.no_grad():
            known = torch.as_tensor(evidence, device=self._model.scales.reward_mean.device)
            return self._model.encoder.compute_codes(known)

    def _read_evidence(self, data: TrainingData) -> tuple[Array, Array]:
        """`gather_dataset_evidence` of `data`, kept."""
        if id(data) not in self._kept:
            self._kept[id(data)] = (data, *gather_dataset_evidence(self._model, data))
        return self._kept[id(data)][1:]
