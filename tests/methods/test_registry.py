"""Methods by name and by path; other people's broken plugins are blamed by name and hide nothing."""

import sys
import time
from pathlib import Path

import pytest

from metabench import MetabenchError, check_method, load_method
from metabench.methods import registry
from metabench.methods.configuring import find_overrides
from metabench.methods.former_names import PRESENT_NAMES, refuse_former_name
from metabench.methods.registry import find_registered_methods, list_methods, name_method
from metabench.methods.scaffold import write_plugin

BUILT_IN = {"random", "teacher", "bc", "prompt-dt", "meta-dt", "meta-dt-plus"}

PLUGIN = '''
from pydantic import Field, model_validator
from metabench import Config, Method

class OddConfig(Config):
    width: int = Field(default=8, ge=1, description="width")
    rates: tuple[float, ...] = Field(default=(0.1,), description="rates")

    @model_validator(mode="after")
    def _even(self):
        if self.width % 2:
            raise ValueError("width must be even")
        return self

class Odd(Method):
    """An odd method."""
    name = "odd"
    config_class = OddConfig
    variants = {"wide": {"width": 64}}
    def train(self, data, run): raise NotImplementedError
    def load(self, folder, spaces): raise NotImplementedError

class Short(Odd):
    """A method for small budgets."""
    @classmethod
    def presets(cls, suite): return {name: OddConfig() for name in ("cpu", "demo", "tiny")}

class Misnamed(Odd):
    name = "other"

class Nameless(Method):
    def train(self, data, run): raise NotImplementedError
    def load(self, folder, spaces): raise NotImplementedError

class Half(Method):
    name = "half"

NOT_A_CLASS = 3
'''


def install(site: Path, distribution: str, entry_points: dict[str, str]) -> None:
    """A distribution with methods, as an installer leaves it."""
    info = site / f"{distribution}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in entry_points.items())
    (info / "entry_points.txt").write_text(f"[metabench.methods]\n{lines}")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "odd_plugin.py").write_text(PLUGIN)
    (tmp_path / "failing_plugin.py").write_text("import a_module_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "odd_plugin", raising=False)
    return tmp_path


def test_built_in_methods_are_registered_and_not_imported_to_be_named() -> None:
    assert set(list_methods()) >= BUILT_IN
    assert all(find_registered_methods()[name].built_in for name in BUILT_IN)
    began = time.perf_counter()
    list_methods()
    assert time.perf_counter() - began < 0.5  # 5 ms; a scan that imports torch takes seconds


def test_a_plugin_is_found_configured_and_labelled(site: Path) -> None:
    install(site, "stranger", {"odd": "odd_plugin:Odd"})
    method = load_method("odd/wide", preset="tiny", overrides={"rates": [1, 2]})
    assert method.config.model_dump() == {"width": 64, "rates": (1.0, 2.0)}
    assert find_overrides(method, "tiny", "point-robot") == {"width": 64, "rates": [1.0, 2.0]}
    assert name_method("odd/wide", method.name) == "odd/wide"
    assert load_method("odd/wide", overrides={"width": "32"}).config.width == 32
    assert find_registered_methods()["odd"].origin == "odd_plugin:Odd (stranger)"
    assert find_overrides(load_method("odd"), "cpu", "tiny") == {}


def test_a_failing_import_names_the_plugin_and_hides_no_other(site: Path) -> None:
    install(site, "stranger", {"odd": "odd_plugin:Odd", "failing": "failing_plugin:F", "gone": "odd_plugin:Gone"})
    assert {"failing", "gone", "odd", *BUILT_IN} <= set(list_methods())
    with pytest.raises(MetabenchError, match=r"'failing': its plugin failing_plugin:F \(stranger\).*a_module_that"):
        load_method("failing")
    with pytest.raises(MetabenchError, match=r"'gone': its plugin odd_plugin:Gone \(stranger\) failed to load"):
        load_method("gone")
    assert load_method("odd").config.width == 8
    assert load_method("random").name == "random"


def test_a_name_given_twice_is_reported_with_both_and_hides_no_other(site: Path) -> None:
    install(site, "stranger", {"odd": "odd_plugin:Odd", "fine": "odd_plugin:Misnamed"})
    install(site, "other", {"odd": "elsewhere:Odd"})
    expected = r"registered twice: by (?=.*odd_plugin:Odd \(stranger\))(?=.*elsewhere:Odd \(other\))"
    with pytest.raises(MetabenchError, match=expected):
        load_method("odd")
    assert find_registered_methods()["odd"].conflict is not None
    assert find_registered_methods()["fine"].conflict is None
    assert set(list_methods()) >= BUILT_IN


def test_a_built_in_name_wins(site: Path) -> None:
    install(site, "stranger", {"random": "failing_plugin:F"})
    assert find_registered_methods()["random"].built_in
    assert load_method("random").name == "random"


OSWM = r"^method 'oswm' is called 'oswm-plus' now; as published it is 'oswm-published' or 'oswm-published-small'$"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("oswm", OSWM),
        ("oswm/imagination", OSWM),
        ("oswm-meta", r"^method 'oswm-meta' is called 'oswm-plus-meta' now$"),
        ("oswm-faithful", r"^method 'oswm-faithful' is called 'oswm-published' now$"),
        ("oswm-faithful-small", r"^method 'oswm-faithful-small' is called 'oswm-published-small' now$"),
        ("twm", r"^method 'twm' is called 'twm-plus' now"),
        ("twm/finetune", r"^method 'twm' is called 'twm-plus' now"),
    ],
)
def test_a_name_that_only_archived_records_have_is_refused_with_what_to_use(spec: str, problem: str) -> None:
    with pytest.raises(MetabenchError, match=problem):
        load_method(spec)


