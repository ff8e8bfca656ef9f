from .folders import datasets_folder as datasets_folder
from .folders import list_suites as list_suites
from .recipes.dataset_entry import DatasetEntry as DatasetEntry
from .registry import load_named_suite as load_named_suite
from .registry import load_suite as load_suite
from .registry import read_suite as read_suite
from .schema import SuiteEntry as SuiteEntry
from .schema import TaskEntry as TaskEntry
from .suite import Suite as Suite

__all__ = [
    "DatasetEntry",
    "Suite",
    "SuiteEntry",
    "TaskEntry",
    "datasets_folder",
    "list_suites",
    "load_named_suite",
    "load_suite",
    "read_suite",
]
