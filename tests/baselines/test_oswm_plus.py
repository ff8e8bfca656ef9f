"""The world model: what it must not see, what it must not change by, and that it is learned and saved."""

import dataclasses

import numpy as np
import pytest
import torch
from metabench_baselines.common.planning.rows import Rows, Transitions, batch_transitions
from metabench_baselines.common.synthetic_prior.prior import Prior
from metabench_baselines.oswm_plus import OSWMPlus, OSWMPlusMeta
from metabench_baselines.oswm_plus.bars import BarDistribution
from metabench_baselines.oswm_plus.config import META_PRESETS, PRETRAINING, ModelConfig, OSWMConfig
from metabench_baselines.oswm_plus.meta_training import draw_rows
from metabench_baselines.oswm_plus.model import OSWMWorldModel
from metabench_baselines.oswm_plus.pretrain import pretrain_world_model, split_rows
from metabench_baselines.oswm_plus.reader import OSWMReader
from metabench_baselines.oswm_plus.weights import load_reader
from torch.utils.flop_counter import FlopCounterMode

from metabench import Episode, MetabenchError, Spaces, TrainingRun, load_data

pytestmark = pytest.mark.slow


SMALL = ModelConfig(state_slots=6, action_slots=3, width=32, layers=2, heads=4, buckets=16)
SPACES = Spaces(observation_dim=4, horizon=20, action_low=(-1.0, -1.0), action_high=(1.0, 1.0))


@pytest.fixture
def model():
    """A small model whose weights are all in play: as it is made, each layer is the identity."""
    torch.manual_seed(0)
    made = OSWMWorldModel(SMALL)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made.eval()


def rows(groups=2, count=10, seed=0, state=6, action=3):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    observations = normal(groups, count, state)
    return Rows(
        observations,
        normal(groups, count, action).clamp(-1, 1),
        observations + 0.1 * normal(groups, count, state),
        normal(groups, count),
        normal(groups, count) > 1,
        torch.ones(groups, count, dtype=torch.bool),
    )


def taken(given, index):
    return Rows(*(getattr(given, field.name)[:, index] for field in dataclasses.fields(given)))


def everything(groups=2):
    return torch.ones(groups, 6, dtype=torch.bool), torch.ones(groups, 3, dtype=torch.bool)


def predictions(model, context, queries, used=None):
    with torch.no_grad():
        found = model(model.condition(context, *(used or everything())), queries.observations, queries.actions)
    return torch.cat(
        [found.next_observations, found.deviations, *(x[..., None] for x in (found.rewards, found.ends))], -1
    )


def test_the_order_of_context_rows_means_nothing(model):
    context, queries = rows(), rows(seed=1)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(
        predictions(model, context, queries), predictions(model, taken(context, order), queries), atol=1e-5, rtol=0
    )


def test_a_context_row_matters(model):
    context, queries = rows(), rows(seed=1)
    changed = dataclasses.replace(context, next_observations=context.next_observations.clone())
    changed.next_observations[0, 3] += 1.0
    apart = (predictions(model, context, queries) - predictions(model, changed, queries)).abs()
    assert apart[0].max() > 1e-3
    assert apart[1].max() == 0  # another environment's


def test_queries_do_not_see_each_other(model):
    context, queries = rows(), rows(seed=1, count=7)
    together = predictions(model, context, queries)
    for i in range(7):
        torch.testing.assert_close(
            predictions(model, context, taken(queries, [i])), together[:, [i]], atol=1e-5, rtol=0
        )


def test_cached_predictions_equal_one_pass_over_context_and_queries(model):
    """All tokens in one sequence, each attending to the context by a mask, with nothing kept between the layers."""
    context, queries = rows(), rows(seed=1, count=5)
    entered, left = [], []
    hooks = [
        model.layers[0].register_forward_pre_hook(lambda layer, given: entered.append(given[0])),
        model.layers[-1].register_forward_hook(lambda layer, given, found: left.append(found)),
    ]
    predictions(model, context, queries)
    for hook in hooks:
        hook.remove()
    tokens = torch.cat(entered, 1)  # a token for no row, 10 rows, 5 queries
    for layer in model.layers:
        normal = layer.norm(tokens)
        ask = layer.ask(normal).view(2, 16, 4, 8).transpose(1, 2)
        key, value = (part.reshape(2, 16, 4, 8).transpose(1, 2) for part in layer.answer(normal).chunk(2, -1))
        scores = ask @ key.transpose(2, 3) / 8**0.5
        scores[..., 11:] = -torch.inf
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(2, 16, 32)
        tokens = tokens + layer.out(mixed)
        tokens = tokens + layer.narrow(torch.nn.functional.gelu(layer.widen(layer.second_norm(tokens))))
    torch.testing.assert_close(torch.cat(left, 1), tokens, atol=1e-4, rtol=0)


