"""Whether a record's rows are those that the protocol asks for, judged per split, track and shots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from metabench.errors import MetabenchError
from metabench.evaluation.prediction.held_out import TRAJECTORIES
from metabench.evaluation.prediction.quota import (
    PREDICTION,
    PREFIXES,
    choose_prediction_shots,
    list_behaviours,
    list_steps_ahead,
)
from metabench.evaluation.prediction.sums import Predictions
from metabench.evaluation.protocol import (
    VALIDATION,
    choose_shot_counts,
    choose_tracks,
    list_collection_lanes,
    list_prediction_tracks,
    list_scored_lanes,
    list_splits,
    list_supported_tracks,
)
from metabench.evaluation.rows import Block, Collection, Row
from metabench.suites import Suite, load_named_suite
from metabench.suites.archive import read_archived
from metabench.suites.folders import list_archived_versions
from metabench.system.wording import pluralise, say_count

Place = tuple[int, int, int]
"""Task, support, episode: what names an episode within a block."""


class BlockKey(NamedTuple):
    """What names a block within a record."""

    split: str
    track: str
    shots: int

    def __str__(self) -> str:
        """For people: `test few-shot (3 shots)`."""
        shots = f" ({say_count(self.shots, 'shot')})" if self.shots else ""
        return f"{self.split} {self.track}{shots}"


def identify_block(block: Block) -> BlockKey:
    """The key of `block`."""
    return BlockKey(block.split, block.track, block.shots)


def list_expected_blocks(suite: Suite) -> tuple[BlockKey, ...]:
    """All blocks that are ranked in `suite`, in the protocol's order."""
    return _list_blocks(suite, list_supported_tracks(suite))


def list_validation_blocks(suite: Suite) -> tuple[BlockKey, ...]:
    """All blocks of the suite's validation tasks; none where it has no such tasks."""
    has_any = VALIDATION in list_splits(suite)
    return _list_blocks(suite, choose_tracks(suite, splits=[VALIDATION])) if has_any else ()


def _list_blocks(suite: Suite, pairs: Iterable[tuple[str, str]]) -> tuple[BlockKey, ...]:
    return tuple(
        BlockKey(split, track, shots)
        for split, track in pairs
        for shots in choose_shot_counts(suite, split, track)
    )


class Quotas:
    """The episodes that the protocol asks of a suite; computed once for many records."""

    def __init__(self, suite: Suite) -> None:
        """Keep `suite`."""
        self.suite = suite
        self.blocks = list_expected_blocks(suite)
        self._validation = list_validation_blocks(suite)
        self._places: dict[BlockKey, frozenset[Place]] = {}

    def check_block(self, block: Block) -> tuple[str, ...]:
        """What is wrong with the rows of `block`, a short text each; empty if they fill the quota exactly."""
        key = identify_block(block)
        if key not in (*self.blocks, *self._validation):
            return ("not part of the protocol",)
        if key not in self._places:
            lanes = list_scored_lanes(self.suite, key.split, key.track, key.shots)
            self._places[key] = frozenset((lane.task, lane.support, lane.episode) for lane in lanes)
        return self._compare_with_quota(block.rows, self._places[key])

    def check_collection(self, collection: Collection, shots: int) -> tuple[str, ...]:
        """What is wrong with the support episodes of one split, up to `shots` of them a support."""
        key = BlockKey(collection.split, "collection", shots)
        if key not in self._places:
            self._places[key] = frozenset(
                (lane.task, lane.support, lane.episode)
                for episode in range(shots)
                for lane in list_collection_lanes(self.suite, key.split, episode)
            )
        return self._compare_with_quota(collection.rows, self._places[key])

    def _compare_with_quota(
        self, rows: Sequence[Row], expected: frozenset[Place]
    ) -> tuple[str, ...]:
        # Places, not numbers of episodes: twice an easy task in place of a hard one would be as many.
        found = Counter((row.task, row.support, row.episode) for row in rows)
        missing = expected - found.keys()
        beyond = found.keys() - expected
        repeated = [place for place, count in found.items() if count > 1]
        longest = max((row.length for row in rows), default=0)
        findings = []
        if missing:
            findings.append(
                f"{len(missing)} of {len(expected)} episodes missing, {_name_tasks(missing)}"
            )
        if beyond:
            findings.append(f"{len(beyond)} episodes beyond the quota, {_name_tasks(beyond)}")
        if repeated:
            findings.append(f"{len(repeated)} episodes given twice, {_name_tasks(repeated)}")
        if longest > self.suite.entry.horizon:
            findings.append(
                f"an episode of {longest} steps, the horizon is {self.suite.entry.horizon}"
            )
        return tuple(findings)


