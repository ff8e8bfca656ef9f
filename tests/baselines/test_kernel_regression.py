"""The regression that the world model starts from."""

import pytest
import torch
from metabench_baselines.common.planning.rows import Rows
from metabench_baselines.fitted_models.kernel_features import LENGTH, make_bump_features
from metabench_baselines.fitted_models.model import KernelReader
from metabench_baselines.fitted_models.regression import ADDITIVE, RADIAL, KernelRegression
from metabench_baselines.oswm_plus.config import ModelConfig
from metabench_baselines.oswm_plus.model import OSWMWorldModel
from metabench_baselines.oswm_plus.reader import OSWMReader

from metabench import Spaces


def _kernel(left, right, length, sums=False):
    """By the definition: a constant, linear, and radial over all inputs or a mean of one for each."""
    apart = (left[:, None] - right[None]).square()
    near = torch.exp(-0.5 * apart / LENGTH**2).mean(2) if sums else torch.exp(-0.5 * apart.mean(2) / length**2)
    return 1.0 + left @ right.T + near


CANDIDATES = [(*kernel, False) for kernel in RADIAL] + [(LENGTH, penalty, True) for penalty in ADDITIVE]


def fit(inputs, outputs, sums=True, valid=None):
    valid = torch.ones(inputs.shape[:2], dtype=torch.bool) if valid is None else valid
    used = torch.ones(len(inputs), inputs.shape[2], dtype=torch.bool)
    return KernelRegression.fit(inputs, outputs, valid, used, tuple(range(inputs.shape[2])), sums)


@pytest.mark.parametrize("name", ["product", "sum", "noise"])
@pytest.mark.parametrize("sums", [False, True])
def test_the_regression_is_kernel_regression_that_leaves_rows_out(name, sums):
    """Against solving it anew without each row, by the textbook's formula."""
    torch.manual_seed(0)
    inputs = torch.randn(1, 30, 3)
    first, second = inputs[..., :1], inputs[..., 1:2]
    noise = torch.randn(1, 30, 1)
    outputs = {"product": (first * second).sin(), "sum": first.abs() + second.sin() + 0.03 * noise, "noise": noise}
    fitted = fit(inputs, outputs[name], sums)
    found, _ = fitted.predict(inputs)
    rows, targets = inputs[0].double(), outputs[name][0].double()

    def solved(keep, length, penalty, additive):
        kernel = _kernel(rows[keep], rows[keep], length, additive) + penalty * 30 * torch.eye(int(keep.sum()))
        return torch.linalg.solve(kernel, targets[keep])

    left_out = {}
    for kernel in CANDIDATES if sums else CANDIDATES[: len(RADIAL)]:
        others = [torch.arange(30) != row for row in range(30)]
        left_out[kernel] = torch.cat(
            [
                _kernel(rows[[row]], rows[keep], kernel[0], kernel[2]) @ solved(keep, *kernel)
                for row, keep in enumerate(others)
            ]
        )
    errors = {kernel: float((targets - said).square().sum()) for kernel, said in left_out.items()}
    best = min(errors, key=errors.__getitem__)
    if name == "noise":
        assert errors[best] >= float(targets.square().sum())
        assert torch.all(found == 0)  # nothing is said
        return
    assert best[2] == (sums and name == "sum")
    whole = _kernel(rows, rows, best[0], best[2]) @ solved(torch.ones(30, dtype=torch.bool), *best)
    torch.testing.assert_close(found[0].double(), whole, atol=3e-3, rtol=3e-3)
    torch.testing.assert_close(fitted.left_out[0].double(), left_out[best], atol=3e-3, rtol=3e-3)


