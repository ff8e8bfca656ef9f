"""Evaluating the policy of a record again: the same configuration, seed and threads, and no code of the method here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metabench.data.making.build import build_data
from metabench.envs import Spaces
from metabench.errors import MethodError
from metabench.evaluation.evaluate import Evaluation, Progress, evaluate
from metabench.evaluation.independence import list_replays
from metabench.evaluation.logged_supports import Supports
from metabench.evaluation.prediction.measure import PredictionEvaluation, evaluate_predictions
from metabench.evaluation.protocol import SUPPORT_DATASET, list_behaviours
from metabench.methods.contract import Method, Policy
from metabench.methods.registry import configure_method
from metabench.runs.isolation.isolated_policy import open_isolated
from metabench.runs.kept.record import Record
from metabench.suites import Suite
from metabench.system.torch_settings import torch_settings


@dataclass(frozen=True)
class RecordedPolicy:
    """The policy that a record is of, as it was saved.

    Attributes:
        record: the record: its configuration, seed and threads.
        spec: what `load_method` takes; the variant is in the configuration.
        folder: what `Policy.save` wrote.
        isolated: open it in a process of its own, into which alone the method's code is imported.
        hidden: folders that this process finds empty.
    """

    record: Record
    spec: str
    folder: Path
    isolated: bool = True
    hidden: tuple[Path, ...] = ()

    @contextmanager
    def open(self, spaces: Spaces) -> Iterator[Policy]:
        """The policy, to act in `spaces`.

        Raises:
            DataError: the folder holds no whole policy, or the record's configuration is not one of the method.
            MetabenchError: the method cannot be had, is privileged, or its process cannot be had.
        """
        configuration, code = self.record.result.configuration, self.record.result.cell.method_code
        if self.isolated:
            opening = open_isolated(
                self.spec,
                self.folder,
                spaces,
                configuration=configuration,
                code=code,
                hidden=self.hidden,
            )
            with opening as policy:
                yield policy
        else:
            yield load_recorded_method(self.spec, configuration, code).load(self.folder, spaces)


def load_recorded_method(
    spec: str, configuration: Mapping[str, Any], code: str | None = None
) -> Method:
    """The method of `spec` with a record's configuration, and of its code where `code` is the hash of it.

    Raises:
        DataError: it takes another configuration.
        MethodError: it is privileged.
        MetabenchError: it cannot be had.
    """
    method = configure_method(spec, configuration, code)
    if method.privileged:
        raise MethodError(
            f"method {spec!r} is privileged: it is told the tasks, and its rows prove nothing"
        )
    return method


def predict_recorded(
    policy: RecordedPolicy,
    suite: Suite,
    splits: Sequence[str],
    *,
    progress: Progress | None = None,
) -> list[PredictionEvaluation]:
    """Let the policy predict again as a run does, on these splits; builds the data that it needs.

    Raises:
        DependentLanesError: what it says of a lane depends on other lanes.
        MethodError: the policy broke its contract, or its process failed.
        MetabenchError: as `RecordedPolicy.open`.
    """
    for name in dict.fromkeys(each for split in splits for each in list_behaviours(suite, split)):
        build_data(suite, name)
    cell = policy.record.result.cell
    with torch_settings(policy.record.provenance.threads):
        return [
            evaluate_predictions(
                lambda: policy.open(suite.spaces),
                suite,
                split=split,
                seed=cell.seed,
                name=cell.method,
                replay=True,
                progress=progress,
            )
            for split in splits
        ]


def evaluate_recorded(
    policy: RecordedPolicy,
    suite: Suite,
    pairs: Sequence[tuple[str, str]],
    *,
    logged: Mapping[str, Supports] | None = None,
    replay: bool = False,
    progress: Progress | None = None,
) -> list[Evaluation]:
    """Evaluate as a run does: the policy opened anew for each rollout, with all the shots of the protocol.

    Args:
        policy: the policy.
        suite: the record's suite, or one with the same spaces.
        pairs: (split, track).
        logged: supports of `logged-shot`, by split; None takes them from the suite's data.
        replay: act lanes of half of the tasks again in other company, in every rollout, to see that lanes are
            independent.
        progress: told (stage, steps done, steps in all).

    Raises:
        DependentLanesError: they are not.
        MethodError: the policy broke its contract, or its process failed.
        MetabenchError: as `RecordedPolicy.open`.
    """
    cell = policy.record.result.cell
    if any(track == "logged-shot" and split not in (logged or {}) for split, track in pairs):
        build_data(suite, SUPPORT_DATASET)
    measured = []
    with torch_settings(policy.record.provenance.threads):
        for split, track in pairs:
            measured.append(
                evaluate(
                    lambda: policy.open(suite.spaces),
                    suite,
                    track,
                    split=split,
                    seed=cell.seed,
                    name=cell.method,
                    logged=(logged or {}).get(split),
                    replays=list_replays(suite, split, track) if replay else (),
                    progress=progress,
                )
            )
    return measured
