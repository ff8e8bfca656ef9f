"""Runs: cells, their execution, their records."""
