"""The published world model: its size, its attention, its loss, and what its reader makes of contexts."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from metabench_baselines.common.planning.rows import Transitions, batch_transitions
from metabench_baselines.oswm_published import OSWMPublished, OSWMPublishedSmall
from metabench_baselines.oswm_published.config import PublishedWorldModelConfig
from metabench_baselines.oswm_published.model import PublishedWorldModel
from metabench_baselines.oswm_published.reader import LARGEST, PublishedReader
from metabench_baselines.oswm_published.train import draw_environments, pretraining_loss
from torch.nn import functional

from metabench import (
    Episode,
    MetabenchError,
    Spaces,
    TrainingRun,
)

CONTINUOUS = Spaces(4, 30, action_low=(-1.0, -1.0), action_high=(1.0, 1.0))
DISCRETE = Spaces(2, 30, num_actions=4)
SMALL = PublishedWorldModelConfig(width=64, layers=3, environments=2, pretraining_updates=8, log_interval=4)


def lively(config: PublishedWorldModelConfig = SMALL) -> PublishedWorldModel:
    """A model that attends: untrained ones begin with layers that change nothing."""
    torch.manual_seed(0)
    model = PublishedWorldModel(config).eval()
    with torch.no_grad():
        for layer in model.layers:
            for linear in (layer.out, layer.narrow):
                linear.weight.normal_(std=0.2)
                linear.bias.normal_(std=0.2)
    return model


def transitions(rows: int, spaces: Spaces = CONTINUOUS, seed: int = 0) -> Transitions:
    """Rows that have nothing to do with each other."""
    generator = np.random.default_rng(seed)
    seen = generator.normal(size=(rows + 1, spaces.observation_dim)).astype(np.float32)
    rewards = generator.normal(size=rows).astype(np.float32)
    acted = spaces.uniform_actions(generator, (rows,))
    return Transitions.from_episodes([Episode(seen, acted, rewards, terminated=False, truncated=True)], spaces)


def queries(count: int, groups: int = 1, spaces: Spaces = CONTINUOUS) -> tuple[torch.Tensor, torch.Tensor]:
    asked = [transitions(count, spaces, 100 + group) for group in range(groups)]
    return tuple(torch.stack([torch.from_numpy(getattr(a, k)) for a in asked]) for k in ("observations", "actions"))


def apart(one: object, other: object) -> float:
    pairs = [(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one)]
    return max(float((a - b).abs().max()) for a, b in pairs)


def uncached(model: PublishedWorldModel, inputs: torch.Tensor, outputs: torch.Tensor, context: int) -> torch.Tensor:
    """Scaled predictions of the rows after the context: all tokens through all layers, masked, as published."""
    tokens = torch.cat(
        [model.make_tokens(inputs[:, :context], outputs[:, :context]), model.make_tokens(inputs[:, context:])], 1
    )
    allowed = (torch.arange(tokens.shape[1]) < context).expand(tokens.shape[1], -1)
    for layer in model.layers:
        queried, (key, value) = layer.ask(tokens), layer.answer(tokens).chunk(2, 2)
        key, value = (part.unflatten(2, (layer.heads, -1)).transpose(1, 2) for part in (key, value))
        scores = queried.unflatten(2, (layer.heads, -1)).transpose(1, 2) @ key.transpose(2, 3) / math.sqrt(key.shape[3])
        attended = scores.masked_fill(~allowed, -math.inf).softmax(3) @ value
        tokens = layer.norm(tokens + layer.out(attended.transpose(1, 2).flatten(2)))
        tokens = layer.second_norm(tokens + layer.narrow(functional.gelu(layer.widen(tokens))))
    state, reward = model.predict_state(tokens[:, context:]), model.predict_reward(tokens[:, context:])
    return torch.cat([state, torch.zeros(*reward.shape[:2], model.config.action_slots - 1), reward], 2)


def scaled(values: np.ndarray, rows: int) -> np.ndarray:
    """By the statistics of the first `rows` rows; constants become 0."""
    mean, deviation = values[:, :rows].mean(1, keepdims=True), values[:, :rows].std(1, ddof=1, keepdims=True)
    return np.where(deviation > 0, (values - mean) / np.where(deviation > 0, deviation, 1.0), 0.0)


@pytest.mark.parametrize(("method", "parameters"), [(OSWMPublished, 16_129_280), (OSWMPublishedSmall, 4_046_464)])
def test_sizes(method: type, parameters: int) -> None:
    model = PublishedWorldModel(method.presets("cartpole-param")["paper"].world_model)
    assert PublishedReader(model, CONTINUOUS).parameter_count() == parameters


@pytest.mark.slow
def test_cached_equals_uncached() -> None:
    model, data = lively(), draw_environments(SMALL, TrainingRun(0), 3, "data")
    inputs, outputs = (scaled(values.double().numpy(), 600) for values in (data.inputs, data.outputs))
    whole = uncached(model.double(), torch.from_numpy(inputs[:, :700]), torch.from_numpy(outputs[:, :700]), 600)
    model.float()
    given = model.read(data.inputs[:, :600], data.outputs[:, :600])
    assert (model.predict_normalised(given, data.inputs[:, 600:700]) - whole).abs().max() < 1e-4
    mean, deviation = data.outputs[:, :600].mean(1, keepdim=True), data.outputs[:, :600].std(1, keepdim=True)
    assert torch.allclose(
        model(given, data.inputs[:, 600:700]).double(), whole * deviation + mean, rtol=1e-4, atol=1e-3
    )


@pytest.mark.slow
def test_the_pretraining_loss_counts_every_slot_and_scales_by_all_rows() -> None:
    model, data = lively(), draw_environments(SMALL, TrainingRun(0), 2, "data")
    inputs, outputs = (scaled(values.double().numpy(), 1_001) for values in (data.inputs, data.outputs))
    predicted = uncached(model.double(), torch.from_numpy(inputs), torch.from_numpy(outputs), 900).detach().numpy()
    assert predicted.shape == (2, 101, 14)
    expected = np.mean((predicted - outputs[:, 900:]) ** 2)
    assert pretraining_loss(model.float(), data, 900)[0].item() == pytest.approx(expected, rel=1e-4)


def test_the_order_of_context_rows_means_nothing() -> None:
    reader, rows = PublishedReader(lively(), CONTINUOUS), transitions(80)
    asked = queries(20)
    shuffled = rows.select(np.random.default_rng(1).permutation(80))
    assert (
        apart(reader.read(batch_transitions([rows]))(*asked), reader.read(batch_transitions([shuffled]))(*asked)) < 1e-5
    )
    assert (
        apart(
            reader.read(batch_transitions([rows]))(*asked),
            reader.read(batch_transitions([rows.select(np.arange(79))]))(*asked),
        )
        > 1e-3
    )


def test_queries_do_not_touch_each_other() -> None:
    model = PublishedReader(lively(), CONTINUOUS).read(batch_transitions([transitions(80)]))
    states, actions = queries(20)
    together, changed = model(states, actions), states.clone()
    changed[:, 1:] *= 7.0
    alone = model(states[:, :1], actions[:, :1])
    for first in (model(changed, actions), alone):
        assert torch.allclose(first.next_observations[:, 0], together.next_observations[:, 0], atol=1e-5)
        assert torch.allclose(first.rewards[:, 0], together.rewards[:, 0], atol=1e-5)


def test_groups_of_other_sizes_and_padding_change_nothing() -> None:
    reader, groups = PublishedReader(lively(), CONTINUOUS), [transitions(n, seed=n) for n in (50, 7, 80)]
    asked, rows = queries(9, groups=3), batch_transitions(groups)
    padding = ~rows.valid
    spoilt = dataclasses.replace(
        rows,
        observations=rows.observations + 50.0 * padding[..., None],
        next_observations=rows.next_observations - 50.0 * padding[..., None],
        rewards=rows.rewards + 50.0 * padding,
    )
    together = reader.read(rows)(*asked)
    assert apart(together, reader.read(spoilt)(*asked)) == 0.0
    for number, group in enumerate(groups):
        alone = reader.read(batch_transitions([group]))(*(part[number : number + 1] for part in asked))
        assert torch.allclose(alone.next_observations, together.next_observations[number], atol=1e-5)
        assert torch.allclose(alone.rewards, together.rewards[number], atol=1e-5)


def test_a_suite_is_read_as_published() -> None:
    model, rows, asked = lively(), transitions(60, DISCRETE), queries(5, spaces=DISCRETE)
    given = torch.zeros(1, 60, 14), torch.zeros(1, 60, 14)
    given[0][0, :, :2], given[0][0, :, 11] = torch.tensor(rows.observations), torch.tensor(rows.actions.argmax(1))
    given[1][0, :, :2], given[1][0, :, 13] = torch.tensor(rows.next_observations), torch.tensor(rows.rewards)
    question = torch.zeros(1, 5, 14)
    question[..., :2], question[..., 11] = asked[0], asked[1].argmax(2)
    expected = model(model.read(*given), question)
    found = PublishedReader(model, DISCRETE).read(batch_transitions([rows]))(*asked)
    assert torch.allclose(found.next_observations, expected[..., :2], atol=1e-6)
    assert torch.allclose(found.rewards, expected[..., 13], atol=1e-6)
    assert not any(part.any() for part in (found.ends, found.deviations, found.reward_deviations))


@pytest.mark.parametrize("rows", [2, 40])
def test_what_is_constant_in_the_context_stays_so(rows: int) -> None:
    context = transitions(rows)
    after, before = context.next_observations.copy(), context.observations.copy()
    after[:, 2], before[:, 1] = 0.1, 0.3
    context = dataclasses.replace(
        context, observations=before, next_observations=after, rewards=np.ones(rows, np.float32)
    )
    states, actions = queries(6)
    states[:, :3, 1] = 0.3  # the others leave a constant: their inputs are as large as numbers can be
    seen = PublishedReader(lively(), CONTINUOUS).read(batch_transitions([context]))(states, actions)
    assert (seen.next_observations[..., 2] == np.float32(0.1)).all()
    assert (seen.rewards == 1.0).all()
    assert torch.isfinite(seen.next_observations).all()
    assert seen.next_observations.abs().max() <= LARGEST
    assert seen.next_observations[0, :3, 0].std() > 1e-4


def test_contexts_of_no_row_and_of_one() -> None:
    reader, asked = PublishedReader(lively(), CONTINUOUS), queries(4)
    one = transitions(1)
    seen = reader.read(batch_transitions([one]))(*asked)
    assert torch.equal(seen.next_observations, torch.tensor(one.next_observations).expand(1, 4, 4))
    assert torch.equal(seen.rewards, torch.tensor(one.rewards).expand(1, 4))
    nothing = reader.read(batch_transitions([transitions(0)]))(*asked)
    assert not nothing.next_observations.any()
    assert not nothing.rewards.any()
    mixed = reader.read(batch_transitions([transitions(0), one]))(*queries(4, groups=2))
    assert not mixed.next_observations[0].any()
    with pytest.raises(MetabenchError, match="rewards: expected finite numbers"):
        batch_transitions([dataclasses.replace(one, rewards=one.rewards * np.nan)])
