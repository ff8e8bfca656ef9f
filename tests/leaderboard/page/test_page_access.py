"""The page without a mouse, on small screens, in dark rooms."""

import itertools
import re

import numpy as np
import pytest
from selenium.webdriver import Keys

from metabench.leaderboard.build import build_leaderboard
from metabench.leaderboard.scores.quotas import SuiteShelf
from metabench.suites import load_suite

from ...synthetic_predictions import make_predictions
from ...synthetic_records import WIDE, cached_suite, resealed

pytestmark = pytest.mark.slow

PREDICTIONS = ("#view=prediction", "#view=prediction&figure=conditions")


@pytest.fixture(scope="module")
def page(make, write, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    levels = {"bc": 20, "meta-dt": 50, "a-method-with-a-rather-long-name": 35}
    records = [
        make(method, seed, suite="point-robot", level=level) for method, level in levels.items() for seed in (0, 1)
    ]
    generator = np.random.default_rng(0)
    for level, seed in itertools.product((0.2, 1.2), (0, 1)):
        predictions = make_predictions(level, generator, inside=(0.4, 0.8))
        records.append(resealed(make(f"model-{level}", seed, suite=WIDE), predictions=(predictions,)))
    write(records, folder / "records")
    shelf = SuiteShelf([load_suite("point-robot"), cached_suite(WIDE)])
    build_leaderboard(folder / "records", folder, shelf)
    return folder / "index.html"


def read_focus(browser, what="textContent"):
    return browser.run(f"return document.activeElement.{what}")


def tab_until(browser, found):
    for _ in range(60):
        browser.press(Keys.TAB)
        if found():
            return
    raise AssertionError("the tab key does not lead there")


@pytest.mark.slow
def test_everything_is_reached_and_used_by_keyboard(page, browser):
    browser.open(page)
    browser.press(Keys.TAB, Keys.ENTER)  # the skip link
    assert read_focus(browser, "id") == "board"
    browser.press(Keys.TAB)
    tab_until(browser, lambda: read_focus(browser, "dataset.sort") == "method")
    outline = browser.run("const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.outlineWidth]")
    assert outline == ["solid", "2px"]
    browser.press(Keys.ENTER)
    assert browser.texts("#board .name") == ["a-method-with-a-rather-long-name", "bc", "meta-dt"]
    tab_until(browser, lambda: read_focus(browser) == "bc")
    browser.press(Keys.ENTER)
    browser.wait(".panel .strip")
    assert read_focus(browser) == "bc"
    browser.press(Keys.SPACE)
    assert browser.texts(".panel") == []
    tab_until(browser, lambda: read_focus(browser, "name") == "figure")
    browser.press(Keys.ARROW_RIGHT)
    assert read_focus(browser, "value") == "profile"
    assert browser.texts(".legend li") != []


def test_marks_of_a_figure_are_one_stop_and_arrows_move_between_them(page, browser):
    browser.open(page)
    assert browser.run("return document.querySelectorAll('#figure .hit[tabindex=\"0\"]').length") == 1
    tab_until(browser, lambda: "hit" in (read_focus(browser, "getAttribute('class')") or ""))
    assert read_focus(browser, "ariaLabel").startswith("meta-dt, 0 shots\nScore ")
    tip = "return document.getElementById('tip')"
    assert browser.run(f"{tip}.textContent") == read_focus(browser, "ariaLabel")
    assert browser.run(f"{tip}.hidden") is False
    browser.press(Keys.ARROW_RIGHT)
    assert read_focus(browser, "ariaLabel").startswith("meta-dt, 1 shot\n")
    browser.press(Keys.ARROW_DOWN)
    assert read_focus(browser, "ariaLabel").startswith("a-method-with-a-rather-long-name, 1 shot\n")
    browser.press(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert read_focus(browser, "ariaLabel").startswith("a-method-with-a-rather-long-name, 0 shots\n")
    browser.press(Keys.TAB)
    assert browser.run(f"{tip}.hidden") is True


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 390, 768, 1100, 1300, 1600])
def test_no_width_makes_the_page_scroll_sideways(page, browser, width):
    views = (
        "#figure=adaptation",
        "#figure=profile&columns=costs",
        "#figure=tasks&columns=returns",
        "#view=overall",
        *PREDICTIONS,
    )
    for address in views:
        browser.open(page, address, width=width, height=800)
        if not address.startswith("#view"):
            browser.run("document.querySelector('#board .name').click()")
            browser.wait(".panel .strip")
        assert browser.run("return innerWidth") == width
        assert browser.run("const root = document.documentElement; return root.scrollWidth - root.clientWidth") == 0
    browser.open(page, width=width, height=800)
    visible = "return getComputedStyle(document.querySelector('[data-sort={}]').parentNode).display !== 'none'"
    assert browser.run(visible.format("score"))
    assert browser.run(visible.format("verdict"))
    assert browser.run(visible.format("episode")) == (width > 1280)
    if width >= 768:  # and not cut at its end
        fits = "const scroll = document.querySelector('#board .scroll'); return scroll.scrollWidth - scroll.clientWidth"
        assert browser.run(fits) == 0


