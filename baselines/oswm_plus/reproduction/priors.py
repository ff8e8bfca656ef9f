"""Worlds that models are pretrained in, beside the suites: how slow states are, and how much actions do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from metabench import TrainingRun, load_data

from ...common.synthetic_prior.prior import Prior
from ...common.synthetic_prior.statistics import (
    action_shares,
    describe_data,
    describe_prior,
    lag_correlations,
    summarise_quartiles,
)
from ...oswm_published.prior import UNUSED, PublishedPrior
from ..config import PRETRAINING

PRIORS: Mapping[str, str] = {
    "oswm-plus": "oswm",
    "oswm-published": "oswm-faithful",
    "oswm-published without its defects": "oswm-faithful without its defects",
}
"""What is described, and the word that seeds its draws: what it was called before, so that its row stays the same."""

ENVIRONMENTS, ROWS = 256, 1_000
"""Synthetic environments that are described, and transitions of each of them, or of each task of a suite."""


def make_prior_row(prior: str, run: TrainingRun) -> list[dict[str, Any]]:
    """The row of one of `PRIORS`."""
    generator = torch.Generator().manual_seed(
        int(run.generator("prior", PRIORS[prior]).integers(2**62))
    )
    if prior == "oswm-plus":
        config = PRETRAINING["cpu"]
        worlds = Prior(config.model.state_slots, config.model.action_slots, generator)
        described = describe_prior(
            worlds.draw(ENVIRONMENTS, config.episodes, ROWS // config.episodes)
        )
    else:
        data = PublishedPrior(generator, defects=prior == "oswm-published").draw(ENVIRONMENTS, ROWS)
        used = data.kinds != UNUSED
        states, actions = torch.split(
            data.inputs, [used.shape[1], data.inputs.shape[2] - used.shape[1]], 2
        )
        following = data.outputs[..., : used.shape[1]]
        described = summarise_quartiles(
            lag_correlations(states, following)[used],
            action_shares(states, actions, following)[used],
        )
    return [{"worlds": f"prior of {prior}", **described}]


def make_suite_row(suite: str, run: TrainingRun) -> list[dict[str, Any]]:
    """The row of a suite's training tasks in its `medium` data, which is built if missing."""
    return [
        {
            "worlds": suite,
            **describe_data(load_data(suite, "medium"), run.generator("prior", suite), ROWS),
        }
    ]
