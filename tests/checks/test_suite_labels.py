"""Histories and labels of suites that do not come with metabench, and the check of what their experts would say."""

import numpy as np
import pytest

from metabench import check_suite, load_data

pytestmark = pytest.mark.slow


def test_an_expert_whose_labels_would_be_noisy_is_found(make_plugin) -> None:
    make_plugin(
        "my-cart",
        """
def reset(self, behaviours, parameters, seeds, old=MyCartTeacher.reset):
    old(self, behaviours, parameters, seeds)
    self._strength = self._strength * np.array([np.random.default_rng(seed).normal(1.0, 0.01) for seed in seeds])
MyCartTeacher.reset = reset""",
    )
    found = {finding.title: finding.problem for finding in check_suite("my-cart") if not finding.passed}
    assert found["teacher"] == (
        "act_without_noise: the expert's action depends on the seed; override it, labels are made by it"
    )


def test_a_suite_of_its_own_has_histories_and_labels(make_plugin) -> None:
    toml = make_plugin("my-cart") / "my_cart/my-cart/suite.toml"
    toml.write_text(toml.read_text().replace("trajectories = 100", "trajectories = 20"))
    assert load_data("my-cart", "histories").stages.tolist() == [*range(20)] * 20
    expert = load_data("my-cart", "expert-actions")
    assert expert.expert_action_features.shape == expert.action_features.shape
    assert not np.array_equal(expert.columns.expert_actions, expert.columns.actions)
