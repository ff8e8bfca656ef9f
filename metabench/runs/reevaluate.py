"""Evaluating a saved policy again, in its own suite or in another with the same spaces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from metabench.errors import MetabenchError, UnknownNameError
from metabench.evaluation.evaluate import Evaluation, evaluate
from metabench.evaluation.protocol import SPLITS, TRACKS, check_split, shot_counts, supported_tracks
from metabench.runs.saved_policy import load_policy, read_training
from metabench.suites import Suite, load_suite


def evaluate_saved(
    folder: Path,
    *,
    suite: str | None = None,
    tracks: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    shots: Sequence[int] | None = None,
    seed: int | None = None,
) -> tuple[Suite, list[Evaluation]]:
    """Evaluate the policy saved in `folder`; with its own suite and seed the rows are those of its record.

    Args:
        folder: as a run leaves it, below `home()/policies`.
        suite: a suite's name or folder; None is the one it was trained on.
        tracks: some tracks; None is all that the suite has.
        splits: some splits; None is all that the suite has.
        shots: numbers of shots; None is the protocol's.
        seed: evaluation seed; None is the training seed.

    Raises:
        UnknownNameError: no such suite, track or split.
        MetabenchError: the suite has other spaces than the policy was trained for.
        DataError: the folder holds no whole policy.
    """
    training = read_training(folder)
    for kind, known, given in (("track", TRACKS, tracks), ("split", SPLITS, splits)):
        for name in given or ():
            if name not in known:
                raise UnknownNameError(kind, name, known)
    scored_on = load_suite(suite or training.cell.suite)
    trained_on = scored_on if scored_on.name == training.cell.suite else load_suite(training.cell.suite)
    if scored_on.spaces != trained_on.spaces:
        raise MetabenchError(
            f"suite {scored_on.name!r} has other spaces than {trained_on.name!r}, on which the policy was trained"
        )
    for split in splits or ():
        check_split(scored_on, split)
    pairs = [
        (split, track)
        for split, track in supported_tracks(scored_on)
        if (splits is None or split in splits) and (tracks is None or track in tracks)
    ]
    for split, track in pairs:
        shot_counts(split, track, shots)
    method = training.method()
    return scored_on, [
        evaluate(
            load_policy(method, folder, scored_on.spaces),
            scored_on,
            track,
            split=split,
            shots=shots,
            seed=training.cell.seed if seed is None else seed,
            privileged=method.privileged,
            name=training.cell.method,
        )
        for split, track in pairs
    ]
