"""MDN-RNN: mixtures against SciPy, sequences against the data, what planted dynamics teach it, and who reads what."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metabench_baselines.common.planning.rows import branch_lanes
from metabench_baselines.common.world_models.contract import Seen
from metabench_baselines.common.world_models.mdn_rnn.config import MdnRnnConfig
from metabench_baselines.common.world_models.mdn_rnn.model import MdnRnnModel
from metabench_baselines.common.world_models.mdn_rnn.networks import MdnRnn, Mixture
from metabench_baselines.common.world_models.mdn_rnn.sequences import draw_sequences
from metabench_baselines.common.world_models.mdn_rnn.train import mixture_loss, train_mdn_rnn
from metabench_baselines.common.world_models.policy import WorldModelPolicy
from scipy import stats
from scipy.special import expit, logsumexp

from metabench import Columns, Episode, Spaces, TrainingData, TrainingRun

PLANE = Spaces(observation_dim=2, horizon=12, action_low=(-1.0, -1.0), action_high=(1.0, 1.0))
SMALL = {"width": 32, "sequence": 40, "segment": 12, "support_steps": 24, "updates": 500, "learning_rate": 1e-2}
WINDS = (-0.2, -0.15, -0.1, -0.05, 0.05, 0.1, 0.15, 0.2)


def make_data(winds, episodes=12, length=12, seed=0):
    """Tasks in which a point moves by a tenth of the action and is blown along; it earns its first coordinate."""
    generator = np.random.default_rng(seed)
    count = len(winds) * episodes
    wind = np.repeat(np.asarray(winds, np.float32), episodes)[:, None]
    states = [generator.normal(size=(count, 2)).astype(np.float32)]
    actions = generator.uniform(-1, 1, size=(length, count, 2)).astype(np.float32)
    for action in actions:
        states.append(states[-1] + 0.1 * action + wind)
    observations = np.stack(states, 1)
    return TrainingData(
        Columns(
            observations=observations.reshape(-1, 2),
            actions=actions.transpose(1, 0, 2).reshape(-1, 2),
            rewards=observations[:, 1:, 0].ravel(),
            offsets=np.arange(count + 1) * length,
            terminated=np.zeros(count, bool),
            tasks=np.repeat(np.arange(len(winds)), episodes),
        ),
        PLANE,
    )


def list_episodes(wind, count, seed=9):
    data = make_data([wind], episodes=count, seed=seed)
    return [data.episode(number) for number in range(count)]


def cut(episode, steps):
    return Episode(episode.observations[: steps + 1], episode.actions[:steps], episode.rewards[:steps], False, False)


def make_network(data=None, **settings):
    torch.manual_seed(0)
    network = MdnRnn(PLANE, MdnRnnConfig(**{**SMALL, **settings}))
    if data is not None:
        network.scales.fit(data, network.config.reach)
    return network


@pytest.fixture(scope="module")
def trained():
    network = make_network()
    train_mdn_rnn(network, make_data(WINDS), TrainingRun(0))
    return network


def draw_mixture(shape=(4, 3), count=5):
    generator = torch.Generator().manual_seed(1)
    logits, means, spread = (torch.randn(*shape, count, generator=generator) for _ in range(3))
    return Mixture(logits.log_softmax(-1), means, 0.5 * spread)


def test_a_mixtures_density_mean_and_variance_are_those_of_its_parts():
    mixture = draw_mixture()
    outcome = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))
    weights = mixture.log_weights.exp().numpy()
    parts = stats.norm(mixture.means.numpy(), mixture.log_deviations.exp().numpy())
    density = logsumexp(parts.logpdf(outcome.numpy()[..., None]), b=weights, axis=-1)
    np.testing.assert_allclose(mixture.measure_density(outcome).numpy(), density, rtol=1e-5)
    grid = np.linspace(-60, 60, 24001)
    weighed = (weights[..., None, :] * parts.pdf(grid[:, None, None, None]).transpose(1, 2, 0, 3)).sum(-1)
    mean = np.trapezoid(weighed * grid, grid, axis=-1)
    variance = np.trapezoid(weighed * (grid - mean[..., None]) ** 2, grid, axis=-1)
    np.testing.assert_allclose(mixture.find_mean().numpy(), mean, atol=1e-4)
    np.testing.assert_allclose(mixture.find_variance().numpy(), variance, rtol=1e-3)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.5])
def test_draws_have_the_moments_of_the_tempered_mixture(temperature):
    mixture, count = draw_mixture((2,)), 50_000
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(count, 2, 5, generator=generator)
    drawn = Mixture(*(each.expand(count, -1, -1) for each in vars(mixture).values())).draw(
        temperature, -(-uniform.log()).log(), torch.randn(count, 2, generator=generator)
    )
    weights = (mixture.log_weights / temperature).softmax(-1)
    mean = (weights * mixture.means).sum(-1)
    spread = temperature * (2 * mixture.log_deviations).exp() + (mixture.means - mean[:, None]).square()
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.04, rtol=0.04)
    torch.testing.assert_close(drawn.var(0), (weights * spread).sum(-1), atol=0.04, rtol=0.04)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_loss_is_that_of_a_plain_loop(weight):
    data = make_data(WINDS)
    network = make_network(data, variance_weight=weight, sequence=25).requires_grad_(False)
    batch = draw_sequences(data, network.config, np.random.default_rng(0), 3)
    loss, info = mixture_loss(network, batch)
    total, plain = [], []
    for place in range(3):
        state, reward = network.begin(1), torch.zeros(1, 1)
        for time in range(25):
            state = type(state)(state.hidden, state.cell, reward, batch.fresh[time, place][None])
            state = network.step(state, batch.observations[time, place][None], batch.actions[time, place][None])
            mixture, end = network.say(state.hidden)
            reward = network.scale_reward(batch.rewards[time, place][None])
            change = batch.next_observations[time, place] - batch.observations[time, place]
            scales = network.scales
            outcome = np.append((change - scales.change_mean) / scales.change, reward[0])
            parts = stats.norm(mixture.means[0].numpy(), mixture.log_deviations[0].exp().numpy())
            surprise = -logsumexp(parts.logpdf(outcome[:, None]), b=mixture.log_weights[0].exp().numpy(), axis=-1)
            plain.append(surprise)
            ended = -np.log(1 - expit(float(end[0])))
            total.append((surprise * mixture.find_variance()[0].numpy() ** weight).sum() + ended)
    assert float(loss) == pytest.approx(np.mean(total), rel=1e-4)
    assert float(info["surprise"]) == pytest.approx(np.mean(plain), rel=1e-4)


@pytest.mark.parametrize("from_start", [False, True])
def test_sequences_are_whole_parts_of_episodes_of_one_task(from_start):
    data = make_data(WINDS, length=12)
    config = MdnRnnConfig(**{**SMALL, "segment": 5, "support_steps": 20})
    batch = draw_sequences(data, config, np.random.default_rng(0), 40, from_start=from_start)
    fresh = batch.fresh[..., 0].bool()
    assert fresh[0].all()
    follows = (batch.observations[1:] == batch.next_observations[:-1]).all(-1)
    assert (follows | fresh[1:]).all()
    wind = batch.next_observations - batch.observations - 0.1 * batch.actions
    assert (wind - wind[:1]).abs().max() < 1e-4
    assert set(batch.support.tolist()) == {0, 5, 10, 15, 20}
    starts = {tuple(data.episode(number).observations[0]) for number in range(data.num_episodes)}
    own = [tuple(batch.observations[int(step), place].tolist()) for place, step in enumerate(batch.support)]
    share = np.mean([each in starts for each in own])
    assert share == 1.0 if from_start else 0.3 < share < 1.0
    for place, support in enumerate(batch.support.tolist()):
        assert fresh[:support, place].nonzero()[:, 0].tolist() == list(range(0, support, 5))


def measure_error(network, wind, shots, seen, ahead=5):
    """Root of the squared error, as a share of that of no change."""
    policy = WorldModelPolicyOf(network)
    episodes = list_episodes(wind, 8 + shots)
    policy.reset([0] * 8, range(8))
    if shots:
        policy.adapt({0: episodes[8:]})
    actions = np.stack([episode.actions[seen : seen + ahead] for episode in episodes[:8]])
    said = policy.predict([cut(episode, seen) for episode in episodes[:8]], actions)
    true = np.stack([episode.observations[seen + 1 : seen + ahead + 1] for episode in episodes[:8]])
    still = np.stack([episode.observations[seen] for episode in episodes[:8]])[:, None]
    inside = np.abs(said.observations - true) < 1.96 * said.observation_deviations
    return float(np.sqrt(np.square(said.observations - true).sum() / np.square(true - still).sum())), inside.mean()


class WorldModelPolicyOf(WorldModelPolicy):
    def __init__(self, network):
        super().__init__(MdnRnnModel(network), PLANE)

    def act(self, step):
        raise NotImplementedError

    def save(self, folder):
        raise NotImplementedError


@pytest.mark.slow
def test_planted_dynamics_are_learned_and_told_by_support_and_by_own_steps(trained):
    for wind in (-0.12, 0.12):
        error, inside = measure_error(trained, wind, shots=2, seen=0)
        assert error < 0.45
        assert inside > 0.6
        assert measure_error(trained, wind, shots=0, seen=7)[0] < 0.6
        assert measure_error(trained, wind, shots=0, seen=0)[0] > 0.85


@pytest.mark.slow
def test_lanes_know_their_own_support_and_steps_alone(trained):
    model, episodes = MdnRnnModel(trained), list_episodes(0.1, 3)
    both = model.read_support(model.begin(3), torch.tensor([1, 2]), episodes)
    alone = model.read_support(model.begin(1), torch.tensor([0]), episodes)
    for name, value in vars(both).items():
        torch.testing.assert_close(value[1:2], getattr(alone, name), atol=1e-5, rtol=1e-4)
        assert torch.equal(value[:1], getattr(model.begin(1), name))
    step = [torch.randn(3, 2), torch.rand(3, 2), torch.randn(3), torch.randn(3, 2)]
    after = model.take_in(both, Seen(*step, torch.tensor([False, True, True])))
    single = model.take_in(alone, Seen(*(each[1:2] for each in step), torch.tensor([True])))
    for name, value in vars(after).items():
        torch.testing.assert_close(value[1:2], getattr(single, name), atol=1e-5, rtol=1e-4)
        assert torch.equal(value[:1], getattr(both, name)[:1])
    # What prediction and acting read is the same: one step at a time, or a whole part.
    stepped = model.begin(1)
    for time in range(12):
        row = (episodes[0].observations, episodes[0].actions, episodes[0].rewards, episodes[0].observations[1:])
        stepped = model.take_in(stepped, Seen(*(torch.tensor(each[time])[None] for each in row), torch.tensor([True])))
    whole = model.read_support(model.begin(1), torch.tensor([0]), episodes[:1])
    torch.testing.assert_close(stepped.hidden, whole.hidden, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(stepped.reward, whole.reward)


@pytest.mark.slow
def test_branches_do_not_touch_each_other_and_stay_near_the_data(trained):
    model = MdnRnnModel(trained)
    state = model.imagine_from(model.begin(3), torch.tensor([[1e30, 0.0], [0.5, -1e30], [float("nan"), 0.0]]))
    branched, actions = branch_lanes(state, 2), 2 * torch.rand(1, 6, 2) - 1
    together, apart = model(branched, actions), model(state, actions[:, ::2])
    torch.testing.assert_close(together.next_observations[:, ::2], apart.next_observations, atol=1e-5, rtol=1e-4)
    for _ in range(60):
        seen = model(branched, actions)
        branched = seen.following
        for part in (seen.next_observations, seen.deviations, seen.rewards, seen.reward_deviations, seen.ends):
            assert part.isfinite().all()
    columns = make_data(WINDS).columns
    reach = trained.config.reach * np.ptp(columns.observations, 0) / 2 + np.abs(columns.observations).max(0)
    assert (seen.next_observations[0].abs().numpy() <= reach).all()


def test_of_long_supports_parts_are_read_and_of_empty_ones_nothing():
    model = MdnRnnModel(make_network(make_data(WINDS)))
    episodes = list_episodes(0.1, 8)
    begun = model.begin(1)
    assert model.read_support(begun, torch.tensor([0]), [cut(episodes[0], 0)]) is begun
    long = model.read_support(begun, torch.tensor([0]), episodes)
    wanted = model.read_support(begun, torch.tensor([0]), [episodes[0], episodes[7]])
    torch.testing.assert_close(long.hidden, wanted.hidden)  # 24 of 96 steps: two segments, the first and the last


def test_a_support_as_long_as_the_sequence_is_refused_in_one_line():
    with pytest.raises(ValueError, match="support_steps: expected less than sequence 128, found 128"):
        MdnRnnConfig(support_steps=128)
