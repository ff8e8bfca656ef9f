"""The conformance check: every broken promise is found, and the check that is meant for it says so."""

import re
from pathlib import Path

import pytest

from metabench.checks.method import check_method, iterate_method_checks

pytestmark = pytest.mark.slow


SOUND = '''
from collections.abc import Mapping
import json
import numpy as np
import torch
from pydantic import Field
from metabench import Config, DataError, Method, Policy, load_state, save_state

class C(Config):
    width: int = Field(default=2, description="width")

class Sound(Method):
    """Acts by a table of random numbers that training drew, its seed, its support."""
    name = "sound"
    config_class = C
    def train(self, data, run):
        weights = torch.nn.Linear(data.spaces.observation_dim, data.spaces.action_dim)
        run.torch_seed("weights")
        weights.reset_parameters()
        optimizer = torch.optim.SGD(weights.parameters(), 0.01)
        for update in run.steps("policy", 6, weights=weights, optimizer=optimizer):
            batch = data.to("cpu").transitions(run.generator(update).integers(data.num_transitions, size=8))
            loss = (weights(batch.observations) - batch.actions).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.log(loss=loss.item())
        return self.policy(weights.weight.detach().numpy().astype("float64"), data.spaces)
    def policy(self, weights, spaces):
        return SoundPolicy(weights, spaces)
    def load(self, folder, spaces):
        weights = load_state(folder / "policy")["weights"]
        if weights.shape != (spaces.action_dim, spaces.observation_dim):
            raise DataError(f"{folder}: other spaces")
        return self.policy(weights, spaces)

class SoundPolicy(Policy):
    def __init__(self, weights, spaces):
        self.weights, self.spaces = weights, spaces
    def reset(self, groups, seeds):
        self.groups = list(groups)
        self.generators = [np.random.default_rng(seed) for seed in seeds]
        self.shift = np.zeros(len(groups))
    def adapt(self, support):
        for lane, group in enumerate(self.groups):
            self.shift[lane] = sum(float(episode.rewards.sum()) for episode in support.get(group, ()))
    def features(self, step):
        noise = np.stack([generator.normal(size=self.spaces.action_dim) for generator in self.generators])
        return np.tanh(step.observation @ self.weights.T + noise + 0.1 * np.sin(self.shift)[:, None])
    def act(self, step):
        return self.spaces.actions_from_features(self.features(step))
    def save(self, folder):
        save_state({"weights": self.weights}, folder / "policy")
'''

BREAKS = {
    "frozen": "C.model_config = {**C.model_config, 'frozen': False}\nC.model_rebuild(force=True)",
    "round trip": """
class R(C):
    model_config = {"ser_json_inf_nan": "constants"}
    width: float = Field(default=2.0, description="width")
    from pydantic import field_serializer
    @field_serializer("width")
    def shorter(self, width): return width / 2
Sound.config_class = R""",
    "documented": "class D(C):\n    bare: int = 1\nSound.config_class = D",
    "variants": "Sound.variants = {'v': {'widht': 3}}",
    "predicts": "Sound.predicts = True",
    "actions declared": "Sound.continuous_actions = Sound.discrete_actions = False",
    "trains": "def train(self, data, run): raise RuntimeError('no idea')\nSound.train = train",
    "curve": """
def train(self, data, run, old=Sound.train):
    run.log = lambda **metrics: None
    return old(self, data, run)
Sound.train = train""",
    "deterministic": """
def policy(self, weights, spaces): return SoundPolicy(weights + np.random.default_rng().normal(), spaces)
Sound.policy = policy""",
    "resumes": """
def train(self, data, run, old=Sound.train):
    policy = old(self, data, run)
    if run._folder is not None: policy.weights = policy.weights + 1
    return policy
Sound.train = train""",
    "acts": "SoundPolicy.act = lambda self, step: self.spaces.actions_from_features(self.features(step)) * np.nan",
    "seeds": """
def reset(self, groups, seeds, old=SoundPolicy.reset):
    old(self, groups, np.random.default_rng().integers(99, size=len(seeds)))
SoundPolicy.reset = reset""",
    "forgets": """
def reset(self, groups, seeds, old=SoundPolicy.reset):
    shift = getattr(self, "shift", np.zeros(1))
    old(self, groups, seeds)
    self.shift[:] = shift.mean()
SoundPolicy.reset = reset""",
    "lanes": """
def features(self, step, old=SoundPolicy.features): return old(self, step) - 0.01 * step.observation.mean()
SoundPolicy.features = features""",
    "lane order": """
def features(self, step, old=SoundPolicy.features):
    return old(self, step) * (1 - 0.01 * np.arange(len(step.active))[:, None])
SoundPolicy.features = features""",
    "groups": """
def adapt(self, support, old=SoundPolicy.adapt):
    old(self, support)
    self.shift += 0.1 * np.array(self.groups)
SoundPolicy.adapt = adapt""",
    "ended lanes": """
def features(self, step, old=SoundPolicy.features):
    return old(self, step) + 0.1 * np.where(step.active, 0, step.previous_reward).sum()
SoundPolicy.features = features""",
    "saves": """
import pickle
def save(self, folder, old=SoundPolicy.save):
    old(self, folder)
    (folder / "extra.pkl").write_bytes(pickle.dumps(self.weights))
SoundPolicy.save = save""",
    "loads": """
def save(self, folder): save_state({"weights": self.weights * 1.001}, folder / "policy")
SoundPolicy.save = save""",
    "damage": """
def load(self, folder, spaces, old=Sound.load):
    try: return old(self, folder, spaces)
    except DataError: return self.policy(np.zeros((spaces.action_dim, spaces.observation_dim)), spaces)
Sound.load = load""",
    "test few-shot": """
def act(self, step):
    if not step.scored.all(): raise RuntimeError("cannot explore")
    return self.spaces.actions_from_features(self.features(step))
SoundPolicy.act = act""",
}

