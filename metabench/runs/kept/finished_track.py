"""A finished evaluation in a cell's run folder, kept until the cell is finished."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from metabench.evaluation.rows import Block, Collection, Counts, StageCost
from metabench.runs.kept.record import digest_of
from metabench.system.writing import write_whole


class FinishedTrack(BaseModel):
    """What the evaluation of one split and track measured."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    blocks: tuple[Block, ...]
    collection: Collection | None
    counts: Counts
    stages: tuple[StageCost, ...]
    seconds_evaluating: float = Field(ge=0)


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
