"""Point-Maze: a ball is pushed through a maze to a goal; the mazes are tasks, start and goal are drawn each episode.

The environment is gymnasium-robotics' PointMaze. The ball starts in a free cell and the goal lies in another, each up
to a quarter of a cell off the middle. The action is the force on each axis; speeds are clipped at 5 cells a second,
and a step is 0.01 s. Whether rewards are sparse (1 within 0.45 of the goal, else 0) or dense, and whether the goal
ends the episode, is the task's to say. The observation is a dictionary: `observation` (position and velocity),
`desired_goal` (the goal) and `achieved_goal` (the position once more); a suite hides the goal by leaving
`desired_goal` out of its observation keys.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from metabench.envs.batched import BatchedEnvironment, TaskParameters
from metabench.envs.blind import BlindScripts
from metabench.envs.family import NoTeacher, Teacher
from metabench.envs.gymnasium.family import GymnasiumFamily, GymnasiumLanes
from metabench.envs.points.maze_spring import (
    WIDTHS,
    list_blind_springs,
    locate_entries,
    pull_ball,
)
from metabench.envs.scene import WALL as WALL_COLOUR
from metabench.envs.scene import Scene, make_rectangle
from metabench.envs.spaces import Array
from metabench.errors import UnknownNameError

if TYPE_CHECKING:
    import gymnasium

WALL = 1
CELLS = (0, WALL, "r", "g", "c")
"""What a cell of `maze_map` can be: free, wall, and free cells for starts, goals or both."""


@dataclass(frozen=True)
class Skill:
    """How well a teacher behaviour finds its way.

    Attributes:
        lost: share of episodes in which it walks to another free cell instead of the goal.
        noise: standard deviation of the noise added to each action coordinate.
    """

    lost: float
    noise: float


SKILLS: dict[str, Skill] = {
    "medium": Skill(lost=0.55, noise=0.5),
    "expert": Skill(lost=0.0, noise=0.05),
}
"""The behaviours, weakest first."""


class PointMazeTeacher(Teacher):
    """Walks the shortest path through the cells, pulled from cell to cell as by a damped spring.

    It knows the maze from the task and reads the goal from the observation.
    """

    behaviours = tuple(SKILLS)

    def __init__(self, keys: Sequence[str], horizon: int) -> None:
        """Keep where the observation has what, and the horizon: noise is drawn for the whole episode at its reset."""
        self._state, self._goal = locate_entries(keys)
        self._horizon = horizon

    def reset(
        self, behaviours: Sequence[str], parameters: Sequence[TaskParameters], seeds: Sequence[int]
    ) -> None:
        """Draw each lane's noise, and whether and where it gets lost, from its own seed."""
        for name in set(behaviours):
            if name not in SKILLS:
                raise UnknownNameError("teacher behaviour", name, SKILLS)
        self._mazes = [_find_walls(task) for task in parameters]
        self._lost: dict[int, tuple[int, int]] = {}
        noise = []
        for lane, (behaviour, seed) in enumerate(zip(behaviours, seeds, strict=True)):
            generator = np.random.default_rng(seed)
            free = np.argwhere(~self._mazes[lane])
            row, column = free[generator.integers(len(free))].tolist()
            if generator.random() < SKILLS[behaviour].lost:
                self._lost[lane] = row, column
            noise.append(SKILLS[behaviour].noise * generator.standard_normal((self._horizon, 2)))
        self._noise = np.stack(noise, axis=1)
        self._timestep = 0

    def act(self, observation: Array) -> Array:
        """Pull towards the next cell on the way, or within the goal's cell to the goal, plus noise."""
        noisy = self._pull(observation) + self._noise[self._timestep - 1]
        return np.asarray(np.clip(noisy, -1.0, 1.0))

    def act_without_noise(self, observation: Array) -> Array:
        """Pull towards the next cell on the way, or within the goal's cell to the goal."""
        return np.asarray(np.clip(self._pull(observation), -1.0, 1.0))

    def _pull(self, observation: Array) -> Array:
        """`(lanes, 2)` force, not clipped; a step further."""
        state = np.asarray(observation[:, self._state], np.float64)
        if self._timestep == 0:
            self._aims = [
                self._find_ways(lane, goal) for lane, goal in enumerate(observation[:, self._goal])
            ]
        aims = np.stack(
            [
                aims[_find_cell(maze, at)]
                for maze, aims, at in zip(self._mazes, self._aims, state, strict=True)
            ]
        )
        self._timestep += 1
        return pull_ball(state, aims)

    def _find_ways(self, lane: int, goal: Array) -> Array:
        """`(rows, columns, 2)`: where to go from each cell, breadth first from where the lane wants to be."""
        maze = self._mazes[lane]
        goal = np.asarray(goal, np.float64)
        if lane in self._lost:
            goal = _find_middle(maze, self._lost[lane])
        end = _find_cell(maze, goal)
        aims = np.broadcast_to(goal, (*maze.shape, 2)).copy()
        seen, edge = {end}, deque([end])
        while edge:
            cell = edge.popleft()
            for near in ((cell[0] + i, cell[1] + j) for i, j in ((0, 1), (1, 0), (0, -1), (-1, 0))):
                if not maze[near] and near not in seen:
                    aims[near] = _find_middle(maze, cell)
                    seen.add(near)
                    edge.append(near)
        return aims


