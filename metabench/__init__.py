"""metabench: the benchmark suite for offline meta-RL.

The public API, imported on first use so that `import metabench` costs nothing. Baselines use these names only.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metabench.data.load import load_data as load_data
    from metabench.data.training_data import TrainingData as TrainingData
    from metabench.data.training_data import Windows as Windows
    from metabench.envs import Array as Array
    from metabench.envs import BatchedEnvironment as BatchedEnvironment
    from metabench.envs import BatchStep as BatchStep
    from metabench.envs import Spaces as Spaces
    from metabench.envs import TaskFamily as TaskFamily
    from metabench.envs import TaskParameters as TaskParameters
    from metabench.envs import Teacher as Teacher
    from metabench.errors import DataError as DataError
    from metabench.errors import MetabenchError as MetabenchError
    from metabench.errors import MethodError as MethodError
    from metabench.errors import UnknownNameError as UnknownNameError
    from metabench.evaluation.evaluate import evaluate as evaluate
    from metabench.evaluation.scores import score_rows as score_rows
    from metabench.leaderboard.aggregate import aggregate as aggregate
    from metabench.leaderboard.compare import compare_methods as compare_methods
    from metabench.leaderboard.compare_choice import Selection as Selection
    from metabench.leaderboard.load import load_leaderboard as load_leaderboard
    from metabench.leaderboard.load import load_records as load_records
    from metabench.methods.contract import Config as Config
    from metabench.methods.contract import Episode as Episode
    from metabench.methods.contract import Method as Method
    from metabench.methods.contract import Policy as Policy
    from metabench.methods.contract import Step as Step
    from metabench.methods.pictures import HeatMap as HeatMap
    from metabench.methods.pictures import ImageStrip as ImageStrip
    from metabench.methods.pictures import LinePlot as LinePlot
    from metabench.methods.pictures import Picture as Picture
    from metabench.methods.pictures import Series as Series
    from metabench.methods.registry import load_method as load_method
    from metabench.methods.state_files import load_state as load_state
    from metabench.methods.state_files import save_state as save_state
    from metabench.methods.training_run import TrainingRun as TrainingRun
    from metabench.runs.check import check_method as check_method
    from metabench.runs.check_suite import check_suite as check_suite
    from metabench.runs.run import run as run
    from metabench.runs.shipped_policies import load_policy as load_policy
    from metabench.suites import Suite as Suite
    from metabench.suites import load_suite as load_suite

_HOMES = {
    "Array": "metabench.envs",
    "BatchStep": "metabench.envs",
    "BatchedEnvironment": "metabench.envs",
    "Config": "metabench.methods.contract",
    "DataError": "metabench.errors",
    "Episode": "metabench.methods.contract",
    "HeatMap": "metabench.methods.pictures",
    "ImageStrip": "metabench.methods.pictures",
    "LinePlot": "metabench.methods.pictures",
    "MetabenchError": "metabench.errors",
    "Method": "metabench.methods.contract",
    "MethodError": "metabench.errors",
    "Picture": "metabench.methods.pictures",
    "Policy": "metabench.methods.contract",
    "Selection": "metabench.leaderboard.compare_choice",
    "Series": "metabench.methods.pictures",
    "Spaces": "metabench.envs",
    "Step": "metabench.methods.contract",
    "Suite": "metabench.suites",
    "TaskFamily": "metabench.envs",
    "TaskParameters": "metabench.envs",
    "Teacher": "metabench.envs",
    "TrainingData": "metabench.data.training_data",
    "TrainingRun": "metabench.methods.training_run",
    "UnknownNameError": "metabench.errors",
    "Windows": "metabench.data.training_data",
    "aggregate": "metabench.leaderboard.aggregate",
    "check_method": "metabench.runs.check",
    "check_suite": "metabench.runs.check_suite",
    "compare_methods": "metabench.leaderboard.compare",
    "evaluate": "metabench.evaluation.evaluate",
    "load_data": "metabench.data.load",
    "load_leaderboard": "metabench.leaderboard.load",
    "load_method": "metabench.methods.registry",
    "load_policy": "metabench.runs.shipped_policies",
    "load_records": "metabench.leaderboard.load",
    "load_state": "metabench.methods.state_files",
    "load_suite": "metabench.suites",
    "run": "metabench.runs.run",
    "save_state": "metabench.methods.state_files",
    "score_rows": "metabench.evaluation.scores",
}

__all__ = [*_HOMES]


def _register_gymnasium_ids() -> None:
    """Give Gymnasium the suites' ids, if it is in use: metabench itself never imports it for that."""
    if hasattr(sys.modules.get("gymnasium"), "register"):
        import_module("metabench.suites.gymnasium_ids").register_ids()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'metabench' has no attribute {name!r}")
    _register_gymnasium_ids()
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])


_register_gymnasium_ids()