def check_predictions(predictions: Predictions, suite: Suite) -> tuple[str, ...]:
    """What of the track `prediction` differs from what the protocol asks of a suite, a short text each.

    Which trajectories are there to be predicted the data say, not the suite: a task may lack some.
    """
    split, horizon = predictions.split, suite.entry.horizon
    if (split, PREDICTION) not in list_prediction_tracks(suite):
        return (f"split {split}: not part of the protocol",)
    tasks = {task.id for task in suite.split(split)}
    prefixes = tuple(prefix for prefix in PREFIXES if list_steps_ahead(horizon, prefix))
    expected = {
        "shots": choose_prediction_shots(suite, split),
        "behaviours": list_behaviours(suite, split),
        "prefixes": prefixes,
        "steps": list_steps_ahead(horizon, prefixes[0]),
    }
    findings = [
        f"{name}: expected {', '.join(map(str, values))}, found {', '.join(map(str, found))}"
        for name, values in expected.items()
        if (found := getattr(predictions, name)) != values
    ]
    if not set(predictions.tasks) <= tasks or sorted(set(predictions.tasks)) != list(
        predictions.tasks
    ):
        findings.append(f"tasks: expected ids of {split} tasks, ascending")
    most = len(predictions.tasks) * len(predictions.behaviours) * TRAJECTORIES
    if predictions.trajectories > most:
        findings.append(f"trajectories: expected at most {most}, found {predictions.trajectories}")
    return tuple(findings)


class SuiteShelf:
    """The suites that records name, archived versions among them, each loaded once."""

    def __init__(self, suites: Iterable[Suite] = ()) -> None:
        """Start with `suites`; others are loaded by name."""
        self._quotas: dict[str, Quotas | str] = {suite.name: Quotas(suite) for suite in suites}
        self._archived: dict[tuple[str, int], Quotas | str] = {}

    def find_quotas(self, name: str, version: int | None = None) -> Quotas | str:
        """The quotas of suite `name`, or in one line why it cannot be had.

        Args:
            name: the suite's name.
            version: gives those of the archived version, if there is one; otherwise they are the present one's.
        """
        present = self._find_present(name)
        if isinstance(present, str) or version in (None, present.suite.entry.version):
            return present
        if version is None or version not in list_archived_versions(present.suite.folder):
            return present  # the caller compares digests and says that the record is outdated
        if (name, version) not in self._archived:
            try:
                self._archived[name, version] = Quotas(read_archived(present.suite.folder, version))
            except MetabenchError as error:
                self._archived[name, version] = str(error)
        return self._archived[name, version]

    def _find_present(self, name: str) -> Quotas | str:
        if name not in self._quotas:
            try:
                self._quotas[name] = Quotas(load_named_suite(name))
            except MetabenchError as error:
                self._quotas[name] = str(error)
        return self._quotas[name]

    def list_loaded(self) -> tuple[Suite, ...]:
        """All suites loaded so far, by name and version."""
        found = [
            each.suite
            for each in (*self._quotas.values(), *self._archived.values())
            if isinstance(each, Quotas)
        ]
        return tuple(sorted(found, key=lambda suite: (suite.name, suite.entry.version)))


def _name_tasks(places: Iterable[Place]) -> str:
    tasks = sorted({task for task, _, _ in places})
    shown = ", ".join(map(str, tasks[:5])) + (", ..." if len(tasks) > 5 else "")
    return f"{pluralise('task', len(tasks))} {shown}"
