"""Training a suite's teacher: PPO on the simulator, one task-conditioned network for all tasks of the family.

This is the one place where metabench learns online. What it makes, small weight files, is what data is made from.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from metabench.envs import Array, TeacherTraining
from metabench.envs.blind_reference import WEIGHTS
from metabench.errors import MetabenchError
from metabench.seeding import derive_seed
from metabench.suites import Suite
from metabench.teachers.blind import make_blind_training
from metabench.teachers.experience import ExperienceCollector, LaneGroup
from metabench.teachers.ppo import ActorCritic, TeacherConfig, update_policy
from metabench.teachers.select import list_checkpoints

PHASES = 4
"""Groups of lanes whose episodes begin a quarter of the horizon apart: a batch then holds every part of an episode."""

MOMENTS = 200_000
"""Steps that the moments of a blind policy's features count for in a teacher that begins with them."""

COLUMNS = ("steps", "seconds", "mean_return", "learning_rate", "divergence", "deviation")
"""Of curve.csv."""


@contextmanager
def _use_one_torch_thread() -> Iterator[None]:
    """Sums in several threads round differently; the number of threads is put back afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_use_one_torch_thread()
def train_teacher(
    suite: Suite,
    config: TeacherConfig,
    folder: Path,
    progress: Callable[[dict[str, float]], None] | None = None,
) -> None:
    """Train with PPO; write `folder/curve.csv` and `folder/STEPS.safetensors` every so many steps.

    `install_behaviours` makes a teacher of checkpoints. The result depends on suite and config only, not on the number
    of cores. Training stops with the steps; a run that was cut off is started again from its beginning, in an empty
    folder.

    Raises:
        MetabenchError: the suite's family has no network teacher, or the folder holds checkpoints; or it is to begin as
            a blind policy that the suite does not ship, or of another size.
    """
    from safetensors.numpy import save_file

    training = make_blind_training(suite) if config.blind else _find_training(suite)
    if list_checkpoints(folder):
        raise MetabenchError(
            f"{folder}: expected no checkpoints before training, found those of an earlier one"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(config.model_dump_json(indent=1) + "\n", encoding="utf-8")
    torch.manual_seed(config.seed)
    network = ActorCritic(
        training.feature_dim, training.action_dim, config.width, config.deviation, training.discrete
    )
    if config.begin_blind:
        network.begin_as(_find_blind(suite, config))
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate, eps=1e-5)
    lanes, horizon = config.lanes // PHASES, suite.entry.horizon
    groups = [
        LaneGroup(suite, training, config, lanes, phase * horizon // PHASES, phase)
        for phase in range(PHASES)
    ]
    generator = np.random.default_rng(derive_seed("teacher", config.seed, "actions"))
    collector = ExperienceCollector(network, groups, config, generator)
    if config.begin_blind:
        mean, deviation = (each.numpy().astype(float) for each in (network.mean, network.deviation))
        collector.feature_moments.begin_with(mean, deviation, MOMENTS)
    started, steps, saved = time.monotonic(), 0, 0
    with (folder / "curve.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        while steps < config.steps:
            batch = collector.collect_batch()
            steps += lanes * PHASES * config.rollout
            divergence = update_policy(
                network, optimizer, batch, config, generator, steps / config.steps
            )
            # Only now: during the update the inputs must be those that were acted with.
            network.mean.copy_(torch.as_tensor(collector.feature_moments.mean))
            network.deviation.copy_(torch.as_tensor(collector.feature_moments.deviation))
            finished = [value for group in groups for value in group.finished]
            if finished:
                row = {
                    "steps": float(steps),
                    "seconds": time.monotonic() - started,
                    "mean_return": float(np.mean(finished)),
                    "learning_rate": float(optimizer.param_groups[0]["lr"]),
                    "divergence": divergence,
                    "deviation": float(network.log_deviation.detach().exp().mean()),
                }
                writer.writerow([f"{value:.6g}" for value in row.values()])
                file.flush()
                for group in groups:
                    group.finished.clear()
                if progress is not None:
                    progress(row)
            if steps >= saved * config.every or steps >= config.steps:
                save_file(network.tensors(), folder / f"{steps:010d}.safetensors")
                saved = steps


def _find_blind(suite: Suite, config: TeacherConfig) -> dict[str, Array]:
    """The weights of the suite's blind policy."""
    from safetensors.numpy import load_file

    path = suite.references_folder / WEIGHTS
    if config.blind or not path.is_file():
        why = "a blind policy begins anew" if config.blind else f"{path} is missing"
        raise MetabenchError(f"begin_blind: suite {suite.name}: {why}; leave the setting out")
    return load_file(path)


def _find_training(suite: Suite) -> TeacherTraining:
    training = suite.family.teacher_training()
    if training is None:
        raise MetabenchError(
            f"suite {suite.name}: family {suite.family.name} has no teacher to train"
        )
    return training
