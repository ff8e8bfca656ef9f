"""Weights of the released one-shot world model: a small file in its form, and a second making of its network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from metabench_baselines.oswm_published.policy import load_published_weights
from torch import Tensor, nn

from metabench import DataError, TrainingRun, load_data, load_method

pytestmark = pytest.mark.slow

STATES, ACTIONS, WIDTH, HEADS, LAYERS, CONTEXT, QUERIES = 11, 3, 32, 4, 2, 40, 7


class Encoder(nn.Module):
    """Five linear layers; what the first gives is added after each of the three in between."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        sizes = [(inputs, WIDTH), *[(WIDTH, WIDTH)] * 3, (WIDTH, WIDTH // 4)]
        self.layers = nn.ModuleList(nn.Linear(*size) for size in sizes)

    def forward(self, values: Tensor) -> Tensor:
        first = self.layers[0](values)
        hidden = torch.nn.functional.gelu(first)
        for layer in list(self.layers)[1:4]:
            hidden = torch.nn.functional.gelu(layer(hidden)) + first
        return self.layers[4](hidden)


class Decoder(nn.Module):
    """Four linear layers without biases, with sigmoids."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        inner = WIDTH // 8
        sizes = [(WIDTH, inner), (inner, inner), (inner, inner), (inner, outputs)]
        self.layers = nn.ModuleList(nn.Linear(*size, bias=False) for size in sizes)

    def forward(self, tokens: Tensor) -> Tensor:
        first = self.layers[0](tokens)
        hidden = torch.sigmoid(first)
        for layer in list(self.layers)[1:3]:
            hidden = torch.sigmoid(layer(hidden)) + first
        return self.layers[3](hidden)


class Layer(nn.Module):
    """PyTorch's own attention, sums normalised afterwards; queries see the context and not themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(WIDTH, HEADS)
        self.linear1, self.linear2 = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:  # (rows, B, width)
        context = tokens[:CONTEXT]
        tokens = self.norm1(tokens + self.self_attn(tokens, context, context, need_weights=False)[0])
        return self.norm2(tokens + self.linear2(torch.nn.functional.gelu(self.linear1(tokens))))


class Released(nn.Module):
    """The released network, rows first, as its description has it."""

    def __init__(self) -> None:
        super().__init__()
        self.transformer_encoder = nn.ModuleDict({"layers": nn.ModuleList(Layer() for _ in range(LAYERS))})
        self.encoder = nn.ModuleDict({"state": Encoder(STATES), "action": Encoder(ACTIONS)})
        self.y_encoder = nn.ModuleDict({"state": Encoder(STATES), "reward": Encoder(1)})
        self.decoder = nn.ModuleDict({"state": Decoder(STATES), "reward": Decoder(1)})

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        before = torch.cat([self.encoder["state"](x[..., :STATES]), self.encoder["action"](x[..., STATES:])], -1)
        after = torch.cat([self.y_encoder["state"](y[..., :STATES]), self.y_encoder["reward"](y[..., -1:])], -1)
        tokens = torch.cat([before, torch.zeros_like(before)], -1)
        context = tokens[:CONTEXT] + torch.cat([torch.zeros_like(after), after], -1)
        tokens = torch.cat([context, tokens[CONTEXT:]])
        for layer in self.transformer_encoder["layers"]:
            tokens = layer(tokens)
        queries = tokens[CONTEXT:]
        zeros = queries.new_zeros(*queries.shape[:-1], 2)
        return torch.cat([self.decoder["state"](queries), zeros, self.decoder["reward"](queries)], -1)


@pytest.fixture(scope="module")
def released() -> Released:
    torch.manual_seed(0)
    model = Released()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)  # nothing is zero: all of it is read
    return model.eval()


def write(folder: Path, state: object) -> Path:
    torch.save(state, folder / "exp_seed_1.pt")
    return folder / "exp_seed_1.pt"


