"""The regression that the world model starts from."""

import pytest
import torch
from metabench_baselines.oswm.regression import KERNELS, Fitted


def _kernel(left, right, length):
    """By the definition: a constant, linear, and radial in units of the square root of the number of inputs."""
    apart = (left[:, None] - right[None]).square().sum(2) / left.shape[1]
    return 1.0 + left @ right.T + torch.exp(-0.5 * apart / length**2)


def test_the_regression_is_kernel_regression_that_leaves_rows_out():
    """Against solving it anew without each row, by the textbook's formula."""
    torch.manual_seed(0)
    inputs = torch.randn(1, 30, 3)
    outputs = torch.stack([inputs[..., 0].sin() + inputs[..., 1], torch.randn(1, 30)], 2)
    valid, used = torch.ones(1, 30, dtype=torch.bool), torch.tensor([3])
    fitted = Fitted.of(inputs, outputs, valid, used)
    found, _ = fitted.predict(inputs)
    rows, targets = inputs[0].double(), outputs[0].double()

    def solved(keep, length, penalty):
        kernel = _kernel(rows[keep], rows[keep], length) + penalty * 30 * torch.eye(int(keep.sum()))
        return torch.linalg.solve(kernel, targets[keep])

    left_out, errors = {}, {}
    for kernel in KERNELS:
        others = [torch.arange(30) != row for row in range(30)]
        left_out[kernel] = torch.cat(
            [_kernel(rows[[row]], rows[keep], kernel[0]) @ solved(keep, *kernel) for row, keep in enumerate(others)]
        )
        errors[kernel] = (targets - left_out[kernel]).square().sum(0)
    for output in (0, 1):
        best = min(KERNELS, key=lambda kernel: float(errors[kernel][output]))
        if errors[best][output] >= targets[:, output].square().sum():
            assert torch.all(found[..., output] == 0)  # noise: nothing is said
            continue
        whole = _kernel(rows, rows, best[0]) @ solved(torch.ones(30, dtype=torch.bool), *best)
        torch.testing.assert_close(found[0, :, output].double(), whole[:, output], atol=1e-3, rtol=1e-3)
        expected = left_out[best][:, output]
        torch.testing.assert_close(fitted.left_out[0, :, output].double(), expected, atol=1e-3, rtol=1e-3)
    assert torch.all(found[..., 0] != 0)


def test_leverage_is_the_variance_of_the_estimate_in_units_of_the_noise():
    torch.manual_seed(0)
    inputs = torch.randn(1, 40, 2)
    outputs = (inputs[..., :1] * 2.0 + inputs[..., 1:].sin() + 0.1 * torch.randn(1, 40, 1)).repeat(1, 1, 2)
    fitted = Fitted.of(inputs, outputs, torch.ones(1, 40, dtype=torch.bool), torch.tensor([2]))
    queries = torch.randn(1, 7, 2)
    _, leverage = fitted.predict(queries)
    rows, asked = inputs[0].double(), queries[0].double()

    def by_hand(length, share):
        penalty = share * 40
        inverse = torch.linalg.inv(_kernel(rows, rows, length) + penalty * torch.eye(40, dtype=torch.float64))
        near = _kernel(asked, rows, length)
        return (_kernel(asked, asked, length).diagonal() - (near @ inverse * near).sum(1)) / penalty

    candidates = torch.stack([by_hand(*kernel) for kernel in KERNELS])
    apart = (candidates / leverage[0, :, 0].double() - 1.0).abs().amax(1)
    assert float(apart.min()) < 1e-2


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_almost_no_rows_say_almost_nothing_but_finite_numbers(rows):
    torch.manual_seed(0)
    inputs, outputs = torch.randn(2, rows, 4), torch.randn(2, rows, 3)
    fitted = Fitted.of(inputs, outputs, torch.ones(2, rows, dtype=torch.bool), torch.tensor([4, 4]))
    found, leverage = fitted.predict(torch.randn(2, 5, 4))
    assert torch.isfinite(found).all() and torch.isfinite(leverage).all()
    assert rows or torch.all(found == 0)


def test_padding_and_the_order_of_rows_change_nothing():
    torch.manual_seed(0)
    inputs, queries = torch.randn(1, 20, 3), torch.randn(1, 6, 3)
    outputs = torch.stack([inputs[..., 0].sin(), inputs[..., 1]], 2) + 0.3 * torch.randn(1, 20, 2)
    valid, used = torch.ones(1, 20, dtype=torch.bool), torch.tensor([3])
    plain = Fitted.of(inputs, outputs, valid, used).predict(queries)
    more, noise = torch.cat([inputs, torch.randn(1, 5, 3)], 1), torch.cat([outputs, torch.randn(1, 5, 2)], 1)
    padded = Fitted.of(more, noise, torch.arange(25)[None] < 20, used).predict(queries)
    order = torch.randperm(20)
    shuffled = Fitted.of(inputs[:, order], outputs[:, order], valid, used).predict(queries)
    for found, expected in zip((*padded, *shuffled), plain * 2, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=5e-2)


def test_the_regression_trusts_itself_less_far_away():
    torch.manual_seed(0)
    inputs = torch.rand(1, 40, 2)
    fitted = Fitted.of(inputs, inputs[..., [0, 0]], torch.ones(1, 40, dtype=torch.bool), torch.tensor([2]))
    _, near = fitted.predict(inputs[:, :5])
    _, far = fitted.predict(4.0 + inputs[:, :5])
    assert float(far.min()) > 10 * float(near.max())