def test_what_a_refusal_names_is_registered(site: Path) -> None:
    assert set(PRESENT_NAMES.values()) <= set(list_methods())
    registered = [name for name in list_methods() if not name.startswith("twm-published")]
    with pytest.raises(MetabenchError, match=r"'twm-plus' now$"):
        refuse_former_name("twm", registered)
    with pytest.raises(MetabenchError, match=r"'twm-plus' now; as published it is 'twm-published'$"):
        refuse_former_name("twm", [*registered, "twm-published"])
    refuse_former_name("odd", registered)


def test_a_plugin_cannot_take_a_name_that_archived_records_have(site: Path) -> None:
    (site / "old.py").write_text(PLUGIN.replace('name = "odd"', 'name = "twm"'))
    install(site, "stranger", {"twm": "old:Odd"})
    with pytest.raises(MetabenchError, match="is called 'twm-plus' now"):
        load_method("twm")
    with pytest.raises(MetabenchError, match=r"its name 'twm' is that of a method of metabench; expected another"):
        load_method(f"{site / 'old.py'}:Odd")
    with pytest.raises(MetabenchError, match="method name 'twm' is taken by archived records of 'twm-plus'"):
        write_plugin("twm", site / "package")


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("odd", "odd_plugin:Misnamed", r"expected its name to be 'odd', found 'other'"),
        ("odd", "odd_plugin:NOT_A_CLASS", r"expected a subclass of metabench.Method, found 3"),
        ("odd", "odd_plugin:Nameless", r"expected a class attribute `name`"),
        ("half", "odd_plugin:Half", r"expected it to define load, train"),
    ],
)
def test_what_is_no_method_is_refused(site: Path, name: str, value: str, problem: str) -> None:
    install(site, "stranger", {name: value})
    with pytest.raises(MetabenchError, match=problem):
        load_method(name)


