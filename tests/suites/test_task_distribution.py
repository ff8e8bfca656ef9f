"""Laws of tasks: what is drawn, what suite.toml may state, and that no digest depends on it."""

import math
import shutil

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from metabench import DataError
from metabench.suites import datasets_folder, list_suites, load_suite, read_suite
from metabench.suites.task_distribution import Law, draw_task, move_task


def draws(law: dict, count: int = 4000, drawn: dict | None = None) -> np.ndarray:
    generator, parsed = np.random.default_rng(0), Law.model_validate(law)
    return np.array([parsed.draw(generator, drawn or {}) for _ in range(count)])


def test_uniform_and_log_uniform_numbers_have_their_laws() -> None:
    assert stats.kstest(draws({"uniform": [2.0, 5.0]}), "uniform", (2.0, 3.0)).pvalue > 1e-3
    logarithms = np.log(draws({"log_uniform": [0.25, 4.0]}))
    assert stats.kstest(logarithms, "uniform", (-math.log(4), 2 * math.log(4))).pvalue > 1e-3


def test_lists_have_a_range_for_each_coordinate_and_shapes_are_nested() -> None:
    boxes = draws({"uniform": [[-1.0, 2.0], [1.0, 2.0]]})
    assert boxes.shape == (4000, 2)
    assert (boxes[:, 1] == 2.0).all()
    assert stats.kstest(boxes[:, 0], "uniform", (-1.0, 2.0)).pvalue > 1e-3
    nested = draws({"log_uniform": [0.5, 2.0], "shape": [3, 2]}, 50)
    assert nested.shape == (50, 3, 2)
    assert len(np.unique(nested)) == nested.size
    assert isinstance(Law.model_validate({"uniform": [0.0, 1.0]}).draw(np.random.default_rng(0), {}), float)


def test_circles_signs_factors_and_choices() -> None:
    points = draws({"circle": 1.5})
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1.5)
    assert stats.kstest(np.arctan2(*points.T), "uniform", (-math.pi, 2 * math.pi)).pvalue > 1e-3
    signed = draws({"uniform": [5.0, 15.0], "either_sign": True})
    assert (np.abs(signed) >= 5).all()
    assert stats.binomtest(int((signed < 0).sum()), len(signed)).pvalue > 1e-3
    plain, scaled = (
        draws({"uniform": [1.0, 2.0]}),
        draws({"uniform": [1.0, 2.0], "times": ["a", "b"]}, 4000, {"a": 3, "b": 2}),
    )
    np.testing.assert_allclose(scaled, 6 * plain)
    assert set(draws({"choice": ["x", "y"]}, 100)) == {"x", "y"}


