"""Watched episodes are the evaluator's; clips show all of them, at a pace that one can follow, in files that play."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

import metabench
from metabench import DataError, MetabenchError, evaluate, load_suite
from metabench.evaluation.rows import round_return
from metabench.runs.again.evaluate_policy import evaluate_saved
from metabench.runs.again.open_policy import open_policy
from metabench.runs.kept.shipped_policies import find_policy
from metabench.system.torch_settings import torch_settings
from metabench.watching.acting import Watched, act_watched
from metabench.watching.clip import choose_pace, make_clip
from metabench.watching.replay import Replayer
from metabench.watching.small_gif import make_small_gif
from metabench.watching.video import encode_gif, encode_mp4


def act(name: str, suite: str, **options) -> Watched:
    opened = open_policy(name, suite)
    return act_watched(opened.opener, opened.suite, opened.name, privileged=opened.privileged, **options)


def replay(watched: Watched, place: int, episodes) -> list:
    replayer = Replayer(watched.suite, 96, 72)
    return list(replayer.replay(watched.task, watched.starts[place].reset_seed, episodes[place], every=1))


@pytest.mark.parametrize(("split", "shots"), [("test", 2), ("test-far", 1), ("validation", 0)])
def test_what_is_watched_is_what_the_judge_scores(split: str, shots: int) -> None:
    opened = open_policy("random", "tiny")
    tasks = [task for task in opened.suite.tasks if task.split == split or (split == "validation" and task.validation)]
    watched = act("random", "tiny", split=split, task=tasks[-1].id, shots=shots, seed=7)
    track = "few-shot" if shots else "zero-shot"
    judged = evaluate(opened.opener, opened.suite, track, split=split, shots=[shots], seed=7)
    rows = [*(judged.collection.rows if judged.collection else ()), *judged.blocks[0].rows]
    expected = [row for row in rows if row.task == tasks[-1].id and row.support == 0]
    support, scored = expected[:shots], expected[shots]
    found = [replay(watched, place, watched.episodes)[-1] for place in range(shots + 1)]
    assert [moment.total_return for moment in found] == [row.total_return for row in (*support, scored)]
    assert [moment.step for moment in found] == [row.length for row in (*support, scored)]
    assert [start.scored for start in watched.starts] == [False] * shots + [True]
    assert len({moment.total_return for moment in found}) == shots + 1


@pytest.mark.slow
def test_a_saved_policy_acts_as_its_record_says() -> None:
    opened = open_policy("bc", "point-robot")
    suite, (judged,) = evaluate_saved(
        find_policy("bc", "point-robot"), suite="point-robot", tracks=["few-shot"], splits=["test"], shots=[3]
    )
    task = suite.split("test")[4].id
    with torch_settings(opened.threads):
        watched = act_watched(opened.opener, opened.suite, "bc", task=task, shots=3, seed=opened.seed)
    (row,) = [each for each in judged.blocks[0].rows if (each.task, each.support, each.episode) == (task, 0, 0)]
    assert replay(watched, 3, watched.episodes)[-1].total_return == row.total_return


def test_the_teacher_starts_where_the_policy_does_and_is_the_judged_one() -> None:
    watched = act("random", "tiny", shots=1)
    taught = act("teacher", "tiny", shots=1)
    for place in range(2):
        returns = [replay(watched, place, each)[-1].total_return for each in (watched.taught, watched.episodes)]
        assert returns[0] == replay(taught, place, taught.episodes)[-1].total_return > returns[1]
        first = [each[place].observations[0] for each in (watched.taught, watched.episodes)]
        np.testing.assert_array_equal(*first)
    assert act("random", "tiny", shots=0, teacher=False).taught is None


def test_returns_rise_as_the_evaluator_sums_them() -> None:
    watched = act("random", "tiny", shots=0)
    moments = replay(watched, 0, watched.episodes)
    assert [moment.step for moment in moments] == list(range(21))
    rewards = watched.episodes[0].rewards.astype(float)
    np.testing.assert_allclose([moment.total_return for moment in moments], [0, *np.cumsum(rewards)], rtol=1e-5)
    assert moments[-1].total_return == round_return(moments[-1].total_return)
    assert [moment.ended for moment in moments] == [False] * 20 + [True]


def test_a_simulator_that_does_not_repeat_is_refused() -> None:
    watched = act("random", "tiny", shots=0)
    other = dataclasses.replace(watched.episodes[0], rewards=watched.episodes[0].rewards + np.float32(0.01))
    with pytest.raises(DataError, match=r"tiny-v\d+, task \d+: step 1 gives another reward"):
        replay(watched, 0, [other])


def test_every_episode_is_shown_and_only_the_scored_one_is_blue() -> None:
    watched = act("random", "tiny", shots=1)
    clip = make_clip(watched, width=160, height=120, every=5)
    frames = list(clip.frames())
    assert len(frames) == 2 * (5 + clip.pace.hold)
    assert {frame.shape for frame in frames} == {(clip.size[1], clip.size[0], 3)}
    assert all(size % 2 == 0 for size in clip.size)
    bars = [frame[-2].astype(int) for frame in frames]
    blue = [(bar[:, 2] - bar[:, 0] > 100).mean() for bar in bars]
    assert max(blue[: len(blue) // 2]) == 0
    assert blue[-1] == pytest.approx(0.5, abs=0.03)
    grey = [(np.abs(bar - 130).max(axis=1) < 3).mean() for bar in bars]
    assert grey == sorted(grey)
    assert grey[-1] == pytest.approx(0.5, abs=0.03)


def test_a_frame_has_both_lanes_and_who_acts_in_them() -> None:
    watched = act("random", "tiny", shots=0)
    both = list(make_clip(watched, width=160, height=120, every=20).frames())[-1]
    alone = list(make_clip(dataclasses.replace(watched, taught=None), width=160, height=120, every=20).frames())[-1]
    assert both.shape[1] == 2 * alone.shape[1] + 4
    assert (both[:, 164:].min(axis=-1) < 150).sum() > 300, "a name, numbers and a way"
    top = both.shape[0] - 120 - 6
    left, right = (both[top : top + 120, start : start + 160] for start in (0, 164))
    np.testing.assert_array_equal(left[:, :-2], alone[top : top + 120, :-2])
    assert (left != right).any(), "the teacher goes to the goal"


@pytest.mark.parametrize(
    ("lengths", "fps", "every", "expected"),
    [([200], None, None, 1), ([200] * 4, None, None, 3), ([500] * 4, None, None, 6), ([20] * 4, None, None, 1)],
)
def test_a_clip_lasts_at_most_twenty_seconds(lengths, fps, every, expected) -> None:
    pace = choose_pace(lengths, fps, every)
    assert pace.every == expected
    frames = sum(1 + -(-length // pace.every) + pace.hold for length in lengths)
    assert frames / pace.fps <= 20
    assert pace.fps == (8 if sum(lengths) < 100 else 20)


def test_pace_and_size_are_what_was_asked_for_or_refused() -> None:
    assert choose_pace([200], 30.0, 4) == choose_pace([10_000], 30.0, 4)
    for options, problem in (
        ({"fps": 0.0}, "fps: expected more than 0 and at most 60, found 0"),
        ({"every": 0}, "every: expected 1 or more, found 0"),
        ({"width": 8}, "width: expected 64 to 1280 pixels, found 8"),
    ):
        with pytest.raises(MetabenchError, match=problem):
            make_clip(act("random", "tiny", shots=0, teacher=False), **options)


def moving_square(count: int = 12) -> list:
    frames = np.full((count, 64, 96, 3), 250, np.uint8)
    for place, frame in enumerate(frames):
        frame[20:40, 5 * place : 5 * place + 20] = (200, 30, 30)
    return list(frames)


def test_an_mp4_file_plays_in_browsers() -> None:
    av = pytest.importorskip("av")
    content = encode_mp4(moving_square(), 8.0)
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate) == 8.0
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(decoded) == 12
    for expected, found in zip(moving_square(), decoded, strict=True):
        assert np.abs(expected.astype(int) - found).mean() < 6
    assert content.index(b"moov") < content.index(b"mdat"), "it begins before all of it is there"


def test_a_gif_moves_for_ever() -> None:
    image = Image.open(io.BytesIO(encode_gif(moving_square(), 8.0)))
    assert (image.n_frames, image.info["loop"], image.info["duration"]) == (12, 0, 120)
    for place, expected in enumerate(moving_square()):
        image.seek(place)
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - expected).max() < 12


@pytest.mark.slow
def test_a_small_gif_is_small_or_not_there() -> None:
    watched = act("random", "tiny", shots=3)
    whole = make_small_gif(watched)
    shorter = make_small_gif(watched, most=len(whole) - 1)
    assert len(shorter) < len(whole)
    assert Image.open(io.BytesIO(shorter)).n_frames < Image.open(io.BytesIO(whole)).n_frames
    assert make_small_gif(watched, most=100) is None


def test_unknown_tasks_and_policies_are_refused() -> None:
    with pytest.raises(MetabenchError, match=r"split 'test' has no task 99; expected one of its \d+"):
        act("random", "tiny", task=99)
    with pytest.raises(MetabenchError, match="shots: expected 0 or more, found -1"):
        act("random", "tiny", shots=-1)
    with pytest.raises(MetabenchError, match="policy 'blind': expected --suite"):
        open_policy("blind")
    with pytest.raises(MetabenchError, match=r"'randm'.*; teacher, random, blind act in every suite"):
        open_policy("randm", "tiny")
    assert load_suite("tiny").spaces == open_policy("random", "tiny").suite.spaces


def test_any_policy_can_be_rendered_in_one_line(tmp_path) -> None:
    policy = metabench.load_policy("random", suite="point-robot")
    written = metabench.render_episode(
        policy, tmp_path / "random.gif", suite="point-robot", shots=0, size=(64, 64), teacher=False, seed=3
    )
    (row, *_) = evaluate(policy, "point-robot", "zero-shot", seed=3).blocks[0].rows
    assert round_return(written.total_return) == pytest.approx(row.total_return, rel=1e-6)
    assert (written.length, written.every, written.size[0]) == (20, 1, 64)
    with pytest.raises(MetabenchError, match="a policy that is not saved: expected the suite"):
        metabench.render_episode(policy, tmp_path / "random.gif")


def test_a_suite_that_shows_nothing_says_so(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(type(load_suite("tiny").environment()), "scene", metabench.BatchedEnvironment.scene)
    with pytest.raises(MetabenchError, match="has no pictures: it has neither frame nor scene"):
        metabench.render_episode("random", tmp_path / "random.gif", suite="tiny", shots=0)
    assert not list(tmp_path.iterdir())
