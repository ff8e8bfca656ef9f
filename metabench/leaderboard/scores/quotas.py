"""Whether a record's rows are those that the protocol asks for, judged per split, track and shots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from metabench.errors import MetabenchError
from metabench.evaluation.protocol import collection_lanes, scored_lanes, shot_counts, supported_tracks
from metabench.evaluation.rows import Block, Collection, Row
from metabench.suites import Suite, load_named_suite
from metabench.suites.archive import read_archived
from metabench.suites.folders import list_archived_versions

Place = tuple[int, int, int]
"""Task, support, episode: what names an episode within a block."""


class BlockKey(NamedTuple):
    """What names a block within a record."""

    split: str
    track: str
    shots: int

    def __str__(self) -> str:
        """For people: `test few-shot (3 shots)`."""
        return f"{self.split} {self.track}" + (f" ({self.shots} shot{'s'[: self.shots != 1]})" if self.shots else "")


def key_of(block: Block) -> BlockKey:
    """The key of `block`."""
    return BlockKey(block.split, block.track, block.shots)


def expected_blocks(suite: Suite) -> tuple[BlockKey, ...]:
    """All blocks that the protocol has for `suite`, in the protocol's order."""
    return tuple(
        BlockKey(split, track, shots) for split, track in supported_tracks(suite) for shots in shot_counts(split, track)
    )


class Quotas:
    """The episodes that the protocol asks of a suite; computed once for many records."""

    def __init__(self, suite: Suite) -> None:
        """Keep `suite`."""
        self.suite = suite
        self.blocks = expected_blocks(suite)
        self._places: dict[BlockKey, frozenset[Place]] = {}

    def block_findings(self, block: Block) -> tuple[str, ...]:
        """What is wrong with the rows of `block`, a short text each; empty if they fill the quota exactly."""
        key = key_of(block)
        if key not in self.blocks:
            return ("not part of the protocol",)
        if key not in self._places:
            lanes = scored_lanes(self.suite, key.split, key.track, [key.shots])
            self._places[key] = frozenset((lane.task, lane.support, lane.episode) for lane in lanes)
        return self._findings(block.rows, self._places[key])

    def collection_findings(self, collection: Collection, shots: int) -> tuple[str, ...]:
        """What is wrong with the support episodes of one split, up to `shots` of them a support."""
        key = BlockKey(collection.split, "collection", shots)
        if key not in self._places:
            self._places[key] = frozenset(
                (lane.task, lane.support, lane.episode)
                for episode in range(shots)
                for lane in collection_lanes(self.suite, key.split, episode)
            )
        return self._findings(collection.rows, self._places[key])

    def _findings(self, rows: Sequence[Row], expected: frozenset[Place]) -> tuple[str, ...]:
        found = Counter((row.task, row.support, row.episode) for row in rows)
        missing = expected - found.keys()
        beyond = found.keys() - expected
        repeated = [place for place, count in found.items() if count > 1]
        longest = max((row.length for row in rows), default=0)
        findings = []
        if missing:
            findings.append(f"{len(missing)} of {len(expected)} episodes missing, {_tasks(missing)}")
        if beyond:
            findings.append(f"{len(beyond)} episodes beyond the quota, {_tasks(beyond)}")
        if repeated:
            findings.append(f"{len(repeated)} episodes given twice, {_tasks(repeated)}")
        if longest > self.suite.entry.horizon:
            findings.append(f"an episode of {longest} steps, the horizon is {self.suite.entry.horizon}")
        return tuple(findings)


class SuiteShelf:
    """The suites that records name, archived versions among them, each loaded once."""

    def __init__(self, suites: Iterable[Suite] = ()) -> None:
        """Start with `suites`; others are loaded by name."""
        self._quotas: dict[str, Quotas | str] = {suite.name: Quotas(suite) for suite in suites}
        self._archived: dict[tuple[str, int], Quotas | str] = {}

    def quotas(self, name: str, version: int | None = None) -> Quotas | str:
        """The quotas of suite `name`, or in one line why it cannot be had.

        Args:
            name: the suite's name.
            version: gives those of the archived version, if there is one; otherwise they are the present one's.
        """
        present = self._present(name)
        if isinstance(present, str) or version in (None, present.suite.entry.version):
            return present
        if version is None or version not in list_archived_versions(present.suite.folder):
            return present
        if (name, version) not in self._archived:
            try:
                self._archived[name, version] = Quotas(read_archived(present.suite.folder, version))
            except MetabenchError as error:
                self._archived[name, version] = str(error)
        return self._archived[name, version]

    def _present(self, name: str) -> Quotas | str:
        if name not in self._quotas:
            try:
                self._quotas[name] = Quotas(load_named_suite(name))
            except MetabenchError as error:
                self._quotas[name] = str(error)
        return self._quotas[name]

    def suites(self) -> tuple[Suite, ...]:
        """All suites loaded so far, by name and version."""
        found = [each.suite for each in (*self._quotas.values(), *self._archived.values()) if isinstance(each, Quotas)]
        return tuple(sorted(found, key=lambda suite: (suite.name, suite.entry.version)))


def _tasks(places: Iterable[Place]) -> str:
    tasks = sorted({task for task, _, _ in places})
    shown = ", ".join(map(str, tasks[:5])) + (", ..." if len(tasks) > 5 else "")
    return f"task{'s'[: len(tasks) != 1]} {shown}"
