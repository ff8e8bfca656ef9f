"""Records put together by contender: scores instead of rows, and what is wrong with incomplete ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from metabench.errors import DataError
from metabench.evaluation.protocol import PROTOCOL
from metabench.evaluation.scores import Score, score_block
from metabench.leaderboard.scores.archived_protocols import is_scored
from metabench.leaderboard.scores.costs import SeedCosts, read_costs
from metabench.leaderboard.scores.models import Contender
from metabench.leaderboard.scores.quotas import BlockKey, Quotas, SuiteShelf, identify_block
from metabench.methods.configuring import label_method
from metabench.runs.kept.record import EXPERT_LABELS, Record, digest_of
from metabench.suites import Suite


@dataclass
class ContenderScores:
    """What is kept of a contender's records: scores instead of rows.

    Attributes:
        contender: the row identity.
        outdated: why its scores cannot be normalised with the suite as it is now; None if they can.
        develops: whether its records are of validation tasks: they are scored, and never ranked.
        newest: when its newest record was made, and that record's digest.
        overrides: where the newest record's configuration differs from the preset.
        privileged: whether its policies are shown the test tasks.
        uses_expert_labels: whether it was trained with the expert's actions.
        scores: by block and seed, of complete blocks only.
        returns: mean returns by block and seed; also of outdated records.
        problems: by block and seed, what is wrong with incomplete ones.
        collections: by split and seed, mean returns of the support episodes, in their order.
        costs: by seed.
        devices: that trained.
        parameters: that acting uses; the most over seeds.
        mark: what tells its label from that of a newer version, or of other code, under the same name; or empty.
    """

    contender: Contender
    outdated: str | None
    develops: bool = False
    newest: tuple[str, str] = ("", "")
    overrides: Mapping[str, Any] = field(default_factory=dict)
    privileged: bool = False
    uses_expert_labels: bool = False
    scores: dict[BlockKey, dict[int, Score]] = field(default_factory=dict)
    returns: dict[BlockKey, dict[int, float]] = field(default_factory=dict)
    problems: dict[BlockKey, dict[int, str]] = field(default_factory=dict)
    collections: dict[str, dict[int, tuple[float, ...]]] = field(default_factory=dict)
    costs: dict[int, SeedCosts] = field(default_factory=dict)
    devices: set[str] = field(default_factory=set)
    parameters: int = 0
    mark: str = ""

    @property
    def id(self) -> str:
        """The contender's identity as a hash."""
        return hash_contender(self.contender)

    @property
    def label(self) -> str:
        """Method with its variant or overrides, for people."""
        return label_method(self.contender.method, self.overrides) + self.mark


def identify_contender(record: Record) -> Contender:
    """The row that `record` belongs to: its cell without the seed."""
    return Contender.model_validate(record.result.cell.model_dump(exclude={"seed"}))


def hash_contender(contender: Contender) -> str:
    """16 hexadecimal digits that name `contender`; safe as a file name whatever the names are."""
    return digest_of(contender.model_dump(mode="json")).partition(":")[2][:16]


def gather(records: Iterable[Record], shelf: SuiteShelf) -> list[ContenderScores]:
    """Score `records` and put those of one contender together, ordered by suite, dataset, preset and method.

    Args:
        records: in any order; each is read once and let go.
        shelf: the suites to score with.

    Raises:
        DataError: two records are of one cell.
    """
    gathered: dict[tuple[str, bool], ContenderScores] = {}
    for record in records:
        contender = identify_contender(record)
        quotas = find_contender_quotas(shelf, contender)
        # Records of validation tasks are of the same cells: they must not meet in one group.
        group = gathered.setdefault(
            (hash_contender(contender), record.develops),
            ContenderScores(
                contender, _explain_outdated(contender, quotas), develops=record.develops
            ),
        )
        _add_record(group, record, quotas)
    # The hash decides between configurations of one method: the order must not depend on that of the records.
    ordered = sorted(
        gathered.items(), key=lambda item: (_order_contender(item[1].contender), item[0])
    )
    groups = [group for _, group in ordered]
    _tell_versions_apart(groups)
    _tell_codes_apart(groups)
    return groups


