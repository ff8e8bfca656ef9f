"""`borel`: beliefs of prefixes, the prior before any step, support in order, relabelled rewards."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from metabench_baselines.borel.config import BorelConfig
from metabench_baselines.borel.model import BeliefEncoder, OutcomeDecoder, RewardModel
from metabench_baselines.borel.objective import belief_loss, draw_places, measure_divergences
from metabench_baselines.borel.trajectories import BeliefSteps, Trajectories, count_trajectories
from metabench_baselines.common.task_inference.encoder import Context, Scales
from torch.distributions import Normal, kl_divergence

from metabench import DataError, Episode, MethodError, Policy, Spaces, Step, TrainingData, TrainingRun, load_method
from metabench.data.columns import Columns

SPACES = Spaces(2, 6, action_low=(-1.0, -1.0), action_high=(1.0, 1.0))
DISCRETE = Spaces(2, 6, num_actions=3)
TASKS, EPISODES = 4, 6
CONFIG = BorelConfig(memory_width=12, embedding_width=8, decoder_width=8, prefixes=5, decoded=7)


def make_data(spaces: Spaces = SPACES, tasks: int = TASKS) -> TrainingData:
    """Episodes of 4 to 6 steps, every other one ended by the task; the reward is (task + 1) times the first coordinate
    of the next observation."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(4, spaces.horizon + 1, tasks * EPISODES)
    owner = np.repeat(np.arange(tasks), EPISODES)
    offsets = np.concatenate([[0], lengths.cumsum()])
    total = int(offsets[-1])
    observations = generator.normal(size=(total + len(lengths), 2)).astype(np.float32)
    after = np.arange(total) + np.repeat(np.arange(len(lengths)), lengths) + 1
    rewards = (np.repeat(owner, lengths) + 1) * observations[after, 0]
    actions = (
        generator.integers(spaces.num_actions, size=total)
        if spaces.discrete
        else generator.uniform(-1, 1, (total, 2)).astype(np.float32)
    )
    ended = np.arange(len(lengths)) % 2 == 0
    columns = Columns(observations, actions, rewards.astype(np.float32), offsets, ended, owner)
    return TrainingData(columns, spaces)


def make_parts(config: BorelConfig = CONFIG) -> tuple[TrainingData, Scales, BeliefEncoder]:
    data = make_data().to("cpu")
    scales = Scales(SPACES)
    scales.fit(data)
    torch.manual_seed(0)
    return data, scales, BeliefEncoder(SPACES, config)


def train(spaces: Spaces = SPACES, **overrides: float) -> Policy:
    method = load_method("borel", preset="tiny", overrides=overrides)
    return method.train(make_data(spaces), TrainingRun(0))


@pytest.fixture(scope="module")
def policy() -> Policy:
    return train(relabelled=0.5)


def step_of(observation: np.ndarray, before: Episode | None, time: int, spaces: Spaces) -> Step:
    lanes = len(observation)
    action, reward = spaces.null_actions(lanes), np.zeros(lanes, np.float32)
    if before is not None:
        action = np.repeat(before.actions[time - 1 : time], lanes, 0)
        reward = np.repeat(before.rewards[time - 1 : time], lanes, 0)
    always = np.ones(lanes, bool)
    return Step(observation.astype(np.float32), action, reward, np.full(lanes, time), always, always)


def play(policy: Policy, episode: Episode, lanes: int = 1, spaces: Spaces = SPACES) -> np.ndarray:
    """Actions while the episode's first steps are seen."""
    actions = []
    for time in range(len(episode)):
        seen = np.repeat(episode.observations[time : time + 1], lanes, 0)
        actions.append(policy.act(step_of(seen, episode if time else None, time, spaces)))
    return np.stack(actions)


def test_the_belief_of_no_step_is_the_prior() -> None:
    data, scales, encoder = make_parts()
    trajectories = Trajectories(CONFIG, data, scales, None)
    path = trajectories.draw(np.random.default_rng(0), np.arange(TASKS))
    beliefs = encoder.read(trajectories.read(path))
    mean, log_variance = beliefs[:, 0].chunk(2, dim=-1)
    assert torch.equal(mean, torch.zeros_like(mean))
    assert torch.equal(log_variance.exp(), torch.ones_like(mean))
    assert beliefs[:, 1:].abs().min() > 0