def test_padding_is_inert(model):
    """Neither rows that are not valid nor what stands in unused slots changes anything."""
    context, queries = rows(), rows(seed=1)
    used = torch.arange(6).expand(2, -1) < 4, torch.arange(3).expand(2, -1) < 2
    usual = predictions(model, context, queries, used)
    context.valid[0, 7:] = False
    shorter = taken(context, slice(7))
    longer = predictions(model, context, queries, used)
    torch.testing.assert_close(longer[0], predictions(model, shorter, queries, used)[0], atol=1e-5, rtol=0)
    assert (longer[0] - usual[0]).abs().max() > 1e-4
    for each in (context, queries):
        each.observations[..., 4:] = 1e3
        each.actions[..., 2:] = 1e3
    after = predictions(model, context, queries, used)
    torch.testing.assert_close(after[..., :4], longer[..., :4], atol=1e-5, rtol=0)


def test_a_cached_query_takes_a_thousandth_of_the_operations():
    """Counted by torch, at 1,000 rows: reading them again for a query, or answering from the cache."""
    model = OSWMWorldModel(ModelConfig()).eval()
    slots, features = ModelConfig().state_slots, ModelConfig().action_slots
    context, query = (rows(1, count, state=slots, action=features) for count in (1000, 1))
    used = torch.ones(1, slots, dtype=torch.bool), torch.ones(1, features, dtype=torch.bool)
    with torch.no_grad():
        with FlopCounterMode(display=False) as cached:
            given = model.condition(context, *used)
            read = cached.get_total_flops()
            model(given, query.observations, query.actions)
        once = cached.get_total_flops() - read
        # As published: the context, and with the query all its rows once more as queries.
        with FlopCounterMode(display=False) as uncached:
            again = model.condition(context, *used)
            asked = torch.cat([context.observations, query.observations], 1)
            acted = torch.cat([context.actions, query.actions], 1)
            model(again, asked, acted)
    assert uncached.get_total_flops() > 1000 * once


@pytest.mark.parametrize("count", [0, 1])
def test_no_row_and_one_row_are_contexts(model, count):
    found = predictions(model, rows(count=count), rows(seed=1))
    assert found.isfinite().all()


def test_what_is_constant_in_the_context_is_predicted_to_stay(model):
    context, queries = rows(), rows(seed=1)
    context.next_observations[..., 2] = context.observations[..., 2] = 5.0
    found = predictions(model, context, queries)
    assert torch.equal(found[..., 2], queries.observations[..., 2])
    assert found.isfinite().all()


def test_contexts_beyond_use_are_refused():
    episode = Episode(np.zeros((4, 4), np.float32), np.zeros((3, 2), np.float32), np.full(3, np.nan, "f"), False, True)
    with pytest.raises(MetabenchError, match="context 0: rewards: expected finite numbers"):
        batch_transitions([Transitions.from_episodes([episode], SPACES)])
    with pytest.raises(MetabenchError, match="oswm-plus: 4 observations, expected at most 3"):
        OSWMReader(OSWMWorldModel(SMALL.model_copy(update={"state_slots": 3})), SPACES)
    with pytest.raises(MetabenchError, match="oswm-plus: 2 action features, expected at most 1"):
        OSWMReader(OSWMWorldModel(SMALL.model_copy(update={"action_slots": 1})), SPACES)


def test_too_many_rows_are_thinned_and_ends_kept():
    length = 500
    ends = np.zeros(length, bool)
    ends[[77, 499]] = True
    values = np.arange(length, dtype=np.float32)
    whole = Transitions(values[:, None], values[:, None], values[:, None], values, ends)
    kept = whole.thin(100)
    assert len(kept) == 100
    assert {77.0, 499.0} <= set(kept.rewards)
    assert np.all(np.diff(kept.rewards) <= 6)
    assert whole.thin(500) is whole


@pytest.fixture
def bars():
    made = BarDistribution(8)
    made.fit(torch.linspace(-3, 4, 500))
    return made, torch.tensor([-1.0, 0.3, -0.8, 1.0, 0.1, -0.5, 0.6, -1.2])


