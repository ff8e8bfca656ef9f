"""Reports of saved policies: their pictures and episodes, and what is said where they cannot be had."""

import base64
import io
import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from metabench import TrainingRun, load_data, load_method, load_suite
from metabench.cli import main
from metabench.data.load import load_columns
from metabench.errors import DataError, MetabenchError
from metabench.methods.registry import digest_method_code
from metabench.report import write_report
from metabench.runs.kept.record import read_record, write_record
from metabench.runs.kept.saved_policy import Training, policy_folder, save_trained

METHOD = Path(__file__).with_name("pictured.py")


@pytest.fixture
def run(tiny_copied, tmp_path, monkeypatch, make):
    """`run(offer)` trains the method and keeps its policy as a run does; the path of its record."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(METHOD, tmp_path)

    def train(offer="all"):
        overrides = {"offer": offer}
        method = load_method("pictured.py:Pictured", preset="tiny", suite="tiny", overrides=overrides)
        cell = {"method_code": digest_method_code(type(method))}
        record = make(
            "pictured", preset="tiny", configuration=method.config.model_dump(), overrides=overrides, cell=cell
        )
        training = Training(
            cell=record.result.cell,
            spec="pictured.py:Pictured",
            overrides=overrides,
            parameters=0,
            training_tasks=2,
            curve=({"stage": "policy", "update": 1, "loss": 1.0},),
            summary={},
            seconds=1.0,
            resumed=0,
            device="cpu",
            threads=1,
        )
        policy = method.train(load_data("tiny", "medium"), TrainingRun(0))
        save_trained(policy, training, policy_folder(record.result.cell))
        write_record(record, tmp_path / "0.json")
        return tmp_path / "0.json"

    return train


def test_pictures_and_episodes_of_a_record_and_of_its_policy(run, tmp_path):
    record = run()
    written = write_report(record, tmp_path / "report.html")
    page = written.path.read_text()
    assert written.notices == ()
    assert "Lines &lt;b&gt;bold&lt;/b&gt;" in page
    (clip,) = re.findall(r'src="data:image/gif;base64,([^"]+)"', page)
    with Image.open(io.BytesIO(base64.b64decode(clip))) as image:
        assert image.n_frames > 20
    assert page.count('src="data:image/png;base64,') == 4, "two of training tasks, two of test tasks"
    assert page.count('href="data:image/png;base64,') == 2
    test_tasks = load_columns(load_suite("tiny"), "medium", "test").tasks
    counts = load_data("tiny", "medium").validation.num_episodes, len(test_tasks)
    parts = page.split('id="pictures"')[1].split('id="test-pictures"')
    assert all(f"{count} trajectories" in part for count, part in zip(counts, parts, strict=True))
    assert "after 3 own episodes" in page
    assert 'id="scores"' in page
    folder = policy_folder(read_record(record).result.cell)
    alone = write_report(folder, tmp_path / "alone.html").path.read_text()
    assert "Scores are missing: a saved policy has none" in alone
    assert 'id="scores"' not in alone
    assert alone.count("<figure") == page.count("<figure") - page.count("<h3>Adaptation, ")
    shutil.copytree(folder, tmp_path / "unfinished" / "trained")
    assert write_report(tmp_path / "unfinished", tmp_path / "unfinished.html").path.read_text() == alone
    with pytest.raises(MetabenchError, match="--policy is for records"):
        write_report(folder, tmp_path / "alone.html", policy=folder)


@pytest.mark.parametrize(
    ("offer", "problem"),
    [
        ("mistake", "method 'pictured': pictures raised ZeroDivisionError: no pictures"),
        ("nonsense", "method 'pictured': pictures must return a list of LinePlot, HeatMap and ImageStrip"),
        ("unfit", "method 'pictured': pictures: nothing to see"),
    ],
)
def test_pictures_that_fail_are_noted_and_the_rest_is_there(run, tmp_path, offer, problem):
    written = write_report(run(offer), tmp_path / "report.html")
    assert written.notices == (f"Pictures are missing: {problem}",)
    assert "after 3 own episodes" in written.path.read_text()


def test_missing_data_and_damaged_or_other_policies(run, tiny_copied, tmp_path):
    record = run()
    folder = policy_folder(read_record(record).result.cell)
    kept = shutil.copytree(folder, tmp_path / "kept")
    shutil.rmtree(tiny_copied / "home" / "stores")
    (notice,) = write_report(record, tmp_path / "report.html").notices
    assert notice == "Pictures are missing: dataset 'medium' is not built: metabench data build tiny --dataset medium"
    facts = json.loads((folder / "training.json").read_text())
    facts["cell"]["seed"], facts["digest"] = 7, None
    (folder / "training.json").write_text(json.dumps(facts))
    (notice,) = write_report(record, tmp_path / "report.html").notices
    assert "a policy of another cell: seed is 7, in the record 0" in notice
    with pytest.raises(MetabenchError, match="seed is 7, in the record 0"):
        write_report(record, tmp_path / "report.html", policy=folder)
    structure = kept / "policy" / "policy" / "structure.json"
    whole = structure.read_bytes()
    structure.write_text("{")
    with pytest.raises(DataError, match=r"structure\.json: its content does not match the hash in training\.json"):
        write_report(record, tmp_path / "report.html", policy=kept)
    structure.write_bytes(whole)
    (tmp_path / "pictured.py").unlink()
    with pytest.raises(MetabenchError, match=r"pictured\.py: no such file"):
        write_report(kept, tmp_path / "report.html")


def test_the_verb_prints_where_the_page_is_and_what_it_lacks(run, tiny_copied, tmp_path, capsys):
    record = run("unfit")
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["report", str(record)])
    printed = capsys.readouterr()
    assert not ended.value.code
    assert printed.out == "report.html\n"
    assert printed.err == "note: Pictures are missing: method 'pictured': pictures: nothing to see\n"
    with pytest.raises(SystemExit) as ended:
        main(["report", str(tmp_path / "gone.json")])
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
