"""The table of whether presets hold: its rows, and what it calls collapsed and diverged."""

from pathlib import Path

import pytest

from tests.photos import seasons
from train.tools import stability

SMALL = ["--steps", "2", "--size", "64", "--dim", "4", "--batch-size", "2", "--seeds", "2", "--photos", "2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seasons(tmp_path_factory.mktemp("seasons"))


def last_row(out: str) -> list[str]:
    return [cell.strip() for cell in out.splitlines()[-1].strip("|").split("|")]


def test_a_row_for_each_preset(data, capsys):
    assert stability.main(["--data", str(data), "--presets", "master2018", *SMALL]) == 0
    name, ab, ba, recon, skipped, bad = last_row(capsys.readouterr().out)
    assert (name, skipped) == ("master2018", "0")
    assert bad in ("0 of 2", "1 of 2", "2 of 2")
    for cell in (ab, ba, recon):
        mean, least, _, most = cell.replace("(", "").replace(")", "").split()
        assert float(least) <= float(mean) <= float(most)


def test_a_run_that_diverges_is_counted(data, capsys, monkeypatch):
    """Training itself stops there, with a message; the table has a row for it."""
    told, preset = stability.presets("")["master2018"]
    wild = preset.replace(lr_g=1e38, max_skipped=1)
    monkeypatch.setattr(stability, "presets", lambda data: {"master2018": (told, wild)})
    more = [*SMALL, "--steps", "6", "--seeds", "1"]
    assert stability.main(["--data", str(data), "--presets", "master2018", *more]) == 0
    *_, skipped, bad = last_row(capsys.readouterr().out)
    assert (skipped, bad) == ("2", "1 of 1")


def test_what_is_missing_is_said_before_the_training(data, tmp_path, capsys, monkeypatch):
    for name in ("trainA", "trainB"):
        (tmp_path / name).symlink_to(data / name)
    monkeypatch.setattr(stability, "train_step", None)
    assert stability.main(["--data", str(tmp_path), "--presets", "master2018", *SMALL]) == 1
    assert "needs testA and testB" in capsys.readouterr().err
