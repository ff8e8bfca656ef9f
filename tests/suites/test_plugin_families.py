"""Task families of other distributions: found by entry point, blamed by name, never taken from a suite.toml."""

import re
from pathlib import Path

import pytest

from metabench import DataError, MetabenchError, load_suite
from metabench.envs import list_family_names, load_family


def test_a_family_is_listed_and_serves_other_suites_as_well(make_plugin, tmp_path: Path) -> None:
    plugin = make_plugin("my-cart")
    assert "my-cart" in list_family_names()
    second = tmp_path / "second"
    second.mkdir()
    text = (plugin / "my_cart/my-cart/suite.toml").read_text()
    (second / "suite.toml").write_text(text.replace('name = "my-cart"', 'name = "second"'))
    assert type(load_suite(second).family) is type(load_family("my-cart"))


def test_a_suite_names_no_code(make_plugin) -> None:
    toml = make_plugin("my-cart") / "my_cart/my-cart/suite.toml"
    toml.write_text(toml.read_text().replace('family = "my-cart"', 'family = "my_cart.family:MyCartFamily"'))
    with pytest.raises(DataError, match="family: "):
        load_suite("my-cart")


def test_an_unknown_family_gets_the_nearest_name(make_plugin) -> None:
    toml = make_plugin("my-cart") / "my_cart/my-cart/suite.toml"
    toml.write_text(toml.read_text().replace('family = "my-cart"', 'family = "my-carts"'))
    with pytest.raises(DataError, match="unknown task family 'my-carts'; did you mean 'my-cart'"):
        load_suite("my-cart")


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("raise RuntimeError('no licence')", "failed to load: RuntimeError: no licence"),
        ("MyCartFamily = 3", "expected a subclass of metabench.TaskFamily"),
        ("MyCartFamily.name = 'cart'", "expected its class attribute `name` to be 'my-cart'"),
        (
            "class MyCartFamily(TaskFamily):\n    name = 'my-cart'",
            "expected it to define check_parameters, environment",
        ),
    ],
)
def test_a_family_that_cannot_be_had_is_blamed_by_name(make_plugin, code: str, problem: str) -> None:
    make_plugin("my-cart", code)
    with pytest.raises(MetabenchError, match=r"task family 'my-cart'.*" + re.escape(problem)):
        load_suite("my-cart")
    assert load_suite("tiny").name == "tiny"


def test_a_name_given_twice_is_refused(make_plugin) -> None:
    plugin = make_plugin("my-cart")
    info = plugin / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[metabench.families]\nmy-cart = other:Family\ncorridor = other:Family\n")
    with pytest.raises(MetabenchError, match=r"'my-cart' is registered twice: by my_cart.*MyCartFamily and other"):
        load_suite("my-cart")
    assert type(load_family("corridor")).__name__ == "CorridorFamily"
