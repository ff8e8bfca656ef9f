"""The check of suites: every broken promise is found, and the check that is meant for it says so."""

import itertools
import re
from pathlib import Path
from unittest.mock import ANY

import pytest

from metabench.checks.finding import Remark
from metabench.checks.suite import check_suite, iterate_named_checks
from metabench.checks.suite_environment import LaneChecks
from metabench.checks.suite_tasks import TaskChecks
from metabench.checks.suite_teacher import TeacherChecks
from metabench.suites import load_suite

pytestmark = pytest.mark.slow


TASK_0 = "parameters = { strength = 1.44, target = 0.55 }"

BREAKS = {
    "available": """
def check_available(self, parameters, horizon): raise RuntimeError("no licence for this simulator")
MyCartFamily.check_available = check_available""",
    "steps": """
def step(self, actions, old=MyCartEnvironment.step):
    done = old(self, actions)
    return BatchStep(done.observation, done.reward.astype(np.float32), done.terminated)
MyCartEnvironment.step = step""",
    "inputs": """
def step(self, actions, old=MyCartEnvironment.step):
    actions *= 0.5
    return old(self, actions)
MyCartEnvironment.step = step""",
    "outputs": """
def step(self, actions, old=MyCartEnvironment.step):
    done = old(self, actions)
    if not hasattr(self, "buffer") or len(self.buffer) != len(done.reward):
        self.buffer = done.reward
    self.buffer[:] = done.reward
    return BatchStep(done.observation, self.buffer, done.terminated)
MyCartEnvironment.step = step""",
    "finite": """
def step(self, actions, old=MyCartEnvironment.step):
    done = old(self, actions)
    return BatchStep(done.observation, np.where(self._v > 0.5, np.nan, done.reward), done.terminated)
MyCartEnvironment.step = step""",
    "deterministic": """
def step(self, actions, old=MyCartEnvironment.step):
    self._v = self._v + 1e-3 * np.random.default_rng().normal(size=len(self._v))
    return old(self, actions)
MyCartEnvironment.step = step""",
    "forgets": """
def reset(self, parameters, seeds, old=MyCartEnvironment.reset):
    speed = getattr(self, "_v", np.zeros(0))
    old(self, parameters, seeds)
    if len(speed) == len(seeds): self._v = speed
    return self._observation()
MyCartEnvironment.reset = reset""",
    "lanes": """
def step(self, actions, old=MyCartEnvironment.step):
    self._v = self._v - 1e-7 * self._v.mean()
    return old(self, actions)
MyCartEnvironment.step = step""",
    "lane order": """
def step(self, actions, old=MyCartEnvironment.step):
    self._v = self._v + 1e-3 * (np.arange(len(self._v)) > 20)
    return old(self, actions)
MyCartEnvironment.step = step""",
    "ended lanes": """
def step(self, actions, old=MyCartEnvironment.step):
    pushed = getattr(self, "_over", None)
    if pushed is None or len(pushed) != len(actions): pushed = np.zeros(len(actions), bool)
    self._v = self._v + 1e-3 * np.where(pushed, actions[:, 0], 0.0).sum()
    done = old(self, actions)
    self._over = pushed | (np.abs(self._x) > 0.5)
    return BatchStep(done.observation, done.reward, np.abs(self._x) > 0.5)
def reset(self, parameters, seeds, old=MyCartEnvironment.reset):
    self._over = None
    return old(self, parameters, seeds)
MyCartEnvironment.step, MyCartEnvironment.reset = step, reset""",
    "ends": """
def reset(self, parameters, seeds, old=MyCartEnvironment.reset):
    self._elapsed = 0
    return old(self, parameters, seeds)
def step(self, actions, old=MyCartEnvironment.step):
    done = old(self, actions)
    self._elapsed += 1
    return BatchStep(done.observation, done.reward, np.full(len(actions), self._elapsed >= 50))
MyCartEnvironment.step, MyCartEnvironment.reset = step, reset""",
    "gymnasium": """
def reset(self, parameters, seeds, old=MyCartEnvironment.reset):
    if getattr(self, "_waiting", False): raise RuntimeError("reset again before any step")
    self._waiting = True
    return old(self, parameters, seeds)
def step(self, actions, old=MyCartEnvironment.step):
    self._waiting = False
    return old(self, actions)
MyCartEnvironment.step, MyCartEnvironment.reset = step, reset""",
    "parameters": "MyCartFamily.check_parameters = lambda self, parameters: None",
    "hidden task": """
def observation(self): return np.stack([self._x, self._v, self._target], axis=1).astype(np.float32)
MyCartEnvironment._observation = observation
MyCartFamily.spaces = lambda self, horizon: Spaces(3, horizon, action_low=(-1.0,), action_high=(1.0,))
def act(self, observation, old=MyCartTeacher.act): return old(self, observation[:, :2])
MyCartTeacher.act = act""",
    "teacher": """
def act(self, observation, old=MyCartTeacher.act):
    return np.clip(old(self, observation) + 1e-3 * np.random.default_rng().normal(size=(len(observation), 1)), -1, 1)
MyCartTeacher.act = act""",
    "references": """
def act(self, observation, old=MyCartTeacher.act): return -old(self, observation)
MyCartTeacher.act = act""",
    "return bounds": "MyCartFamily.return_bounds = lambda self, parameters, horizon: (-3.0, 0.0)",
}

