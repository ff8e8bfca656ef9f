"""What a world model's codes know of tasks that it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from metabench import TrainingData, TrainingRun

from .model import gather_steps, gather_transitions
from .world_model import TaskCodeModel, compute_squared_errors

STEPS = (0, 1, 4, 16, 64)
"""Steps of an episode after which codes are judged."""


@torch.no_grad()
def diagnose_world_model(
    model: TaskCodeModel, data: TrainingData, run: TrainingRun
) -> dict[str, Any]:
    """How much the codes know of held-out training tasks: reward error at *other* places of the same task.

    Root mean squared errors in reward units, after 1, 4, 16 ... steps of one episode, beside two controls: predicting
    the mean reward of the training data, and the codes of another task.
    """
    held_out = data.validation
    generator = run.generator("diagnose", "world-model")
    episodes = generator.integers(held_out.num_episodes, size=512)
    lengths = held_out.lengths[episodes]
    checked = [count for count in STEPS if count <= int(lengths.max())]
    steps = np.broadcast_to(np.arange(max(checked)), (len(episodes), max(checked)))
    read = gather_steps(model.scales, held_out, episodes, steps)
    # A low error on the episode's own next step would say little: the last reward, carried on, is almost right there.
    elsewhere = held_out.sample_same_task(generator, episodes, 1)[:, 0]
    step = (generator.random(len(elsewhere)) * held_out.lengths[elsewhere]).astype(np.int64)
    target = gather_transitions(model.scales, held_out, held_out.columns.offsets[elsewhere] + step)
    unit = float(model.scales.reward_deviation)
    tasks = held_out.columns.tasks[episodes]
    others = None  # for each row, one of another task
    if held_out.num_tasks > 1:
        others = np.array(
            [generator.permutation(np.flatnonzero(tasks != task))[0] for task in tasks]
        )
    report: dict[str, Any] = {"mean_reward": float(target["rewards"].pow(2).mean().sqrt()) * unit}
    for count in checked:
        codes = model.encode_after(
            read, torch.as_tensor(np.minimum(count, lengths))
        )  # (512, code_dim)
        reward, _ = compute_squared_errors(model.decoders, target, codes)
        report[f"after_{count}_steps"] = float(reward.mean().sqrt()) * unit
        if others is not None and count:
            reward, _ = compute_squared_errors(model.decoders, target, codes[others])
            report[f"after_{count}_steps_of_another_task"] = float(reward.mean().sqrt()) * unit
    return report