def density(made, logits):
    grid = torch.linspace(-60, 60, 1_200_001)
    return grid.double(), (-made.loss(logits.expand(len(grid), -1), grid)).exp().double() * 1e-4


def test_bars_are_a_density_with_the_quantiles_they_say(bars):
    grid, mass = density(*bars)
    assert float(mass.sum()) == pytest.approx(1.0, abs=1e-3)
    made, logits = bars
    tails = logits.softmax(-1)[[0, -1]]
    levels = (0.3, 0.5, 0.7)
    for level, found in zip(levels, made.quantiles(logits, levels), strict=True):
        assert tails[0] < level < 1 - tails[1]  # else the test would be of the tails, which are cut
        assert float(mass[grid < float(found)].sum()) == pytest.approx(level, abs=1e-3)


def test_the_central_mean_is_the_mean_of_the_middle(bars):
    grid, mass = density(*bars)
    made, logits = bars
    below = mass.cumsum(0)
    middle = (below > 0.2) & (below < 0.8)
    expected = float((mass * grid)[middle].sum() / mass[middle].sum())
    tails = logits.softmax(-1)[[0, -1]]
    assert max(tails) < 0.2
    assert float(made.central_mean(logits, 0.6)) == pytest.approx(expected, abs=0.05)


@pytest.mark.walk
def test_pretraining_lowers_the_held_out_loss_and_resumes_exactly(tmp_path):
    config = PRETRAINING["tiny"].model_copy(update={"updates": 40, "learning_rate": 3e-3, "log_interval": 20})
    run = TrainingRun(0)
    whole = pretrain_world_model(config, run)
    held_out = [row["held_out_change_after_16"] for row in run.curve if "held_out_change_after_16" in row]
    untrained = pretrain_world_model(
        config.model_copy(update={"updates": 1, "log_interval": 1}), first := TrainingRun(0)
    )
    assert held_out[-1] < first.curve[-1]["held_out_change_after_16"] - 0.05
    del untrained
    calls = iter(range(1, 100))
    with pytest.raises(Exception, match="stopped"):
        pretrain_world_model(config, TrainingRun(0, folder=tmp_path, cancelled=lambda: next(calls) >= 15))
    resumed = pretrain_world_model(config, TrainingRun(0, folder=tmp_path))
    for before, after in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(before, after)


def test_contexts_and_queries_of_synthetic_environments_do_not_overlap():
    data = Prior(6, 3, torch.Generator().manual_seed(0)).draw(4, 6, 20)
    numbered = dataclasses.replace(data, rewards=torch.arange(120.0).expand(4, -1))
    for seed in range(6):
        context, queries = split_rows(numbered, 60, 40, torch.Generator().manual_seed(seed))
        for environment in range(4):
            seen, asked = set(context.rewards[environment].tolist()), set(queries.rewards[environment].tolist())
            assert len(seen) == 60
            assert len(asked) == 40
            assert not seen & asked


def test_training_tasks_give_contexts_and_queries_of_one_task(point_robot_data):
    context, queries = draw_rows(point_robot_data, 16, 60, 8, np.random.default_rng(0))
    assert context.observations.shape[0] == queries.observations.shape[0] == 16
    assert int(context.valid.sum(1).max()) <= 60
    steps = point_robot_data.columns
    whole = {tuple(row) for row in np.round(steps.observations, 5).tolist()}
    assert all(tuple(row) in whole for row in np.round(queries.observations[0].numpy(), 5).tolist())


@pytest.fixture
def point_robot_data(tiny_built):
    return load_data("tiny", "medium")


def test_the_shipped_weights_predict_better_than_no_change(point_robot_data):
    """In a suite whose data they never saw."""
    run = TrainingRun(0)
    OSWMPlus(OSWMConfig()).train(point_robot_data, run)
    errors = run.summary["world_model"]
    assert errors["change_error_after_64"] < 0.9
    assert errors["change_error_after_64"] < errors["change_error_after_0"]


def test_the_shipped_weights_are_small():
    reader = load_reader(SPACES)
    assert 2 * reader.parameter_count() < 16e6


def test_training_tasks_improve_it(point_robot_data):
    config = META_PRESETS["tiny"].model_copy(update={"updates": 60, "queries": 32, "log_interval": 20})
    run = TrainingRun(0)
    OSWMPlusMeta(config).train(point_robot_data, run)
    losses = [row["validation_loss"] for row in run.curve]
    assert losses[-1] < losses[0]
