"""A finished evaluation in a cell's run folder, kept until the cell is finished."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from metabench.evaluation.evaluate import Evaluation
from metabench.evaluation.prediction.measure import PredictionEvaluation
from metabench.evaluation.prediction.sums import PredictionCost, Predictions
from metabench.evaluation.rows import Block, Collection, Counts, StageCost, sum_counts
from metabench.runs.kept.record import digest_of
from metabench.system.writing import write_whole


class FinishedTrack(BaseModel):
    """What the evaluation of one split and track measured."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    blocks: tuple[Block, ...]
    collection: Collection | None
    counts: Counts
    stages: tuple[StageCost, ...]
    predictions: Predictions | None = None
    predicting: tuple[PredictionCost, ...] = ()
    seconds_evaluating: float = Field(ge=0)

    @staticmethod
    def from_acting(evaluation: Evaluation, seconds: float) -> FinishedTrack:
        """What was measured of acting, in so many seconds."""
        return FinishedTrack(
            blocks=evaluation.blocks,
            collection=evaluation.collection,
            counts=evaluation.counts,
            stages=evaluation.stages,
            seconds_evaluating=seconds,
        )

    @staticmethod
    def from_predicting(evaluation: PredictionEvaluation, seconds: float) -> FinishedTrack:
        """What was measured of predicting, in so many seconds."""
        return FinishedTrack(
            blocks=(),
            collection=None,
            counts=sum_counts([]),
            stages=(),
            predictions=evaluation.predictions,
            predicting=evaluation.costs,
            seconds_evaluating=seconds,
        )


def keep_track(track: FinishedTrack, path: Path) -> None:
    """Write a track to `path` with its digest; raises `StorageError` as `write_whole`."""
    content = track.model_dump(mode="json")
    write_whole(path, json.dumps({"digest": digest_of(content), "track": content}))


def read_track(path: Path) -> FinishedTrack | None:
    """The track that was kept at `path`; None if there is none or it is damaged: it can be measured again."""
    try:
        content = json.loads(path.read_bytes())
        if content["digest"] != digest_of(content["track"]):
            return None
        return FinishedTrack.model_validate_json(json.dumps(content["track"]))
    except (OSError, ValidationError, ValueError, KeyError, TypeError, RecursionError):
        return None