def test_step_by_step_the_memory_is_that_of_the_whole_prefix() -> None:
    data, scales, encoder = make_parts()
    trajectories = Trajectories(CONFIG, data, scales, None)
    steps = trajectories.read(trajectories.draw(np.random.default_rng(0), np.arange(TASKS)))
    parts = (steps.observations, steps.actions, steps.rewards, steps.changes)
    whole, last = encoder(*parts)
    memory = None
    for place in range(whole.shape[1]):
        belief, memory = encoder(*(part[:, place : place + 1] for part in parts), memory)
        torch.testing.assert_close(belief[:, 0], whole[:, place], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(memory, last, rtol=1e-5, atol=1e-6)


def test_divergences_are_those_between_gaussians() -> None:
    beliefs = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
    mean, deviation = beliefs[..., :4], (0.5 * beliefs[..., 4:]).exp()
    now, before = (Normal(mean[:, part], deviation[:, part]) for part in (slice(1, None), slice(-1)))
    torch.testing.assert_close(measure_divergences(beliefs), kl_divergence(now, before).sum(-1))


def test_places_are_within_their_counts() -> None:
    places = draw_places(torch.tensor([[1.0], [3.0], [40.0]]), 500)
    assert places.min() == 0
    assert places.amax(1).tolist() == [0, 2, 39]


def test_padding_changes_no_loss() -> None:
    _, _, encoder = make_parts()
    decoder = OutcomeDecoder(SPACES, CONFIG)
    generator = torch.Generator().manual_seed(0)
    steps = [torch.randn(2, 9, size, generator=generator) for size in (2, 2, 1, 2)]
    weights = (torch.arange(9) < torch.tensor([[9], [5]])).float()
    losses = []
    for value in (0.0, 7.0):
        observations, actions, rewards, changes = (
            torch.where(weights.unsqueeze(-1) > 0, each, torch.full_like(each, value)) for each in steps
        )
        context = Context(observations, actions, rewards, changes, weights, torch.zeros(2).long())
        torch.manual_seed(1)
        losses.append(belief_loss(encoder, decoder, context, CONFIG)[0])
    torch.testing.assert_close(*losses)


def test_trajectories_are_whole_episodes_of_one_task() -> None:
    data, scales, _ = make_parts()
    path = Trajectories(CONFIG, data, scales, None).draw(np.random.default_rng(0), np.repeat(np.arange(TASKS), 20))
    for row, length in enumerate(path.lengths):
        index = path.index[row, :length]
        episodes = data.transition_episodes[index]
        assert (data.columns.tasks[episodes] == path.tasks[row]).all()
        begins = np.flatnonzero(np.isin(index, data.columns.offsets))
        starts = begins[:2] if len(begins) > 2 else begins
        assert len(starts) == CONFIG.episodes
        whole = [np.arange(*data.columns.offsets[episodes[start] : episodes[start] + 2]) for start in starts]
        np.testing.assert_array_equal(index, np.concatenate(whole))
        assert (path.index[row, length:] == index[-1]).all()


def test_relabelled_trajectories_have_the_rewards_of_the_model_for_their_task() -> None:
    config = CONFIG.model_copy(update={"relabelled": 0.5})
    data, scales, _ = make_parts()
    model = RewardModel(SPACES, TASKS, 8)
    trajectories = Trajectories(config, data, scales, model)
    path = trajectories.draw(np.random.default_rng(0), np.repeat(np.arange(TASKS), 20))
    sources = data.columns.tasks[data.transition_episodes[path.index[:, 0]]]
    assert ((sources != path.tasks) == path.relabelled).all()
    assert 0.3 < path.relabelled.mean() < 0.7
    steps = trajectories.read(path)
    assert steps.tasks.tolist() == path.tasks.tolist()
    with torch.no_grad():
        modelled = model(steps.observations, steps.actions, steps.changes, steps.tasks)
    logged = data.transitions(path.index).rewards / scales.get_buffer("reward")
    chosen = torch.as_tensor(path.relabelled)
    torch.testing.assert_close(steps.rewards[chosen], modelled[chosen])
    torch.testing.assert_close(steps.rewards[~chosen][..., 0], logged[~chosen])


def test_kept_steps_have_their_beliefs_and_lead_into_the_next_episode() -> None:
    config = CONFIG.model_copy(update={"kept_trajectories": 5})
    data, scales, encoder = make_parts()
    trajectories = Trajectories(config, data, scales, None)
    kept = BeliefSteps(config, data, trajectories, encoder, np.random.default_rng(3))
    batch = kept.draw(np.random.default_rng(4), 400, scales)
    # The same trajectories, one by one, and every step of theirs by the words of the contract.
    path = trajectories.draw(np.random.default_rng(3), np.repeat(np.arange(TASKS), 5))
    with torch.no_grad():
        beliefs = encoder.read(trajectories.read(path))
    found = defaultdict(list)  # trajectories that begin alike share states
    for row, length in enumerate(path.lengths):
        for place in range(length):
            index = path.index[row, place]
            episode = data.transition_episodes[index]
            start, stop = data.columns.offsets[episode : episode + 2]
            observation, time = data.columns.observations[index + episode + 1], index - start + 1
            if index == stop - 1 and place < length - 1:
                following = data.transition_episodes[path.index[row, place + 1]]
                observation = data.columns.observations[data.columns.offsets[following] + following]
                time = 0
            ended = index == stop - 1 and data.columns.terminated[episode]
            state = scales.describe_state(
                torch.as_tensor(data.columns.observations[[index + episode]]),
                torch.tensor([index - start]),
                beliefs[row, [place]],
            )
            after = scales.describe_state(
                torch.as_tensor(observation[None]), torch.tensor([time]), beliefs[row, [place + 1]]
            )
            found[tuple(np.round(state[0].tolist(), 3))].append((after[0], 1.0 - ended))
    assert len(batch.state) == 400
    for state, after, continues in zip(batch.state, batch.next_state, batch.continues, strict=True):
        known = found[tuple(np.round(state.tolist(), 3))]
        assert any(torch.allclose(after, expected, atol=1e-4) and continues == goes_on for expected, goes_on in known)


def test_memory_for_beliefs_is_bounded() -> None:
    data = make_data()
    assert count_trajectories(CONFIG, data) == CONFIG.kept_trajectories
    few = CONFIG.model_copy(update={"kept_steps": 7 * 2 * 6 * TASKS})
    assert count_trajectories(few, data) == 7
    assert count_trajectories(CONFIG.model_copy(update={"kept_steps": 1}), data) == 1


def test_support_is_read_in_order_and_before_the_episode(policy: Policy) -> None:
    data = make_data()
    first, second, own = (data.episode(index) for index in (0, 7, 13))

    def act_after(support: list[Episode]) -> np.ndarray:
        policy.reset([5], [0])
        if support:
            policy.adapt({5: support})
        return play(policy, own)

    joined = Episode(
        np.concatenate([first.observations, second.observations[1:]]),
        np.concatenate([first.actions, second.actions]),
        np.concatenate([first.rewards, second.rewards]),
        False,
        True,
    )
    both = act_after([first, second])
    assert np.abs(both - act_after([second, first])).max() > 1e-6
    assert np.abs(both - act_after([])).max() > 1e-6
    # What is read as one episode differs by its step across the reset alone, so it is another belief.
    assert np.abs(both - act_after([joined])).max() > 1e-7


def test_a_group_knows_nothing_of_others(policy: Policy) -> None:
    data = make_data()
    own = data.episode(13)
    supports = {0: [data.episode(1)], 1: [data.episode(8), data.episode(9)]}
    policy.reset([0, 1, 2], [0, 1, 2])
    policy.adapt(supports)
    together = play(policy, own, lanes=3)
    policy.reset([0, 1, 2], [0, 1, 2])
    policy.adapt({0: supports[0]})
    alone = play(policy, own, lanes=3)
    np.testing.assert_array_equal(together[:, 0], alone[:, 0])
    np.testing.assert_array_equal(together[:, 2], alone[:, 2])
    assert np.abs(together[:, 1] - alone[:, 1]).max() > 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("spaces", [SPACES, DISCRETE])
def test_saved_and_loaded_it_acts_the_same(spaces: Spaces, tmp_path: Path) -> None:
    trained = train(spaces)
    trained.save(tmp_path)
    loaded = load_method("borel", preset="cpu").load(tmp_path, spaces)
    data = make_data(spaces)
    results = []
    for each in (trained, loaded):
        each.reset([0, 1], [0, 1])
        each.adapt({0: [data.episode(3)]})
        results.append(play(each, data.episode(4), 2, spaces))
    np.testing.assert_array_equal(*results)
    assert loaded.parameter_count() == trained.parameter_count() > 0
    assert loaded.task_codes([data.episode(0), data.episode(9)], 3).shape == (2, 5)
    with pytest.raises(DataError, match="expected Spaces"):
        load_method("borel").load(tmp_path, replace(spaces, horizon=9))
    with pytest.raises(DataError, match="not a policy of macaw-lite"):
        load_method("macaw-lite").load(tmp_path, spaces)


def test_one_training_task_is_refused_in_one_line() -> None:
    with pytest.raises(MethodError, match=r"^the data: a belief over tasks needs at least 2 .* found 1; [^\n]*$"):
        load_method("borel", preset="tiny").train(make_data(tasks=1), TrainingRun(0))


@pytest.mark.slow
def test_the_belief_learns_to_tell_tasks_by_their_rewards() -> None:
    data = make_data()
    columns = data.columns
    told = (columns.tasks[data.transition_episodes] - 1.5).astype(np.float32)  # a task has one reward, always
    data = TrainingData(replace(columns, rewards=told), SPACES)
    run = TrainingRun(0)
    overrides = {"belief_updates": 100, "updates": 1, "belief_learning_rate": 0.01, "change_weight": 0}
    policy = load_method("borel", preset="tiny", overrides=overrides).train(data, run)
    errors = [row["reward_error"] for row in run.curve if row["stage"] == "belief"]
    assert np.mean(errors[-5:]) < 0.4 * errors[0]  # a prefix of no step tells nothing, so that some is left
    codes = policy.task_codes([data.episode(index) for index in range(data.num_episodes)], SPACES.horizon)
    codes = codes.reshape(TASKS, EPISODES, -1)
    within, between = codes.var(1).sum(-1).mean(), codes.mean(1).var(0).sum()
    assert between > 10 * within
