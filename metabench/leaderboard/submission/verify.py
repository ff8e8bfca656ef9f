"""Recomputing published records: the saved policy, or one trained again, in the published tasks or in fresh ones."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from metabench.errors import DataError, DependentLanesError, MetabenchError
from metabench.evaluation.evaluate import Evaluation, Progress
from metabench.evaluation.protocol import PROTOCOL, choose_shot_counts
from metabench.evaluation.rows import Block, Row, sum_counts
from metabench.leaderboard.method_card import strip_variant
from metabench.leaderboard.records import find_records_folder, list_record_paths
from metabench.leaderboard.scores.quotas import BlockKey, SuiteShelf, identify_block
from metabench.leaderboard.submission.fresh_agree import (
    collect_fresh_scores,
    compare_with_fresh,
)
from metabench.leaderboard.submission.fresh_tasks import (
    act_fresh_supports,
    list_fresh_splits,
    make_fresh_suite,
)
from metabench.leaderboard.submission.predictions_agree import compare_recorded_predictions
from metabench.leaderboard.submission.rows_agree import (
    Verdict,
    compare_by_interval,
    compare_exactly,
    compare_with_seeds,
    explain_rule,
    list_changed_circumstances,
)
from metabench.leaderboard.submission.saved_policies import find_policies_beside, find_saved_policy
from metabench.methods.former_names import refuse_former_name
from metabench.methods.registry import list_methods
from metabench.runs.again.evaluate_record import RecordedPolicy, evaluate_recorded
from metabench.runs.again.retrain import retrain
from metabench.runs.isolation.isolated_policy import confinement_gaps
from metabench.runs.kept.record import Record, read_record
from metabench.runs.kept.record_file import is_record_name
from metabench.runs.kept.saved_policy import POLICY
from metabench.suites import Suite, datasets_folder
from metabench.system.home import home

MOST_THREADS = 256
"""A record with more was not made on a machine that there is."""


@dataclass(frozen=True)
class Verification:
    """What became of one record.

    Attributes:
        path: the record.
        rule: what the verdicts go by, and why.
        verdicts: one a comparison.
    """

    path: Path
    rule: str
    verdicts: tuple[Verdict, ...]

    @property
    def agrees(self) -> bool:
        """Whether every comparison was made and found agreement."""
        return bool(self.verdicts) and all(verdict.agrees is True for verdict in self.verdicts)


@dataclass(frozen=True)
class Verifier:
    """How records are verified.

    Attributes:
        policies: a folder of saved policies, or one policy; None: `policies` beside the records, or those of `home()`.
        method: what `load_method` takes, for methods that are not installed under their name.
        isolate: let policies act in processes of their own, into which alone their code is imported. Where the system
            can hide folders from them, they find none that tells of tasks.
        retrain: repeat the training instead of reading a saved policy.
        device: where to train; None is the record's device.
        fresh_seed: score the policy in fresh tasks as well, which this seed names.
        shelf: the suites.
        progress: told (stage, done, total).
    """

    policies: Path | None = None
    method: str | None = None
    isolate: bool = True
    retrain: bool = False
    device: str | None = None
    fresh_seed: int | None = None
    shelf: SuiteShelf = field(default_factory=SuiteShelf)
    progress: Progress | None = None

    def verify(self, place: Path) -> Iterator[Verification]:
        """Verify the record `place`, or all records of the folder; one at a time, those of privileged methods not.

        Raises:
            DataError: a record, its policy or its suite is missing, damaged or another.
            MetabenchError: the method or its process cannot be had, or the suite states no task distribution.
        """
        paths = [place] if place.is_file() else list_record_paths(find_records_folder(place))
        records = [(path, read_record(path)) for path in paths]
        chosen = [(path, record) for path, record in records if not record.result.privileged]
        if not chosen:
            raise DataError(
                f"{place}: holds no record that can be verified: expected some that are not privileged"
            )
        policies = self.policies or find_policies_beside(place)
        hides = self.isolate and not confinement_gaps()
        for number, (path, record) in enumerate(chosen, 1):
            told = _count_records(self.progress, f"record {number} of {len(chosen)}")
            yield replace(self, progress=told)._verify_record(path, record, policies, hides)

    def _verify_record(
        self, path: Path, record: Record, policies: Path, hides: bool
    ) -> Verification:
        suite, spec = self._find_suite(path, record), self._choose_spec(path, record)
        if not 1 <= record.provenance.threads <= MOST_THREADS:
            raise DataError(
                f"{path}: provenance.threads: expected 1 to {MOST_THREADS}, found {record.provenance.threads}"
            )
        with tempfile.TemporaryDirectory(prefix="verify-") as scratch:
            folder = Path(scratch) / POLICY
            digest = device = None  # unless it is trained again
            if self.retrain:
                device = self.device or record.provenance.device.partition(" ")[0]
                digest = retrain(record, suite, spec, folder, device, confined=self.isolate)
            else:
                folder = find_saved_policy(record, policies)
            policy = RecordedPolicy(
                record, spec, folder, self.isolate, _list_task_folders(suite) if hides else ()
            )
            changes = list_changed_circumstances(record, device=device, dataset_digest=digest)
            verdicts = self._compare_published_tasks(path, policy, suite, changes)
            verdicts += compare_recorded_predictions(
                policy, suite, changes, retrained=self.retrain, progress=self.progress
            )
            if self.fresh_seed is not None:
                verdicts += self._compare_fresh_tasks(policy, suite, self.fresh_seed)
        return Verification(path, explain_rule(changes, self.retrain), tuple(verdicts))

    def _find_suite(self, path: Path, record: Record) -> Suite:
        quotas = self.shelf.find_quotas(record.result.cell.suite, record.result.cell.suite_version)
        if isinstance(quotas, str):
            raise DataError(f"{path}: {quotas}")
        if record.result.cell.protocol != PROTOCOL:
            raise DataError(
                f"{path}: protocol: expected {PROTOCOL}, found {record.result.cell.protocol}, whose records are "
                "archived and not measured again"
            )
        if quotas.suite.archived:
            raise DataError(
                f"{path}: {quotas.suite.identity} is archived: its records are not measured again"
            )
        if quotas.suite.digest != record.result.cell.suite_digest:
            raise DataError(
                f"{path}: suite_digest: expected {quotas.suite.digest:.15}..., the suite {quotas.suite.identity} here, "
                f"found {record.result.cell.suite_digest:.15}..."
            )
        return quotas.suite

    def _choose_spec(self, path: Path, record: Record) -> str:
        """Never what a record or a saved policy names: that may be a file which came with it, and would be run."""
        name = strip_variant(record.result.cell.method)
        if self.method is None and name not in list_methods():
            refuse_former_name(name, list_methods())
            raise MetabenchError(
                f"{path}: unknown method {name!r:.80}: not installed; --method FILE.py:CLASS names it"
            )
        return self.method or name

    def _compare_published_tasks(
        self, path: Path, policy: RecordedPolicy, suite: Suite, changes: Sequence[str]
    ) -> list[Verdict]:
        """The rows of the published tasks, measured again and compared."""
        result = policy.record.result
        try:
            measured = evaluate_recorded(
                policy, suite, _list_pairs(result.blocks), replay=True, progress=self.progress
            )
        except DependentLanesError as error:
            return [Verdict("lanes", False, str(error))]
        counts = sum_counts([each.counts for each in measured])
        ours = _collect_rows(measured)
        others = _read_other_seeds(path, policy.record) if self.retrain and changes else []
        count = len(result.blocks)
        verdicts = []
        for block in result.blocks:
            key = identify_block(block)
            again = ours.get(key, ())
            if not changes:
                verdicts.append(compare_exactly(str(key), block.rows, again))
            elif self.retrain:
                seeds = [block.rows, *(rows[key] for rows in others if key in rows)]
                verdicts.append(compare_with_seeds(str(key), seeds, again, suite, count))
            else:
                verdicts.append(compare_by_interval(str(key), block.rows, again, suite, count))
        if (
            not changes
        ):  # support episodes are no scores: there is nothing to compare but the rows themselves
            collected = {
                item.collection.split: item.collection.rows for item in measured if item.collection
            }
            verdicts += [
                compare_exactly(
                    f"{part.split} collection", part.rows, collected.get(part.split, ())
                )
                for part in result.collections
            ]
        replayed = f"{counts.replayed_lanes} lanes acted again in other company, {counts.replayed_steps} actions equal"
        return [*verdicts, Verdict("lanes", True, replayed)]

    def _compare_fresh_tasks(
        self, policy: RecordedPolicy, suite: Suite, seed: int
    ) -> list[Verdict]:
        """The scores where tasks cannot be known, compared with the published ones, of splits with a stated law."""
        fresh = make_fresh_suite(
            suite, seed, tuple(dict.fromkeys(("test", *list_fresh_splits(suite))))
        )
        blocks = [
            block
            for block in policy.record.result.blocks
            if block.split in list_fresh_splits(suite)
        ]
        pairs = _list_pairs(blocks)
        logged = {
            split: act_fresh_supports(
                fresh.suite, split, max(choose_shot_counts(suite, split, track))
            )
            for split, track in pairs
            if track == "logged-shot"
        }
        ours = _collect_rows(
            evaluate_recorded(policy, fresh.suite, pairs, logged=logged, progress=self.progress)
        )
        return [
            verdict
            for block in blocks
            for verdict in compare_with_fresh(
                str(identify_block(block)),
                collect_fresh_scores(
                    block.rows, suite, ours[identify_block(block)], fresh, block.split
                ),
                len(blocks),
            )
        ]


def _count_records(progress: Progress | None, place: str) -> Progress | None:
    """Progress whose stages begin with which of the records it is."""
    if progress is None:
        return None
    return lambda stage, done, total: progress(f"{place}, {stage}", done, total)


def _list_task_folders(suite: Suite) -> tuple[Path, ...]:
    """What tells of test tasks on this machine: suites, and the data in `home()`; none below another."""
    folders = [
        folder.resolve() for folder in (datasets_folder(), home(), suite.folder) if folder.is_dir()
    ]
    return tuple(
        folder for folder in folders if not any(other in folder.parents for other in folders)
    )


def _list_pairs(blocks: Sequence[Block]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((block.split, block.track) for block in blocks))


def _collect_rows(evaluations: Sequence[Evaluation]) -> dict[BlockKey, tuple[Row, ...]]:
    return {
        identify_block(block): block.rows
        for evaluation in evaluations
        for block in evaluation.blocks
    }


def _read_other_seeds(path: Path, record: Record) -> list[dict[BlockKey, tuple[Row, ...]]]:
    """The rows of the other seeds beside a record."""
    own = record.result.cell
    found = []
    for other in sorted(path.parent.iterdir()):
        if other == path or not is_record_name(other.name):
            continue
        try:
            result = read_record(other).result
        except MetabenchError:  # a damaged neighbour is no reason not to verify this record
            continue
        same_but_for_seed = result.cell.model_copy(update={"seed": own.seed}) == own
        if result.cell.seed != own.seed and same_but_for_seed:
            found.append({identify_block(block): block.rows for block in result.blocks})
    return found
