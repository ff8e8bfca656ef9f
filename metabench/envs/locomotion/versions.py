"""The simulator that suites, teachers and references were made with."""

TESTED_MUJOCO = "3.3.0"
