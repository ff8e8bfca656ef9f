"""`metabench report`: one HTML page about one run."""

from metabench.report.report import Report, write_report

__all__ = ["Report", "write_report"]
