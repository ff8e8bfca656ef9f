"""Who has Minari alone, and never imports metabench, gets the environment and the scores with the data."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest

from metabench.data.making.build import build_data
from metabench.data.storage.store import open_store
from metabench.suites import load_suite

WITHOUT_METABENCH = """
import sys
import minari, numpy as np
dataset = minari.load_dataset("metabench/tiny/medium-v1")
assert "metabench" not in sys.modules
env = dataset.recover_environment()
assert (env.spec.id, env.spec.max_episode_steps) == ("metabench/Tiny-v1", 20)
assert env.observation_space == dataset.observation_space and env.action_space == dataset.action_space
for number in (0, 3, 39):
    episode = dataset[number]
    task = next(dataset.storage.get_episode_metadata([number]))["task"]
    env = dataset.recover_environment(task=int(task))
    env.reset(seed=0)
    steps = [env.step(action) for action in episode.actions]
    np.testing.assert_allclose([step[0] for step in steps], episode.observations[1:], atol=1e-6)
    np.testing.assert_allclose([step[1] for step in steps], episode.rewards, atol=1e-6)
    assert [step[3] for step in steps] == episode.truncations.tolist()
    low, high = dataset.storage.metadata["ref_scores_of_tasks"][str(task)]
    assert low < high
returns = np.array([episode.rewards.sum() for episode in dataset.iterate_episodes()])
print(minari.get_normalized_score(dataset, returns).mean())
"""


@pytest.mark.slow
def test_minari_alone_makes_its_environment_and_its_scores(tiny_built):
    done = subprocess.run([sys.executable, "-c", WITHOUT_METABENCH], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    suite = load_suite("tiny")
    references = [task.reference for task in suite.dataset_tasks("medium")]
    low, high = (np.mean([getattr(each, name) for each in references]) for name in ("random", "expert"))
    returns = open_store(suite, "medium").trajectories.columns.episode_returns
    assert float(done.stdout) == pytest.approx((returns.mean() - low) / (high - low), abs=1e-5)


def test_a_suite_in_a_folder_tells_nobody_where_it_lies(tmp_path, folders):
    shutil.copytree(load_suite("tiny").folder, tmp_path / "tiny")
    build_data(load_suite(tmp_path / "tiny"), "medium")
    (metadata,) = (folders / "minari").rglob("metadata.json")
    assert str(tmp_path) not in metadata.read_text()
