"""What a policy's own process costs an evaluation: the same steps with the policy here and there, in turn."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from metabench_baselines.bc.config import PRESETS as BC_PRESETS
from metabench_baselines.bc.model import BCNetwork
from metabench_baselines.bc.policy import BCPolicy
from metabench_baselines.common.decision_transformer.train import Scales, build_networks
from metabench_baselines.prompt_dt.config import build_presets
from metabench_baselines.prompt_dt.policy import PromptDTPolicy

from metabench import Array, Policy, Spaces, Step, Suite, load_method, load_suite
from metabench.evaluation.guarded_policy import GuardedPolicy
from metabench.evaluation.protocol import Lane
from metabench.evaluation.rollout import Rollout, roll_out_policy
from metabench.runs.isolation.isolated_policy import open_isolated

LANES = 200
STEPS = 20
ROUNDS = 8
QUIET = 0.2
"""Other programs make some steps longer, never shorter: the quicker ones are those that they left alone."""


def bc(spaces: Spaces) -> Policy:
    config = BC_PRESETS["tiny"]
    return BCPolicy(BCNetwork(spaces, config.width, config.depth), spaces, config)


def prompt_dt(spaces: Spaces) -> Policy:
    config = build_presets("cheetah-vel")["tiny"]
    size = spaces.observation_dim
    scales = Scales(np.zeros(size, np.float32), np.ones(size, np.float32), 1.0, 1.0)
    return PromptDTPolicy(config, build_networks(config, spaces), spaces, scales)


POLICIES: dict[str, Callable[[Spaces], Policy] | None] = {
    "bc": bc,
    "prompt-dt": prompt_dt,
    f"{Path(__file__).with_name('still.py')}:Still": None,
}


def shortened(name: str, folder: Path) -> Suite:
    """The suite with episodes of `STEPS` steps: of longer ones every step costs the same."""
    place = folder / name
    shutil.copytree(load_suite(name).folder, place)
    file = place / "suite.toml"
    file.write_text(re.sub(r"(?m)^horizon = \d+", f"horizon = {STEPS}", file.read_text()))
    return load_suite(place)


class Measured(NamedTuple):
    """Seconds of the acts and of the whole steps of an episode but for the first, and what came of it."""

    acting: list[float]
    steps: list[float]
    rollout: Rollout


class Timed(Policy):
    """Another policy, with the seconds of each of its acts."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.seconds: list[float] = []

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        self.policy.reset(groups, seeds)

    def act(self, step: Step) -> Array:
        began = time.perf_counter()
        action = self.policy.act(step)
        self.seconds.append(time.perf_counter() - began)
        return action

    def save(self, folder: Path) -> None:
        self.policy.save(folder)


@pytest.mark.parametrize("name", ["cheetah-vel", "point-robot"])
@pytest.mark.parametrize("method", POLICIES, ids=lambda method: method.rpartition(":")[2])
def test_cost(benchmark: Callable, report: Callable, tmp_path: Path, method: str, name: str) -> None:
    suite = shortened(name, tmp_path)
    environment = suite.environment()
    tasks = suite.split("test")
    lanes = [Lane(tasks[lane % len(tasks)].id, 0, 0, lane, lane % len(tasks)) for lane in range(LANES)]
    saved, make = tmp_path / "saved", POLICIES[method]
    torch.manual_seed(0)
    saved.mkdir()
    if make is not None:
        make(suite.spaces).save(saved)

    def episode(policy: Policy) -> Measured:
        moments: list[float] = []
        timed = Timed(policy)
        rollout = roll_out_policy(
            GuardedPolicy(timed, "measured", suite.spaces),
            suite,
            environment,
            lanes,
            range(LANES),
            range(LANES),
            {},
            scored=True,
            progress=lambda done, total: moments.append(time.perf_counter()),
        )
        return Measured(timed.seconds[1:], np.diff(moments).tolist(), rollout)

    here = load_method(method).load(saved, suite.spaces)
    began = time.perf_counter()
    with open_isolated(method, saved, suite.spaces) as there:
        opening = time.perf_counter() - began
        assert episode(here).rollout == episode(there).rollout
        rounds = [(episode(here), episode(there)) for _ in range(ROUNDS)]
        benchmark.pedantic(lambda: episode(there), rounds=1)
    inside, outside = (np.quantile([pair[which].acting for pair in rounds], QUIET) for which in (0, 1))
    step = np.quantile([pair[0].steps for pair in rounds], QUIET)
    cost = (outside - inside) / step
    report(
        f"isolated {method.rpartition(':')[2]} in {name}, {LANES} lanes: acting {1e6 * inside:.0f} us here, "
        f"{1e6 * outside:.0f} us isolated; cost {cost:+.1%} of a step's {1e6 * step:.0f} us; opening {opening:.2f} s"
    )
    # A simulator of a few additions is not what a process of one's own is for.
    assert name == "point-robot" or cost < 0.1
