"""The page of a run: whole, self-contained, and right about the numbers."""

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from tests.photos import seasons
from tests.test_parallel import make_config
from train.loop import train
from train.tools.report import POINTS, curve, main, report


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    data = str(seasons(tmp_path_factory.mktemp("seasons")))
    train(make_config(data, folder / "a&b", steps=4, sample_every=2, save_every=2))
    return folder / "a&b"


def test_the_page_holds_curves_grids_and_options_and_asks_for_nothing(run):
    assert main([str(run)]) == 0
    page = (run / "report.html").read_text()
    HTMLParser().feed(page)
    assert "<title>a&amp;b</title>" in page
    assert "Step 4 of 4" in page
    assert page.count("<svg") == page.count("</svg>") >= 4
    assert "KID" not in page  # this run took no measures
    grids = re.findall(r'src="data:image/jpeg;base64,([^"]+)" alt="Step (\d)"', page)
    assert [step for _, step in grids] == ["4", "2"]
    with Image.open(io.BytesIO(base64.b64decode(grids[0][0]))) as image:
        image.load()
        assert image.format == "JPEG"
    assert str(run.parent) not in page
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "url(http" not in page


def test_it_can_be_made_while_the_run_goes_on(run, tmp_path):
    (tmp_path / "metrics.jsonl").write_text((run / "metrics.jsonl").read_text() + '{"step": 5, "rec')
    page = report(tmp_path)
    assert "Step 4" in page
    assert "None yet." in page


def test_a_grid_that_was_cut_short_costs_only_itself(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    cut = tmp_path / "run" / "samples" / "step-00000004.png"
    cut.write_bytes(cut.read_bytes()[:500])
    page = report(tmp_path / "run")
    assert "step-00000004.png cannot be read" in page
    assert page.count('src="data:image/jpeg') == 1


def test_a_long_curve_is_averaged_and_what_is_not_finite_left_out():
    rows = [{"step": i, "d": float(i % 2)} for i in range(2 * POINTS)]
    rows += [{"step": 2 * POINTS, "d": float("nan")}, {"step": 2 * POINTS + 1, "gan": 1.0}]
    points = curve(rows, "d")
    assert len(points) == POINTS
    assert all(value == 0.5 for _, value in points)
    assert points[0][0] == 0.5


def test_measures_get_charts(tmp_path):
    lines = [{"step": s, "kid_ab": 0.1 / s, "kid_ba": 0.2 / s, "d": 1.0} for s in (1, 2, 3)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "KID to the target" in report(tmp_path)


def test_a_folder_that_is_no_run_gets_one_sentence(tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 1
    assert "name the --run-dir of a run that has begun" in capsys.readouterr().err


def test_the_log_is_written_for_tensorboard_too_and_survives_a_resume(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    data = str(seasons(tmp_path))
    config = make_config(data, tmp_path / "run", steps=3, save_every=2, tensorboard=True)
    train(config.replace(steps=2))
    train(config)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [(e.step, pytest.approx(e.value, rel=1e-3)) for e in events.Scalars("recon")] == [
        (line["step"], line["recon"]) for line in lines
    ]
    assert [line["step"] for line in lines] == [1, 2, 3]
