"""What all tests share: no test reads or writes the user's own data, stores, checkpoints or policies."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from metabench.data.making.build import build_data
from metabench.suites import load_suite

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

settings.register_profile("metabench", deadline=None, database=None)
settings.load_profile("metabench")

_VARIABLES = ("METABENCH_HOME", "MINARI_DATASETS_PATH")


@pytest.fixture(scope="session", autouse=True)
def _folders_of_fixtures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What fixtures of modules and of the session build goes into folders of the session."""
    root = tmp_path_factory.mktemp("fixtures")
    with pytest.MonkeyPatch.context() as monkeypatch:
        for variable, name in zip(_VARIABLES, ("home", "minari"), strict=True):
            monkeypatch.setenv(variable, str(root / name))
        yield


@pytest.fixture(autouse=True)
def folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test gets an empty home and an empty Minari folder: `home` and `minari` of the path returned."""
    root = tmp_path_factory.mktemp("folders")
    for variable, name in zip(_VARIABLES, ("home", "minari"), strict=True):
        monkeypatch.setenv(variable, str(root / name))
    return root


@pytest.fixture(scope="session")
def _tiny_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All datasets of the suite `tiny`, built once a session."""
    root = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as monkeypatch:
        for variable, name in zip(_VARIABLES, ("home", "minari"), strict=True):
            monkeypatch.setenv(variable, str(root / name))
        suite = load_suite("tiny")
        for dataset in suite.entry.datasets:
            build_data(suite, dataset)
    return root


@pytest.fixture
def tiny_built(_tiny_folders: Path, folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Home and Minari folder in which all datasets of `tiny` are built, shared by the session: to be read only."""
    for variable, name in zip(_VARIABLES, ("home", "minari"), strict=True):
        monkeypatch.setenv(variable, str(_tiny_folders / name))
    return _tiny_folders


@pytest.fixture
def tiny_copied(_tiny_folders: Path, folders: Path) -> Path:
    """The test's own home and Minari folder, in which all datasets of `tiny` are built: to be damaged at will."""
    shutil.copytree(_tiny_folders, folders, dirs_exist_ok=True)
    return folders


class SmallDisk:
    """A disk of one mebibyte.

    Attributes:
        path: where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self, left: int = 0) -> None:
        """Leave so many pages of it free."""
        status = os.statvfs(self.path)
        self._filler.write_bytes(b"x" * (status.f_bsize * max(0, status.f_bfree - left)))

    def free(self) -> None:
        """Undo `fill`."""
        self._filler.unlink()

    def make_read_only(self) -> None:
        """From now on."""
        subprocess.run(["mount", "-o", "remount,ro", self.path], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk that can be filled and made read-only; skips where none can be mounted."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = shutil.which("mount")
    command = [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", path]
    if mount is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk (Linux, root)")
    yield SmallDisk(path)
    subprocess.run(["umount", "--lazy", path], check=True)


class Browser:
    """A headless Chromium that reads files and has no network."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, page: Path, address: str = "", *, width: int = 1280, height: int = 1000, dark: bool = False) -> None:
        """Load `page` anew, with what follows its name in the address."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get("about:blank")  # an address that differs after the # only would not load anything
        self.driver.get(page.as_uri() + address)

    def run(self, script: str) -> Any:
        """What `script` returns, run as the body of a function in the page."""
        return self.driver.execute_script(script)

    def texts(self, selector: str) -> list[str]:
        """What a reader of the document finds in all elements that `selector` matches."""
        return self.driver.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map((node) => node.textContent)", selector
        )

    def click(self, selector: str) -> None:
        """Click as a pointer does: fails on what is not visible."""
        self.driver.find_element("css selector", selector).click()

    def press(self, *keys: str) -> None:
        """Type `keys` where the focus is."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def wait(self, selector: str) -> None:
        """Until something matches `selector`."""
        from selenium.webdriver.support.wait import WebDriverWait

        WebDriverWait(self.driver, 30).until(lambda driver: driver.find_elements("css selector", selector))

    def download_to(self, folder: Path) -> None:
        """Put what is saved from now on into `folder`."""
        where = {"behavior": "allow", "downloadPath": str(folder)}
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", where)


@pytest.fixture(scope="session")
def _chromium() -> Iterator[Chrome]:
    programs = [shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")]
    if None in programs:
        pytest.skip("needs chromium and chromedriver on the PATH (Debian: chromium, chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking", "disable-sync"):
        options.add_argument(f"--{flag}")
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    yield driver
    driver.quit()


@pytest.fixture
def browser(_chromium: Chrome) -> Iterator[Browser]:
    """Chromium, which must not have complained by the end of the test; skips where there is none."""
    yield Browser(_chromium)
    assert [line["message"] for line in _chromium.get_log("browser")] == []