TRACKS = {f"{split} {track}" for split in ("test", "test-far") for track in ("zero-shot", "few-shot", "logged-shot")}
"""What the judge finds as well: it replays lanes."""

TITLES_THAT_MAY_FOLLOW = {
    "seeds": {"deterministic", "resumes", "forgets", "lanes", "lane order", "groups", "ended lanes", "loads", *TRACKS},
    "forgets": {"deterministic", "resumes", "seeds", "lanes", "lane order", "groups", "ended lanes", "loads"},
    "lanes": {"ended lanes", *TRACKS},
    "lane order": {"lanes"},
    "deterministic": {"resumes", "loads", *TRACKS},
    "ended lanes": {"lanes"},
    "saves": {"damage"},
    "test few-shot": {"test-far few-shot"},
}


ADDS_UP = """
def reset(self, groups, seeds, old=SoundPolicy.reset):
    old(self, groups, seeds)
    self.hidden = np.zeros((len(groups), 64), np.float32)
    self.into = np.random.default_rng(0).normal(size=(self.spaces.observation_dim, 64)).astype(np.float32)
    self.out = np.random.default_rng(1).normal(size=(64, self.spaces.action_dim)).astype(np.float32)
def features(self, step):
    # Sums of thousands in float32: what rounding leaves depends on the size of the products.
    self.hidden = self.hidden + 3000 * (step.observation @ self.into) + {leak}
    return np.tanh(self.hidden @ self.out / 3000)
SoundPolicy.reset, SoundPolicy.features = reset, features
Sound.discrete_actions = False
"""
"""A memory that adds up, honest or with a leak between lanes."""


def write(folder: Path, breaks: str = "") -> str:
    (folder / "sound.py").write_text(SOUND + breaks)
    return f"{folder}/sound.py:Sound"


def test_a_sound_method_passes_every_check(tmp_path: Path, tiny_copied: Path) -> None:
    findings = check_method(write(tmp_path))
    assert not [finding for finding in findings if not finding.passed]
    assert {finding.suite for finding in findings} == {"", "tiny", "tiny-discrete"}
    titles = [finding.title for finding in findings if finding.suite == "tiny"]
    assert titles == [finding.title for finding in findings if finding.suite == "tiny-discrete"]
    assert {"resumes", "curve", "damage", "test-far logged-shot"} <= set(titles)
    assert set(BREAKS) - {finding.title for finding in findings} == set()


def test_rounding_of_float32_is_no_broken_promise_and_a_leak_is_shown_in_numbers(
    tmp_path: Path, tiny_built: Path
) -> None:
    honest = check_method(write(tmp_path, ADDS_UP.format(leak="0")))
    assert not [finding for finding in honest if not finding.passed]
    leaking = check_method(write(tmp_path, ADDS_UP.format(leak="30 * step.observation.mean()")))
    (found,) = (finding.problem for finding in leaking if finding.title == "lanes")
    assert re.fullmatch(
        r"lane \d+ alone, as lane 0, step \d+: actions differ by 0\.\d+, -?[\d.]+ and -?[\d.]+ \(scaled to "
        r"\[-1, 1\]\), expected at most 0\.001",
        found,
    )


@pytest.mark.parametrize("title", BREAKS)
def test_a_broken_promise_is_found(title: str, tmp_path: Path, tiny_built: Path) -> None:
    spec = write(tmp_path, BREAKS[title] + "\nSound.discrete_actions = False\n")
    failed = {finding.title: finding.problem for finding in iterate_method_checks(spec) if not finding.passed}
    assert title in failed
    assert set(failed) <= {title} | TITLES_THAT_MAY_FOLLOW.get(title, set())
    assert all("\n" not in problem for problem in failed.values())
