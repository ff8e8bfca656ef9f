"""A policy's episodes as a file that one can watch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from metabench.evaluation.evaluate import Progress
from metabench.methods.contract import Policy
from metabench.runs.again.open_policy import open_policy
from metabench.suites import Suite
from metabench.system.torch_settings import torch_settings
from metabench.watching.acting import act_watched
from metabench.watching.clip import make_clip
from metabench.watching.video import check_output, write_clip


@dataclass(frozen=True)
class RenderedEpisode:
    """What was written.

    Attributes:
        path: the file.
        size: width and height of its frames in pixels.
        seconds: how long it lasts.
        every: steps from one frame to the next.
        total_return: of the scored episode.
        length: its steps.
    """

    path: Path
    size: tuple[int, int]
    seconds: float
    every: int
    total_return: float
    length: int


def render_episode(
    policy: Policy | Path | str,
    path: Path | str,
    *,
    suite: Suite | str | None = None,
    task: int | None = None,
    split: str = "test",
    shots: int = 3,
    seed: int | None = None,
    teacher: bool = True,
    size: tuple[int, int] = (320, 240),
    fps: float | None = None,
    every: int | None = None,
    progress: Progress | None = None,
    notify: Callable[[str], None] = lambda line: None,
) -> RenderedEpisode:
    """Film a policy in one task: its support episodes, then a scored one, with the teacher beside it.

    The policy acts as in `evaluate`: the scored episode is that of a record's first row of the task.

    Args:
        policy: a policy; the name of a shipped one; a policy's folder; or `teacher`, `random`, `blind`.
        path: the `.mp4` or `.gif` file to write. MP4 needs the extra `video`.
        suite: the suite to act in; None is the suite of the policy's training.
        task: the id of a task of the split; None is the first.
        split: `test`, `test-far` or `validation`.
        shots: support episodes before the scored one; 0 is zero-shot.
        seed: the evaluation seed; None is the training seed.
        teacher: whether to show the suite's teacher beside it, from the same starts.
        size: width and height of each lane in pixels.
        fps: frames a second; None is 20, for short episodes 8.
        every: steps between two frames; None chooses them for at most 20 seconds.
        progress: told (stage, steps done, steps in all).
        notify: called with one line if MuJoCo cannot render here and lanes are drawn flat.

    Raises:
        UnknownNameError: no such policy, suite or split.
        MetabenchError: no such task, a number is out of its range, the suite shows nothing, or a package is missing.
        MethodError: the policy broke its contract.
    """
    target = Path(path)
    check_output(target)
    opened = open_policy(policy, suite)
    opened.suite.check_available()
    with nullcontext() if opened.threads is None else torch_settings(opened.threads):
        watched = act_watched(
            opened.opener,
            opened.suite,
            opened.name,
            split=split,
            task=task,
            shots=shots,
            seed=opened.seed if seed is None else seed,
            privileged=opened.privileged,
            teacher=teacher and opened.name != "teacher",
            progress=progress,
        )
    clip = make_clip(watched, width=size[0], height=size[1], fps=fps, every=every, notify=notify)
    frames = write_clip(clip, target)
    scored = watched.episodes[-1]
    return RenderedEpisode(
        target,
        clip.size,
        frames / clip.pace.fps,
        clip.pace.every,
        scored.total_return,
        len(scored),
    )