TITLES_THAT_MAY_FOLLOW = {
    "inputs": {"gymnasium", "references"},
    "finite": {"gymnasium", "references", "return bounds"},
    "forgets": {"gymnasium"},
    "lanes": {"lane order", "teacher"},
    "lane order": {"tasks differ"},
    "ended lanes": {"lanes", "lane order", "references", "teacher"},
}


def failed(suite: str = "my-cart") -> dict[str, str]:
    return {finding.title: finding.problem for finding in check_suite(suite) if not finding.passed}


def remarks(suite: str = "my-cart") -> dict[str, str]:
    return {finding.title: finding.remark for finding in check_suite(suite) if finding.remark}


def rewrite(plugin: Path, *changes: tuple[str, str]) -> None:
    toml = plugin / "my_cart/my-cart/suite.toml"
    text = toml.read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    toml.write_text(text)


@pytest.mark.parametrize("title", BREAKS)
def test_a_broken_promise_is_found(title: str, make_plugin) -> None:
    make_plugin("my-cart", BREAKS[title])
    found = failed()
    assert title in found
    assert set(found) <= {title} | TITLES_THAT_MAY_FOLLOW.get(title, set())
    assert all("\n" not in problem for problem in found.values())


@pytest.mark.parametrize("name", ["tiny", "tiny-discrete", "grid-world"])
def test_built_in_suites_pass(name: str) -> None:
    assert not failed(name)


def test_what_is_found_names_where(make_plugin) -> None:
    make_plugin("my-cart", BREAKS["lanes"])
    assert re.match(r"alone, lane 0, step \d+: observation\[1\] -?0\.\d+, not -?0\.\d+$", failed()["lanes"])


def test_without_sound_steps_nothing_else_is_checked(make_plugin) -> None:
    make_plugin("my-cart", BREAKS["steps"])
    findings = check_suite("my-cart")
    assert [finding.title for finding in findings] == ["available", "steps"]
    assert "step 1: reward: expected (40,) float64, found (40,) float32" in findings[-1].problem


def test_a_scored_task_that_is_a_training_task_but_for_rounding_is_found(make_plugin) -> None:
    plugin = make_plugin("my-cart")
    suite = load_suite("my-cart")
    one, other = suite.tasks[2].parameters, suite.tasks[20].parameters
    text = "parameters = {{ strength = {strength}, target = {target} }}"
    rounded = {**one, "target": one["target"] + 1e-13}
    rewrite(plugin, (text.format(**other), text.format(**rounded)))
    found = failed()
    assert "task 20 (test) is training task 2: strength" in found["splits"]


def test_tasks_that_do_the_same_are_found(make_plugin) -> None:
    plugin = make_plugin("my-cart", "\ndel PARAMETERS['target']\nPARAMETERS['goal'] = (0.0, 5.0)\n")
    rewrite(plugin, ("target =", "goal ="))
    family, teacher = plugin / "my_cart/family.py", plugin / "my_cart/teacher.py"
    family.write_text(family.read_text().replace('task["target"] for', "0.5 for"))  # the goal is never read
    teacher.write_text(teacher.read_text().replace('task["target"] for', "0.5 for"))
    suite = load_suite("my-cart")
    strengths = [task.parameters["strength"] for task in suite.tasks]
    rewrite(plugin, (f"strength = {strengths[7]},", f"strength = {strengths[3]},"))
    assert "tasks 3 and 7 do not: strength = " in failed()["tasks differ"]