@pytest.mark.parametrize(
    "name", ["my ridge", "ridge@2", "ridge#1", "a/b", "süß", "..", ".ridge", "a\0b", "", "x" * 65, 3]
)
def test_a_name_that_no_folder_or_command_could_bear_is_refused(site: Path, name: object) -> None:
    (site / "named.py").write_text(f"{PLUGIN}\nclass Named(Odd):\n    name = {name!r}\n")
    (site / "varied.py").write_text(f"{PLUGIN}\nclass Varied(Odd):\n    variants = {{{name!r}: {{}}}}\n")
    for spec in (f"{site}/named.py:Named", f"{site}/varied.py:Varied"):
        for use in (load_method, check_method):
            with pytest.raises(MetabenchError, match=r"expected at most 64 letters|the method's name as a string"):
                use(spec)


def test_a_budget_that_a_method_lacks_is_told_with_the_nearest(site: Path) -> None:
    install(site, "stranger", {"odd": "odd_plugin:Short"})
    with pytest.raises(MetabenchError) as caught:
        load_method("odd", preset="long")
    assert str(caught.value) == "method odd has no preset 'long'; the nearest is 'cpu' (of tiny, demo, cpu)"


@pytest.mark.parametrize(
    ("spec", "options", "problem"),
    [
        ("meta-td", {}, r"^unknown method 'meta-td'; did you mean 'meta-dt'\?$"),
        ("odd/wyde", {}, r"^unknown variant of method odd 'wyde'; did you mean 'wide'\?$"),
        ("odd", {"preset": "tyni"}, r"^unknown preset of method odd 'tyni'; did you mean 'tiny'\?$"),
        ("odd", {"overrides": {"widht": 3}}, r"^unknown configuration key of method odd 'widht'; did you mean 'width'"),
        ("odd", {"overrides": {"width": 0}}, r"^method 'odd': configuration key 'width': .*at least 1, found 0$"),
        ("odd", {"overrides": {"width": "x"}}, r"^method 'odd': configuration key 'width': .*whole number, found 'x'$"),
        ("odd", {"overrides": {"rates": [1, "y"]}}, r"^method 'odd': configuration key 'rates.1': .*, found 'y'$"),
        ("odd", {"overrides": {"width": 3}}, r"^method 'odd': configuration: width must be even$"),
    ],
)
def test_a_mistake_gets_one_line_with_what_was_expected(site: Path, spec: str, options: dict, problem: str) -> None:
    install(site, "stranger", {"odd": "odd_plugin:Odd"})
    with pytest.raises(MetabenchError, match=problem) as caught:
        load_method(spec, **options)
    assert "\n" not in str(caught.value)


def test_unpublished_code_is_loaded_by_path(site: Path) -> None:
    method = load_method(f"{site}/odd_plugin.py:Odd/wide")
    assert method.config.width == 64
    assert name_method(f"{site}/odd_plugin.py:Odd/wide", method.name) == "odd/wide"
    assert name_method(f"{site}/odd_plugin.py:Odd", method.name) == "odd"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("nowhere.py:Odd", r"nowhere.py: no such file; expected path/to/file.py:Class"),
        ("odd_plugin.py:Od", r"unknown class of .*odd_plugin.py 'Od'; did you mean 'Odd'\?"),
        ("odd_plugin.py:", r"unknown class of .*odd_plugin.py ''; known: .*Odd"),
        ("odd_plugin.py:NOT_A_CLASS", r"expected a subclass of metabench.Method"),
        (
            "failing_plugin.py:F",
            r"failing_plugin.py: failed to load: ModuleNotFoundError: .*a_module_that_is_not_there",
        ),
    ],
)
def test_a_mistaken_path_is_named(site: Path, spec: str, problem: str) -> None:
    before = set(sys.modules)
    with pytest.raises(MetabenchError, match=problem):
        load_method(f"{site}/{spec}")
    if "failing" in spec:
        assert not [name for name in set(sys.modules) - before if name.startswith("metabench_file_")]


def test_the_registry_imports_nothing_heavy() -> None:
    import subprocess

    code = (
        "import sys; from metabench.methods.registry import list_methods; list_methods();"
        "print([m for m in ('torch', 'numpy', 'pydantic', 'transformers') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/").stdout
    assert printed.strip() == "[]"
    assert registry.ENTRY_POINT_GROUP == "metabench.methods"