@pytest.mark.slow
def test_points_lie_apart_and_are_otherwise_uniform() -> None:
    law = {"uniform": [[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]}
    free = draws(law, 8000)
    near = np.linalg.norm(free[:, :2] - free[:, 2:], axis=1) < 0.5
    kept = draws({**law, "apart": {"first": [0, 1], "second": [2, 3], "least": 0.5}}, 4000)
    assert (np.linalg.norm(kept[:, :2] - kept[:, 2:], axis=1) >= 0.5).all()
    assert stats.ks_2samp(kept[:, 0], free[~near][:, 0]).pvalue > 1e-3
    never = Law.model_validate({**law, "apart": {"first": [0, 1], "second": [2, 3], "least": 2.0}})
    with pytest.raises(ValueError, match="draws were all closer together than 2"):
        never.draw(np.random.default_rng(0), {})


def test_alternatives_take_turns_and_later_parameters_see_earlier_ones() -> None:
    first = {"a": Law.model_validate({"choice": [1]}), "b": Law.model_validate({"uniform": [2.0, 2.0], "times": ["a"]})}
    second = {"a": Law.model_validate({"choice": [7]})}
    tasks = [draw_task((first, second), turn, np.random.default_rng(turn)) for turn in range(4)]
    assert tasks == [{"a": 1, "b": 2.0}, {"a": 7}] * 2


@pytest.mark.parametrize(
    ("law", "expected"),
    [
        ({}, "expected exactly one of uniform, log_uniform, circle, choice, found none"),
        ({"uniform": [0, 1], "circle": 1.0}, "found uniform, circle"),
        ({"uniform": [1.0, 0.0]}, "the lowest before the highest"),
        ({"uniform": [[0.0], [1.0, 2.0]]}, "as many of each"),
        ({"log_uniform": [0.0, 1.0]}, "expected numbers above zero"),
        ({"circle": 1.0, "either_sign": True}, "go with uniform and log_uniform, not with circle"),
        ({"uniform": [[0.0], [1.0]], "shape": [2]}, "shape goes with two numbers"),
        ({"uniform": [0.0, 1.0], "shape": [2], "times": ["a"]}, "times goes with a single number"),
        ({"uniform": [[0.0], [1.0]], "apart": {"first": [0], "second": [1], "least": 1.0}}, "expected positions in"),
        ({"uniform": [0.0, math.nan]}, "finite number"),
        ({"log_uniform": [1, 4], "whole": True}, "whole goes with uniform, without times and either_sign"),
        ({"uniform": [0, 4], "whole": True, "either_sign": True}, "whole goes with uniform"),
        ({"uniform": [0, 4.5], "whole": True}, "expected a whole lowest and highest"),
        ({"gauss": [0.0, 1.0]}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_law_is_named(law: dict, expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Law.model_validate(law)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[task_distribution.test]\ngoal = { uniform = [0.0, 1.0] }",
            "task_distribution.test: expected exactly 'goal', a list",
        ),
        (
            "[task_distribution.test]\nspeed = { uniform = [0.0, 1.0] }",
            "task_distribution.test: expected exactly 'goal'",
        ),
        ("[task_distribution.tset]\ngoal = { circle = 1.0 }", "task_distribution.tset"),
        (
            '[task_distribution.test]\ngoal = { uniform = [0.0, 1.0], times = ["speed"] }',
            "expected parameters drawn before it",
        ),
    ],
)
def test_a_distribution_of_other_tasks_is_refused_with_its_place(tmp_path, text: str, expected: str) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(datasets_folder() / "tiny", folder)
    path = folder / "suite.toml"
    path.write_text(f"{path.read_text()}\n{text}\n")
    with pytest.raises(DataError) as caught:
        read_suite(folder)
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)


def test_no_digest_depends_on_the_distribution(tmp_path) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(datasets_folder() / "tiny", folder)
    path = folder / "suite.toml"
    path.write_text(f"{path.read_text()}\n[task_distribution.test]\ngoal = {{ uniform = [[-1, -1], [1, 1]] }}\n")
    assert read_suite(folder).entry.task_distribution is not None
    assert read_suite(folder).digest == load_suite("tiny").digest


@pytest.mark.parametrize("name", list_suites())
def test_published_tasks_lie_where_the_stated_laws_draw(name: str) -> None:
    """Every coordinate of a published task is within the range of 400 drawn ones, give or take a tenth of it."""
    suite = load_suite(name)
    for split, laws in (suite.entry.task_distribution or {}).items():
        generator = np.random.default_rng(0)
        drawn = [draw_task(laws, turn, generator) for turn in range(400)]
        for task in suite.split(split):
            like = [other for other in drawn if set(other) == set(task.parameters)]
            like = [other for other in like if other.get("environment") == task.parameters.get("environment")]
            assert like, f"{name}: task {task.id} of {split} is of none of the stated kinds"
            for key, value in task.parameters.items():
                if not isinstance(value, str):
                    values = np.array([other[key] for other in like], float)
                    low, high = values.min(axis=0), values.max(axis=0)
                    slack = 0.1 * (high - low) + 1e-3
                    assert ((low - slack <= value) & (np.array(value) <= high + slack)).all(), (
                        f"{name}: {task.id}: {key}"
                    )


def moves(law: dict, value: object, share: float = 0.2, factor: float = 1.0) -> np.ndarray:
    generator, parsed = np.random.default_rng(0), Law.model_validate(law)
    return np.array([parsed.move(value, share, factor, generator) for _ in range(2000)])


@pytest.mark.parametrize(
    "law",
    [
        {"uniform": [2.0, 5.0]},
        {"log_uniform": [0.25, 4.0]},
        {"log_uniform": [0.25, 4.0], "either_sign": True},
        {"uniform": [5.0, 15.0], "either_sign": True},
        {"circle": 1.5},
    ],
)
def test_what_is_moved_is_near_and_of_the_law_again(law: dict) -> None:
    generator, parsed = np.random.default_rng(1), Law.model_validate(law)
    before = draws(law)
    after = np.array([parsed.move(value, 0.2, 1.0, generator) for value in before.tolist()])
    assert not np.allclose(before, after)
    if "circle" in law:
        before, after = (np.arctan2(*values.T) for values in (before, after))
        apart = np.abs((after - before + math.pi) % (2 * math.pi) - math.pi)
        assert apart.max() <= 0.2 * math.pi
    else:
        ends = np.array(law.get("uniform") or law["log_uniform"])
        scale = np.log if "log_uniform" in law else np.asarray
        assert (np.sign(before) == np.sign(after)).all()
        apart = np.abs(scale(np.abs(before)) - scale(np.abs(after)))
        assert apart.max() <= 0.2 * np.ptp(scale(ends)) + 1e-12
        assert ((np.abs(after) >= ends[0]) & (np.abs(after) <= ends[1])).all()
    assert stats.ks_2samp(before, after).pvalue > 1e-3


def test_whole_numbers_are_equally_likely_also_after_a_move() -> None:
    law = {"uniform": [[0, 0, 0, 0], [8, 8, 8, 8]], "whole": True}
    apart = {"first": [0, 1], "second": [2, 3], "least": 1.0}
    generator, parsed = np.random.default_rng(1), Law.model_validate({**law, "apart": apart})
    before = draws({**law, "apart": apart})
    after = np.array([parsed.move(value, 0.2, 1.0, generator) for value in before.tolist()])
    single = draws({"uniform": [-2, 2], "whole": True})
    for values in (before, after, single):
        assert values.dtype == np.int64
        counts = np.unique(values, return_counts=True)[1]
        assert len(counts) == (5 if values is single else 9)
        assert stats.chisquare(counts).pvalue > 1e-3
    assert np.abs(after - before).max() == 2
    assert (before[:, :2] != before[:, 2:]).any(axis=1).all()
    assert (after[:, :2] != after[:, 2:]).any(axis=1).all()


def test_choices_stay_factors_go_with_their_task_and_points_stay_apart() -> None:
    assert (moves({"choice": ["x", "y"]}, "x") == "x").all()
    scaled = moves({"uniform": [1.0, 2.0], "times": ["a"]}, 4.5, factor=3.0)
    assert stats.kstest(scaled, "uniform", (1.3, 0.4)).pvalue > 1e-3  # about 1.5, before it is multiplied again
    apart = {"first": [0], "second": [1], "least": 0.5}
    pairs = moves({"uniform": [[0.0, 0.0], [1.0, 1.0]], "apart": apart}, [0.2, 0.75])
    assert (np.abs(pairs[:, 0] - pairs[:, 1]) >= 0.5).all()


def test_a_moved_task_keeps_what_has_no_law_and_goes_by_the_alternative_that_it_is_of() -> None:
    near, far = (
        {"kind": Law(choice=("a",)), "size": Law(uniform=span), "load": Law(uniform=(1.0, 2.0), times=("size",))}
        for span in ((0.0, 1.0), (9.0, 10.0))
    )
    other = {"kind": Law(choice=("b",)), "size": Law(uniform=(5.0, 5.0))}
    task = {"kind": "a", "size": 9.5, "load": 19.0, "name": "kept"}
    for seed in range(20):
        moved = move_task((other, near, far), task, 0.2, np.random.default_rng(seed))
        assert (moved["kind"], moved["name"]) == ("a", "kept")
        assert 9.3 <= moved["size"] <= 9.7
        assert 1.8 <= moved["load"] / moved["size"] <= 2.0
    with pytest.raises(ValueError, match="no alternative has a task with kind as given"):
        move_task((near,), {"kind": "c"}, 0.2, np.random.default_rng(0))
