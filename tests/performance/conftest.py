"""What the performance tests share: a report of ratios, printed at the end."""

from collections.abc import Callable, Iterator

import pytest

LINES = pytest.StashKey[list[str]]()


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Iterator[Callable[[str], None]]:
    """Add a line to the report at the end of the run."""
    yield request.config.stash.setdefault(LINES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash.get(LINES, [])
    if lines:
        terminalreporter.section("measured in this run")
        for line in lines:
            terminalreporter.write_line(line)
