"""The suite's teacher, told every test task: where the normalised score is 100."""

from __future__ import annotations

from pathlib import Path

from metabench import Method, Spaces, TrainingData, TrainingRun

from .policy import TeacherPolicy, load_teacher


class Teacher(Method):
    """The expert teacher that is told each task's parameters: the privileged upper reference of every table."""

    name = "teacher"
    privileged = True
    trains = False

    def train(self, data: TrainingData, run: TrainingRun) -> TeacherPolicy:
        """There is nothing to train; the suite that the data are of has the teacher."""
        del run
        return TeacherPolicy(data.suite_name)

    def load(self, folder: Path, spaces: Spaces) -> TeacherPolicy:
        """Read back which suite's teacher it is; raises `DataError` if its spaces are not `spaces`."""
        return load_teacher(folder, spaces)
