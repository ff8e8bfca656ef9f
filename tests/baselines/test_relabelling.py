"""Meta-DT-plus: transitions of one task as they would be in another, and a reward decoder linear in the code."""

from __future__ import annotations

import pytest
import torch
from metabench_baselines.meta_dt import MetaDT
from metabench_baselines.meta_dt_plus import MetaDTPlus
from metabench_baselines.meta_dt_plus.world_model import TaskTable

from metabench import Spaces

SPACES = Spaces(2, 50, action_low=(-1.0,), action_high=(1.0,))


def make_table(linear):
    preset = MetaDTPlus.presets("tiny")["tiny"]
    config = type(preset)(**{**preset.model_dump(), "linear_reward": linear})
    torch.manual_seed(0)
    return TaskTable(config, SPACES, 3).eval()


def draw_transitions(batch=4, length=7):
    generator = torch.Generator().manual_seed(1)
    sizes = {"observations": 2, "actions": 1, "rewards": 1, "changes": 2}
    return {name: torch.randn(batch, length, size, generator=generator) for name, size in sizes.items()}


def repeat_code(made, task):
    return made.codes(torch.full((4, 7), task))


@pytest.mark.parametrize("linear", [False, True])
def test_relabelled_for_its_own_task_a_transition_stays_what_it_was(linear):
    made, logged = make_table(linear), draw_transitions()
    with torch.no_grad():
        same = made.decoders.relabel(logged, repeat_code(made, 1), repeat_code(made, 1))
        other = made.decoders.relabel(logged, repeat_code(made, 2), repeat_code(made, 1))
    for name, value in logged.items():
        torch.testing.assert_close(same[name], value)
    assert not torch.allclose(other["rewards"], logged["rewards"], atol=1e-3)
    torch.testing.assert_close(other["observations"], logged["observations"])


def test_without_own_codes_a_transition_becomes_what_is_predicted():
    made, logged = make_table(False), draw_transitions()
    with torch.no_grad():
        predicted = made.decoders.relabel(logged, repeat_code(made, 2), None)
        reward, change = made.decoders({**logged, "changes": predicted["changes"]}, repeat_code(made, 2))
    torch.testing.assert_close(predicted["changes"], change)
    torch.testing.assert_close(predicted["rewards"], reward)


def test_residuals_add_up():
    """There and back again: what task 1 does not explain survives a visit to task 2."""
    made, logged = make_table(True), draw_transitions()
    with torch.no_grad():
        there = made.decoders.relabel(logged, repeat_code(made, 2), repeat_code(made, 1))
        back = made.decoders.relabel(there, repeat_code(made, 1), repeat_code(made, 2))
    for name, value in logged.items():
        torch.testing.assert_close(back[name], value)


@pytest.mark.parametrize("linear", [False, True])
def test_the_reward_decoder_is_linear_in_the_code_when_asked(linear):
    made, logged = make_table(linear), draw_transitions()
    with torch.no_grad():
        first, second = (made.decoders(logged, repeat_code(made, task))[0] for task in (1, 2))
        between, _ = made.decoders(logged, 0.5 * repeat_code(made, 1) + 0.5 * repeat_code(made, 2))
    assert torch.allclose(between, 0.5 * first + 0.5 * second, atol=1e-5) is linear


def test_the_settings_go_with_the_suites():
    assert MetaDTPlus.presets("ant-dir")["cpu"].linear_reward
    assert MetaDTPlus.presets("hopper-param")["cpu"].keep_residuals
    assert MetaDTPlus.presets("hopper-param")["paper"].window == 1
    assert MetaDT.presets("hopper-param")["cpu"].window == 8
    assert MetaDT.presets("ant-dir")["paper"].updates == 500_000
    point_robot = MetaDTPlus.presets("point-robot")["cpu"]
    assert (point_robot.keep_residuals, point_robot.linear_reward, point_robot.updates) == (False, False, 1000)