def test_experts_tell_tasks_apart_that_chance_does_not(make_plugin) -> None:
    hidden = """
def step(self, actions, old=MyCartEnvironment.step):
    done = old(self, actions)
    close = np.abs(self._x - self._target) < 0.01
    return BatchStep(done.observation, np.where(close, 0.0, -1.0), done.terminated)
MyCartEnvironment.step = step"""
    plugin = make_plugin("my-cart", hidden)
    toml = plugin / "my_cart/my-cart/suite.toml"
    places = itertools.count()
    fixed = "parameters = { strength = 2.0, target = %.2f }"
    text = re.sub(r"parameters = \{.*?\}", lambda _: fixed % (0.08 * next(places) - 1.0), toml.read_text())
    toml.write_text(text)
    assert "tasks differ" not in failed()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("target = { uniform = [-1.0, 1.0] }", "target = { uniform = [-0.1, 0.1] }"),
        ("strength = { uniform = [0.5, 2.0], either_sign = true }", "strength = { log_uniform = [0.5, 2.0] }"),
    ],
)
def test_a_law_that_scored_tasks_do_not_follow_is_found(before: str, after: str, make_plugin) -> None:
    rewrite(make_plugin("my-cart"), (before, after))
    assert failed() == {"fresh tasks": ANY}
    assert "task 20: strength = -1.41, target = 0.35: task_distribution.test gives no such" in failed()["fresh tasks"]


def test_what_is_no_mistake_is_remarked_on(make_plugin) -> None:
    plugin = make_plugin("my-cart", "\nSTART = 0.0\n")
    law = plugin / "my_cart/my-cart/suite.toml"
    text = law.read_text()
    begin, end = text.index("# The law of"), text.index("# At least one")
    law.write_text(text[:begin] + text[end:])
    found = remarks()
    assert found["reset seeds"].startswith("seeds change nothing")
    assert found["fresh tasks"].startswith("no task_distribution.test")
    assert "expert 100" in found["teacher"]
    assert not failed()


def test_a_task_in_the_observation_is_a_remark_once_it_is_declared(make_plugin) -> None:
    plugin = make_plugin("my-cart", BREAKS["hidden task"])
    problem = failed()["hidden task"]
    targets = {task.id: task.parameters["target"] for task in load_suite("my-cart").tasks}
    assert problem.startswith(f"coordinate 2 is {targets[0]:g} throughout the episodes of task 0, ")
    digest = load_suite("my-cart").digest
    rewrite(plugin, ("horizon = 50", "horizon = 50\ntask_in_observation = true"))
    assert "hidden task" not in failed()
    assert remarks()["hidden task"] == f"{problem}; suite.toml says so"
    assert load_suite("my-cart").digest == digest


def test_a_start_that_tells_the_task_is_found(make_plugin) -> None:
    start = """
def reset(self, parameters, seeds, old=MyCartEnvironment.reset):
    old(self, parameters, seeds)
    self._v = 0.01 * self._target
    return self._observation()
MyCartEnvironment.reset = reset"""
    make_plugin("my-cart", start)
    assert failed()["hidden task"].startswith("coordinate 1 is ")
    assert "at the start of the episodes of task 0" in failed()["hidden task"]


def test_actions_out_of_bounds_and_references_of_other_physics_are_found(make_plugin) -> None:
    plugin = make_plugin(
        "my-cart", "\nMyCartTeacher.act = lambda self, observation: np.full((len(observation), 1), 1.5)\n"
    )
    assert "step 1: medium in task 0: [1.5]" in failed()["teacher"]
    assert (
        "metabench data references my-cart --write" in failed()["references"]
        or "random actions return" in failed()["references"]
    )
    rewrite(plugin, ('headline = "normalised"', 'headline = "success"'))
    assert "headline = 'success' needs it" in failed()["success"]


@pytest.mark.slow
def test_names_choose_what_is_checked(make_plugin, tiny_built: Path) -> None:
    plugin = make_plugin("my-cart")
    for name in ("my-cart", f"{plugin}/my_cart/my-cart"):
        assert {finding.suite for finding in iterate_named_checks(name)} == {"my-cart"}
    assert {finding.title for finding in iterate_named_checks("random")} >= {"trains", "acts"}
    with pytest.raises(Exception, match="unknown method or suite 'my-carr'; did you mean 'my-cart'"):
        iterate_named_checks("my-carr")


@pytest.mark.parametrize("name", ["tiny", "tiny-discrete", "cartpole-param"])
def test_every_check_can_run_alone(name: str) -> None:
    suite = load_suite(name)

    def make_checks():
        lanes = LaneChecks(suite)
        return [*lanes.list_checks(), *TaskChecks(suite, lanes).list_checks(), *TeacherChecks(suite).list_checks()]

    number = len(make_checks())
    assert number > 15
    for place in range(number):  # each of its own set, in which no other has run
        title, _, check = make_checks()[place]
        if title not in ("speed", "gymnasium"):
            found = check()
            assert found is None or isinstance(found, Remark), f"{title}: {found}"
