"""The public API: every name here is documented, typed and stable; nothing else is public."""

from .checks.finding import Finding as Finding
from .checks.method import check_method as check_method
from .checks.suite import check_suite as check_suite
from .data.columns import Columns as Columns
from .data.episode import Episode as Episode
from .data.foreign.meta_dt import import_meta_dt as import_meta_dt
from .data.foreign.options import ImportOptions as ImportOptions
from .data.load import load_data as load_data
from .data.making.build import DatasetIdentity as DatasetIdentity
from .data.making.build import build_data as build_data
from .data.training_data import TrainingData as TrainingData
from .data.trajectories import BuildProgress as BuildProgress
from .data.windows import Windows as Windows
from .envs import Array as Array
from .envs import BatchedEnvironment as BatchedEnvironment
from .envs import BatchStep as BatchStep
from .envs import BlindPolicy as BlindPolicy
from .envs import Capsule as Capsule
from .envs import Circle as Circle
from .envs import Polyline as Polyline
from .envs import Scene as Scene
from .envs import Spaces as Spaces
from .envs import TaskFamily as TaskFamily
from .envs import TaskParameters as TaskParameters
from .envs import Teacher as Teacher
from .errors import CancelledError as CancelledError
from .errors import ClaimedError as ClaimedError
from .errors import DataError as DataError
from .errors import InvalidActionError as InvalidActionError
from .errors import MetabenchError as MetabenchError
from .errors import MethodError as MethodError
from .errors import NoRendererError as NoRendererError
from .errors import PolicyProcessError as PolicyProcessError
from .errors import SimulationError as SimulationError
from .errors import StorageError as StorageError
from .errors import UnknownNameError as UnknownNameError
from .evaluation.evaluate import Evaluation as Evaluation
from .evaluation.evaluate import evaluate as evaluate
from .evaluation.prediction.errors import compute_error as compute_error
from .evaluation.prediction.measure import PredictionEvaluation as PredictionEvaluation
from .evaluation.prediction.measure import evaluate_predictions as evaluate_predictions
from .evaluation.prediction.sums import Predictions as Predictions
from .evaluation.rows import Block as Block
from .evaluation.rows import Collection as Collection
from .evaluation.rows import Counts as Counts
from .evaluation.rows import Row as Row
from .evaluation.scores import Score as Score
from .evaluation.scores import score_rows as score_rows
from .leaderboard.compare.compare import compare_methods as compare_methods
from .leaderboard.compare.models import Comparison as Comparison
from .leaderboard.compare.selection import Selection as Selection
from .leaderboard.records import load_leaderboard as load_leaderboard
from .leaderboard.records import load_records as load_records
from .leaderboard.scores.aggregate import aggregate as aggregate
from .leaderboard.scores.models import LeaderboardEntry as LeaderboardEntry
from .leaderboard.scores.tables import Leaderboard as Leaderboard
from .methods.contract import Config as Config
from .methods.contract import Method as Method
from .methods.contract import Policy as Policy
from .methods.contract import Prediction as Prediction
from .methods.contract import Step as Step
from .methods.pictures import HeatMap as HeatMap
from .methods.pictures import ImageStrip as ImageStrip
from .methods.pictures import LinePlot as LinePlot
from .methods.pictures import Picture as Picture
from .methods.pictures import Series as Series
from .methods.registry import list_methods as list_methods
from .methods.registry import load_method as load_method
from .methods.state_files import load_state as load_state
from .methods.state_files import save_state as save_state
from .methods.training_run import TrainingProgress as TrainingProgress
from .methods.training_run import TrainingRun as TrainingRun
from .runs.again.render_episode import RenderedEpisode as RenderedEpisode
from .runs.again.render_episode import render_episode as render_episode
from .runs.kept.record import Cell as Cell
from .runs.kept.record import Record as Record
from .runs.kept.shipped_policies import load_policy as load_policy
from .runs.run import run as run
from .suites import Suite as Suite
from .suites import list_suites as list_suites
from .suites import load_suite as load_suite

__version__: str

__all__ = [
    "Array",
    "BatchStep",
    "BatchedEnvironment",
    "BlindPolicy",
    "Block",
    "BuildProgress",
    "CancelledError",
    "Capsule",
    "Cell",
    "Circle",
    "ClaimedError",
    "Collection",
    "Columns",
    "Comparison",
    "Config",
    "Counts",
    "DataError",
    "DatasetIdentity",
    "Episode",
    "Evaluation",
    "Finding",
    "HeatMap",
    "ImageStrip",
    "ImportOptions",
    "InvalidActionError",
    "Leaderboard",
    "LeaderboardEntry",
    "LinePlot",
    "MetabenchError",
    "Method",
    "MethodError",
    "NoRendererError",
    "Picture",
    "Policy",
    "PolicyProcessError",
    "Polyline",
    "Prediction",
    "PredictionEvaluation",
    "Predictions",
    "Record",
    "RenderedEpisode",
    "Row",
    "Scene",
    "Score",
    "Selection",
    "Series",
    "SimulationError",
    "Spaces",
    "Step",
    "StorageError",
    "Suite",
    "TaskFamily",
    "TaskParameters",
    "Teacher",
    "TrainingData",
    "TrainingProgress",
    "TrainingRun",
    "UnknownNameError",
    "Windows",
    "__version__",
    "aggregate",
    "build_data",
    "check_method",
    "check_suite",
    "compare_methods",
    "compute_error",
    "evaluate",
    "evaluate_predictions",
    "import_meta_dt",
    "list_methods",
    "list_suites",
    "load_data",
    "load_leaderboard",
    "load_method",
    "load_policy",
    "load_records",
    "load_state",
    "load_suite",
    "render_episode",
    "run",
    "save_state",
    "score_rows",
]
