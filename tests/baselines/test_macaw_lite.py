"""`macaw-lite`: steps on a support, group by group; what they lower; where they begin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from metabench_baselines.macaw_lite.adaptation import (
    InnerRates,
    Transitions,
    adapt,
    measure_loss,
    regress,
    weigh_actions,
)
from metabench_baselines.macaw_lite.config import MacawLiteConfig
from metabench_baselines.macaw_lite.model import FilmNetwork
from metabench_baselines.macaw_lite.train import choose_support, outer_loss

from metabench import (
    DataError,
    Episode,
    MethodError,
    Policy,
    Spaces,
    Step,
    TrainingData,
    TrainingRun,
    UnknownNameError,
    load_method,
)
from metabench.data.columns import Columns

SPACES = Spaces(2, 5, action_low=(-1.0, -1.0), action_high=(1.0, 1.0))
DISCRETE = Spaces(2, 5, num_actions=3)
TASKS, EPISODES = 4, 6
CONFIG = MacawLiteConfig(width=12)


def make_data(spaces: Spaces = SPACES, tasks: int = TASKS) -> TrainingData:
    """Each task has an action of its own, which its episodes are near."""
    generator = np.random.default_rng(0)
    count, horizon = tasks * EPISODES, spaces.horizon
    owner = np.repeat(np.arange(tasks), EPISODES)
    of_task = generator.uniform(-0.8, 0.8, (tasks, 2))[owner.repeat(horizon)]
    actions = (
        owner.repeat(horizon) % spaces.num_actions
        if spaces.discrete
        else (of_task + 0.1 * generator.normal(size=of_task.shape)).astype(np.float32)
    )
    columns = Columns(
        generator.normal(size=(count * (horizon + 1), 2)).astype(np.float32),
        actions,
        generator.normal(size=count * horizon).astype(np.float32),
        np.arange(count + 1) * horizon,
        np.zeros(count, bool),
        owner,
    )
    return TrainingData(columns, spaces)


def draw_transitions(groups: int, count: int, spaces: Spaces = SPACES, seed: int = 0) -> Transitions:
    generator = np.random.default_rng(seed)
    actions = generator.uniform(-1, 1, (groups, count, 2))
    if spaces.discrete:
        actions = np.eye(3)[generator.integers(3, size=(groups, count))]
    return Transitions(
        torch.as_tensor(generator.normal(size=(groups, count, 2)), dtype=torch.float32),
        torch.as_tensor(generator.integers(5, size=(groups, count))),
        torch.as_tensor(actions, dtype=torch.float32),
        torch.as_tensor(generator.normal(size=(groups, count)), dtype=torch.float32),
    )


def make_network(spaces: Spaces = SPACES, rate: float = 0.1) -> tuple[FilmNetwork, InnerRates]:
    torch.manual_seed(0)
    network = FilmNetwork(spaces, CONFIG.width, CONFIG.depth)
    return network, InnerRates(network, rate)


def train(spaces: Spaces = SPACES, **overrides: float) -> Policy:
    return load_method("macaw-lite", preset="tiny", overrides=overrides).train(make_data(spaces), TrainingRun(0))


@pytest.fixture(scope="module")
def policy() -> Policy:
    return train()


def act(policy: Policy, lanes: int, spaces: Spaces = SPACES, *, scored: bool = True) -> np.ndarray:
    observation = np.linspace(-1, 1, 2 * lanes, dtype=np.float32).reshape(lanes, 2)
    zeros, always = np.zeros(lanes), np.ones(lanes, bool)
    return policy.act(
        Step(
            observation,
            spaces.null_actions(lanes),
            zeros.astype(np.float32),
            zeros.astype(np.int64),
            always,
            np.full(lanes, scored),
        )
    )


def act_after(policy: Policy, support: dict[int, list[Episode]], groups: tuple[int, ...] = (0, 1, 2)) -> np.ndarray:
    policy.reset(groups, range(len(groups)))
    policy.adapt(support)
    return act(policy, len(groups))


@pytest.mark.parametrize("spaces", [SPACES, DISCRETE])
def test_steps_lower_the_loss_on_the_support(spaces: Spaces) -> None:
    network, rates = make_network(spaces)
    support = draw_transitions(3, 20, spaces)
    fast, losses = adapt(network, rates, support, CONFIG.model_copy(update={"gradient_steps": 20}))
    last = measure_loss(network, support, weigh_actions(network, support, CONFIG), fast)
    sequence = torch.stack([*losses, last]).detach()  # (21, 3)
    assert (sequence[1:] < sequence[:-1]).all()
    assert (sequence[-1] < 0.95 * sequence[0]).all()


def test_a_step_is_down_the_gradient_of_each_groups_own_loss() -> None:
    network, rates = make_network(rate=0.3)
    support = draw_transitions(2, 15)
    fast, _ = adapt(network, rates, support, CONFIG.model_copy(update={"gradient_steps": 1}))
    for group in range(2):
        mine = Transitions(
            *(getattr(support, name)[[group]] for name in ("observations", "timesteps", "actions", "returns"))
        )
        loss = measure_loss(network, mine, weigh_actions(network, mine, CONFIG), network.start(1)).sum()
        names = list(network.initial)
        for name, gradient in zip(
            names, torch.autograd.grad(loss, [network.initial[name] for name in names]), strict=True
        ):
            torch.testing.assert_close(fast[name][group], network.initial[name] - 0.3 * gradient, rtol=1e-4, atol=1e-6)


def test_the_outer_gradient_is_that_of_the_loss_after_the_steps() -> None:
    network, rates = make_network()
    for module in (network, rates):
        module.double()
    support, query = (
        Transitions(each.observations.double(), each.timesteps, each.actions.double(), each.returns.double())
        for each in (draw_transitions(2, 10), draw_transitions(2, 10, seed=1))
    )
    config = CONFIG.model_copy(update={"advantage_weight": 0.0})  # weights hold no gradient, but move with the network
    loss, _ = outer_loss(config, network, rates, support, query)
    loss.backward()
    for parameter, place in (
        (network.initial["weight"], (3, 1)),
        (network.slow[0].weight, (2, 1)),
        (rates.raw["scale_1"], ()),
    ):
        moved = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                parameter[place] += step
                moved.append(outer_loss(config, network, rates, support, query)[0].item())
                parameter[place] -= step
        assert parameter.grad[place].item() == pytest.approx((moved[0] - moved[1]) / 2e-5, rel=1e-4, abs=1e-9)


def test_values_are_ridge_regression_with_a_free_constant() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 30, 4, generator=generator, dtype=torch.float64)
    returns = torch.randn(2, 30, generator=generator, dtype=torch.float64) + 5
    found = regress(features, returns, 0.5)
    for group in range(2):
        x, y = features[group].numpy(), returns[group].numpy()
        # The penalty as further rows of data, which the constant does not see.
        rows = np.vstack([np.c_[x, np.ones(30)], np.c_[np.sqrt(0.5 * 30) * np.eye(4), np.zeros(4)]])
        weights = np.linalg.lstsq(rows, np.append(y, np.zeros(4)), rcond=None)[0]
        np.testing.assert_allclose(found[group].numpy(), np.c_[x, np.ones(30)] @ weights, rtol=1e-6)
    flat = regress(features, returns, 1e9)
    torch.testing.assert_close(flat, returns.mean(1, keepdim=True).expand_as(flat), rtol=1e-5, atol=1e-5)


def test_what_returned_more_than_its_state_promised_weighs_more() -> None:
    network, _ = make_network()
    support = draw_transitions(1, 40)
    weights = weigh_actions(network, support, CONFIG.model_copy(update={"ridge": 1e9}))[0]
    assert weights.argsort().tolist() == support.returns[0].argsort().tolist()
    assert weights.mean().item() == pytest.approx(1)
    assert torch.equal(
        weigh_actions(network, support, CONFIG.model_copy(update={"advantage_weight": 0.0})), torch.ones(1, 40)
    )


def test_supports_in_training_are_of_a_few_episodes_of_their_task() -> None:
    data = make_data()
    tasks = np.repeat(np.arange(TASKS), 30)
    config = CONFIG.model_copy(update={"support_episodes": 2, "support_transitions": 40})
    index = choose_support(config, data, tasks, np.random.default_rng(0))
    episodes = data.transition_episodes[index]
    assert (data.columns.tasks[episodes] == tasks[:, None]).all()
    assert {len(set(row)) for row in episodes.tolist()} == {1, 2}


def test_without_steps_it_acts_as_without_support(policy: Policy) -> None:
    data = make_data()
    support = {0: [data.episode(0)], 1: [data.episode(9)]}
    still = train(gradient_steps=0)
    np.testing.assert_array_equal(act_after(still, support), act_after(still, {}))
    assert np.abs(act_after(policy, support) - act_after(policy, {}))[:2].min() > 1e-5
    np.testing.assert_array_equal(act_after(policy, support)[2], act_after(policy, {})[2])


def test_a_group_adapts_to_its_own_support_alone(policy: Policy) -> None:
    data = make_data()
    support = {0: [data.episode(0), data.episode(1)], 1: [data.episode(9)], 2: [data.episode(20)]}
    together = act_after(policy, support)
    np.testing.assert_array_equal(together, act_after(policy, dict(reversed(support.items()))))
    other = {0: support[0], 1: [data.episode(15)], 2: []}
    np.testing.assert_array_equal(together[0], act_after(policy, other)[0])
    assert np.abs(together[1:] - act_after(policy, other)[1:]).max(1).min() > 1e-5


@pytest.mark.parametrize("spaces", [SPACES, DISCRETE])
def test_noise_is_in_support_episodes_only_and_of_the_lane(spaces: Spaces) -> None:
    noisy = train(spaces, support_noise=0.9, updates=1)
    groups, lanes = [0] * 6, 6
    drawn = []
    for seeds, scored in (
        (range(6), False),
        (range(6), False),
        ([0, 1, 2, 9, 10, 11], False),
        (range(6), True),
        (range(6, 12), True),
    ):
        noisy.reset(groups, seeds)
        drawn.append(act(noisy, lanes, spaces, scored=scored))
    first, again, half, plain, also_plain = drawn
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[:3], half[:3])
    assert (first[3:] != half[3:]).any()
    assert (first != plain).any()
    np.testing.assert_array_equal(plain, also_plain)


@pytest.mark.slow
def test_a_support_tells_the_tasks_own_action() -> None:
    data = make_data()
    errors = {}
    for name in ("macaw-lite", "macaw-lite/no_meta_training", "macaw-lite/zero_steps"):
        method = load_method(name, preset="tiny", overrides={"updates": 100, "learning_rate": 0.01})
        trained = method.train(data, TrainingRun(0))
        first = [task * EPISODES for task in range(TASKS)]
        acted = act_after(trained, {task: [data.episode(first[task])] for task in range(TASKS)}, tuple(range(TASKS)))
        wanted = data.columns.actions.reshape(TASKS, -1, 2).mean(1)
        errors[name] = np.square(acted - wanted).mean()
    still = errors["macaw-lite/zero_steps"]
    assert errors["macaw-lite"] < 0.3 * still
    assert errors["macaw-lite"] < errors["macaw-lite/no_meta_training"] < still


@pytest.mark.slow
@pytest.mark.parametrize("spaces", [SPACES, DISCRETE])
def test_saved_and_loaded_it_acts_the_same(spaces: Spaces, tmp_path: Path) -> None:
    trained = train(spaces)
    trained.save(tmp_path)
    loaded = load_method("macaw-lite", preset="cpu").load(tmp_path, spaces)
    data = make_data(spaces)
    results = []
    for each in (trained, loaded):
        each.reset([0, 1], [0, 1])
        each.adapt({0: [data.episode(3)]})
        results.append(act(each, 2, spaces))
    np.testing.assert_array_equal(*results)
    assert loaded.parameter_count() == trained.parameter_count() > 0
    with pytest.raises(DataError, match="expected Spaces"):
        load_method("macaw-lite").load(tmp_path, replace(spaces, horizon=9))
    with pytest.raises(DataError, match="not a policy of borel"):
        load_method("borel").load(tmp_path, spaces)


def test_bad_input_is_refused_in_one_line() -> None:
    with pytest.raises(MethodError, match=r"^the data: meta-training needs at least 2 .* found 1; expected[^\n]*$"):
        load_method("macaw-lite", preset="tiny").train(make_data(tasks=1), TrainingRun(0))
    with pytest.raises(UnknownNameError, match="did you mean 'gradient_steps'"):
        load_method("macaw-lite", overrides={"gradient_step": 3})
