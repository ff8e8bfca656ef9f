"""The Gymnasium ids: a view of one lane, and no import of Gymnasium unless somebody uses it."""

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import metabench
from metabench import MetabenchError
from metabench.envs import BatchedEnvironment, BatchStep, Spaces
from metabench.envs.gymnasium.view import GymnasiumView


def test_view_equals_the_batched_environment() -> None:
    suite = metabench.load_suite("point-robot")
    batched = suite.environment()
    tasks = [0, 3, 50]
    views = [gymnasium.make("metabench:metabench/PointRobot-v2", task=task) for task in tasks]
    observations = batched.reset([suite.tasks[task].parameters for task in tasks], [1, 2, 3])
    for lane, view in enumerate(views):
        first, info = view.reset(seed=lane)
        np.testing.assert_array_equal(first, observations[lane])
        assert info == {}
    generator = np.random.default_rng(0)
    for timestep in range(suite.entry.horizon):
        actions = suite.spaces.uniform_actions(generator, (len(tasks),))
        step = batched.step(actions)
        for lane, view in enumerate(views):
            observation, reward, terminated, truncated, info = view.step(actions[lane])
            np.testing.assert_array_equal(observation, step.observation[lane])
            assert reward == step.reward[lane]
            assert not terminated
            assert truncated == (timestep == suite.entry.horizon - 1)
            assert "success" not in info


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("metabench/PointRobot-v2", 20),
        ("metabench/Tiny-v1", 20),
        pytest.param("metabench/CheetahVel-v2", 200, marks=pytest.mark.slow),
    ],
)
def test_gymnasium_accepts_the_view(name: str, steps: int) -> None:
    env = gymnasium.make(f"metabench:{name}", task=1, render_mode="rgb_array")
    assert env.spec is not None
    assert env.spec.max_episode_steps == steps
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*drawn flat instead")
        warnings.filterwarnings("ignore", message=".*Box observation space.*infinity.*")
        check_env(env.unwrapped)


def test_archived_versions_keep_their_ids_and_tasks() -> None:
    """Task 50 was the first far one; in version 2 it is a test task."""
    far = metabench.load_suite("point-robot-v1").tasks[50]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Gymnasium's, of every id with a later version
        view = gymnasium.make("metabench:metabench/PointRobot-v1", task=50)
    view.reset(seed=0)
    observation, reward, *_ = view.step(np.zeros(2, np.float32))
    assert reward == pytest.approx(-np.linalg.norm(np.array(far.parameters["goal"]) - observation))
    with pytest.raises(MetabenchError, match="expected a number from 0 to 57"):
        metabench.suites.gymnasium_ids.make_view("point-robot-v1", 58)


@pytest.mark.slow
@pytest.mark.parametrize(
    "before",
    [
        "import metabench, gymnasium",
        "import gymnasium, metabench",
        "import gymnasium",
        "from metabench import load_suite; load_suite('tiny'); import gymnasium",
        "import metabench, importlib.util; importlib.util.find_spec('gymnasium'); import gymnasium",
        "import minari, metabench, gymnasium",
        "import metabench, gymnasium, sys\n"
        "for name in list(sys.modules): name.startswith('gymnasium') and sys.modules.pop(name)\n"
        "import gymnasium",
    ],
)
def test_ids_are_there_in_whatever_order_both_are_imported(before: str) -> None:
    program = f"{before}; gymnasium.make('metabench:metabench/PointRobot-v2', task=3)"
    subprocess.run([sys.executable, "-c", program], check=True)


class Countdown(BatchedEnvironment):
    """Discrete: action 1 ends the episode with success; the observation is the seed's last digit."""

    spaces = Spaces(1, 4, num_actions=2)

    def reset(self, parameters, seeds):
        self.first = np.array([[seed % 10] for seed in seeds], np.float32)
        return self.first

    def step(self, actions):
        assert actions.shape == (1,)
        ended = np.asarray(actions) == 1
        return BatchStep(self.first, np.ones(1), ended, ended)


def test_termination_success_and_discrete_actions() -> None:
    env = GymnasiumView(Countdown(), {})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Box observation space.*infinity.*")
        check_env(env, skip_render_check=True)
    assert env.action_space == gymnasium.spaces.Discrete(2)
    env.reset(seed=0)
    assert env.step(0)[2:] == (False, False, {"success": False})
    assert env.step(1)[2:] == (True, False, {"success": True})
    env.reset()
    assert [env.step(0)[3] for _ in range(4)] == [False, False, False, True]


def test_reset_seeds_start_a_stream() -> None:
    env = GymnasiumView(Countdown(), {})
    streams = [[env.reset(seed=7)[0].item(), *(env.reset()[0].item() for _ in range(12))] for _ in range(2)]
    assert streams[0] == streams[1]
    assert len(set(streams[0])) > 2


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(MetabenchError, match="no task 58; expected a number from 0 to 57"):
        gymnasium.make("metabench:metabench/PointRobot-v1", task=58)
    with pytest.raises(MetabenchError, match="no task '3'; expected a number from 0 to 57"):
        gymnasium.make("metabench:metabench/PointRobot-v1", task="3")
    with pytest.raises(gymnasium.error.VersionNotFound):
        gymnasium.make("metabench:metabench/PointRobot-v9", task=0)
    with pytest.raises(ValueError, match=r"reset options \['goal'\]"):
        GymnasiumView(Countdown(), {}).reset(options={"goal": 1})


@pytest.mark.slow
@pytest.mark.parametrize(
    "program",
    [
        "import gymnasium, metabench; gymnasium.make('metabench/PointRobot-v1', task=0)",
        "import gymnasium; gymnasium.make('metabench:metabench/PointRobot-v1', task=0)",
        "import metabench, gymnasium; metabench.load_suite; gymnasium.make('metabench/Tiny-v1', task=0)",
        "import metabench, sys; assert not {'gymnasium', 'numpy', 'pydantic'} & set(sys.modules)",
        "import metabench, sys; metabench.load_suite('tiny'); assert 'gymnasium' not in sys.modules",
    ],
)
def test_ids_are_there_when_gymnasium_is_and_cost_nothing_otherwise(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