@pytest.mark.parametrize("wrap", ["alone", "beside an optimiser", "in a parallel module", "other way round"])
def test_released_weights_predict_as_the_network_that_they_come_from(
    released: Released, wrap: str, tmp_path: Path
) -> None:
    state = released.state_dict()
    if wrap == "beside an optimiser":
        state = (state, None, {"lr": 5e-5, "seed": 1})
    elif wrap == "in a parallel module":
        state = {"model": {f"module.{key}": value for key, value in state.items()}}
    elif wrap == "other way round":  # what stands beside what tells the encoders apart, not their order
        state = dict(sorted(state.items(), key=lambda item: item[0].startswith("encoder")))
    model = load_published_weights(write(tmp_path, state))
    assert (model.config.state_slots, model.config.action_slots) == (STATES, ACTIONS)
    assert (model.config.width, model.config.layers, model.config.heads) == (WIDTH, LAYERS, HEADS)
    generator = torch.Generator().manual_seed(1)
    x, y = (torch.randn(CONTEXT + QUERIES, 2, STATES + ACTIONS, generator=generator) for _ in range(2))
    scales = [(part[:CONTEXT].mean(0), part[:CONTEXT].std(0)) for part in (x, y)]
    normalised = [(part - mean) / deviation for part, (mean, deviation) in zip((x, y), scales, strict=True)]
    with torch.no_grad():
        expected = released(normalised[0], normalised[1][:CONTEXT]) * scales[1][1] + scales[1][0]
        given = model.read(x[:CONTEXT].transpose(0, 1), y[:CONTEXT].transpose(0, 1))
        found = model(given, x[CONTEXT:].transpose(0, 1)).transpose(0, 1)
    torch.testing.assert_close(found[..., :STATES], expected[..., :STATES], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[..., -1], expected[..., -1], rtol=1e-4, atol=1e-5)
    eight = load_published_weights(write(tmp_path, state), heads=8)
    assert eight.config.heads == 8
    with torch.no_grad():
        other = eight(eight.read(x[:CONTEXT].transpose(0, 1), y[:CONTEXT].transpose(0, 1)), x[CONTEXT:].transpose(0, 1))
    assert (other.transpose(0, 1) - found).abs().max() > 1e-4


def test_a_policy_of_released_weights_acts_and_comes_back(released: Released, tmp_path: Path, tiny_built: Path) -> None:
    path = write(tmp_path, released.state_dict())
    method = load_method("oswm-published-small", preset="tiny", suite="tiny", overrides={"weights": str(path)})
    data = load_data("tiny", "medium")
    policy = method.train(data, TrainingRun(0))
    assert method.pretraining_seconds() is None
    policy.save(tmp_path / "policy")
    path.unlink()
    loaded = method.load(tmp_path / "policy", data.spaces)
    assert policy.parameter_count() == loaded.parameter_count() == sum(p.numel() for p in released.parameters())


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path("was-run"),))


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda state: {"weights": Evil()}, "not a file of weights"),
        (lambda state: {"nothing": 1}, "expected a dictionary of tensors, found none"),
        (lambda state: {"a.weight": torch.zeros(2, 2)}, "expected attention layers"),
        (lambda state: {k: v for k, v in state.items() if "y_encoder.reward" not in k}, "expected 4 encoders"),
        (lambda state: {k: v for k, v in state.items() if "in_proj_bias" not in k}, "in_proj_bias"),
        (
            lambda state: {k: v.half()[:-1] if k == "decoder.reward.layers.0.weight" else v for k, v in state.items()},
            "found",
        ),
    ],
)
def test_other_files_are_refused_in_one_line(
    released: Released, make, problem: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, make(released.state_dict()))
    with pytest.raises(DataError, match=problem) as caught:
        load_published_weights(path)
    assert "\n" not in str(caught.value)
    assert not Path("was-run").exists()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="not a file of weights"):
        load_published_weights(path)
