"""Rewards of one task for what was done in another: so that behaviour tells nothing of the task.

In logged data who walks somewhere has his goal there. A model of such data believes that wherever the policy walks in
imagination the goal will be, and the policy learns to walk anywhere. Among relabelled trajectories rewards alone tell.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from metabench import TrainingData, TrainingRun, Windows

from ...common.optimisation import descend
from ..config import TWMConfig
from ..model.observation_model import make_mlp
from ..model.world_model import Sequences, WorldModel

CODE = 16
"""Length of the free code that each training task has."""

WIDTHS = (256, 256)
"""Hidden layers of the reward function."""


class TaskRewards(nn.Module):
    """The reward functions of all training tasks: one MLP, a free code a task."""

    def __init__(self, model: WorldModel, data: TrainingData) -> None:
        """Make it for the tasks of `data`; `model` tells the scales of observations and rewards."""
        super().__init__()
        values = model.observation.observation_dim
        self.codes = nn.Embedding(data.num_tasks, CODE)
        self.layers = make_mlp(2 * values + data.spaces.action_dim + CODE, WIDTHS, 1)
        self.num_tasks = data.num_tasks
        self.map = torch.zeros(data.num_tasks, 0)
        """`(tasks, anchors)` rewards of some logged transitions in each task, less their mean over tasks."""
        self._scale_observations = (
            model.observation.scale
        )  # a method: the model is no part of this one
        self._reward_scale = model.get_buffer("reward_scale")

    def forward(self, before: Tensor, actions: Tensor, after: Tensor, tasks: Tensor) -> Tensor:
        """Rewards `(...)`, in deviations of the data's, of transitions `(..., size)` in tasks `(...)`."""
        seen = [self._scale_observations(part).flatten(tasks.ndim) for part in (before, after)]
        output: Tensor = self.layers(torch.cat([*seen, actions, self.codes(tasks)], dim=-1))[..., 0]
        return output

    def reward_loss(self, batch: Windows) -> tuple[Tensor, dict[str, Tensor]]:
        """Half the mean squared error on logged transitions."""
        predicted = self(batch.observations, batch.actions, batch.next_observations, batch.tasks)
        errors: Tensor = predicted - batch.rewards / self._reward_scale
        loss = 0.5 * errors.square().mean()
        return loss, {"reward": loss}

    @torch.no_grad()
    def draw_map(self, anchors: Windows) -> None:
        """Make the map, of `(anchors,)` transitions."""
        seen = anchors.observations, anchors.actions, anchors.next_observations
        every = torch.arange(self.num_tasks, device=anchors.rewards.device)
        rewards = torch.stack([self(*seen, task.expand(len(anchors.rewards))) for task in every])
        self.map = rewards - rewards.mean(dim=0)

    @torch.no_grad()
    def relabel(self, steps: Sequences, own: Tensor, other: Tensor) -> Sequences:
        """Sequences of tasks `own` `(B,)` with rewards as they would be in tasks `other` `(B,)`.

        What the reward function does not explain of them, they keep.
        """
        before, after = steps.observations[:, :-1], steps.observations[:, 1:]
        length = steps.rewards.shape[1]
        there, here = (
            self(before, steps.actions, after, tasks[:, None].expand(-1, length))
            for tasks in (other, own)
        )
        real = (steps.episodes >= 0).to(there.dtype)
        return replace(steps, rewards=steps.rewards + self._reward_scale * (there - here) * real)


def train_task_rewards(
    config: TWMConfig, model: WorldModel, data: TrainingData, run: TrainingRun
) -> TaskRewards:
    """Fit the reward functions of all tasks of `data` to their transitions."""
    run.torch_seed("initialise", "task-rewards")
    rewards = TaskRewards(model, data).to(run.device)
    learned = nn.ModuleDict({"codes": rewards.codes, "layers": rewards.layers})
    optimizer = torch.optim.Adam(learned.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, max(1, config.task_reward_updates)
    )
    placed = data.to(run.device)
    total = config.task_reward_updates
    for update in run.steps(
        "task-rewards", total, rewards=learned, optimizer=optimizer, schedule=schedule
    ):
        index = run.generator("task-rewards", update).integers(
            data.num_transitions, size=config.behaviour_batch
        )
        loss, info = rewards.reward_loss(placed.transitions(index))
        descend(optimizer, loss)
        schedule.step()
        if update % config.log_interval == 0 or update == total:
            run.log(**{name: float(value.detach()) for name, value in info.items()})
    if config.reward_map:
        index = run.generator("reward-map").integers(data.num_transitions, size=config.reward_map)
        rewards.draw_map(placed.transitions(index))
    return rewards.requires_grad_(False).eval()
