"""Which tasks a method that selects nothing learns from."""

from __future__ import annotations

from metabench import MethodError, TrainingData


def choose_training_tasks(data: TrainingData, learner: str) -> TrainingData:
    """The fitting tasks; all of them where those are fewer than two: nothing is chosen on the validation tasks.

    Args:
        data: of the training tasks.
        learner: what needs several tasks, as the error names it.

    Raises:
        MethodError: there is one task only, so that there is nothing to tell apart.
    """
    if data.num_tasks < 2:
        raise MethodError(
            f"{data.suite_name or 'the data'}: {learner} needs at least 2 training tasks to tell apart, found "
            f"{data.num_tasks}; expected another suite, or bc"
        )
    return data.fitting if data.fitting.num_tasks >= 2 else data
