"""Tiny configurations of meta-dt and meta-dt-plus, and one step of a policy."""

from __future__ import annotations

import numpy as np

from metabench import Step


def configure_tiny(method, **overrides):
    preset = method.presets("tiny")["tiny"]
    prompted = {"no_prompt": False}  # meta-dt-plus has none unless told so
    return type(preset)(**{**preset.model_dump(), **prompted, **overrides})


def act_once(policy, spaces, support=None, scored=True, lanes=64, timestep=0):
    policy.reset([5] * lanes, list(range(lanes)))
    if support:
        policy.adapt(support)
    zeros = np.zeros((lanes, spaces.observation_dim), np.float32)
    for t in range(timestep + 1):
        step = Step(
            zeros,
            spaces.null_actions(lanes),
            np.zeros(lanes, np.float32),
            np.full(lanes, t),
            np.ones(lanes, bool),
            np.full(lanes, scored),
        )
        actions = policy.act(step)
    return actions
