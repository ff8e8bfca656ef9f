"""The rollout loop: a simulation that diverges is reported with its task."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from metabench import Policy, evaluate, load_suite
from metabench.errors import SimulationError


class Still(Policy):
    """Does nothing."""

    def reset(self, groups, seeds):
        pass

    def act(self, step):
        return np.zeros_like(step.previous_action)

    def save(self, folder):
        raise NotImplementedError


def test_divergence_names_suite_and_task_instead_of_many_parameters(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes MUJOCO_LOG.TXT where it runs
    suite = load_suite("hopper-param")
    broken = suite.split("test")[2]
    tasks = [
        task.model_copy(update={"parameters": {**task.parameters, "damping": [1e300] * 3}}) if task is broken else task
        for task in suite.tasks
    ]
    suite = dataclasses.replace(suite, entry=suite.entry.model_copy(update={"task": tuple(tasks), "horizon": 2}))
    with pytest.raises(SimulationError) as caught:
        evaluate(Still(), suite, "zero-shot")
    error = caught.value
    assert str(error) == (
        f"the simulation of lane {error.lane} diverged at step 1 in task {broken.id} of suite hopper-param"
    )
    assert error.parameters == suite.tasks[broken.id].parameters
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
