"""`metabench report`: one HTML page about one run, with what its policy shows of itself.

It reads a record or a saved policy and writes one file; scores are the leaderboard's, and no run is ever changed.
"""

from metabench.report.report import Report, write_report

__all__ = ["Report", "write_report"]
