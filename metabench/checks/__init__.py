"""The conformance checks of methods and suites, as `metabench check` runs them.

A check plays with a method or a suite through its public contract alone. What the evaluator enforces in every run
belongs to `evaluation`, what is wrong with a record to `leaderboard.submission`.
"""
