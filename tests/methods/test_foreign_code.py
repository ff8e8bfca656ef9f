"""Foreign code at import: it finds what lies beside it, and cannot end the program."""

import importlib
import sys
from pathlib import Path

import pytest

from metabench import MethodError, load_method
from metabench.cli import main
from metabench.methods.given_methods import name_method_class
from metabench.methods.registry import digest_method_code, find_method_sources
from metabench.system.foreign import call_foreign, name_raised

from .test_registry import install

NEIGHBOURED = """
from metabench import Method
import {imported}

class Near(Method):
    name = "near-{imported}"
    def train(self, data, run): raise NotImplementedError
    def load(self, folder, spaces):
        import later_neighbour
        return {imported}.VALUE, later_neighbour.VALUE
"""


def test_a_file_finds_its_neighbours_as_if_it_were_run(tmp_path: Path) -> None:
    """Two files with neighbours of one name have each its own; an edited neighbour is other code."""
    loaded, digests = [], []
    for place in ("first", "second"):
        folder = tmp_path / place
        (folder / "pack").mkdir(parents=True)
        (folder / "near.py").write_text(NEIGHBOURED.format(imported="neighbour"))
        (folder / "neighbour.py").write_text("from pack.deep import VALUE\n")
        (folder / "pack" / "__init__.py").touch()
        (folder / "pack" / "deep.py").write_text(f"VALUE = {place!r}\n")
        (folder / "later_neighbour.py").write_text("VALUE = 'later'\n")
        (folder / "json.py").write_text("raise ValueError('not this one')\n")  # Python's own is there already
        method = load_method(f"{folder}/near.py:Near")
        loaded.append(method)
        digests.append(digest_method_code(type(method)))
    assert [method.load(tmp_path, None) for method in loaded] == [("first", "later"), ("second", "later")]
    assert len(set(digests)) == 2
    assert {path.name for path in find_method_sources(type(method))} == {
        "near.py",
        "neighbour.py",
        "pack",
        "later_neighbour.py",
    }


@pytest.mark.parametrize("raised", ["sys.exit()", "raise KeyboardInterrupt", "argparse.ArgumentParser().parse_args()"])
def test_a_plugin_cannot_end_the_program_by_being_imported(
    tmp_path: Path, raised: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "argv", ["metabench", "check", "leaver"])
    (tmp_path / "leaver_plugin.py").write_text(f"import argparse, sys\n{raised}\n")
    install(tmp_path, "quitter", {"leaver": "leaver_plugin:Leaver"})
    with pytest.raises(MethodError, match=r"leaver_plugin.*failed to load: (SystemExit|KeyboardInterrupt)"):
        load_method("leaver")
    with pytest.raises(MethodError, match=r"leaver_plugin.py: failed to load: (SystemExit|KeyboardInterrupt)"):
        load_method(f"{tmp_path}/leaver_plugin.py:Leaver")
    for verb in ("check", "describe"):
        with pytest.raises(SystemExit) as ended:
            main([verb, "leaver"])
        assert ended.value.code == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
        assert "leaver_plugin:Leaver (quitter) failed to load" in line
    with pytest.raises(SystemExit) as ended:
        main(["list", "methods"])
    assert "leaver" in capsys.readouterr().out
    assert not ended.value.code


def test_a_class_stays_usable_after_its_file_was_loaded_by_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program found it by a path with dots in it, as notebooks do."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "kept" / "held.py").write_text(
        "from metabench import Config, Method\n\n\nclass Held(Method):\n    name = 'held'\n    config_class = Config\n"
        "    def train(self, data, run): ...\n    def load(self, folder, spaces): ...\n"
    )
    monkeypatch.syspath_prepend(f"{tmp_path}/notebooks/../kept")
    held = importlib.import_module("held")
    for _ in range(2):
        spec = name_method_class(held.Held)
        assert spec == f"{tmp_path}/kept/held.py:Held"
        load_method(spec)
    assert sys.modules["held"] is held
    del sys.modules["held"]


def test_what_is_raised_is_one_short_line_whatever_its_message_is() -> None:
    class Unreadable(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert name_raised(Unreadable()) == "Unreadable: its message cannot be read"
    assert name_raised(ValueError("a\n  b\x1b[2J")) == "ValueError: a b[2J"
    assert 500 < len(name_raised(ValueError("z" * 5_000_000))) < 520
    with pytest.raises(MethodError, match="told"), call_foreign(lambda error: MethodError("told")):
        raise GeneratorExit
