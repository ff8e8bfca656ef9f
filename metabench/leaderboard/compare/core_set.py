"""Two methods over the core set: means over suites of what they score in each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from metabench.evaluation import statistics
from metabench.evaluation.verdicts import Contrast, average_contrasts
from metabench.leaderboard.compare.models import CoreComparison, Difference, Side, SuiteComparison
from metabench.leaderboard.scores.estimates import (
    PROFILE_THRESHOLDS,
    round_contrast,
    round_interval,
    round_score,
)
from metabench.leaderboard.scores.models import Estimate, Profile
from metabench.leaderboard.scores.overall import CORE_DATASET, HEADLINE_SHOTS, list_core_suites


def compare_over_core_set(
    comparisons: Iterable[tuple[SuiteComparison, Contrast | None]],
) -> list[CoreComparison]:
    """One a protocol, pair of presets and track; from two suites on.

    Args:
        comparisons: on data as published, of suites with unseen test tasks, each with its difference over seeds and
            tasks. Those beside the core set, of another dataset, split or number of shots than the core set's stay out.
    """
    groups: dict[tuple[str, str, str, str], dict[str, tuple[SuiteComparison, Contrast | None]]] = {}
    for each, contrast in comparisons:
        belongs = (
            each.suite in list_core_suites(each.protocol)
            and each.dataset == CORE_DATASET
            and each.split == "test"
        )
        if belongs and each.shots == HEADLINE_SHOTS[each.track]:
            key = (each.protocol, each.first.preset, each.second.preset, each.track)
            groups.setdefault(key, {})[each.suite] = each, contrast
    return [
        _compare_over(key, [suites[name] for name in list_core_suites(key[0]) if name in suites])
        for key, suites in groups.items()
        if len(suites) > 1
    ]


def _compare_over(
    key: tuple[str, str, str, str],
    found: Sequence[tuple[SuiteComparison, Contrast | None]],
) -> CoreComparison:
    protocol, first_preset, second_preset, track = key
    suites = [each for each, _ in found]
    firsts, seconds = [each.first for each in suites], [each.second for each in suites]
    there = {each.suite for each in suites}
    missing = tuple(name for name in list_core_suites(protocol) if name not in there)
    # The difference of two means over k suites is a weighted sum of 2k means over seeds, all of them independent.
    samples = [list(side.seeds.values()) for side in (*firsts, *seconds)]
    weights = [1.0 / len(suites)] * len(suites) + [-1.0 / len(suites)] * len(suites)
    seed_interval = statistics.weighted_sum_interval(samples, weights)
    contrasts = [contrast for _, contrast in found if contrast is not None]
    overall = average_contrasts(contrasts) if len(contrasts) == len(suites) else None
    first, second = _average_sides(firsts), _average_sides(seconds)
    may_be_told = not missing and not any(side.privileged for side in (*firsts, *seconds))
    verdict = overall.verdict if may_be_told and overall is not None else None
    return CoreComparison(
        protocol=protocol,
        first_preset=first_preset,
        second_preset=second_preset,
        track=track,
        shots=HEADLINE_SHOTS[track],
        suites=tuple(each.suite for each in suites),
        missing=missing,
        first=first,
        second=second,
        difference=Difference(
            mean=round_score(first.mean - second.mean),
            interval=round_contrast(overall),
            seed_interval=seed_interval and round_interval(seed_interval),
        ),
        probability_of_improvement=round_score(
            float(np.mean([each.probability_of_improvement for each in suites]))
        ),
        verdict=verdict,
        first_profile=_average_profiles(firsts),
        second_profile=_average_profiles(seconds),
    )


def _average_sides(sides: Sequence[Side]) -> Estimate:
    samples = [list(side.seeds.values()) for side in sides]
    interval = statistics.weighted_sum_interval(samples, [1.0 / len(sides)] * len(sides))
    mean = float(np.mean([np.mean(sample) for sample in samples]))
    return Estimate(mean=round_score(mean), interval=interval and round_interval(interval))


def _average_profiles(sides: Sequence[Side]) -> Profile:
    shares = np.mean([side.profile.shares for side in sides], axis=0)
    return Profile(
        thresholds=PROFILE_THRESHOLDS,
        shares=tuple(round_score(share) for share in shares.tolist()),
        low=None,
        high=None,
    )
