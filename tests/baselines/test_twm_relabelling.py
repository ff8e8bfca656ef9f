"""Relabelled trajectories of twm-plus: another task's rewards for the same steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metabench_baselines.twm_plus import TWMPlus
from metabench_baselines.twm_plus.model.world_model import WorldModel
from metabench_baselines.twm_plus.training.batches import BatchSource, gather_windows
from metabench_baselines.twm_plus.training.relabelling import train_task_rewards
from metabench_baselines.twm_plus.training.train import train_world_model

from metabench import Spaces, TrainingData, TrainingRun, load_state
from metabench.data.columns import Columns

from .twm_setting import tiny

SPACES = Spaces(2, 10, action_low=(-1.0,), action_high=(1.0,))
SLOPES = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 2.0]])
EPISODES, LENGTH = 30, 10


@pytest.fixture(scope="module")
def data():
    """Three tasks, each with a direction in which the reward of the observation after the step grows."""
    generator = np.random.default_rng(0)
    tasks = np.repeat([0, 1, 2], EPISODES)
    observations = generator.normal(size=(len(tasks), LENGTH + 1, 2)).astype(np.float32)
    noise = 0.1 * generator.normal(size=(len(tasks), LENGTH))
    rewards = (observations[:, 1:] * SLOPES[tasks][:, None]).sum(-1) + noise
    return TrainingData(
        Columns(
            observations.reshape(-1, 2),
            generator.uniform(-1, 1, size=(len(tasks) * LENGTH, 1)).astype(np.float32),
            rewards.ravel().astype(np.float32),
            np.arange(len(tasks) + 1) * LENGTH,
            np.zeros(len(tasks), bool),
            tasks,
        ),
        SPACES,
    )


@pytest.fixture(scope="module")
def fitted(data):
    config = tiny(task_reward_updates=600, behaviour_batch=128)
    torch.manual_seed(0)
    model = WorldModel(config, SPACES)
    model.measure(data)
    return train_task_rewards(config, model, data, TrainingRun(0))


@pytest.mark.slow
def test_rewards_become_those_of_the_other_task_and_keep_their_noise(data, fitted):
    steps, _ = gather_windows(data, data.to("cpu"), np.array([0, 40, 70, 5]), np.zeros(4, np.int64), LENGTH + 2)
    own, other = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 2, 0, 0])
    changed = fitted.relabel(steps, own, other)
    slopes = torch.as_tensor(SLOPES, dtype=torch.float32)
    change = (steps.observations[:, 1:] * (slopes[other] - slopes[own])[:, None]).sum(-1)
    expected = steps.rewards + change
    assert (changed.rewards - expected)[:, 2:].abs().mean() < 0.15 * change[:, 2:].abs().mean()
    assert torch.equal(changed.rewards[:, :2], steps.rewards[:, :2]), "padding stays"
    assert torch.equal(changed.rewards[3], steps.rewards[3]), "the same task changes nothing"
    assert torch.equal(changed.observations, steps.observations)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_a_batchs_tasks_is_rewritten_windows_and_support_alike(data, fitted, share):
    """What rewards of a group say of its task, by least squares: windows and segments agree, behaviour has no say."""
    config = tiny(relabelled=share, tasks_per_update=3, windows_per_task=4, window=10, segments=4, segment_steps=8)
    source = BatchSource(config, data, "cpu", fitted)
    rows = data.columns.observations
    owner = {row.tobytes(): i // (len(rows) // 3) for i, row in enumerate(rows)}
    moved = 0
    for update in range(40):
        batch = source.draw(np.random.default_rng(update))
        for group in range(3):
            told = []
            for part in (batch.windows, batch.support.segments):
                mine = slice(4 * group, 4 * group + 4)
                seen, rewards = part.observations[mine, 1:].reshape(-1, 2), part.rewards[mine].reshape(-1)
                slope = np.linalg.lstsq(seen.numpy(), rewards.numpy(), rcond=None)[0]
                told.append(int(np.linalg.norm(SLOPES - slope, axis=1).argmin()))
            assert told[0] == told[1]
            moved += told[0] != owner[batch.windows.observations[4 * group, -1].numpy().tobytes()]
    assert abs(moved / 120 - share * 2 / 3) < 0.12


def test_the_reward_map_holds_the_anchors_rewards_in_every_task_less_their_mean(data, fitted):
    anchors = data.to("cpu").transitions(np.arange(0, data.num_transitions, 7))
    fitted.draw_map(anchors)
    slopes = torch.as_tensor(SLOPES - SLOPES.mean(axis=0), dtype=torch.float32)
    expected = slopes @ anchors.next_observations.T / data.columns.rewards.std()
    assert (fitted.map - expected).abs().mean() < 0.15 * expected.abs().mean()


def test_a_window_is_told_the_map_of_the_task_that_its_rewards_are_of(data, fitted):
    fitted.draw_map(data.to("cpu").transitions(np.arange(32)))
    config = tiny(relabelled=0.5, tasks_per_update=3, windows_per_task=4, window=10, reward_map=32)
    batch = BatchSource(config, data, "cpu", fitted).draw(np.random.default_rng(0))
    for row in range(12):
        slope = np.linalg.lstsq(batch.windows.observations[row, 1:].numpy(), batch.windows.rewards[row].numpy(), None)[
            0
        ]
        task = np.linalg.norm(SLOPES - slope, axis=1).argmin()
        assert torch.equal(batch.reward_map[row], fitted.map[task])


def test_the_loss_of_the_reward_map_is_the_formula_and_teaches_the_transformer(data, fitted):
    fitted.draw_map(data.to("cpu").transitions(np.arange(32)))
    config = tiny(reward_map=32, window=12, segments=0)
    torch.manual_seed(0)
    model = WorldModel(config, SPACES)
    model.measure(data)
    batch = BatchSource(config, data, "cpu", fitted).draw(np.random.default_rng(0))
    windows = model.encode(batch.windows, sample=False)
    loss, parts, _ = model.dynamics_loss(windows, reward_map=batch.reward_map)
    plain, _, _ = model.dynamics_loss(windows)
    hidden = model.dynamics(windows.tokens, batch.windows.episodes)
    normal = (hidden - hidden.mean(-1, keepdim=True)) / (hidden.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    told = normal @ model.dynamics.reward_map.weight.T + model.dynamics.reward_map.bias
    wrong = 0.5 * (told - batch.reward_map[:, None, None]).square().mean(-1)
    expected = wrong[:, 2:].mean()  # windows of 12 steps, episodes of 10: the first two are padding
    assert parts["reward_map"].item() == pytest.approx(expected.item(), rel=1e-4)
    assert (loss - plain).item() == pytest.approx(20 * expected.item(), rel=1e-3)
    gradient = torch.autograd.grad(parts["reward_map"], list(model.dynamics.transformer.parameters()))
    assert all(part.abs().sum() > 0 for part in gradient)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("linear", ([0.4, 0.3, 0.2, 0.1], [0.1])), ("constant", ([0.4] * 4, [0.4]))],
)
def test_step_sizes_of_the_world_model_fall_linearly_over_all_updates_of_each_part(data, schedule, expected):
    config = tiny(
        model_schedule=schedule,
        observation_updates=3,
        observation_learning_rate=0.4,
        dynamics_updates=3,
        dynamics_learning_rate=0.4,
        joint_updates=1,
    )
    sizes: dict[str, list[float]] = {}

    class Spy(TrainingRun):
        def steps(self, stage, total, **parts):
            for update in super().steps(stage, total, **parts):
                yield update
                for name, part in parts.items():
                    if isinstance(part, torch.optim.Optimizer):
                        sizes.setdefault(f"{stage}/{name}", []).append(part.param_groups[0]["lr"])

    train_world_model(config, WorldModel(config, SPACES), BatchSource(config, data, "cpu"), Spy(seed=0))
    first, last = expected
    assert sizes["observation-model/optimizer"] == pytest.approx(first[:3])
    assert sizes["dynamics/optimizer"] == pytest.approx(first[:3])
    assert sizes["joint/observation"] == sizes["joint/dynamics"] == pytest.approx(last)


@pytest.mark.parametrize(
    ("foresight", "horizon", "expected"), [(0.5, 20, 0.9), (0.5, 200, 0.97), (0.5, 1, 0.5), (0.0, 20, 0.97)]
)
def test_gamma_looks_no_farther_than_its_share_of_the_horizon(foresight, horizon, expected):
    config = tiny(discount=0.97, foresight=foresight)
    assert config.adapt_to_horizon(horizon).discount == pytest.approx(expected)
    assert config.adapt_to_horizon(horizon).model_copy(update={"discount": 0.97}) == config


def test_a_trained_policy_keeps_the_gamma_of_its_suite(data, tmp_path):
    policy = TWMPlus(tiny(foresight=0.2)).train(data, TrainingRun(seed=0))  # a fifth of ten steps
    policy.save(tmp_path)
    assert load_state(tmp_path / "policy")["config"]["discount"] == 0.5
