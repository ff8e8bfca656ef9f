"""The prior: what its environments must have in common with those that methods are tested in."""

import pytest
import torch
from metabench_baselines.common.synthetic_prior.prior import Prior
from metabench_baselines.common.synthetic_prior.statistics import action_shares, describe_prior, lag_correlations


@pytest.fixture(scope="module")
def data():
    return Prior(12, 4, torch.Generator().manual_seed(0)).draw(200, 10, 50)


def test_everything_is_finite_and_unused_slots_are_empty(data):
    for values in (data.observations, data.next_observations, data.actions, data.rewards):
        assert values.isfinite().all()
    assert (data.observations * ~data.state_used[:, None] == 0).all()
    assert (data.actions * ~data.action_used[:, None] == 0).all()
    assert data.actions.abs().max() <= 1.0
    assert data.state_used.any(1).all()
    assert data.action_used.any(1).all()


def test_steps_of_an_episode_follow_each_other_up_to_noise(data):
    """Where there is no noise, what a step led to is what the next one starts from, to the last bit."""
    follows = data.episodes[1:] == data.episodes[:-1]
    assert torch.equal(data.next_observations[:, :-1][:, follows], data.observations[:, 1:][:, follows])


def test_states_are_slow_and_actions_matter(data):
    """The published prior: a median correlation of 0.15, and actions that explain 4e-5 of the variance."""
    described = describe_prior(data)
    assert described["lag-1 correlation, quantile 0.25"] > 0.9
    assert described["action's share, quantile 0.5"] > 0.01
    shares = action_shares(data.observations, data.actions, data.next_observations)
    strongest = torch.where(data.state_used & ~shares.isnan(), shares, 0.0).amax(1)
    assert (strongest > 1e-3).float().mean() > 0.85  # of environments: some dimension is moved by the actions


def test_the_statistics_are_those_of_known_dynamics():
    generator = torch.Generator().manual_seed(0)
    state, action = (torch.randn(1, 4000, 2, generator=generator) for _ in range(2))
    noise = torch.randn(1, 4000, 2, generator=generator)
    after = state + torch.stack([3.0 * action[..., 0] + 4.0 * noise[..., 0], 0.1 * noise[..., 1]], 2)
    shares = action_shares(state, action, after)[0]
    assert float(shares[0]) == pytest.approx(9 / 25, abs=0.03)
    assert float(shares[1]) < 0.01
    correlations = lag_correlations(state, after)[0]
    assert float(correlations[0]) == pytest.approx(1 / 26**0.5, abs=0.05)
    assert float(correlations[1]) > 0.99


def test_half_of_the_environments_end_some_episodes(data):
    ending = data.ends.any(1)
    assert 0.3 < ending.float().mean() < 0.7
    assert data.ends[ending].float().mean() < 0.3


def test_what_ends_an_episode_shows(data):
    """Ends are a function of what is observed after the step: beyond the limit of some dimension, and only there."""
    for environment in torch.nonzero(data.ends.any(1))[:20, 0]:
        after, ends = data.next_observations[environment], data.ends[environment]
        inside = after[~ends]
        below, above = after[ends] < inside.amin(0), after[ends] > inside.amax(0)
        middle = (after[ends] - inside.mean(0)).abs() > (inside - after.mean(0)).abs().amax(0) - 1e-4
        assert (below | above | middle).any(1).float().mean() > 0.5


def test_behaviour_differs_between_episodes(data):
    """Held actions repeat, uniformly random ones do not."""
    actions = data.actions.view(200, 10, 50, -1)
    repeats = (actions[:, :, 1:] == actions[:, :, :-1]).all(3).float().mean(2)
    assert (repeats > 0.4).any(1).float().mean() > 0.5
    assert (repeats < 0.1).any(1).float().mean() > 0.5


def test_the_same_generator_draws_the_same():
    first, second = (Prior(6, 2, torch.Generator().manual_seed(3)).draw(4, 3, 10) for _ in range(2))
    assert torch.equal(first.observations, second.observations)
    assert torch.equal(first.rewards, second.rewards)
    assert torch.equal(first.ends, second.ends)
