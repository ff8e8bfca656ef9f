"""Two methods compared: suite by suite, task by task, and over the core set; the seed is the unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

import numpy as np

from metabench.errors import MetabenchError
from metabench.evaluation import statistics, verdicts
from metabench.evaluation.protocol import TRACKS
from metabench.evaluation.scores import Score
from metabench.leaderboard.compare.core_set import compare_over_core_set
from metabench.leaderboard.compare.models import (
    Comparison,
    Difference,
    Side,
    SuiteComparison,
    TaskComparison,
)
from metabench.leaderboard.compare.selection import (
    MethodQuery,
    Selection,
    Setting,
    check_names,
    choose_groups,
    match_pairs,
    read_queries,
)
from metabench.leaderboard.scores.archived_protocols import is_archived, name_protocol
from metabench.leaderboard.scores.estimates import (
    BOOTSTRAP_REPLICATIONS,
    compute_profile,
    estimate_mean,
    round_contrast,
    round_interval,
    round_score,
)
from metabench.leaderboard.scores.gather import ContenderScores, gather, is_data_as_published
from metabench.leaderboard.scores.models import Estimate
from metabench.leaderboard.scores.placing import average_units
from metabench.leaderboard.scores.quotas import BlockKey, Quotas, SuiteShelf
from metabench.runs.kept.record import Record
from metabench.seeding import derive_seed


def compare_methods(
    records: Iterable[Record],
    first: str,
    second: str,
    selection: Selection | None = None,
    *,
    preset: str | None = None,
    shelf: SuiteShelf | None = None,
) -> Comparison:
    """Compare two methods wherever suite, data, protocol and preset are equal and both have complete seeds.

    Args:
        records: of any methods; each is read once and released.
        first: `METHOD[/VARIANT][#CONFIG][#CODE][@PRESET]`; CONFIG and CODE are beginnings of digests: of the
            configuration, and of the method's code where it does not come with metabench.
        second: the same. Presets differ only if both are written out.
        selection: the wanted comparisons; by default the headline shots of all tracks, split `test`.
        preset: the preset of both, unless one is written in a name.
        shelf: the suites to score with; by default those of the registry.

    Raises:
        UnknownNameError: there are records, but none of this method, preset, configuration, suite, dataset or track.
        MetabenchError: the two are the same, have nothing in common, or a name stands for several configurations.
        DataError: two records are of one cell.
    """
    selection = selection or Selection()
    shelf = shelf or SuiteShelf()
    asked = read_queries(first, second, preset)
    groups = gather(records, shelf)
    check_names(groups, selection)
    chosen = [choose_groups(groups, each, selection) for each in asked]
    pairs = match_pairs(chosen[0], chosen[1], asked)
    found = [
        _compare_in_suite(setting, key, pair, quotas)
        for setting, pair in pairs.items()
        if isinstance(quotas := shelf.find_quotas(setting.suite, setting.suite_version), Quotas)
        for key in sorted(pair[0].scores.keys() & pair[1].scores.keys(), key=_order_block)
        if selection.admits(setting, key)
    ]
    comparisons = [each for each, _ in found]
    if pairs and not comparisons:
        raise MetabenchError(
            f"nothing to compare: {first} and {second} share no complete seeds of {selection}"
        )
    if not pairs and {group.id for group in chosen[0]} & {group.id for group in chosen[1]}:
        raise MetabenchError(
            f"{first} and {second} are the same records: expected two methods or configurations"
        )
    if not comparisons:
        places = [_name_places(each) for each in chosen]
        raise MetabenchError(
            f"nothing to compare: {first} has {places[0]}; {second} has {places[1]}"
        )
    eligible = {
        pair[0].id: _may_be_in_core_set(
            pair, shelf.find_quotas(setting.suite, setting.suite_version)
        )
        for setting, pair in pairs.items()
    }
    core = []
    if not selection.suites:  # a choice of suites is no core set
        core = compare_over_core_set(
            [(each, contrast) for each, contrast in found if eligible[each.first.entry]]
        )
    paired = {f"{setting.suite}-v{setting.suite_version}" for setting in pairs}
    return Comparison(
        schema_version=2,
        confidence=statistics.CONFIDENCE,
        seeds_for_a_verdict=verdicts.SEEDS_FOR_A_VERDICT,
        tasks_for_a_verdict=verdicts.TASKS_FOR_A_VERDICT,
        first=first,
        second=second,
        comparisons=tuple(comparisons),
        core=tuple(core),
        notes=tuple(_write_notes(chosen, asked, paired, comparisons)),
    )


def _may_be_in_core_set(
    pair: tuple[ContenderScores, ContenderScores], quotas: Quotas | str
) -> bool:
    """Whether both were trained on data as published, of a suite of their protocol whose test tasks are unseen."""
    if isinstance(quotas, str) or quotas.suite.entry.seen_tasks:
        return False
    if quotas.suite.archived and not is_archived(pair[0].contender.protocol):
        return False
    # None, where suite.toml states no digest, is no objection.
    return all(is_data_as_published(each.contender, quotas.suite) is not False for each in pair)


def describe_difference(
    mean: float, contrast: verdicts.Contrast | None, seed_interval: statistics.Interval | None
) -> Difference:
    """A difference with both its intervals, rounded."""
    return Difference(
        mean=round_score(mean),
        interval=round_contrast(contrast),
        seed_interval=seed_interval and round_interval(seed_interval),
    )


def _compare_in_suite(
    setting: Setting, key: BlockKey, pair: tuple[ContenderScores, ContenderScores], quotas: Quotas
) -> tuple[SuiteComparison, verdicts.Contrast | None]:
    scores = [dict(sorted(group.scores[key].items())) for group in pair]
    first, second = ([score.headline for score in each.values()] for each in scores)
    privileged = any(group.privileged for group in pair)
    matrices = [
        np.array([score.task_scores for score in each.values()]) for each in scores
    ]  # (seeds, tasks) each
    # Seeded by what is compared, so that the same records give the same interval.
    generator = np.random.default_rng(
        derive_seed("bootstrap", *(group.id for group in pair), str(key))
    )
    bounds = statistics.bootstrap_improvement(
        matrices[0], matrices[1], generator, BOOTSTRAP_REPLICATIONS
    )
    tasks = next(iter(scores[0].values())).tasks
    units = [quotas.suite.unit(task) for task in tasks]
    contrast = verdicts.compare_methods_on(*(average_units(each, units) for each in matrices))
    comparison = SuiteComparison(
        **{name: value for name, value in setting._asdict().items() if name != "presets"},
        **key._asdict(),
        metric=quotas.suite.entry.headline,
        success_rule=quotas.suite.entry.success,
        first=_describe_side(pair[0], scores[0], first, matrices[0]),
        second=_describe_side(pair[1], scores[1], second, matrices[1]),
        difference=describe_difference(
            float(np.mean(first) - np.mean(second)),
            contrast,
            statistics.welch_interval(first, second),
        ),
        probability_of_improvement=round_score(
            statistics.probability_of_improvement(first, second)
        ),
        verdict=None if privileged or contrast is None else contrast.verdict,
        rliable_probability_of_improvement=Estimate(
            mean=round_score(statistics.probability_of_improvement(matrices[0], matrices[1])),
            interval=round_interval(bounds),
        ),
        tasks=tuple(
            _compare_in_task(
                task,
                units[column],
                matrices[0][:, column].tolist(),
                matrices[1][:, column].tolist(),
            )
            for column, task in enumerate(tasks)
        ),
    )
    return comparison, contrast


def _describe_side(
    group: ContenderScores,
    scores: Mapping[int, Score],
    headlines: Sequence[float],
    matrix: statistics.Floats,
) -> Side:
    headline = estimate_mean(headlines)
    assert headline is not None  # a group's scores are never without a seed
    return Side(
        entry=group.id,
        label=group.label,
        method_version=group.contender.method_version,
        preset=group.contender.preset,
        config_digest=group.contender.config_digest,
        privileged=group.privileged,
        headline=headline,
        seeds={seed: round_score(value) for seed, value in zip(scores, headlines, strict=True)},
        profile=compute_profile(matrix),
    )


def _compare_in_task(
    task: int, unit: str | None, first: Sequence[float], second: Sequence[float]
) -> TaskComparison:
    one, two = estimate_mean(first), estimate_mean(second)
    assert one is not None
    assert two is not None
    return TaskComparison(
        task=task,
        unit=unit,
        first=one,
        second=two,
        difference=describe_difference(
            float(np.mean(first) - np.mean(second)),
            None,
            statistics.welch_interval(first, second),
        ),
        probability_of_improvement=round_score(
            statistics.probability_of_improvement(first, second)
        ),
    )


def _write_notes(
    chosen: Sequence[Sequence[ContenderScores]],
    asked: tuple[MethodQuery, MethodQuery],
    paired: Set[str],
    comparisons: Sequence[SuiteComparison],
) -> Iterable[str]:
    if asked[0].preset != asked[1].preset:
        yield f"presets differ: {asked[0].text} against {asked[1].text}, so budgets differ as well"
    for groups, each in zip(chosen, asked, strict=True):
        alone = sorted(
            {
                f"{group.contender.suite}-v{group.contender.suite_version}"
                for group in groups
                if group.outdated is None
            }
            - paired
        )
        if alone:
            yield f"left out, only {each.text} has records there: {', '.join(alone)}"
        for reason in dict.fromkeys(group.outdated for group in groups if group.outdated):
            yield f"left out, {each.text}: {reason}"
    if any(side.privileged for each in comparisons for side in (each.first, each.second)):
        yield "a privileged method is told the task or was trained in the simulator: no verdict"
    if any(
        min(len(each.first.seeds), len(each.second.seeds)) < verdicts.SEEDS_FOR_A_VERDICT
        for each in comparisons
    ):
        yield f"no verdict with fewer than {verdicts.SEEDS_FOR_A_VERDICT} seeds of either; intervals need 2"
    few = [each for each in comparisons if _count_units(each) < verdicts.TASKS_FOR_A_VERDICT]
    if few:
        suites = ", ".join(dict.fromkeys(f"{each.suite}-v{each.suite_version}" for each in few))
        yield f"no verdict over fewer than {verdicts.TASKS_FOR_A_VERDICT} test tasks: {suites}"
    for protocol in dict.fromkeys(each.protocol for each in comparisons):
        if is_archived(protocol):
            yield f"{name_protocol(protocol)}: new records are made with another and compared apart"


def _count_units(each: SuiteComparison) -> int:
    """Tasks, or environments where those are the units."""
    return len({task.task if task.unit is None else task.unit for task in each.tasks})


def _name_places(groups: Sequence[ContenderScores]) -> str:
    places = sorted(
        {f"{g.contender.suite} {g.contender.dataset} (preset {g.contender.preset})" for g in groups}
    )
    return "records in " + ", ".join(places) if places else "no records there"


def _order_block(key: BlockKey) -> tuple[str, int, int]:
    return key.split, TRACKS.index(key.track), key.shots