def _tell_versions_apart(groups: Iterable[ContenderScores]) -> None:
    """Put the version behind the labels of all but the newest of a method: else two rows are called the same.

    The newest of a protocol's, whichever suites it has records in: a row of older records is known by its label alone.
    """
    same: dict[tuple[str, str], list[ContenderScores]] = {}
    for group in groups:
        same.setdefault((group.contender.protocol, group.label), []).append(group)
    for each in same.values():
        newest = max(group.contender.method_version for group in each)
        for group in each:
            if group.contender.method_version < newest:
                group.mark = f" (version {group.contender.method_version})"


def _tell_codes_apart(groups: Iterable[ContenderScores]) -> None:
    """Put a piece of the code's hash behind labels that methods of different code share."""
    same: dict[tuple[str, ...], list[ContenderScores]] = {}
    for group in groups:
        same.setdefault((*_order_contender(group.contender), group.label), []).append(group)
    for each in same.values():
        if len({group.contender.method_code for group in each}) > 1:
            for group in each:
                group.mark += f" [code {(group.contender.method_code or 'none')[7:15]}]"


def is_data_as_published(contender: Contender, suite: Suite) -> bool | None:
    """Whether `contender` was trained on the data that suite.toml states; None if it states none of this version."""
    dataset = suite.entry.datasets.get(contender.dataset)
    published = dataset.digest if dataset and dataset.version == contender.dataset_version else None
    return None if published is None else published == contender.dataset_digest


def find_contender_quotas(shelf: SuiteShelf, contender: Contender) -> Quotas | str:
    """What the protocol asks of the suite that `contender` was made with, or why it is not known."""
    return shelf.find_quotas(contender.suite, contender.suite_version)


def _order_contender(contender: Contender) -> tuple[str, ...]:
    return (contender.suite, contender.dataset, contender.preset, contender.method)


def _explain_outdated(contender: Contender, quotas: Quotas | str) -> str | None:
    if isinstance(quotas, str):
        return quotas
    suite = quotas.suite
    if contender.suite_digest != suite.digest:
        return (
            f"made with {contender.suite}-v{contender.suite_version} {contender.suite_digest[7:15]}; "
            f"the suite here is {suite.identity} {suite.digest[7:15]}"
        )
    if not is_scored(contender.protocol):
        return f"made with protocol {contender.protocol}; the protocol here is {PROTOCOL}"
    return None


def _add_record(group: ContenderScores, record: Record, quotas: Quotas | str) -> None:
    result = record.result
    seed = result.cell.seed
    if seed in group.costs:
        raise DataError(
            f"two records of one cell: {record.path}, dataset digest {result.cell.dataset_digest:.15}"
        )
    group.costs[seed] = read_costs(record)
    group.devices.add(record.provenance.device)
    group.parameters = max(group.parameters, result.parameters)
    # The digest decides between records of one moment: the result must not depend on the order of reading.
    if (record.provenance.created, record.digest) > group.newest:
        group.newest = (record.provenance.created, record.digest)
        group.overrides, group.privileged = result.overrides, result.privileged
        group.uses_expert_labels = result.summary.get(EXPERT_LABELS) is True
    for block in result.blocks:
        key = identify_block(block)
        if isinstance(quotas, str) or group.outdated is not None:
            if block.rows:
                group.returns.setdefault(key, {})[seed] = float(
                    np.mean([row.total_return for row in block.rows])
                )
            continue
        try:
            findings = "; ".join(quotas.check_block(block))
            if findings:
                raise DataError(findings)
            score = score_block(block, quotas.suite, result.cell.suite_digest)
        except DataError as error:
            group.problems.setdefault(key, {})[seed] = str(error)
        else:
            group.scores.setdefault(key, {})[seed] = score
            group.returns.setdefault(key, {})[seed] = score.mean_return
    for collection in result.collections:
        shots = max((row.episode for row in collection.rows), default=-1) + 1
        returns = [
            [row.total_return for row in collection.rows if row.episode == i] for i in range(shots)
        ]
        if all(returns):  # no episode number between the first and the last is missing
            means = tuple(float(np.mean(values)) for values in returns)
            group.collections.setdefault(collection.split, {})[seed] = means
