"""Meta-DT acting in all lanes of an evaluation at once, against lane by lane with a full pass over every window."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from metabench_baselines.common.decision_transformer.train import Scales, build_networks
from metabench_baselines.meta_dt.config import MetaDTConfig, build_presets
from metabench_baselines.meta_dt.policy import LaneCodes, MetaDTPolicy
from metabench_baselines.meta_dt.world_model import WorldModel

from metabench import Array, Episode, Spaces, Step, load_suite

SHOTS = (1, 3, 5)
GROUPS = 5 * 4  # tasks and supports of each, for every shot count
LANES_A_GROUP = 5


@pytest.fixture(params=sorted({1, os.cpu_count() or 1}), ids=lambda count: f"{count} threads")
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Both sides of a ratio get as many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def steps_of(spaces: Spaces, lanes: int, count: int) -> list[Step]:
    generator = np.random.default_rng(0)
    return [
        Step(
            generator.standard_normal((lanes, spaces.observation_dim)).astype(np.float32),
            spaces.uniform_actions(generator, (lanes,)) if timestep else spaces.null_actions(lanes),
            np.zeros(lanes, np.float32),
            np.full(lanes, timestep),
            np.ones(lanes, bool),
            np.ones(lanes, bool),
        )
        for timestep in range(count)
    ]


def support_of(spaces: Spaces) -> dict[int, list[Episode]]:
    """Support of each group: all groups have episodes of their own, of every shot count there are as many groups."""
    generator = np.random.default_rng(1)
    length = spaces.horizon

    def episode() -> Episode:
        observations = generator.standard_normal((length + 1, spaces.observation_dim)).astype(np.float32)
        actions = spaces.uniform_actions(generator, (length,))
        return Episode(observations, actions, generator.standard_normal(length).astype(np.float32), False, True)

    counts = np.repeat(SHOTS, GROUPS)
    return {group: [episode() for _ in range(count)] for group, count in enumerate(counts)}


class LaneByLane:
    """One lane of a Meta-DT that keeps nothing but its inputs: every step is a full pass over prompt and window."""

    def __init__(self, policy: MetaDTPolicy) -> None:
        assert isinstance(policy.world_model, WorldModel)
        self._policy = policy
        self._codes = LaneCodes(policy.world_model, policy.spaces)
        self._model = policy.networks.transformer
        self._rows: list[dict[str, torch.Tensor]] = []
        self._codes.reset([()])
        length = policy.config.prompt_length
        self._prompt = {
            "returns": torch.zeros(1, length),
            "observations": torch.randn(1, length, policy.spaces.observation_dim),
            "actions": torch.rand(1, length, policy.spaces.action_dim),
            "timesteps": torch.arange(length)[None],
            "mask": torch.ones(1, length, dtype=torch.bool),
        }

    @torch.inference_mode()
    def act(self, step: Step) -> Array:
        spaces, scales = self._policy.spaces, self._policy.scales
        if self._rows:
            self._rows[-1]["actions"] = torch.as_tensor(spaces.action_features(step.previous_action))
        self._rows.append(
            {
                "returns": torch.as_tensor(scales.target - step.previous_reward / scales.returns, dtype=torch.float32),
                "observations": torch.as_tensor(scales.normalise(step.observation)),
                "codes": self._codes.advance(step),
                "actions": torch.zeros(1, spaces.action_dim),
                "timesteps": torch.as_tensor(step.timestep),
                "mask": torch.ones(1, dtype=torch.bool),
            }
        )
        self._rows = self._rows[-self._policy.config.window :]
        window = {name: torch.stack([row[name] for row in self._rows], dim=1) for name in self._rows[0]}
        predicted, _ = self._model(window, self._prompt)
        return spaces.actions_from_features(predicted[:, -1].numpy())


def untrained(config: MetaDTConfig, spaces: Spaces) -> MetaDTPolicy:
    torch.manual_seed(0)
    size = spaces.observation_dim
    scales = Scales(np.zeros(size, np.float32), np.ones(size, np.float32), 1.0, 1.0)
    networks = build_networks(config, spaces, config.code_dim, config.code_placement)
    return MetaDTPolicy(config, networks, None, WorldModel(config, spaces), spaces, scales)


@pytest.mark.parametrize(("suite", "preset", "least"), [("point-robot", "paper", 20), ("cheetah-vel", "cpu", 10)])
def test_acting(benchmark: Callable, report: Callable, threads: int, suite: str, preset: str, least: float) -> None:
    """In point-robot an episode fits the window, in cheetah-vel the window slides; those steps are measured."""
    spaces = load_suite(suite).spaces
    config = build_presets(suite)[preset]
    policy = untrained(config, spaces)
    groups = [group for group in range(GROUPS * len(SHOTS)) for _ in range(LANES_A_GROUP)]
    lanes = len(groups)
    count = spaces.horizon if spaces.horizon <= config.window else config.window + 10
    steps = steps_of(spaces, lanes, count)
    measured = range(0 if spaces.horizon <= config.window else config.window, count)
    support = support_of(spaces)

    def seconds_of(act: Callable[[Step], Array], shown: list[Step]) -> float:
        seconds = []
        for step in shown:
            began = time.perf_counter()
            act(step)
            seconds.append(time.perf_counter() - began)
        return sum(seconds[i] for i in measured)

    def act_together() -> float:
        policy.reset(groups, list(range(lanes)))
        policy.adapt(support)
        return seconds_of(policy.act, steps)

    def act_alone() -> float:
        alone = [Step(*(getattr(step, name)[:1] for name in Step.__dataclass_fields__)) for step in steps]
        return seconds_of(LaneByLane(policy).act, alone)

    act_together()
    rounds = [(act_together(), act_alone()) for _ in range(3)]
    benchmark.pedantic(act_together, rounds=1)
    together, alone = (min(seconds) / len(measured) for seconds in zip(*rounds, strict=True))
    ratio = lanes * alone / together
    report(
        f"acting in {suite} ({preset}), {threads} threads, {lanes} lanes at once: {lanes / together:.0f} actions/s, "
        f"{ratio:.1f} times those of lane by lane with full passes ({1 / alone:.0f}); aim with all cores: {least}"
    )
    # One lane costs calls, which more cores make no faster; many lanes cost arithmetic, which they share. So the aim
    # is for all cores, and for cores with nothing else to do.
    assert ratio >= (least if threads > 1 else least / 2)
