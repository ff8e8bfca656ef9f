"""The regression that the world model starts from."""

import torch
from metabench_baselines.oswm.regression import PENALTIES, Regression


def test_the_regression_is_ridge_regression_and_leaves_rows_out():
    """Against solving it anew without each row, by the textbook's formula."""
    torch.manual_seed(0)
    regression = Regression(3)
    inputs = torch.randn(1, 30, 3)
    outputs = torch.stack([inputs[..., 0].sin() + inputs[..., 1], torch.randn(1, 30)], 2)
    valid, used = torch.ones(1, 30, dtype=torch.bool), torch.tensor([3])
    fitted = regression.fit(inputs, outputs, valid, used)
    features = regression._features(inputs, fitted.root)[0].double()
    found, _ = regression.predict(fitted, inputs)

    def solved(keep, penalty):
        chosen = features[keep]
        gram = chosen.T @ chosen + penalty * 30 * torch.eye(features.shape[1], dtype=torch.float64)
        return torch.linalg.solve(gram, chosen.T @ outputs[0][keep].double())

    errors = {}
    for penalty in PENALTIES:
        others = [torch.arange(30) != row for row in range(30)]
        left_out = torch.stack([features[row] @ solved(keep, penalty) for row, keep in enumerate(others)])
        errors[penalty] = (outputs[0] - left_out).square().sum(0), left_out
    best = min(PENALTIES, key=lambda penalty: float(errors[penalty][0][0]))
    whole = features @ solved(torch.ones(30, dtype=torch.bool), best)
    torch.testing.assert_close(found[0, :, 0].double(), whole[:, 0], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(fitted.left_out[0, :, 0].double(), errors[best][1][:, 0], atol=1e-2, rtol=1e-2)
    if min(float(errors[penalty][0][1]) for penalty in PENALTIES) >= float(outputs[0, :, 1].square().sum()):
        assert torch.all(found[..., 1] == 0)  # noise: nothing is said


def test_the_regression_trusts_itself_less_far_away():
    torch.manual_seed(0)
    regression = Regression(2)
    inputs = torch.rand(1, 40, 2)
    fitted = regression.fit(inputs, inputs[..., :1], torch.ones(1, 40, dtype=torch.bool), torch.tensor([2]))
    _, near = regression.predict(fitted, inputs[:, :5])
    _, far = regression.predict(fitted, 4.0 + inputs[:, :5])
    assert float(far.min()) > 10 * float(near.max())
