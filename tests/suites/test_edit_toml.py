"""Writing digests and references into a suite.toml changes their lines and nothing else."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from metabench.errors import DataError
from metabench.suites import load_suite
from metabench.suites.edit_toml import archive_suite_version, write_digests, write_references

DIGESTS = ("sha256:" + "a" * 64, "sha256:" + "b" * 64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    copy = tmp_path / "tiny" / "suite.toml"
    copy.parent.mkdir()
    content = (load_suite("tiny").folder / "suite.toml").read_bytes()
    copy.write_bytes(b"".join(line for line in content.splitlines(keepends=True) if not line.startswith(b"digest")))
    return copy


def test_a_digest_is_added_at_the_end_of_its_table_and_then_replaced(path):
    before = path.read_text().splitlines()
    write_digests(path, {"medium": DIGESTS[0]})
    after = path.read_text().splitlines()
    added = [i for i, line in enumerate(after) if line.startswith("digest")]
    assert [after[i] for i in added] == [f'digest = "{DIGESTS[0]}"']
    assert after[: added[0]] + after[added[0] + 1 :] == before
    assert after[added[0] - 1] == "seed = 2"
    write_digests(path, {"medium": DIGESTS[1], "replay": DIGESTS[0]})
    entry = load_suite(path.parent).entry
    assert entry.datasets["medium"].digest == DIGESTS[1]
    assert entry.datasets["replay"].digest == DIGESTS[0]
    assert entry.datasets["random"].digest is None
    assert [line for line in path.read_text().splitlines() if not line.startswith("digest")] == before
    once = path.read_bytes()
    write_digests(path, {"medium": DIGESTS[1], "replay": DIGESTS[0]})
    assert path.read_bytes() == once
    assert [each.name for each in path.parent.iterdir()] == ["suite.toml"]


def test_references_are_replaced_and_nothing_else(path):
    before = path.read_text()
    write_references(path, {2: {"reference": {"random": -15.5, "expert": -2.25}}})
    assert path.read_text() == before.replace(
        "reference = { random = -15.7323, expert = -2.2271 }", "reference = { random = -15.5, expert = -2.25 }"
    )
    assert load_suite(path.parent).tasks[2].reference.expert == -2.25


def test_what_cannot_be_edited_line_by_line_is_refused_and_left_alone(path):
    odd = path.read_text().replace("[datasets.medium]", "[ datasets . medium ]")
    path.write_text(odd)
    with pytest.raises(DataError, match=r"suite\.toml: expected a line \[datasets\.medium\]"):
        write_digests(path, {"medium": DIGESTS[0]})
    with pytest.raises(DataError, match="task 9: expected a line"):
        write_references(path, {9: {"reference": {"random": 0.0, "expert": 1.0}}})
    tricky = odd.replace('title = "Four', 'title = """\n[datasets.random]\n""" # "Four')
    assert tomllib.loads(tricky)["datasets"]
    path.write_text(tricky)
    with pytest.raises(DataError, match="edit it by hand"):
        write_digests(path, {"random": DIGESTS[0]})
    assert path.read_text() == tricky


def test_a_blind_reference_is_written_and_kept_when_others_are_measured_again(path):
    write_references(path, {2: {"reference": {"blind": -9.5}}})
    write_references(path, {2: {"reference": {"random": -15.5, "expert": -2.25}}})
    reference = load_suite(path.parent).tasks[2].reference
    assert (reference.random, reference.expert, reference.blind) == (-15.5, -2.25, -9.5)


def test_a_rule_of_success_is_written_with_references_by_it_and_then_replaced(path):
    path.write_text(path.read_text().replace('headline = "normalised"', 'headline = "success"'))
    before = path.read_text().splitlines()
    measured = {
        task: {
            "reference": {"random": -40.0, "expert": -1.5},
            "success": {"random": 0.1, "expert": 1.0, "blind": 0.25},
        }
        for task in range(4)
    }
    write_references(path, measured, "any")
    suite = load_suite(path.parent)
    assert (suite.entry.success, suite.headroom("test")) == ("any", pytest.approx(100 * 0.75 / 0.9))
    added = [line for line in path.read_text().splitlines() if line not in before]
    assert added[0] == 'success = "any"'
    assert (
        added[1:]
        == [
            "reference = { random = -40.0, expert = -1.5 }",
            "success = { random = 0.1, expert = 1.0, blind = 0.25 }",
        ]
        * 4
    )
    write_references(path, {2: {"success": {"random": 0.0}}}, "last")
    again = load_suite(path.parent)
    assert again.entry.success == "last"
    assert again.tasks[2].success.model_dump() == {"random": 0.0, "expert": 1.0, "blind": 0.25}
    assert path.read_text().count("success = ") == 1 + 4


def test_references_that_make_no_suite_are_refused_and_the_file_stays(path):
    before = path.read_bytes()
    with pytest.raises(
        DataError, match=r"unchanged; .* invalid: task\.1\.reference: expert \(-9\) must be above random"
    ):
        write_references(path, {1: {"reference": {"expert": -9.0, "random": -8.0}}})
    with pytest.raises(DataError, match="task 0: expected a line `succes = "):
        write_references(path, {0: {"succes": {"random": 0.0}}})
    with pytest.raises(DataError, match="success names a rule, but headline is not 'success'"):
        write_references(path, {}, "any")
    assert path.read_bytes() == before


def test_a_byte_order_mark_and_line_ends_of_windows_are_read_and_kept(path):
    plain = load_suite(path.parent)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    marked = load_suite(path.parent)
    assert marked.entry == plain.entry
    assert marked.digest == plain.digest
    before = path.read_bytes()
    write_digests(path, {"medium": DIGESTS[0]})
    write_references(path, {0: {"reference": {"random": -30.0}}})
    assert load_suite(path.parent).entry.task[0].reference.random == -30.0
    assert load_suite(path.parent).entry.datasets["medium"].digest == DIGESTS[0]
    assert path.read_bytes()[:40] == before[:40]
    assert archive_suite_version(load_suite(path.parent)).read_bytes()[:3] == b"\xef\xbb\xbf"
    assert load_suite(path.parent).entry.version == 2
