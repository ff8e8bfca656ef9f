"""The report of one run: read what is at hand, ask the policy, write one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from metabench.data.load import load_data
from metabench.data.storage.store import store_exists
from metabench.errors import DataError, MetabenchError, MethodError
from metabench.evaluation.evaluate import PolicyOpener
from metabench.leaderboard.scores.quotas import SuiteShelf
from metabench.methods.contract import Method, Policy
from metabench.methods.pictures import Picture
from metabench.report.episodes import Acted, act_episodes, watch_adapting
from metabench.report.load_run import Subject, read_subject
from metabench.report.page import Content, render_report
from metabench.report.pictures import ask_for_pictures, load_test_trajectories
from metabench.runs.kept.saved_policy import Training, load_trained_policy
from metabench.seeding import derive_seed
from metabench.suites import Suite, load_suite
from metabench.suites.schema import TaskEntry
from metabench.system.writing import write_whole
from metabench.watching.small_gif import make_small_gif

Progress = Callable[[str, int, int], None]
"""Told (stage, done, total)."""


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        path: the page.
        notices: what it lacks, and why; a line each.
    """

    path: Path
    notices: tuple[str, ...]


def write_report(
    run: Path,
    output: Path,
    *,
    policy: Path | None = None,
    suite: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Write one HTML file about a run: identity, scores, training curves, diagnostics, pictures, acted episodes.

    What a missing policy, plugin or dataset would have shown is left out, and the page says so.

    Args:
        run: a record, a folder with one record in it, or the folder of a saved policy.
        output: the HTML file.
        policy: the folder of the record's policy; None looks where runs keep theirs.
        suite: the folder of the run's suite; None finds it by its name.
        progress: told how far acting is.

    Raises:
        DataError: the record, or the policy that was named, is missing or damaged.
        MetabenchError: the policy or the suite that was named is not the run's, or cannot be loaded.
    """
    if output.is_dir():
        raise DataError(
            f"{output}: is a folder; expected a file to write, such as {output / 'report.html'}"
        )
    subject = read_subject(run, policy)
    suite_here = _find_suite(subject, suite)
    found = _PolicyContent()
    if subject.training is None or subject.folder is None:
        found.notices.append(f"Pictures and episodes are missing: {subject.lacking}")
    elif (
        policy is not None or subject.record is None
    ):  # the user named the policy: what is wrong with it is an error
        _ask_policy(
            subject, *_load_all(subject.training, subject.folder, suite_here), found, progress
        )
    else:  # it was looked for: without it the page has all the rest
        with _turn_mistakes_into_notices("Pictures and episodes are missing", found):
            _ask_policy(
                subject, *_load_all(subject.training, subject.folder, suite_here), found, progress
            )
    known = suite_here if isinstance(suite_here, Suite) else None
    content = Content(
        subject,
        known,
        found.pictures,
        found.test_pictures,
        found.episodes,
        found.notices,
        found.clip,
    )
    write_whole(output, render_report(content))
    return Report(output, tuple(found.notices))


def _find_suite(subject: Subject, given: str | None) -> Suite | str:
    """The run's suite, or in one line why it cannot be had; raises `MetabenchError` if `given` is another."""
    name = subject.cell.suite
    if given is None:
        quotas = SuiteShelf().find_quotas(name, subject.cell.suite_version)
        return quotas if isinstance(quotas, str) else quotas.suite
    suite = load_suite(given)
    if suite.name != name:
        raise MetabenchError(
            f"--suite {given}: is suite {suite.name!r}, the run is of {name!r:.80}"
        )
    return suite


@dataclass
class _PolicyContent:
    """What the policy showed, and what is missing."""

    pictures: list[Picture] = field(default_factory=list)
    test_pictures: list[Picture] = field(default_factory=list)
    episodes: list[tuple[TaskEntry, list[Acted]]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    clip: bytes | None = None


@contextmanager
def _turn_mistakes_into_notices(what: str, found: _PolicyContent) -> Iterator[None]:
    """A mistake becomes a notice."""
    try:
        yield
    except MetabenchError as error:
        found.notices.append(f"{what}: {' '.join(str(error).split())}")


def _load_all(
    training: Training, folder: Path, suite: Suite | str
) -> tuple[Method, Suite, Policy, PolicyOpener]:
    """Method, suite, the saved policy, and what loads it anew; raises `MetabenchError` where one cannot be had."""
    if isinstance(suite, str):
        raise MetabenchError(suite)
    method, spaces = training.method(), suite.spaces
    try:
        policy = load_trained_policy(method, folder, spaces)
    except MetabenchError:
        raise
    except Exception as error:  # a plugin may raise anything
        raise MethodError(
            f"method {method.name!r}: load raised {type(error).__name__}: {error}"
        ) from error
    return method, suite, policy, lambda: nullcontext(load_trained_policy(method, folder, spaces))


def _ask_policy(
    subject: Subject,
    method: Method,
    suite: Suite,
    policy: Policy,
    opener: PolicyOpener,
    found: _PolicyContent,
    progress: Progress | None,
) -> None:
    """Let the policy show its pictures and act."""
    cell = subject.cell
    if (
        type(policy).pictures is not Policy.pictures
    ):  # without pictures of its own no data need be there
        with _turn_mistakes_into_notices("Pictures are missing", found):
            if not store_exists(suite, cell.dataset):
                command = f"metabench data build {suite.argument} --dataset {cell.dataset}"
                raise DataError(f"dataset {cell.dataset!r} is not built: {command}")
            data = load_data(
                suite, cell.dataset, build=False, expert_labels=method.uses_expert_labels
            )
            generator = np.random.default_rng(derive_seed("report", cell.seed))
            found.pictures += ask_for_pictures(policy, cell.method, data.validation, generator)
            of_test_tasks = load_test_trajectories(suite, cell.dataset)
            if of_test_tasks is not None:
                generator = np.random.default_rng(derive_seed("report", "test", cell.seed))
                found.test_pictures += ask_for_pictures(
                    policy, cell.method, of_test_tasks, generator
                )
    with _turn_mistakes_into_notices("Episodes are missing", found):
        if suite.digest != cell.suite_digest:
            raise DataError(
                f"the run was made with another version of suite {suite.name!r} than that here"
            )
        suite.check_available()
        found.episodes += act_episodes(
            opener, cell.method, suite, cell.seed, privileged=method.privileged, progress=progress
        )
    if found.episodes:
        with _turn_mistakes_into_notices("The clip is missing", found):
            task, acted = found.episodes[0]
            found.clip = make_small_gif(watch_adapting(suite, cell.method, task, acted))
