"""The published prior: what its environments are like, with its defects and without."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from metabench_baselines.oswm_published.prior import EPISODE, NETWORK, POSITION, UNUSED, VELOCITY, PublishedPrior
from metabench_baselines.oswm_published.worlds import PublishedRandomness, RandomNetworks
from torch import nn

ENVIRONMENTS, ROWS, STATES, ACTIONS = 200, 510, 11, 3


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Drawn:
    """Environments as NumPy arrays: before, actions, after, rewards, kinds."""

    def __init__(self, environments: int = ENVIRONMENTS, rows: int = ROWS, **options: bool) -> None:
        data = PublishedPrior(generator(), **options).draw(environments, rows)
        inputs, outputs = data.inputs.double().numpy(), data.outputs.double().numpy()
        self.before, self.actions, self.after = inputs[..., :STATES], inputs[..., STATES:], outputs[..., :STATES]
        self.empty, self.rewards, self.kinds = outputs[..., STATES:-1], outputs[..., -1], data.kinds.numpy()

    def correlations(self) -> np.ndarray:
        """`(E, S)` of a slot before and after a step; NaN where it is constant."""
        one, two = self.before - self.before.mean(1, keepdims=True), self.after - self.after.mean(1, keepdims=True)
        with np.errstate(invalid="ignore"):
            return (one * two).sum(1) / np.sqrt((one**2).sum(1) * (two**2).sum(1))

    def action_shares(self) -> np.ndarray:
        """`(E, S)` share of the variance after a step that the action explains, linearly, beside the state."""
        shares = np.full(self.kinds.shape, np.nan)
        for number, after in enumerate(self.after):
            state = np.column_stack([self.before[number], np.ones(len(after))])
            errors = [
                ((after - x @ np.linalg.lstsq(x, after, rcond=None)[0]) ** 2).sum(0)
                for x in (state, np.column_stack([state, self.actions[number]]))
            ]
            total = ((after - after.mean(0)) ** 2).sum(0)
            shares[number, total > 1e-9] = ((errors[0] - errors[1]) / total.clip(1e-9))[total > 1e-9]
        return shares


@pytest.fixture(scope="module")
def faulty() -> Drawn:
    return Drawn()


@pytest.fixture(scope="module")
def mended() -> Drawn:
    return Drawn(defects=False)


@pytest.fixture(scope="module")
def networks() -> Drawn:
    return Drawn(momentum=False)


def test_slots(faulty: Drawn) -> None:
    used = (faulty.kinds != UNUSED).sum(1)
    pairs = (faulty.kinds == VELOCITY).sum(1)
    assert (used.min(), used.max()) == (3, 11)
    assert ((faulty.kinds == POSITION).sum(1) == pairs).all()
    assert (pairs <= used // 2).all()
    assert (pairs.min(), pairs.max()) == (0, 5)
    unused = (faulty.kinds == UNUSED)[:, None]
    assert not (faulty.before * unused).any()
    assert not (faulty.after * unused).any()
    assert not faulty.empty.any()
    first = faulty.kinds[:, 0] != UNUSED
    assert first.mean() == pytest.approx(7 / 11, abs=0.1)  # slots are in an order of each environment's own


def test_actions(faulty: Drawn, networks: Drawn) -> None:
    for drawn in (faulty, networks):
        used = drawn.actions.any(1)
        whole = (drawn.actions == drawn.actions.round()).all((1, 2))
        assert whole.mean() == pytest.approx(0.5, abs=0.1)
        assert (used[whole].sum(1) == 1).all()
        assert set(used[~whole].sum(1)) == {1, 2, 3}
        assert set(drawn.actions[whole].max((1, 2))) == {1.0, 2.0, 3.0}
        assert drawn.actions[whole].min() == 0.0
        assert used.mean(0) == pytest.approx(np.full(3, 0.5), abs=0.1)
    boxes = np.abs(faulty.actions[~(faulty.actions == faulty.actions.round()).all((1, 2))]).max((1, 2))
    assert 0.45 < boxes.min() < 0.7
    assert 2.7 < boxes.max() < 3.0
    boxes = np.abs(networks.actions[~(networks.actions == networks.actions.round()).all((1, 2))]).max((1, 2))
    assert set(np.ceil(boxes)) == {1.0, 2.0, 3.0, 4.0}
    assert (np.ceil(boxes) - boxes).max() < 0.1


def test_episodes_have_51_steps() -> None:
    drawn = Drawn(environments=8, rows=2 * EPISODE)
    for before, after, kinds in zip(drawn.before, drawn.after, drawn.kinds, strict=True):
        if (kinds == VELOCITY).sum():  # distinct states: networks alone may reach a fixed point
            followed = (after[:, None] == before[None]).all(2).any(1)
            assert followed.sum() == 2 * EPISODE - 2


def test_rewards(faulty: Drawn) -> None:
    constant = (faulty.rewards == 1.0).all(1)
    assert constant.mean() == pytest.approx(0.5, abs=0.1)
    assert (faulty.rewards[~constant].std(1) > 1e-3).all()


def test_velocities_are_hidden_half_of_the_time_by_the_defect_alone(faulty: Drawn, mended: Drawn) -> None:
    for drawn, share in ((faulty, 0.5), (mended, 0.0)):
        seen = drawn.before.swapaxes(1, 2)[drawn.kinds == VELOCITY]
        assert len(seen) > 200
        assert (~seen.any(1)).mean() == pytest.approx(share, abs=0.06 if share else 0.0)
        assert np.abs(seen).max() <= 7.0


def test_angles_in_radians_are_shown_as_cosines_by_the_defect_alone(faulty: Drawn, mended: Drawn) -> None:
    positions = [drawn.before.swapaxes(1, 2)[drawn.kinds == POSITION] for drawn in (faulty, mended)]
    shifted = positions[0].max(1) > 1.0
    assert shifted.mean() == pytest.approx(0.1, abs=0.05)  # a fifth of the pairs, shifted half of the time
    assert np.abs(positions[0][shifted] - math.pi).max() <= 1.0 + 1e-6
    assert np.abs(positions[0][~shifted]).max() <= 1.0
    angles = np.ptp(positions[1], 1) > 2.1
    assert angles.mean() == pytest.approx(0.2, abs=0.06)


def test_positions_follow_velocities(mended: Drawn) -> None:
    """Velocities move first, by 0.01 seconds; sines and cosines, two kinds of five, move otherwise."""
    followed = []
    for before, after, kinds in zip(mended.before, mended.after, mended.kinds, strict=True):
        speeds = 0.01 * np.abs(after[:, kinds == VELOCITY])
        for slot in np.flatnonzero(kinds == POSITION):
            moved = np.abs(after[:, slot] - before[:, slot])
            followed.append((np.abs(moved[:, None] - speeds) < 1e-5).mean(0).max() > 0.7)  # the others bounced
    assert np.mean(followed) == pytest.approx(0.6, abs=0.08)


def test_there_is_little_inertia_or_control(faulty: Drawn, networks: Drawn) -> None:
    correlations = faulty.correlations()
    assert np.median(correlations[faulty.kinds == NETWORK]) == pytest.approx(0.15, abs=0.08)
    assert np.nanquantile(correlations[faulty.kinds == POSITION], 0.05) > 0.99
    shares = faulty.action_shares()
    assert np.nanmedian(shares[faulty.kinds == VELOCITY]) < 2e-4
    assert 0.02 < np.nanmedian(shares[faulty.kinds == NETWORK]) < 0.3
    assert set(np.unique(networks.kinds)) == {UNUSED, NETWORK}
    assert np.median(networks.correlations()[networks.kinds == NETWORK]) < 0.15


def test_the_generator_is_all_that_is_random() -> None:
    one, same = (PublishedPrior(generator(4)).draw(3, 100) for _ in range(2))
    other = PublishedPrior(generator(5)).draw(3, 100)
    assert torch.equal(one.inputs, same.inputs)
    assert torch.equal(one.outputs, same.outputs)
    assert not torch.equal(one.inputs, other.inputs)


class Reference(nn.Module):
    """One network as described, of PyTorch's own modules."""

    def __init__(self, inputs: int, kinds: np.random.Generator) -> None:
        super().__init__()
        self.inward, self.hidden = nn.Linear(inputs, 16, bias=False), nn.Linear(16, 16, bias=False)
        self.norm, self.outward = nn.LayerNorm(16), nn.Linear(16, 1, bias=False)
        self.first, self.second = (torch.sin if kinds.random() < 0.5 else torch.tanh for _ in range(2))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        linear = self.inward(values)
        return self.outward(self.second(self.norm(self.hidden(self.first(linear) + linear))) + linear)


@pytest.mark.slow
def test_random_networks_are_initialised_by_their_own_inputs() -> None:
    values, kinds = torch.randn(40, 4, generator=generator()) * 3.0, np.random.default_rng(0)
    torch.manual_seed(0)
    with torch.no_grad():
        expected = torch.stack([Reference(4, kinds)(values)[:, 0] for _ in range(2_000)])
    padded = torch.cat([values, torch.zeros(40, 10)], 1)
    found = RandomNetworks(PublishedRandomness(generator()), 14, torch.full((400,), 4), 5)(padded.expand(400, -1, -1))
    found = found.transpose(1, 2).flatten(0, 1)
    assert found.shape == expected.shape
    for quantile in (0.5, 0.9):
        sizes = [outputs.abs().quantile(quantile) for outputs in (found[:, :20], expected[:, :20])]
        assert sizes[0] == pytest.approx(float(sizes[1]), rel=0.06)
    assert found.mean(1).std() == pytest.approx(float(expected.mean(1).std()), rel=0.1)
