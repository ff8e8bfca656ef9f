"""Where episodes end: the regression against an optimiser, against refits without a row, and in use."""

import numpy as np
import pytest
import torch
from metabench_baselines.common.planning.termination import BELIEF, PENALTY, EndRegression
from scipy.optimize import minimize

from metabench import load_suite


def drawn(rows: int, seed: int = 0, groups: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Places of three coordinates; episodes end where the second one is far out."""
    places = torch.randn(groups, rows, 3, generator=torch.Generator().manual_seed(seed)).double()
    return places, places[..., 1].abs() > 1.3, torch.ones(groups, rows, dtype=torch.bool)


def features(places: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(places)), places, places**2])


def optimised(places: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The same posterior, by a general optimiser."""
    x = np.vstack([np.eye(7)[[0, 0]], features(places)])
    y, w = np.concatenate([[1, 0], ends]), np.concatenate([BELIEF, np.ones(len(ends))])

    def loss(found: np.ndarray) -> float:
        logits = x @ found
        return float((w * (np.logaddexp(0, logits) - y * logits)).sum() + 0.5 * PENALTY * np.square(found[1:]).sum())

    return minimize(loss, np.zeros(7), method="BFGS", options={"gtol": 1e-8}).x


@pytest.mark.parametrize("rows", [8, 60, 500])
def test_it_finds_the_largest_posterior_density(rows):
    places, ends, valid = drawn(rows)
    found = EndRegression.fit(places, ends, valid).coefficients[0, :, 0].numpy()
    np.testing.assert_allclose(found, optimised(places[0].numpy(), ends[0].numpy()), atol=1e-3)


def test_rows_are_left_out():
    """One step of Newton's method stands for a refit, so it is near and on the same side, not equal."""
    places, ends, valid = drawn(80)
    said = EndRegression.fit(places, ends, valid)
    exact = []
    for row in range(80):
        rest = [other for other in range(80) if other != row]
        without = EndRegression.fit(places[:, rest], ends[:, rest], valid[:, rest])
        exact.append(float(without.logits(places[:, [row]])[0]))
    within, _ = said.logits(places)
    exact = np.array(exact)
    assert np.abs(said.left_out[0].numpy() - exact).mean() < 0.4 * np.abs(within[0].numpy() - exact).mean()
    assert np.corrcoef(said.left_out[0].numpy(), exact)[0, 1] > 0.99


def test_padding_changes_nothing_and_groups_are_apart():
    places, ends, valid = drawn(30, groups=2)
    asked = drawn(5, seed=1, groups=2)[0]
    both = EndRegression.fit(places, ends, valid).logits(asked)
    padded = EndRegression.fit(
        torch.cat([places, 1e3 * torch.ones(2, 4, 3)], 1),
        torch.cat([ends, torch.ones(2, 4, dtype=torch.bool)], 1),
        torch.cat([valid, torch.zeros(2, 4, dtype=torch.bool)], 1),
    ).logits(asked)
    alone = EndRegression.fit(places[:1], ends[:1], valid[:1]).logits(asked[:1])
    for column in range(2):
        torch.testing.assert_close(padded[column], both[column])
        torch.testing.assert_close(alone[column], both[column][:1])


@pytest.mark.parametrize("rows", [0, 1, 40])
def test_where_nothing_ended_ends_are_unlikely_everywhere(rows):
    places, _, valid = drawn(rows)
    likely = EndRegression.fit(places, torch.zeros_like(valid), valid).logits(drawn(50, seed=1)[0])[0].sigmoid()
    assert float(likely.max()) < 0.2
    if rows > 1:
        assert float(likely.max()) < 0.05


def test_three_ends_tell_where_danger_lies():
    """Three episodes of random pushes: danger grows with the pole's angle, and beyond all that was seen."""
    suite = load_suite("cartpole")
    environment, task = suite.environment(), suite.split("test")[0].parameters
    seen, ended, generator = [], [], np.random.default_rng(2)
    for seed in range(3):
        environment.reset([task], [seed])
        while True:
            step = environment.step(suite.spaces.uniform_actions(generator, (1,)))
            seen.append(step.observation[0])
            ended.append(bool(step.terminated[0]))
            if ended[-1]:
                break
    places = torch.from_numpy(np.stack(seen))
    mean, spread = places.mean(0), places.std(0)
    ends = EndRegression.fit(
        ((places - mean) / spread)[None], torch.tensor([ended]), torch.ones(1, len(seen), dtype=torch.bool)
    )
    asked = torch.zeros(1, 5, 4)
    asked[0, :, 2] = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.6])
    likely = ends.logits((asked - mean) / spread)[0][0].sigmoid()
    assert (likely.diff() > 0).all()
    assert likely[0] < 0.05
    assert likely[-1] > 0.9
