"""One Meta-World episode: the raw environment, stepped without what its own `step` computes in vain.

The numbers are Meta-World's own, to the last bit; a test compares all 50 environments. Of a stock step of `reach-v3`
one fifth is spent in the simulator. What is left out or done in another way here:

- quaternions of objects: SciPy checks that a matrix which MuJoCo has just computed is a rotation; that takes longer
  than all five steps of the simulator;
- placing the target sites before `mj_forward`, which places them anew, and `mj_rnePostConstraint`, whose forces no
  environment reads;
- looking up bodies and contacts by name, one Python object each.
"""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass
from types import MethodType

import mujoco
import numpy as np
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.types import Task

from metabench.envs.batched import TaskParameters
from metabench.envs.metaworld.environments import RANGES
from metabench.envs.metaworld.quick_methods import (
    derive_class_on_model,
    replace_slow_methods,
    strip_decorator,
)
from metabench.envs.scene import MOVING, STILL, Circle, Scene
from metabench.envs.spaces import Array

MOST_ASKED = 8
"""How often an environment may ask for its `rand_vec` in one reset."""

MOST_DRAWN = 100
"""How many places for a puck are tried; nearly every one is accepted."""

MIDDLE_OF_TABLE = (0.0, 0.65)
"""Of the part of the table that the hand can reach: x and y."""


class GoalRefusedError(ValueError):
    """The environment would draw another `rand_vec`: object and goal are too close together."""


@dataclass(frozen=True)
class LaneStep:
    """What one step of a lane returned.

    Attributes:
        observation: `(39,)` float64.
        reward: reward v2, 0 to 10.
        success: whether the task is solved now.
        diverged: whether MuJoCo has reset the simulation.
    """

    observation: Array
    reward: float
    success: bool
    diverged: bool


def compile_model(name: str) -> mujoco.MjModel:
    """The model of the environment `name`, as its class loads it."""
    return ALL_V3_ENVIRONMENTS[name]().model


