"""The report as a browser shows it, opened from a file without a network."""

import shutil
import subprocess

import pytest

from metabench.report import write_report
from metabench.runs.kept.record import write_record

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH to look at the page")

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-sync", "--enable-logging=stderr", "--virtual-time-budget=2000", "--dump-dom"]
HOSTILE = "</title></style><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"

FRAME = """<!doctype html><title>waiting</title><iframe src="report.html" width="500" height="900"></iframe><script>
onload = () => { const page = frames[0].document, root = page.documentElement;
  document.title = [root.scrollWidth, page.styleSheets.length, page.images.length, page.title.includes("<script>"),
    getComputedStyle(page.body).fontSize].join(" "); };
</script>"""


@pytest.mark.slow
def test_the_page_is_styled_fits_a_narrow_screen_and_nothing_hostile_runs(make, tmp_path):
    record = make(HOSTILE, suite="point-robot", configuration={HOSTILE: HOSTILE}, overrides={HOSTILE: HOSTILE})
    write_record(record, tmp_path / "0.json")
    write_report(tmp_path / "0.json", tmp_path / "report.html")
    (tmp_path / "frame.html").write_text(FRAME)
    address = [f"--user-data-dir={tmp_path / 'profile'}", "--allow-file-access-from-files"]
    done = subprocess.run(
        [CHROMIUM, *FLAGS, *address, f"file://{tmp_path}/frame.html"],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    title = done.stdout.partition("<title>")[2].partition("</title>")[0]
    width, sheets, images, harmless, size = title.split()
    assert int(width) <= 500
    assert (sheets, images, harmless) == ("1", "0", "true")
    assert size == "14.5px"
