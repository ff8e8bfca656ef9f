"""Windows, samples and parts of training data against plain Python loops."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metabench.data.columns import Columns
from metabench.data.training_data import TrainingData
from metabench.envs import Spaces

CONTINUOUS = Spaces(3, 12, action_low=(-1.0, 0.0), action_high=(1.0, 0.5))
DISCRETE = Spaces(3, 12, num_actions=4)
FIELDS = ("observations", "next_observations", "actions", "rewards", "terminated", "returns_to_go", "timesteps", "mask")
FIELDS += ("tasks",)


def make_data(lengths_per_task: list[list[int]], discrete: bool, seed: int = 0) -> tuple[TrainingData, list[dict]]:
    """Ragged episodes as training data and as a plain list of dictionaries."""
    generator = np.random.default_rng(seed)
    spaces = DISCRETE if discrete else CONTINUOUS
    episodes = [
        {
            "task": task,
            "observations": generator.standard_normal((length + 1, 3)).astype(np.float32),
            "actions": spaces.uniform_actions(generator, (length,)),
            "rewards": generator.standard_normal(length).astype(np.float32),
            "terminated": bool(generator.integers(2)),
        }
        for task, lengths in enumerate(lengths_per_task)
        for length in lengths
    ]
    columns = Columns(
        observations=np.concatenate([episode["observations"] for episode in episodes]),
        actions=np.concatenate([episode["actions"] for episode in episodes]),
        rewards=np.concatenate([episode["rewards"] for episode in episodes]),
        offsets=np.cumsum([0] + [len(episode["rewards"]) for episode in episodes]),
        terminated=np.array([episode["terminated"] for episode in episodes]),
        tasks=np.array([episode["task"] for episode in episodes]),
    )
    return TrainingData(columns, spaces, (len(lengths_per_task) - 1,)), episodes


def plain_window(episode: dict, start: int, length: int, stop: int, spaces: Spaces) -> dict[str, np.ndarray]:
    """One left-padded window, step by step."""
    steps = list(range(start, min(start + length, stop, len(episode["rewards"]))))
    window = {
        "observations": np.zeros((length, 3)),
        "next_observations": np.zeros((length, 3)),
        "actions": np.zeros((length, spaces.action_dim)),
        "rewards": np.zeros(length),
        "terminated": np.zeros(length, bool),
        "returns_to_go": np.zeros(length),
        "timesteps": np.zeros(length, int),
        "mask": np.zeros(length, bool),
        "tasks": np.array(episode["task"]),
    }
    for place, step in enumerate(steps, start=length - len(steps)):
        window["observations"][place] = episode["observations"][step]
        window["next_observations"][place] = episode["observations"][step + 1]
        action = episode["actions"][step]
        if spaces.discrete:
            window["actions"][place, action] = 1.0
        else:
            low, high = np.array(spaces.action_low), np.array(spaces.action_high)
            window["actions"][place] = 2 * (action - low) / (high - low) - 1
        window["rewards"][place] = episode["rewards"][step]
        window["returns_to_go"][place] = sum(float(reward) for reward in episode["rewards"][step:])
        window["terminated"][place] = episode["terminated"] and step == len(episode["rewards"]) - 1
        window["timesteps"][place] = step
        window["mask"][place] = True
    return window


few = settings(max_examples=40)
ragged = st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=4), min_size=1, max_size=4)


@few
@given(ragged, st.booleans(), st.integers(1, 15), st.integers(0, 10_000), st.booleans())
def test_windows_equal_a_plain_loop_and_never_cross_episodes(lengths, discrete, length, seed, with_stops):
    data, episodes = make_data(lengths, discrete, seed)
    generator = np.random.default_rng(seed)
    chosen = generator.integers(len(episodes), size=9)
    starts = np.array([generator.integers(len(episodes[e]["rewards"])) for e in chosen])
    stops = starts + generator.integers(0, 8, size=9) if with_stops else np.full(9, 100)
    windows = data.windows(chosen, starts, length, stops=stops if with_stops else None)
    assert windows.observations.dtype == windows.actions.dtype == windows.returns_to_go.dtype == np.float32
    assert windows.timesteps.dtype == windows.tasks.dtype == windows.episodes.dtype == np.int64
    np.testing.assert_array_equal(windows.episodes, chosen)
    for i, (episode, start, stop) in enumerate(zip(chosen, starts, stops, strict=True)):
        expected = plain_window(episodes[episode], start, length, stop, data.spaces)
        for field in FIELDS:
            np.testing.assert_allclose(getattr(windows, field)[i], expected[field], rtol=1e-5, atol=1e-5, err_msg=field)


@few
@given(ragged, st.booleans(), st.integers(1, 15), st.booleans(), st.integers(0, 10_000))
def test_sampled_windows_are_whole_where_asked_and_the_same_on_torch(lengths, discrete, length, full, seed):
    data, episodes = make_data(lengths, discrete, seed)
    windows = data.sample_windows(np.random.default_rng(seed), 20, length, full=full)
    steps = windows.mask.sum(axis=1)
    if full:
        assert (steps == np.minimum([len(episodes[e]["rewards"]) for e in windows.episodes], length)).all()
    assert (steps >= 1).all()
    assert (np.diff(windows.mask.astype(int), axis=1) >= 0).all(), "padding is on the left"
    on_torch = data.to("cpu").sample_windows(np.random.default_rng(seed), 20, length, full=full)
    for field in (*FIELDS, "episodes"):
        values = getattr(on_torch, field)
        assert values.device.type == "cpu"
        np.testing.assert_array_equal(values.numpy(), getattr(windows, field), err_msg=field)
        assert values.numpy().dtype == getattr(windows, field).dtype


@few
@given(ragged, st.booleans(), st.integers(0, 10_000))
def test_transitions_are_windows_of_one_step(lengths, discrete, seed):
    data, _ = make_data(lengths, discrete, seed)
    index = np.random.default_rng(seed).integers(data.num_transitions, size=(3, 5))
    episodes = data.transition_episodes[index]
    starts = index - data.columns.offsets[episodes]
    windows = data.windows(episodes.ravel(), starts.ravel(), 1)
    for single in (data.transitions(index), data.to("cpu").transitions(index)):
        for field in FIELDS[:-1]:
            values, expected = np.asarray(getattr(single, field)), getattr(windows, field)
            assert values.shape[:2] == (3, 5)
            np.testing.assert_array_equal(values.reshape(expected[:, 0].shape), expected[:, 0], err_msg=field)
        np.testing.assert_array_equal(np.asarray(single.tasks), data.columns.tasks[episodes])
    for beyond in (-1, data.num_transitions):
        with pytest.raises(IndexError):
            data.transitions(np.array([0, beyond]))


@few
@given(ragged, st.integers(0, 10_000))
def test_a_batch_by_task_holds_transitions_of_these_tasks_alone(lengths, seed):
    data, _ = make_data(lengths, False, seed)
    tasks = np.random.default_rng(seed).integers(data.num_tasks, size=4)
    batch = data.sample_task_transitions(np.random.default_rng(seed), tasks, 6)
    assert batch.observations.shape == (4, 6, 3) and batch.mask.all()
    assert (batch.tasks == tasks[:, None]).all()
    again = data.to("cpu").sample_task_transitions(np.random.default_rng(seed), tasks, 6)
    np.testing.assert_array_equal(again.rewards, batch.rewards)


def test_a_batch_by_task_reaches_every_transition_of_a_task_about_equally():
    data, _ = make_data([[2], [3, 1], [5]], False)
    batch = data.sample_task_transitions(np.random.default_rng(0), np.array([1]), 4000)
    places = data.columns.offsets[batch.episodes] + batch.timesteps
    values, counts = np.unique(places, return_counts=True)
    assert values.tolist() == [2, 3, 4, 5]
    assert np.abs(counts / 4000 - 1 / 4).max() < 0.03


@few
@given(ragged, st.integers(0, 10_000))
def test_returns_equal_a_plain_loop(lengths, seed):
    data, episodes = make_data(lengths, False, seed)
    expected = [
        sum(float(r) for r in episode["rewards"][step:])
        for episode in episodes
        for step in range(len(episode["rewards"]))
    ]
    np.testing.assert_allclose(data.returns_to_go, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(data.episode_returns, [episode["rewards"].sum(dtype=float) for episode in episodes])


@few
@given(ragged, st.integers(0, 10_000))
def test_same_task_samples_are_of_the_task_and_another_episode_unless_alone(lengths, seed):
    data, episodes = make_data(lengths, False, seed)
    generator = np.random.default_rng(seed)
    chosen = generator.integers(len(episodes), size=30)
    others = data.sample_same_task(generator, chosen, 4)
    assert others.shape == (30, 4)
    for episode, row in zip(chosen, others, strict=True):
        task = episodes[episode]["task"]
        assert all(episodes[other]["task"] == task for other in row)
        assert all((other != episode) == (len(lengths[task]) > 1) for other in row)


def test_same_task_samples_reach_every_other_episode_about_equally():
    data, _ = make_data([[2], [3, 1, 4, 2], [5, 5]], False)
    others = data.sample_same_task(np.random.default_rng(0), np.full(4000, 2), 3)
    values, counts = np.unique(others, return_counts=True)
    assert values.tolist() == [1, 3, 4]
    assert np.abs(counts / counts.sum() - 1 / 3).max() < 0.02


@few
@given(ragged, st.integers(0, 10_000), st.data())
def test_parts_hold_exactly_the_chosen_tasks(lengths, seed, draw):
    data, episodes = make_data(lengths, False, seed)
    tasks = draw.draw(st.sets(st.integers(0, len(lengths) - 1)))
    part = data.part(sorted(tasks))
    kept = [episode for episode in episodes if episode["task"] in tasks]
    assert part.num_episodes == len(kept)
    assert part.num_tasks == len(tasks)
    order = sorted(tasks)
    for i, episode in enumerate(kept):
        start, stop = part.columns.offsets[i], part.columns.offsets[i + 1]
        assert order[part.columns.tasks[i]] == episode["task"]
        assert part.columns.terminated[i] == episode["terminated"]
        np.testing.assert_array_equal(part.columns.observations[start + i : stop + i + 1], episode["observations"])
        np.testing.assert_array_equal(part.columns.actions[start:stop], episode["actions"])
        np.testing.assert_array_equal(part.columns.rewards[start:stop], episode["rewards"])


def test_fitting_and_validation_part_the_data_by_task():
    data, _ = make_data([[3, 4], [5], [6, 1]], False)
    assert data.validation_tasks == (2,)
    assert (data.fitting.num_tasks, data.fitting.num_episodes) == (2, 3)
    assert (data.validation.num_tasks, data.validation.num_episodes) == (1, 2)
    assert data.validation.lengths.tolist() == [6, 1]
    nothing = data.part([])
    assert (nothing.num_tasks, nothing.num_episodes, nothing.num_transitions) == (0, 0, 0)


def test_without_validation_tasks_the_last_of_every_ten_trajectories_of_a_task_validates():
    counts = [10, 25, 9, 2, 1]
    lengths = [[1 + (7 * e) % 12 for e in range(count)] for count in counts]
    made, episodes = make_data(lengths, False)
    data = TrainingData(made.columns, made.spaces, suite_name="some")
    held_out = [{9}, {9, 19}, {8}, {1}, set()]
    by_task = {task: [episode for episode in episodes if episode["task"] == task] for task in range(5)}
    for part, inside in ((data.validation, True), (data.fitting, False)):
        expected = [
            episode
            for task, own in by_task.items()
            for place, episode in enumerate(own)
            if (place in held_out[task]) == inside
        ]
        assert part.suite_name == "some"
        assert part.columns.tasks.tolist() == [episode["task"] for episode in expected]
        np.testing.assert_array_equal(
            part.columns.observations, np.concatenate([episode["observations"] for episode in expected])
        )
        np.testing.assert_array_equal(part.columns.rewards, np.concatenate([e["rewards"] for e in expected]))


def test_held_out_trajectories_are_of_all_behaviours():
    """A mixed task stores its 70 medium trajectories first and its 30 expert ones last."""
    made, _ = make_data([[1] * 100, [1] * 100], False)
    rewards = np.repeat([0.0, 1.0, 0.0, 1.0], [70, 30, 70, 30]).astype(np.float32)
    data = TrainingData(dataclasses.replace(made.columns, rewards=rewards), made.spaces)
    assert (data.validation.num_episodes, data.fitting.num_episodes) == (20, 180)
    assert data.validation.columns.rewards.mean() == pytest.approx(0.3)


def test_one_single_trajectory_of_a_task_is_for_fitting():
    made, _ = make_data([[3]], False)
    data = TrainingData(made.columns, made.spaces)
    assert (data.fitting.num_episodes, data.validation.num_episodes, data.validation.num_tasks) == (1, 0, 0)


def test_observation_statistics():
    data, _ = make_data([[3, 4], [5]], False)
    mean, deviation = data.observation_statistics
    np.testing.assert_allclose(mean, data.columns.observations.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(deviation, data.columns.observations.std(axis=0), rtol=1e-4)


@pytest.mark.filterwarnings("error")
def test_read_only_columns_go_to_torch_without_a_warning_and_are_left_alone():
    data, _ = make_data([[3, 4], [5]], False)
    for values in filter(lambda values: values is not None, vars(data.columns).values()):
        values.flags.writeable = False
    windows = data.to("cpu").sample_windows(np.random.default_rng(0), 4, 6)
    windows.observations.zero_()
    assert np.abs(data.columns.observations).min() > 0


@few
@given(ragged, st.booleans(), st.integers(0, 9))
def test_an_episode_is_what_was_logged_and_a_copy(lengths, discrete, seed):
    data, episodes = make_data(lengths, discrete, seed)
    for place in (data, data.to("cpu")):
        for number, logged in enumerate(episodes):
            episode = place.episode(number)
            for name in ("observations", "actions", "rewards"):
                value = getattr(episode, name)
                assert np.array_equal(value, logged[name]) and value.dtype == logged[name].dtype
                value[:] = 0
            assert (episode.terminated, episode.truncated) == (logged["terminated"], not logged["terminated"])
    assert np.array_equal(data.episode(0).observations, episodes[0]["observations"])
    for number in (-1, len(episodes)):
        with pytest.raises(IndexError, match=f"episode {number}: expected 0 to {len(episodes) - 1}"):
            data.episode(number)