class MetaWorldLane:
    """One environment of its own, on a model that it may share with lanes of the same task."""

    def __init__(self, name: str, model: mujoco.MjModel) -> None:
        """Make the environment `name`; `model` stands in for the one that its class would compile.

        Resetting writes the task into the model, so only lanes of one task can share it.
        """
        environment_class = ALL_V3_ENVIRONMENTS[name]
        on_model = derive_class_on_model(environment_class)
        self._class = environment_class
        self._environment = environment = on_model.__new__(on_model)
        environment.given_model = model
        environment.__init__()
        self._model, self._data = model, environment.data
        self._mocap_position, self._mocap_quaternion = (
            self._data.mocap_pos[0],
            self._data.mocap_quat[0],
        )
        self._control = self._data.ctrl
        self._seconds = environment.frame_skip * model.opt.timestep
        self._hand = self._data.body("hand").xpos
        self._claws = self._data.body("rightclaw").xpos, self._data.body("leftclaw").xpos
        self._evaluate = MethodType(strip_decorator(environment_class.evaluate_state), environment)
        replace_slow_methods(environment)

    def reset(self, rand_vec: Array) -> Array:
        """Start an episode of the task that `rand_vec` fixes; returns `(39,)` float64.

        Raises:
            GoalRefusedError: the environment would never accept this `rand_vec`.
        """
        environment = self._environment
        content = {
            "rand_vec": np.asarray(rand_vec, np.float64),
            "env_cls": self._class,
            "partially_observable": True,
        }
        # Meta-World takes tasks pickled, and nothing else; this pickle never leaves the process.
        environment.set_task(Task(env_name="", data=pickle.dumps(content)))
        environment._get_state_rand_vec = _FrozenRandVec(environment._last_rand_vec)
        observation, _ = environment.reset()
        space = environment.sawyer_observation_space
        self._low, self._high = space.low, space.high
        self._previous = environment._prev_obs
        self._start = self._data.time
        self._steps = 0
        return np.asarray(observation)

    def begin(self, task: TaskParameters, seed: int) -> Array:
        """Start an episode of `task`; where that leaves the puck's place open, it is drawn from `seed`. As `reset`.

        Meta-World draws in the same way: uniformly, again while the environment refuses.
        """
        if "rand_vec" in task:
            return self.reset(np.asarray(task["rand_vec"]))
        low, high = np.array(RANGES[task["environment"]])[:, :3]
        generator = np.random.default_rng(seed)
        for _ in range(MOST_DRAWN):
            try:
                return self.reset(np.concatenate([generator.uniform(low, high), task["goal"]]))
            except GoalRefusedError:
                continue
        raise GoalRefusedError(f"no place for the puck is far enough from the goal {task['goal']}")

    def step(self, action: Array) -> LaneStep:
        """Step by `(4,)` float32 in [-1, 1]: three offsets of the hand and the gripper's effort."""
        environment = self._environment
        position = (
            self._mocap_position
            + np.minimum(np.maximum(action[:3], -1), 1) * environment.action_scale
        )
        np.minimum(
            np.maximum(position, environment.mocap_low),
            environment.mocap_high,
            out=self._mocap_position,
        )
        self._mocap_quaternion[:] = (
            1.0,
            0.0,
            1.0,
            0.0,
        )  # the hand keeps its orientation, as in `set_xyz_action`
        self._control[:] = (action[3], -action[3])
        mujoco.mj_step(self._model, self._data, nstep=environment.frame_skip)
        self._steps += 1
        environment.curr_path_length = self._steps
        mujoco.mj_forward(
            self._model, self._data
        )  # places and contacts of the state after the step
        current = self._read_state()
        observation = np.concatenate((current, self._previous, (0.0, 0.0, 0.0)))
        self._previous = current
        observation = np.minimum(np.maximum(observation, self._low), self._high)
        reward, info = self._evaluate(observation, action)
        # When MuJoCo gives a state up it begins anew, and its clock with it.
        late = self._data.time < self._start + (self._steps - 0.5) * self._seconds
        return LaneStep(
            observation,
            float(reward),
            bool(info["success"]),
            late or not math.isfinite(float(reward)),
        )

    @property
    def goal(self) -> Array:
        """`(3,)` the target of the episode, which the observation does not show."""
        return np.array(self._environment._target_pos, np.float64)

    @property
    def state(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """Model and data as they are now, for whoever renders them: to be read only."""
        return self._model, self._data

    def scene(self) -> Scene:
        """Hand, objects and goal as discs, seen from above; the robot's base lies beyond the lower edge."""
        # The latest half of the observation: the hand at 0:3, the objects at 4:7 and 11:14, zeros where there is none.
        places = [
            self._previous[at : at + 2].tolist()
            for at in (4, 11)
            if self._previous[at : at + 7].any()
        ]
        objects = [Circle((x, y), 0.025, STILL) for x, y in places]
        hand = Circle((float(self._previous[0]), float(self._previous[1])), 0.02, MOVING)
        goal_x, goal_y = self.goal[:2].tolist()
        shapes = (*objects, hand)
        return Scene(
            "above", MIDDLE_OF_TABLE, shapes, goal=(goal_x, goal_y), width=1.4, marks=False
        )

    def _read_state(self) -> Array:
        """`(18,)`: the hand, how open the gripper is, and position and quaternion of up to two objects."""
        current = np.zeros(18)
        current[:3] = self._hand
        apart = self._claws[0] - self._claws[1]
        # Fingers 0.1 m apart are fully open.
        current[3] = min(np.sqrt(apart.dot(apart)) / 0.1, 1.0)
        positions, quaternions = (
            self._environment._get_pos_objects(),
            self._environment._get_quat_objects(),
        )
        for i in range(len(positions) // 3):
            current[4 + 7 * i : 7 + 7 * i] = positions[3 * i : 3 * i + 3]
            current[7 + 7 * i : 11 + 7 * i] = quaternions[4 * i : 4 * i + 4]
        return current


class _FrozenRandVec:
    """Gives the frozen `rand_vec`, to an environment that refuses it and asks again a few times only.

    Asked in vain it would ask for ever. A reset that goes well asks twice.
    """

    def __init__(self, rand_vec: Array) -> None:
        self._rand_vec, self._asked = rand_vec, 0

    def __call__(self) -> Array:
        self._asked += 1
        if self._asked > MOST_ASKED:
            raise GoalRefusedError("object and goal are too close together")
        return self._rand_vec
