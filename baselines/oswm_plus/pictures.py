"""A picture of what the world model predicts one step ahead, with how sure it is, beside what really happened."""

from __future__ import annotations

import numpy as np
import torch

from metabench import Array, LinePlot, Picture, Series, Spaces, TrainingData

from ..common.planning.rows import Reader, Transitions, batch_transitions

STEPS = 60
"""Steps of an episode that are predicted, the first ones."""

COORDINATES = 5
"""Coordinates of the observation that are shown: those whose changes vary the most."""


def draw_prediction_pictures(
    reader: Reader,
    spaces: Spaces,
    data: TrainingData,
    generator: np.random.Generator,
    largest_context: int,
) -> list[Picture]:
    """Changes and rewards of one episode, predicted from another of its task and from nothing.

    Args:
        reader: reads contexts.
        spaces: the suite's.
        data: trajectories that were not learned from.
        generator: chooses the episodes.
        largest_context: rows of the other episode that are read.
    """
    episode = int(generator.integers(data.num_episodes))
    other = int(data.sample_same_task(generator, np.array([episode]), 1)[0, 0])
    whole = Transitions.from_episodes([data.episode(episode)], spaces)
    asked = whole.select(np.arange(min(STEPS, int(data.lengths[episode]))))
    context = Transitions.from_episodes([data.episode(other)], spaces).thin(largest_context)
    contexts = {
        f"after {len(context)} steps": context,
        "knowing nothing": context.select(np.zeros(0, np.int64)),
    }
    predicted = {name: _predict_steps(reader, rows, asked) for name, rows in contexts.items()}
    real = np.concatenate(
        [asked.rewards[:, None], asked.next_observations - asked.observations], axis=1
    )
    moving = 1 + np.sort(np.argsort(-real[:, 1:].std(axis=0), kind="stable")[:COORDINATES])
    names = [
        "reward",
        *(f"change of observation {place + 1}" for place in range(spaces.observation_dim)),
    ]
    panels = {
        names[column]: _make_panel(real, predicted, column) for column in (0, *moving.tolist())
    }
    caption = (
        "Each step of an episode, predicted from where it really was. The band is one predicted deviation on "
        f"either side. Read before: {len(context)} steps of another episode of the same task, or nothing."
    )
    return [LinePlot("Predicted and real, one step ahead", panels, "step", caption)]


@torch.no_grad()
def _predict_steps(reader: Reader, context: Transitions, asked: Transitions) -> tuple[Array, Array]:
    """Rewards and changes `(T, 1 + S)` that are predicted, and their deviations."""
    observations = torch.from_numpy(asked.observations)[None]
    seen = reader.read(batch_transitions([context]))(
        observations, torch.from_numpy(asked.actions)[None]
    )
    middle = torch.cat([seen.rewards[..., None], seen.next_observations - observations], -1)
    deviation = torch.cat([seen.reward_deviations[..., None], seen.deviations], -1)
    return middle[0].numpy(), deviation[0].numpy()


def _make_panel(
    real: Array, predicted: dict[str, tuple[Array, Array]], column: int
) -> list[Series]:
    """What really happened, what was predicted from the context with its band, and from nothing."""
    x = np.arange(1, len(real) + 1, dtype=np.float64)
    lines = [Series("real", x, real[:, column], reference=True)]
    for place, (name, (middle, deviation)) in enumerate(predicted.items()):
        y, wide = middle[:, column], deviation[:, column]
        band = (None, None) if place else (y - wide, y + wide)
        lines.append(Series(name, x, y, *band))
    return lines
