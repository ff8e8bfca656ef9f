"""Which records a comparison of two methods is about: reading what was asked for, and finding the pairs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from metabench.errors import MetabenchError, UnknownNameError
from metabench.evaluation.protocol import TRACKS
from metabench.leaderboard.scores.gather import ContenderScores
from metabench.leaderboard.scores.overall import HEADLINE_SHOTS
from metabench.leaderboard.scores.quotas import BlockKey


class Setting(NamedTuple):
    """What must be equal for scores to be comparable, and the two presets, which are only by request not."""

    suite: str
    suite_version: int
    suite_digest: str
    dataset: str
    dataset_version: int
    dataset_digest: str
    protocol: str
    presets: tuple[str, str]


@dataclass(frozen=True)
class MethodQuery:
    """One of the two methods, as it was asked for.

    Attributes:
        text: as it was written.
        method: the name in records, `name` or `name/variant`.
        marks: what the digest of its configuration, or that of its code, begins with; none for any.
        preset: its preset; None for any.
    """

    text: str
    method: str
    marks: tuple[str, ...] = ()
    preset: str | None = None

    @classmethod
    def parse(cls, text: str, preset: str | None = None) -> MethodQuery:
        """Read `METHOD[/VARIANT][#CONFIG][#CODE][@PRESET]`; `preset` is meant where none is written."""
        rest, _, own = text.partition("@")
        method, *marks = rest.split("#")
        if not method:
            raise MetabenchError(
                f"{text!r}: expected METHOD, METHOD/VARIANT, METHOD#CONFIG, METHOD#CODE or METHOD@PRESET"
            )
        return cls(text, method, tuple(mark for mark in marks if mark), own or preset)


@dataclass(frozen=True)
class Selection:
    """Which comparisons are wanted. None means all; for shots it means the track's headline number.

    Attributes:
        suites: names of suites.
        dataset: name of a dataset.
        split: the split.
        tracks: names of tracks.
        shots: numbers of shots.
    """

    suites: tuple[str, ...] | None = None
    dataset: str | None = None
    split: str = "test"
    tracks: tuple[str, ...] | None = None
    shots: tuple[int, ...] | None = None

    def __str__(self) -> str:
        """For people: `test few-shot (3 shots)`."""
        shots = "" if self.shots is None else f" ({', '.join(map(str, self.shots))} shots)"
        return f"{self.split} {', '.join(self.tracks or TRACKS)}{shots}"

    def admits(self, setting: Setting, key: BlockKey) -> bool:
        """Whether the comparison in `setting` and `key` is wanted."""
        return (
            (self.suites is None or setting.suite in self.suites)
            and self.dataset in (None, setting.dataset)
            and key.split == self.split
            and (self.tracks is None or key.track in self.tracks)
            and (
                key.shots == HEADLINE_SHOTS[key.track]
                if self.shots is None
                else key.shots in self.shots
            )
        )


def read_queries(first: str, second: str, preset: str | None) -> tuple[MethodQuery, MethodQuery]:
    """Read what was asked for; a preset that is written once is meant for both. Raises `MetabenchError`."""
    one, two = MethodQuery.parse(first, preset), MethodQuery.parse(second, preset)
    if preset is None:  # `bc@cpu dt` means `bc@cpu dt@cpu`
        one, two = MethodQuery.parse(first, two.preset), MethodQuery.parse(second, one.preset)
    if (one.method, one.marks, one.preset) == (two.method, two.marks, two.preset):
        raise MetabenchError(
            f"{first} and {second} are the same: expected two methods, configurations or presets"
        )
    return one, two


def check_names(groups: Sequence[ContenderScores], selection: Selection) -> None:
    """Raise `UnknownNameError` if `selection` names a suite, dataset, split or track that no record has."""
    known = {
        "suite": {group.contender.suite for group in groups},
        "dataset": {group.contender.dataset for group in groups},
        "split": {key.split for group in groups for key in group.scores},
        "track": set(TRACKS),
    }
    wanted = {
        "suite": selection.suites or (),
        "dataset": (selection.dataset,) if selection.dataset else (),
        "split": (selection.split,),
        "track": selection.tracks or (),
    }
    for kind, names in wanted.items():
        for name in names:
            if groups and name not in known[kind]:
                raise UnknownNameError(kind, name, known[kind])


def choose_groups(
    groups: Sequence[ContenderScores], asked: MethodQuery, selection: Selection
) -> list[ContenderScores]:
    """The one configuration that is meant in each setting."""
    found = [group for group in groups if group.contender.method == asked.method]
    if not found:
        raise UnknownNameError(
            "method with records", asked.method, {group.contender.method for group in groups}
        )
    if asked.preset is not None:
        presets = {group.contender.preset for group in found}
        found = [group for group in found if group.contender.preset == asked.preset]
        if not found:
            raise UnknownNameError(
                f"preset in the records of {asked.method}", asked.preset, presets
            )
    for mark in asked.marks:
        digests = {digest[:8] for group in found for digest in _list_digests(group)} - {"none"}
        found = [
            group
            for group in found
            if any(digest.startswith(mark) for digest in _list_digests(group))
        ]
        if not found:
            raise UnknownNameError(
                f"configuration or code in the records of {asked.method}", mark, digests
            )
    alternatives: dict[tuple[str | int, ...], list[ContenderScores]] = {}
    for group in found:
        own = group.contender
        in_suites = selection.suites is None or own.suite in selection.suites
        if in_suites and selection.dataset in (None, own.dataset):
            alternatives.setdefault((*_take_setting(group), own.preset), []).append(group)
    return [_choose_configuration(each, asked) for each in alternatives.values()]


def _choose_configuration(
    alternatives: Sequence[ContenderScores], asked: MethodQuery
) -> ContenderScores:
    """Of several configurations the preset's own, of several versions of the method the newest."""
    # A variant's own override is what was asked for; any other is a configuration of someone's own.
    plain = [group for group in alternatives if not group.overrides or "/" in asked.method]
    plain = plain or list(alternatives)
    newest = max(group.contender.method_version for group in plain)
    left = [group for group in plain if group.contender.method_version == newest]
    if len(left) > 1:
        digests = [_list_digests(group) for group in left]
        several = [len({each[place] for each in digests}) > 1 for place in range(2)]
        names = ", ".join(
            "#".join([asked.method, *(each[:8] for each in itertools.compress(own, several))])
            + f" ({group.label})"
            for group, own in zip(left, digests, strict=True)
        )
        kinds = " and ".join(itertools.compress(("configurations", "codes"), several))
        raise MetabenchError(
            f"{asked.text} stands for several {kinds} in {left[0].contender.suite}: {names}"
        )
    return left[0]


def match_pairs(
    first: Sequence[ContenderScores],
    second: Sequence[ContenderScores],
    asked: tuple[MethodQuery, MethodQuery],
) -> dict[Setting, tuple[ContenderScores, ContenderScores]]:
    """Who meets whom: only by request are the presets of a pair not the same."""
    mixed = asked[0].preset != asked[1].preset
    pairs = {}
    for one in first:
        for two in second:
            presets = one.contender.preset, two.contender.preset
            comparable = _take_setting(one) == _take_setting(two) and (
                mixed or presets[0] == presets[1]
            )
            if comparable and one.id != two.id:
                pairs[Setting(*_take_setting(one), presets=presets)] = (one, two)
    return pairs


def _take_setting(group: ContenderScores) -> tuple[str, int, str, str, int, str, str]:
    own = group.contender
    data = (own.dataset, own.dataset_version, own.dataset_digest)
    return own.suite, own.suite_version, own.suite_digest, *data, own.protocol


def _list_digests(group: ContenderScores) -> tuple[str, str]:
    """Of its configuration and of its code, without the name of the hash; the latter `none` for what has none."""
    own = group.contender
    return own.config_digest[7:], "none" if own.method_code is None else own.method_code[7:]
