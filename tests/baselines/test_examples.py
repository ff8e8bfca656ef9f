"""The methods that pages show keep the contract and learn."""

from pathlib import Path

import pytest

import metabench

RIDGE = Path(__file__).parents[2] / "baselines" / "examples" / "ridge.py"


def test_ridge_is_a_method_in_30_lines() -> None:
    lines = RIDGE.read_text().splitlines()
    code = [line for line in lines if line.strip() and not line.startswith(("import", "from"))]
    assert len(code) <= 30


@pytest.mark.slow
def test_ridge_keeps_the_contract() -> None:
    findings = metabench.check_method(f"{RIDGE}:Ridge")
    assert len(findings) > 10
    assert [finding for finding in findings if not finding.passed] == []


def test_ridge_clones_behaviour(tiny_built: Path) -> None:
    data = metabench.load_data("tiny", "expert")
    policy = metabench.load_method(f"{RIDGE}:Ridge", suite="tiny").train(data, metabench.TrainingRun(seed=0))
    block = metabench.evaluate(policy, "tiny", "zero-shot").blocks[0]
    assert len(block.rows) == 2


def test_examples_are_no_methods_of_the_registry() -> None:
    assert not {"ridge", "seeker"} & set(metabench.list_methods())
