"""The picture of oswm-plus: what a reader says of logged steps, beside what was logged."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metabench_baselines.common.planning.rows import Answers, Reader
from metabench_baselines.oswm_plus import OSWMPlus
from metabench_baselines.oswm_plus.config import PRESETS
from metabench_baselines.oswm_plus.pictures import draw_prediction_pictures

from metabench import LinePlot, TrainingRun, load_data


class Counting(Reader):
    """Predicts that everything grows by the rows that it has read; as unsure as twice that."""

    def read(self, context):
        count = float(context.valid.sum())

        def predict(observations, actions):
            flat = torch.full(observations.shape[:2], count)
            return Answers(observations + count, torch.full_like(observations, 2 * count), flat, 2 * flat, flat * 0)

        return predict


def test_predictions_lie_beside_what_was_logged():
    data = load_data("tiny", "medium").validation
    (picture,) = draw_prediction_pictures(Counting(), data.spaces, data, np.random.default_rng(3), 7)
    columns = data.columns
    logged = [columns.rewards[a:b] for a, b in zip(columns.offsets[:-1], columns.offsets[1:], strict=True)]
    real, read, bare = picture.panels["reward"]
    assert any(np.array_equal(real.y, rewards) for rewards in logged)
    assert real.reference
    assert (read.name, bare.name) == ("after 7 steps", "knowing nothing")
    assert (read.y == 7).all()
    assert (read.high - read.low == 28).all()
    assert (bare.y == 0).all()
    assert bare.low is None
    assert all(np.allclose(lines[1].y, 7, atol=1e-5) for lines in picture.panels.values())
    assert len(picture.panels) == 1 + min(5, data.spaces.observation_dim)


@pytest.mark.slow
def test_the_policy_offers_it():
    data = load_data("tiny-discrete", "medium")
    policy = OSWMPlus(PRESETS["tiny"]).train(data, TrainingRun(0))
    (picture,) = policy.pictures(data.validation, np.random.default_rng(0))
    assert isinstance(picture, LinePlot)
    read = picture.panels["reward"][1]
    assert (read.low < read.high).all()
