"""Sums over the informative rows of a large context against the exact equations."""

import numpy as np
import pytest
import torch
from metabench_baselines.common.planning.rows import Transitions, batch_transitions
from metabench_baselines.fitted_models.informative_rows import choose_rows, fit_in_parts, solve_by_rows
from metabench_baselines.fitted_models.model import GaussianProcessReader

NOISE = 1e-4


def radial(a, b):
    return np.exp(-0.5 * ((a[:, None] - b[None]) ** 2).sum(2))


def draw(rows, seed=0):
    return np.random.default_rng(seed).uniform(-2.0, 2.0, size=(rows, 2))


def wave(places):
    return np.stack([np.sin(places[:, 0]) * places[:, 1], np.cos(places[:, 1])], 1)


def solve(places, most, padding=0):
    """Means and variances at 50 other places by `solve_by_rows`."""
    rows, queries = len(places), draw(50, seed=9)
    kernel, targets = np.zeros((1, rows + padding, rows + padding)), np.zeros((1, rows + padding, 2))
    kernel[0, :rows, :rows], targets[0, :rows] = radial(places, places), wave(places)
    keep = np.arange(rows + padding)[None, :, None] < rows
    given = (torch.from_numpy(each) for each in (kernel, np.full((1, 1, 1), NOISE), targets, keep.astype(float)))
    solution = solve_by_rows(*given, most)
    across = torch.zeros(1, 50, rows + padding, dtype=torch.float64)
    across[0, :, :rows] = torch.from_numpy(radial(queries, places))
    near = across.gather(2, solution.chosen[:, None].expand(-1, 50, -1))
    variance = 1.0 - (near @ solution.explained).square().sum(2)
    return (near @ solution.weights)[0].numpy(), variance[0].numpy()


def solve_exactly(places):
    queries = draw(50, seed=9)
    across = radial(queries, places)
    inverse = np.linalg.inv(radial(places, places) + NOISE * np.eye(len(places)))
    return across @ inverse @ wave(places), 1.0 - np.einsum("qi,ij,qj->q", across, inverse, across)


@pytest.mark.parametrize("padding", [0, 7])
def test_few_rows_are_solved_exactly(padding):
    found, expected = solve(draw(40), most=100, padding=padding), solve_exactly(draw(40))
    np.testing.assert_allclose(found[0], expected[0], atol=1e-8)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-8)


@pytest.mark.parametrize("padding", [0, 7])
def test_half_of_many_rows_say_what_all_do(padding):
    found, expected = solve(draw(160), most=80, padding=padding), solve_exactly(draw(160))
    np.testing.assert_allclose(found[0], expected[0], atol=2e-3)
    np.testing.assert_allclose(np.sqrt(found[1].clip(0)), np.sqrt(expected[1]), atol=5e-3)


def test_the_rows_that_sums_go_over_are_regressed_on_with_all_others():
    """Twenty rows of a noisy plane, each seen eight times: the chosen ones alone would keep their noise."""
    places = np.repeat(draw(20), 8, 0)
    noisy = places.sum(1) + np.random.default_rng(1).normal(size=160)
    kernel = torch.from_numpy(1.0 + places @ places.T)[None]
    keep, penalty = torch.ones(1, 160, 1).double(), torch.ones(1, 1, 1).double()
    solution = solve_by_rows(kernel, penalty, torch.from_numpy(noisy)[None, :, None], keep, 20)
    said = (kernel.gather(1, solution.chosen[..., None].expand(-1, -1, 160)).mT @ solution.weights)[0, :, 0].numpy()
    exact = kernel[0].numpy() @ np.linalg.solve(kernel[0].numpy() + np.eye(160), noisy)
    np.testing.assert_allclose(said, exact, atol=1e-2)


def test_the_chosen_rows_leave_less_unexplained_than_any_others():
    places = np.concatenate([draw(100) * 0.1, draw(30)])  # most lie in one corner
    kernel = torch.from_numpy(radial(places, places))[None]
    chosen = choose_rows(kernel, 30)[0].numpy()
    assert len(set(chosen.tolist())) == 30

    def unexplained(rows):
        across = radial(places, places[rows])
        return np.trace(kernel[0].numpy() - across @ np.linalg.pinv(radial(places[rows], places[rows])) @ across.T)

    others = np.random.default_rng(0)
    assert unexplained(chosen) < min(unexplained(others.permutation(130)[:30]) for _ in range(20))


def test_what_is_fitted_in_parts_is_what_is_fitted_at_once():
    rows = torch.rand(5, 300, 3, dtype=torch.float64)
    sums = fit_in_parts(lambda each, other: each.sum((1, 2)) + other, rows, torch.arange(5.0))
    torch.testing.assert_close(sums, rows.sum((1, 2)) + torch.arange(5.0))


def test_a_process_of_a_large_context_predicts_as_well_and_does_not_mind_company():
    generator = np.random.default_rng(0)
    state, action = generator.uniform(-2, 2, size=(500, 2)), generator.uniform(-1, 1, size=(500, 1))
    after = state + 0.1 * np.concatenate([np.sin(state[:, 1:]), action], 1)
    columns = (state, action, after, np.cos(state[:, 0]))
    rows = Transitions(*(each.astype(np.float32) for each in columns), np.zeros(500, bool))
    large, small, held_out = (rows.select(np.arange(*each)) for each in ((0, 400), (0, 230), (400, 500)))
    reader, asked = GaussianProcessReader(), batch_transitions([held_out])
    alone = reader.read(batch_transitions([small]))(asked.observations, asked.actions)
    asked = batch_transitions([held_out] * 2)
    both = reader.read(batch_transitions([small, large]))(asked.observations, asked.actions)
    for group in range(2):
        wrong = (both.next_observations[group] - asked.next_observations[group]).square().mean().sqrt()
        still = (asked.observations[group] - asked.next_observations[group]).square().mean().sqrt()
        assert wrong < 0.02 * still
        assert (both.rewards[group] - asked.rewards[group]).abs().mean() < 0.02
    # Padded or not, there are as many sums, but for contexts beyond twice as many rows.
    torch.testing.assert_close(alone.next_observations[0], both.next_observations[0], atol=1e-3, rtol=0)