@pytest.mark.parametrize("sums", [False, True])
def test_leverage_is_the_variance_of_the_estimate_in_units_of_the_noise(sums):
    torch.manual_seed(0)
    inputs = torch.randn(1, 40, 2)
    outputs = inputs[..., :1].abs() + inputs[..., 1:].sin() + 0.1 * torch.randn(1, 40, 1)
    fitted = fit(inputs, outputs, sums)
    queries = torch.randn(1, 7, 2)
    _, leverage = fitted.predict(queries)
    rows, asked = inputs[0].double(), queries[0].double()

    def by_hand(length, share, additive):
        penalty = share * 40
        inverse = torch.linalg.inv(_kernel(rows, rows, length, additive) + penalty * torch.eye(40))
        near = _kernel(asked, rows, length, additive)
        size = _kernel(asked, asked, length, additive).diagonal()
        return (size - (near @ inverse * near).sum(1)) / penalty

    candidates = torch.stack([by_hand(*kernel) for kernel in CANDIDATES])
    apart = (candidates / leverage[0, :, 0].double() - 1.0).abs().amax(1)
    assert float(apart.min()) < 1e-2


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_almost_no_rows_say_almost_nothing_but_finite_numbers(rows):
    torch.manual_seed(0)
    fitted = fit(torch.randn(2, rows, 4), torch.randn(2, rows, 3))
    found, leverage = fitted.predict(torch.randn(2, 5, 4))
    assert torch.isfinite(found).all() and torch.isfinite(leverage).all()
    assert rows or torch.all(found == 0)


def test_padding_unused_inputs_other_environments_and_the_order_of_rows_change_nothing():
    torch.manual_seed(0)
    inputs, queries = torch.randn(1, 20, 3), torch.randn(1, 6, 3)
    outputs = inputs[..., :1].sin() + inputs[..., 1:2] + 0.3 * torch.randn(1, 20, 1)
    plain = fit(inputs, outputs).predict(queries)
    more, noise = torch.cat([inputs, torch.randn(1, 5, 3)], 1), torch.cat([outputs, torch.randn(1, 5, 1)], 1)
    padded = fit(more, noise, valid=torch.arange(25)[None] < 20).predict(queries)
    order = torch.randperm(20)
    shuffled = fit(inputs[:, order], outputs[:, order]).predict(queries)
    # What an unused input holds means nothing, in rows and queries.
    wider = tuple(torch.cat([each, torch.randn(*each.shape[:2], 1)], 2) for each in (inputs, queries))
    both = torch.cat([wider[0], torch.randn(1, 20, 4)]), torch.cat([outputs, torch.randn(1, 20, 1)])
    used = torch.tensor([[True, True, True, False], [True] * 4])
    whole = torch.ones(2, 20, dtype=torch.bool)
    beside = KernelRegression.fit(*both, whole, used, (0, 1, 2, 3), True).predict(wider[1].expand(2, -1, -1))
    for found, expected in zip((*padded, *shuffled, *(part[:1] for part in beside)), plain * 3, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=5e-2)


def test_sums_hold_where_only_their_parts_were_seen():
    """Two coordinates that were never large together; where a kernel over both says nothing, the sum of two does."""
    torch.manual_seed(0)
    inputs = 4.0 * torch.rand(1, 200, 2) - 2.0
    inputs = inputs[:, ~(inputs[0] > 0.5).all(1)]
    inside = torch.tensor([[[1.5, 1.5], [1.0, 1.7]]])

    def truth(at):
        return (3.0 * at[..., :1]).sin() + (3.0 * at[..., 1:]).cos()

    wrong = {sums: fit(inputs, truth(inputs), sums).predict(inside)[0] - truth(inside) for sums in (False, True)}
    assert float(wrong[True].abs().max()) < 0.1 < float(wrong[False].abs().max())


def test_the_regression_trusts_itself_less_far_away():
    torch.manual_seed(0)
    inputs = torch.rand(1, 40, 2)
    fitted = fit(inputs, inputs[..., :1])
    _, near = fitted.predict(inputs[:, :5])
    _, far = fitted.predict(4.0 + inputs[:, :5])
    assert float(far.min()) > 10 * float(near.max())


def test_bumps_make_a_radial_kernel_to_a_ten_thousandth():
    places = torch.linspace(-3.0, 3.0, 61)
    bumps = make_bump_features(places[None, :, None].double(), torch.ones(1, 1, 1, dtype=torch.float64))
    radial = torch.exp(-0.5 * ((places[:, None] - places[None]) / LENGTH).square().double())
    assert float((bumps[0] @ bumps[0].T - radial).abs().max()) < 1e-4


