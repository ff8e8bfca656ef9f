"""Cards of methods: what they must hold, and which methods need one."""

import pytest

from metabench.errors import DataError
from metabench.leaderboard.method_card import MethodShelf, make_card_template, read_card
from metabench.leaderboard.scores.quotas import SuiteShelf
from metabench.leaderboard.submission.check import check_records
from metabench.runs.kept.record import read_record, write_record


def test_a_card_reads_back(card):
    read = read_card(card("small", prior="tuned on train tasks"))
    assert (read.name, read.prior, read.random_training) == ("small", "tuned on train tasks", True)


def test_a_template_is_a_card_once_it_is_filled_in(tmp_path):
    path = tmp_path / "my-method.toml"
    path.write_text(make_card_template("my-method"))
    with pytest.raises(DataError, match=r"my-method.toml: summary: still to be written"):
        read_card(path)
    path.write_text(path.read_text().replace("TO DO", "none"))
    assert read_card(path).name == "my-method"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"authors": []}, "authors: "),
        ({"authors": "Ada"}, "authors: "),
        ({"authors": ["Ada", "TO DO"]}, "authors: still to be written"),
        ({"paper": "my thesis"}, "paper: expected an address (https://...) or \"none\", found 'my thesis'"),
        ({"licence": " "}, "licence: "),
        ({"colour": "red"}, "colour: there is no such key"),
        ({"name": "../x"}, "name: "),
        ({"random_training": 1}, "random_training: "),
    ],
)
def test_what_is_wrong_is_named(card, tmp_path, change, expected):
    path = card("small", **change) if "name" not in change else card("small").with_name("small.toml")
    if "name" in change:
        path.write_text(path.read_text().replace('"small"', '"../x"'))
    with pytest.raises(DataError) as caught:
        read_card(path)
    assert f"small.toml: {expected}" in str(caught.value)


def test_a_missing_key_and_a_missing_file_are_named(card, tmp_path):
    path = card("small")
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("contact")))
    with pytest.raises(DataError, match=r"small.toml: contact: this key is missing"):
        read_card(path)
    with pytest.raises(DataError, match=r"nowhere.toml: cannot be read"):
        read_card(tmp_path / "nowhere.toml")
    path.write_text("name =")
    with pytest.raises(DataError, match=r"small.toml: not valid TOML"):
        read_card(path)


@pytest.fixture
def findings(real, public_tiny, tmp_path):
    """Findings of a folder with a real record of `small` and these cards, by file name."""

    def check(**cards):
        record = read_record(real("small", 0))
        for seed in (0, 1):
            record = read_record(real("small", seed))
            write_record(record, tmp_path / "board" / "records" / record.path)
        (tmp_path / "board" / "methods").mkdir()
        for name, path in cards.items():
            (tmp_path / "board" / "methods" / f"{name}.toml").write_bytes(path.read_bytes())
        found = list(check_records(tmp_path / "board" / "records", SuiteShelf([public_tiny])))
        assert found == list(check_records(tmp_path / "board", SuiteShelf([public_tiny])))
        return found

    return check


def test_a_method_from_elsewhere_needs_a_card(findings):
    (line,) = findings()
    assert line.endswith("0.json.gz: method 'small' has no card; metabench leaderboard new-card writes one to fill in")


def test_a_broken_card_is_one_finding(findings, card):
    (line,) = findings(small=card("small", paper="?"))
    assert line.startswith("methods/small.toml: paper: ")


def test_a_card_under_another_name_is_one_finding(findings, card):
    (line,) = findings(smaller=card("small"))
    assert line == "methods/smaller.toml: name: expected 'smaller', the file's name, found 'small'"


def test_a_card_cannot_take_the_name_of_a_built_in_method(card):
    shelf = MethodShelf().add_folder(card("bc").parent)
    assert shelf.findings == [f"{card('bc')}: name: 'bc' comes with metabench; a new method needs its own name"]


def test_built_in_methods_need_no_card():
    shelf = MethodShelf()
    assert not shelf.lacks_card("meta-dt/no_context")
    assert shelf.lacks_card("my-method/small")
    assert shelf.trains_randomly("bc")
    assert not shelf.trains_randomly("random")
