"""Numbers that were published of Meta-DT and Prompt-DT, with what is known of how they came about.

The cells of Meta-DT's own tables could not be checked; what other papers measured when they ran it again could.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Source:
    """Where numbers stand.

    Attributes:
        title: the table.
        trust: `text`: read in the paper; `second-hand`: others quote it; `unverified`: not compared with the paper.
        track: its setting's nearest track of ours.
        data: what was learned from.
        tasks: what was trained and tested on.
        tasks_here: how ours relate to them.
        budget: how much was trained.
        protocol: how it was tested.
        spread: what the numbers after the means are.
        numbers: mean return and spread by method and suite.
    """

    title: str
    trust: Literal["text", "second-hand", "unverified"]
    track: Literal["zero-shot", "few-shot"]
    data: str
    tasks: str
    tasks_here: str
    budget: str
    protocol: str
    spread: str
    numbers: Mapping[str, Mapping[str, tuple[float, float | None]]]


AGAIN = Source(
    title="T2DA, arXiv 2504.15046, table 13: Meta-DT and Prompt-DT run again by the same group",
    trust="text",
    track="zero-shot",
    data="roll-outs of all checkpoints (`mixed` there, `replay` here)",
    tasks="45 training and 5 test tasks",
    tasks_here="the same goals, speeds and directions",
    budget="not told; half an hour to three hours a policy on one GPU",
    protocol="no prompt, a model of its own for zero shots; target return not told",
    spread="95 % bootstrap interval over 5 seeds",
    numbers={
        "meta-dt": {
            "point-robot": (-8.4, 0.4),
            "cheetah-vel": (-78.2, 5.3),
            "ant-dir": (922.1, 11.9),
        },
        "prompt-dt": {
            "point-robot": (-14.3, 1.7),
            "cheetah-vel": (-94.6, 8.1),
            "ant-dir": (895.2, 17.3),
        },
    },
)

OTHER_DATA = Source(
    title="TG-DT, OpenReview L2kWjJ3a1W, tables 1 and 3: Meta-DT and Prompt-DT run on Prompt-DT's data",
    trust="second-hand",
    track="zero-shot",
    data="Prompt-DT's released trajectories",
    tasks="Prompt-DT's: 35 and 5 of 40 even speeds, 45 and 5 other directions, 2 seen directions of cheetah-dir",
    tasks_here="others of the same families; the two directions of cheetah-dir are the same",
    budget="not told",
    protocol="not told",
    spread="none is quoted",
    numbers={
        "meta-dt": {
            "cheetah-dir": (539.6, None),
            "cheetah-vel": (-102.7, None),
            "ant-dir": (357.5, None),
        },
        "prompt-dt": {"cheetah-dir": (548.9, None), "cheetah-vel": (-150.6, None)},
    },
)

PAPER = Source(
    title="Meta-DT, arXiv 2410.11448, table 1",
    trust="unverified",
    track="few-shot",
    data="roll-outs of one checkpoint a task (`medium`)",
    tasks="45 training and 5 test tasks, reach 15 and 5, cheetah-dir 2 and the same 2; episodes never end early",
    tasks_here="the same goals, speeds and directions; other goals of reach, other physics of walker-param",
    budget="100,000 to 500,000 policy updates and 0.2 to 4 million world-model updates, by its code",
    protocol="by its code: target return from the test task's own data, prompts from the best of all past evaluations",
    spread="not told",
    numbers={
        "meta-dt": {
            "point-robot": (-10.18, 0.18),
            "cheetah-vel": (-99.28, 3.96),
            "cheetah-dir": (608.18, 4.18),
            "ant-dir": (412.00, 11.53),
            "hopper-param": (348.20, 3.21),
            "walker-param": (405.12, 11.11),
            "reach": (2458.83, 162.10),
        }
    },
)

SHOTS: Mapping[str, int] = {"zero-shot": 0, "few-shot": 3}
"""Our shots that stand beside a source of each track."""
