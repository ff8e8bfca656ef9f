"""Running one cell: train, save, evaluate what was saved, write the record; resumable at any moment."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from metabench.errors import CancelledError, DataError, MethodError
from metabench.evaluation.evaluate import evaluate
from metabench.evaluation.independence import choose_replay
from metabench.evaluation.prediction.measure import evaluate_predictions
from metabench.evaluation.protocol import PREDICTION
from metabench.evaluation.rows import sum_counts
from metabench.methods.contract import Method, Policy
from metabench.methods.registry import is_built_in, load_method
from metabench.methods.training_run import TrainingProgress
from metabench.runs.isolation.isolated_policy import open_isolated
from metabench.runs.isolation.method_facts import read_facts, refuse_privileged
from metabench.runs.kept.earlier_record import covers
from metabench.runs.kept.finished_track import FinishedTrack, keep_track, read_track
from metabench.runs.kept.foreign_code import find_foreign_code
from metabench.runs.kept.provenance import Timings, make_provenance
from metabench.runs.kept.record import (
    Record,
    Result,
    digest_of,
    make_record,
    read_record,
    write_record,
)
from metabench.runs.kept.run_folder import begin_replacing, claim_cell, is_replaced
from metabench.runs.kept.saved_policy import (
    POLICY,
    Training,
    copy_trained,
    load_trained_policy,
    policy_folder,
    read_training,
)
from metabench.runs.planned_cell import PlannedCell
from metabench.runs.settings import Settings
from metabench.runs.tensorboard import CurveWriter
from metabench.runs.training.train_cell import train_cell
from metabench.suites import Suite, load_suite
from metabench.system.foreign import remove_folder
from metabench.system.torch_settings import torch_settings
from metabench.system.writing import check_room


def execute_cell(
    planned: PlannedCell,
    settings: Settings,
    progress: TrainingProgress,
    cancelled: Callable[[], bool] = lambda: False,
) -> Record:
    """Run a cell from where it was left, and write its record.

    Raises:
        CancelledError: `cancelled` said so; what had been done is kept.
        ClaimedError: another process runs this cell.
        StorageError: checkpoints or the record cannot be written; found out before the training where possible.
        MetabenchError: a contract was broken.
    """
    place, cell = planned.record_path, planned.cell
    with (
        claim_cell(cell, settings.patience, place, cancelled) as folder,
        torch_settings(settings.threads),
    ):
        if planned.overwrite:
            begin_replacing(place, folder)
        elif (
            place.exists()
            and not is_replaced(planned.cell, place)
            and covers(record := read_record(place), planned)
        ):
            return record
        check_room(place.parent)
        check_room(folder)
        return _Execution(planned, settings, folder, progress, cancelled).run()


class _Execution:
    """One attempt at a cell; `folder` holds what earlier attempts left."""

    def __init__(
        self,
        planned: PlannedCell,
        settings: Settings,
        folder: Path,
        progress: TrainingProgress,
        cancelled: Callable[[], bool],
    ) -> None:
        self.planned = planned
        self.settings = settings
        self.folder = folder
        self.progress = progress
        self.cancelled = cancelled
        self.curves = CurveWriter(settings.tensorboard, planned.cell)
        self.suite: Suite = load_suite(planned.suite_folder)
        self.apart = settings.isolate and not is_built_in(planned.spec)
        self.method: Method | None = None
        cell = planned.cell
        self.facts = planned.facts
        if self.apart:  # then its code is never imported here
            refuse_privileged(self.facts)
        else:
            self.method = load_method(
                planned.spec, preset=cell.preset, suite=cell.suite, overrides=planned.overrides
            )
            self.facts = read_facts(self.method, cell.preset, cell.suite)
        if digest_of(self.facts.configuration) != cell.config_digest:
            raise MethodError(
                f"method {cell.method!r}: its configuration changed after the cell was planned"
            )
        self.foreign_code = find_foreign_code(cell, self.facts.sources, self.suite)

    def run(self) -> Record:
        """Do what is left of the cell."""
        with self.curves:
            trained, training = self._train_or_find()
            self.curves.follow(training.curve)
            tracks = [
                self._find_or_measure_track(trained, split, track)
                for split, track in self.planned.tracks
            ]
            record = self._make_record(training, tracks)
            self.curves.finish(record, self.suite)
        # The policy first, then the record: a finished cell without a policy could not be verified or extended.
        if trained != policy_folder(self.planned.cell):
            copy_trained(trained, policy_folder(self.planned.cell))
        write_record(record, self.planned.record_path)
        self.planned.failure_path.unlink(missing_ok=True)
        remove_folder(self.folder)
        return record

    def _train_or_find(self) -> tuple[Path, Training]:
        """The folder of the trained policy, trained now if need be."""
        candidates = [self.folder / "trained"]
        if self.planned.extends:
            candidates.append(policy_folder(self.planned.cell))
        for folder in filter(Path.exists, candidates):
            with suppress(DataError):  # damaged: the last checkpoint is not far behind
                training = read_training(folder)
                if training.cell == self.planned.cell:
                    return folder, training
        # Evaluations of a policy that is gone or damaged must not be taken for those of the one trained now.
        shutil.rmtree(self.folder / "evaluated", ignore_errors=True)
        training = train_cell(
            self.planned,
            self.settings,
            self.suite,
            self.method,
            self.facts,
            self.folder,
            candidates[0],
            self.progress,
            self.cancelled,
            self.curves.follow,
        )
        return candidates[0], training

    def _find_or_measure_track(self, trained: Path, split: str, track: str) -> FinishedTrack:
        """One track's evaluation of the policy as it was saved, from an earlier attempt if that finished it."""
        path = self.folder / "evaluated" / f"{split}.{track}.json"
        kept = read_track(path)
        if kept is not None:
            return kept

        def progress(stage: str, done: int, total: int) -> None:
            self.progress(f"evaluating: {stage}", done, total, {})
            if self.cancelled():
                raise CancelledError(f"stopped in evaluation {split} {track}")

        start = time.perf_counter()
        if track == PREDICTION:
            predicted = evaluate_predictions(
                lambda: self._open_policy(trained),
                self.suite,
                split=split,
                seed=self.planned.cell.seed,
                name=self.planned.cell.method,
                replay=True,
                progress=progress,
            )
            measured = FinishedTrack.from_predicting(predicted, time.perf_counter() - start)
        else:
            acting = [pair for pair in self.planned.tracks if pair[1] != PREDICTION]
            replayed = choose_replay(self.suite, acting, self.planned.cell.seed)
            acted = evaluate(
                lambda: self._open_policy(trained),
                self.suite,
                track,
                split=split,
                seed=self.planned.cell.seed,
                privileged=self.facts.privileged,
                name=self.planned.cell.method,
                replays=[replayed[2]] if replayed[:2] == (split, track) else (),
                progress=progress,
            )
            measured = FinishedTrack.from_acting(acted, time.perf_counter() - start)
        keep_track(measured, path)
        return measured

    def _open_policy(self, trained: Path) -> AbstractContextManager[Policy]:
        """The saved policy: here, or in a process of its own."""
        if self.method is not None and (not self.settings.isolate or self.facts.privileged):
            return nullcontext(load_trained_policy(self.method, trained, self.suite.spaces))
        return open_isolated(
            self.planned.spec,
            trained / POLICY,
            self.suite.spaces,
            self.settings.limits,
            configuration=self.facts.configuration,
            code=self.planned.cell.method_code,
        )

    def _make_record(self, training: Training, tracks: list[FinishedTrack]) -> Record:
        cell = self.planned.cell
        result = Result(
            cell=cell,
            configuration=self.facts.configuration,
            overrides=self.facts.overrides,
            privileged=self.facts.privileged,
            parameters=training.parameters,
            training_tasks=training.training_tasks,
            curve=training.curve,
            summary=training.summary,
            blocks=tuple(block for track in tracks for block in track.blocks),
            collections=tuple(track.collection for track in tracks if track.collection is not None),
            counts=sum_counts([track.counts for track in tracks]),
            predictions=tuple(track.predictions for track in tracks if track.predictions)
            if any(track == PREDICTION for _, track in self.planned.tracks)
            else None,
        )
        timings = Timings(
            pretraining=self.facts.pretraining_seconds,
            training=training.seconds,
            evaluating=sum(track.seconds_evaluating for track in tracks),
            stages=[stage for track in tracks for stage in track.stages],
            predicting=[cost for track in tracks for cost in track.predicting],
        )
        provenance = make_provenance(
            timings,
            resumed=training.resumed,
            device=training.device,
            threads=training.threads,
            command=self.settings.command,
            warnings=self.planned.warnings + training.warnings,
            foreign_code=self.foreign_code,
        )
        return make_record(result, provenance)
