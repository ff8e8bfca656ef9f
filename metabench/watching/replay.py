"""An acted episode once more in a lane of its own, to be looked at: the same actions from the same start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from metabench.data.episode import Episode
from metabench.envs import Array, BatchedEnvironment
from metabench.envs.lane_painter import LanePainter
from metabench.errors import DataError
from metabench.evaluation.rows import round_return
from metabench.suites import Suite
from metabench.suites.schema import TaskEntry


@dataclass(frozen=True)
class Moment:
    """What a lane looks like after so many steps.

    Attributes:
        picture: `(height, width, 3)` uint8.
        step: steps so far.
        total_return: so far.
        ended: the episode is over.
    """

    picture: Array
    step: int
    total_return: float
    ended: bool


class Replayer:
    """One simulator with one lane, which repeats episodes and paints them.

    Attributes:
        painter: what paints; its `notice` says why the simulator's own pictures are missing.
    """

    def __init__(self, suite: Suite, width: int, height: int) -> None:
        """Paint `width` x `height` pixels a moment."""
        self._suite = suite
        self._environment: BatchedEnvironment = suite.environment()
        self.painter = LanePainter(self._environment, 0, width, height)

    def replay(
        self, task: TaskEntry, reset_seed: int, episode: Episode, every: int
    ) -> Iterator[Moment]:
        """The start, every `every`-th step, and the end.

        Raises:
            DataError: the simulator does not repeat the episode: a lane depends on more than task, seed and actions.
            MetabenchError: it shows nothing.
        """
        self._environment.reset([task.parameters], [reset_seed])
        self.painter.begin()
        total, steps = 0.0, len(episode)
        yield Moment(self.painter.paint(), 0, total, False)
        for number in range(steps):
            step = self._environment.step(episode.actions[number : number + 1])
            if np.float32(step.reward[0]) != episode.rewards[number]:
                raise DataError(
                    f"{self._suite.identity}, task {task.id}: step {number + 1} gives another reward in a lane of its "
                    "own: the simulator does not repeat an episode by its actions"
                )
            # As the evaluator sums: float64, step by step.
            total += float(step.reward[0])
            done = number + 1
            if done % every == 0 or done == steps:
                yield Moment(self.painter.paint(), done, round_return(total), done == steps)