@pytest.mark.parametrize("figure", ["adaptation", "profile", "tasks"])
def test_tables_and_controls_have_names_and_scopes(page, browser, figure):
    browser.open(page, f"#figure={figure}")
    browser.click("#board .name")
    browser.wait(".panel .strip")
    count = "return document.querySelectorAll('{}').length"
    assert browser.run(count.format("th:not([scope])")) == 0
    assert browser.run(count.format("table")) == len(browser.texts("table > caption"))
    unnamed = "return [...document.querySelectorAll('select, input')].filter((node) => !node.labels.length).length"
    assert browser.run(unnamed) == 0
    nameless = "(node) => !node.textContent && !node.ariaLabel"
    assert browser.run(f"return [...document.querySelectorAll('button, a[href]')].filter({nameless})") == []
    identifiers = browser.run("return [...document.querySelectorAll('[id]')].map((node) => node.id)")
    assert len(identifiers) == len(set(identifiers))


def luminance(colour):
    def linear(value):
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(value) for value in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def channels(text):
    """`rgb(1, 2, 3)` or `color(srgb 0.1 0.2 0.3)` as three numbers from 0 to 1; None where it is transparent."""
    numbers = [float(number) for number in re.findall(r"[\d.]+", text)]
    if len(numbers) == 4 and numbers[3] == 0:
        return None
    assert len(numbers) == 3, text
    return numbers if text.startswith("color") else [number / 255 for number in numbers]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_text_has_contrast(page, browser, dark):
    found = set()
    for address in ("", "#figure=tasks", "#view=overall", *PREDICTIONS):
        browser.open(page, address, dark=dark)
        found |= {
            tuple(pair)
            for pair in browser.run(
                """
                const ground = (node) => {
                  for (let each = node; each; each = each.parentElement) {
                    const colour = getComputedStyle(each).backgroundColor;
                    if (!/^rgba\\(.*, 0\\)$/.test(colour)) return colour;
                  }
                };
                const written = (node) => [...node.childNodes].some((each) => each.nodeType === 3 && each.data.trim());
                return [...document.querySelectorAll("body *:not(script, style, noscript, option, optgroup)")]
                  .filter((node) => written(node) && node.getClientRects().length)
                  .map((node) => [node, node.namespaceURI.endsWith("svg") ? "fill" : "color"])
                  .map(([node, kind]) => [getComputedStyle(node)[kind], ground(node)]);
                """
            )
        }
    assert len(found) > 5
    for colour, ground in found:
        dim, bright = sorted([luminance(channels(colour)), luminance(channels(ground))])
        assert (bright + 0.05) / (dim + 0.05) >= 4.5, (colour, ground)
    paper = luminance(channels(browser.run("return getComputedStyle(document.body).backgroundColor")))
    assert (paper < 0.1) == dark


def test_shades_of_scores_are_in_order(page, browser):
    browser.open(page)
    shades = browser.run(
        """
        const table = document.createElement("table");
        table.className = "tasks";
        const cells = ["u3", "u2", "u1", "h0", "h3", "h6", "h10"].map((shade) => {
          const cell = table.insertRow().insertCell();
          cell.className = `number ${shade}`;
          return cell;
        });
        document.body.append(table);
        return cells.map((cell) => getComputedStyle(cell).backgroundColor);
        """
    )
    levels = [luminance(channels(shade)) for shade in shades]
    assert all(a < b for a, b in itertools.pairwise(levels[:4]))
    assert all(a > b for a, b in itertools.pairwise(levels[3:]))