class PointMazeLanes(GymnasiumLanes):
    """Lanes of PointMaze, which can be seen from above."""

    def scene(self, lane: int) -> Scene:
        """The maze, the ball as a point and the goal of this episode."""
        maze = _find_walls(self._parameters[lane])
        walls = [
            make_rectangle(tuple(_find_middle(maze, (row, column)).tolist()), 1.0, 1.0, WALL_COLOUR)
            for row, column in np.argwhere(maze).tolist()
        ]
        environment: Any = self._lanes[
            lane
        ].unwrapped  # it knows place and goal where observations hide them
        (x, y), (goal_x, goal_y) = (
            environment.point_env.data.qpos[:2].tolist(),
            environment.goal.tolist(),
        )
        return Scene("above", (x, y), tuple(walls), point=True, goal=(goal_x, goal_y))


class PointMazeFamily(GymnasiumFamily):
    """Tasks are PointMaze environments with an explicit `maze_map` among their arguments."""

    name: ClassVar[str] = "pointmaze"

    def check_parameters(self, parameters: TaskParameters) -> None:
        """As of any environment, and `maze_map` is a rectangle of cells with walls all round and two free cells."""
        super().check_parameters(parameters)
        maze = _read_maze(parameters)
        if (
            not isinstance(maze, list | tuple)
            or not maze
            or not all(isinstance(row, list | tuple) for row in maze)
        ):
            raise ValueError("arguments must have maze_map, a list of rows")
        if {len(row) for row in maze} != {len(maze[0])} or any(
            cell not in CELLS for row in maze for cell in row
        ):
            raise ValueError(
                f"maze_map must be rows of one length, of {', '.join(map(repr, CELLS))}"
            )
        walls = np.array([[cell == WALL for cell in row] for row in maze])
        if not (walls[[0, -1]].all() and walls[:, [0, -1]].all()) or (~walls).sum() < 2:
            raise ValueError("maze_map must have walls all round and at least two free cells")

    def environment(self, horizon: int) -> BatchedEnvironment:
        """New lanes."""
        return PointMazeLanes(self, horizon)

    def make(self, parameters: TaskParameters) -> gymnasium.Env[Any, Any]:
        """As of any environment; the model that it leaves in the folder for temporary files is removed."""
        made = super().make(parameters)
        Path(getattr(made.unwrapped, "tmp_xml_file_path", "")).unlink(missing_ok=True)
        return made

    def teacher(self, folder: Path, horizon: int) -> Teacher:
        """The scripted teacher; none where the goal is hidden, since it has to see it."""
        del folder
        if not self._shows_goal():
            return NoTeacher(self.name)
        return PointMazeTeacher(self.declared.observation_keys, horizon)

    def blind_scripts(self) -> BlindScripts | None:
        """Springs straight to the goal; none where it is hidden."""
        return list_blind_springs(self.declared.observation_keys) if self._shows_goal() else None

    def _shows_goal(self) -> bool:
        return {"observation", "desired_goal"} <= set(self.declared.observation_keys) <= set(WIDTHS)

    def return_bounds(self, parameters: TaskParameters, horizon: int) -> tuple[float, float]:
        """Rewards are at most 1 a step, and one in all where the goal ends the episode and earns the only reward."""
        arguments = parameters["arguments"]
        once = arguments.get("reward_type", "sparse") == "sparse" and not arguments.get(
            "continuing_task", True
        )
        return 0.0, 1.0 if once else float(horizon)


def _read_maze(parameters: TaskParameters) -> Any:
    return parameters.get("arguments", {}).get("maze_map")


def _find_walls(parameters: TaskParameters) -> Array:
    """`(rows, columns)` bool."""
    return np.array([[cell == WALL for cell in row] for row in _read_maze(parameters)])


def _find_cell(maze: Array, position: Array) -> tuple[int, int]:
    """Row and column of a position; the middle of the maze is the origin, cells are squares of side 1."""
    rows, columns = maze.shape
    row, column = int(np.floor(rows / 2 - position[1])), int(np.floor(position[0] + columns / 2))
    return min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)


def _find_middle(maze: Array, cell: tuple[int, int]) -> Array:
    rows, columns = maze.shape
    return np.array([cell[1] + 0.5 - columns / 2, rows / 2 - cell[0] - 0.5])