def test_the_kernel_model_is_what_oswm_starts_from():
    """With a transformer that says nothing, whose distributions are symmetric, both say the same."""
    torch.manual_seed(0)
    observations, valid = torch.randn(2, 20, 3), torch.ones(2, 20, dtype=torch.bool)
    ended = observations[..., 0] > 1.0
    context = Rows(
        observations, torch.rand(2, 20, 2), observations.roll(1, 2), observations.square().sum(2), ended, valid
    )
    model = OSWMWorldModel(ModelConfig(state_slots=5, action_slots=4, width=16, layers=1, heads=1, buckets=8)).eval()
    with torch.no_grad():
        for parameter in (*model.predict_rest.parameters(), *model.predict_end.parameters()):
            parameter.zero_()
    spaces = Spaces(observation_dim=3, horizon=20, action_low=(-1.0, -1.0), action_high=(1.0, 1.0))
    asked = torch.randn(2, 7, 3), torch.rand(2, 7, 2)
    without, started = KernelReader().read(context)(*asked), OSWMReader(model, spaces).read(context)(*asked)
    for name, apart in (("next_observations", 1e-4), ("rewards", 0.01), ("ends", 1e-4)):  # its mean is of few buckets
        torch.testing.assert_close(getattr(without, name), getattr(started, name), atol=apart, rtol=0)


def test_an_observation_that_never_differs_says_nothing():
    """Neither in the context nor where a query has another value of it: no row tells what it does."""
    torch.manual_seed(1)
    states, actions = torch.randn(1, 40, 2), torch.rand(1, 40, 1) * 2 - 1
    none = torch.zeros(1, 40, dtype=torch.bool)

    def read(observations):
        after = observations.clone()
        after[..., :2] = states + 0.3 * torch.sin(states) + 0.1 * actions
        rewards = -states.abs().sum(2)
        return KernelReader().read(Rows(observations, actions, after, rewards, none, ~none))

    constant = torch.full((1, 40, 1), 0.7)
    without, beside = read(states), read(torch.cat([states, constant], 2))
    asked, moved = torch.randn(1, 9, 2), torch.rand(1, 9, 1) * 2 - 1
    expected = without(asked, moved)
    for value in (0.7, 2.0):
        found = beside(torch.cat([asked, torch.full((1, 9, 1), value)], 2), moved)
        torch.testing.assert_close(found.next_observations[..., :2], expected.next_observations, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(found.rewards, expected.rewards, atol=1e-3, rtol=1e-3)


def test_observations_that_never_vary_in_the_training_data_may_be_left_out():
    torch.manual_seed(2)
    states, actions = torch.randn(2, 40, 3), torch.rand(2, 40, 1) * 2 - 1
    states[..., 1] = 0.7
    after = states + 0.1 * actions * torch.tensor([1.0, 0.0, 1.0])
    none = torch.zeros(2, 40, dtype=torch.bool)
    context = Rows(states, actions, after, -states.abs().sum(2), none, ~none)
    asked = states[:, :9] + 0.1 * torch.tensor([1.0, 0.0, 1.0]), actions[:, :9]
    expected, found = (reader.read(context)(*asked) for reader in (KernelReader(), KernelReader([True, False, True])))
    for name, value in vars(expected).items():
        torch.testing.assert_close(getattr(found, name), value, atol=1e-5, rtol=1e-5)


def test_an_environment_is_answered_alike_whatever_kernels_those_beside_it_have():
    torch.manual_seed(3)
    inputs = torch.rand(2, 70, 2) * 2 - 1
    sum_of_parts = (3.0 * inputs[0, :, :1]).sin() + (3.0 * inputs[0, :, 1:]).cos()
    outputs = torch.stack([sum_of_parts, (4.0 * inputs[1, :, :1] * inputs[1, :, 1:]).sin()])
    asked, answers = torch.rand(2, 9, 2) * 2 - 1, {}
    for beside in (0, 1):
        places = [0, beside, 1]
        fitted = fit(inputs[places], outputs[places], sums=True)
        assert fitted.additive.flatten().tolist() == [1.0, 1.0 - beside, 0.0]
        answers[beside] = fitted.predict(asked[places])
    for beside_a_sum, beside_a_radial_kernel in zip(*answers.values(), strict=True):
        assert torch.equal(beside_a_sum[[0, 2]], beside_a_radial_kernel[[0, 2]])
