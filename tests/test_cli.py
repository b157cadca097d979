"""python -m unit: files in, files out, and one line for everything that goes wrong."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from unit import Translator, UNITConfig, __main__, load_pretrained
from unit.__main__ import flops, main

ROOT = Path(__file__).parent.parent


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def model(tiny_checkpoint: Path) -> list[str]:
    return ["--model", str(tiny_checkpoint)]


def photo(path: str, size: tuple[int, int] = (20, 12), colour: str = "teal") -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return Path(path)


def files(folder: str) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*") if p.is_file())


def test_one_photo_to_one_file(here: Path, model: list[str], tiny_checkpoint: Path) -> None:
    source = photo("a.jpg")
    assert main(["translate", "a.jpg", "--to", "winter", "-o", "out/b.png", *model]) == 0
    expected = Translator.from_pretrained(tiny_checkpoint).translate(source, "winter")
    assert Image.open("out/b.png").tobytes() == expected.tobytes()
    for name in ("b.JPG", "b.webp", "b.tiff"):
        assert main(["translate", "a.jpg", "--to", "winter", "-o", name, *model]) == 0
        assert Image.open(name).size == (20, 12)


def test_noise_options_reach_the_translator(here: Path, model: list[str], tiny_checkpoint: Path) -> None:
    source = photo("a.png")
    noise = ["--temperature", "1.5", "--grain", "2", "--seed", "7"]
    assert main(["translate", "a.png", "--to", "summer", "-o", "b.png", *noise, *model]) == 0
    expected = Translator.from_pretrained(tiny_checkpoint).translate(source, "summer", temperature=1.5, grain=2, seed=7)
    assert Image.open("b.png").tobytes() == expected.tobytes()


def test_a_folder_keeps_its_shape(here: Path, model: list[str]) -> None:
    for name in ("one.jpg", "deep/er/two.PNG", "deep/one.webp", "deep/one.png", ".hidden.png", ".git/x.png"):
        photo(f"in/{name}")
    Path("in/notes.txt").write_text("not a picture")
    photo("single.bmp")
    assert main(["translate", "in", "single.bmp", "--to", "winter", "-o", "out", *model]) == 0
    assert files("out") == ["deep/er/two.png", "deep/one.png", "deep/one_webp.png", "one.png", "single.png"]


def test_bad_files_are_told_and_the_rest_is_done(
    here: Path, model: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    photo("in/a.png")
    Path("in/b.jpg").write_bytes(b"no picture at all")
    photo("in/c.png")
    assert main(["translate", "in", "away.png", "--to", "winter", "-o", "out", *model]) == 1
    assert files("out") == ["a.png", "c.png"]
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("in/b.jpg: b.jpg is not a picture")
    assert lines[1] == "away.png: There is no file away.png."


def test_inputs_are_never_overwritten(here: Path, model: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    photo("in/a.png")
    photo("in/b.jpg")
    before = Path("in/a.png").read_bytes()
    assert main(["translate", "in", "--to", "winter", "-o", "in", *model]) == 1
    assert "in/a.png is an input and would be overwritten" in capfd.readouterr().err
    os.symlink("in/a.png", "link.png")
    for output in ("in/a.png", "in/../in/a.png", "link.png"):
        assert main(["translate", "in/a.png", "--to", "winter", "-o", output, *model]) == 1
    photo("0001.png")
    assert main(["interpolate", "in/a.png", "0001.png", "--to", "winter", "-o", ".", *model]) == 1
    assert Path("in/a.png").read_bytes() == before
    assert files("in") == ["a.png", "b.jpg", "b.png"]  # b.png hides nothing, so it was drawn
    assert Image.open("0001.png").getpixel((0, 0)) == (0, 128, 128)


def test_drawings_are_no_input_of_the_next_run(here: Path, model: list[str]) -> None:
    photo("in/a.jpg")
    for _ in range(2):
        assert main(["translate", "in", "--to", "winter", "-o", "in/drawn", *model]) == 0
    assert files("in") == ["a.jpg", "drawn/a.png"]


def test_sample_and_interpolate(here: Path, model: list[str], tiny_checkpoint: Path) -> None:
    assert main(["sample", "--count", "2", "--size", "30", "18", "--seed", "4", "-o", "pairs", *model]) == 0
    assert files("pairs") == ["0000_summer.png", "0000_winter.png", "0001_summer.png", "0001_winter.png"]
    expected = Translator.from_pretrained(tiny_checkpoint).sample(2, size=(30, 18), seed=4)
    assert Image.open("pairs/0001_winter.png").tobytes() == expected[1][1].tobytes()

    one, two = photo("a.png"), photo("b.png", (50, 9), "red")
    assert main(["interpolate", "a.png", "b.png", "--to", "winter", "--steps", "3", "-o", "path", *model]) == 0
    path = Translator.from_pretrained(tiny_checkpoint).interpolate(one, two, "winter", 3)
    assert [Image.open(f"path/{name}").tobytes() for name in files("path")] == [p.tobytes() for p in path]


def test_info(here: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(tiny_checkpoint, "seasons")
    Path("seasons/README.md").write_text("---\nlicense: mit\ntraining:\n  steps: 400\n---\n# Seasons\nsecret\n")
    assert main(["info", "--model", "seasons", "--size", "64", "32"]) == 0
    shown = capsys.readouterr().out
    parameters = sum(p.numel() for p in load_pretrained("seasons").parameters())
    for part in ("summer (a), winter (b)", "compact", f"{parameters:,}", "64 x 32 pixels", "    steps: 400"):
        assert part in shown
    assert "secret" not in shown


def test_flops_are_those_of_the_convolutions() -> None:
    """Counted by hand for the paper's layout without residual blocks: two for each multiplication."""
    config = UNITConfig(layout="paper", dim=4, n_res=0, n_res_shared=0)
    full, half, quarter = 32 * 16, 16 * 8, 8 * 4  # pixels at each resolution
    encoder = full * 49 * 3 * 4 + half * 9 * 4 * 8 + quarter * 9 * 8 * 16
    decoder = quarter * 9 * 16 * 8 + half * 9 * 8 * 4 + full * 4 * 3
    assert flops(config, 32, 16) == flops(config, 30, 13) == 2 * (encoder + decoder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["translate", "a.png", "--to", "autumn", "-o", "out"], "--to autumn: this model draws summer and winter"),
        (["translate", "a.png", "in", "--to", "winter", "-o", "b.png"], "-o b.png is one file"),
        (["translate", "in", "--to", "winter", "-o", "b.jpg"], "-o b.jpg is one file"),
        (["translate", "a.png", "--to", "winter", "-o", "notes.txt"], "notes.txt is not a folder"),
        (["translate", "a.png", "--to", "winter"], "required: -o"),
        (["translate", "a.png", "--to", "winter", "-o", "x", "--grain", "0"], "--grain: must be 1 or more"),
        (["sample", "--size", "0", "4", "-o", "x"], "--size: must be 1 or more"),
        (["paint"], "invalid choice"),
        ([], "required"),
    ],
)
def test_usage_errors_are_status_2(
    arguments: list[str], message: str, here: Path, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    photo("a.png")
    photo("in/b.png")
    Path("notes.txt").write_text("mine")
    try:
        status = main([*arguments, *model] if arguments else [])
    except SystemExit as end:  # argparse's own way
        status = int(str(end.code))
    assert status == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert Path("notes.txt").read_text() == "mine"


def test_failures_are_status_1(here: Path, model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    assert main(["translate", "empty", "--to", "winter", "-o", "out", *model]) == 1
    assert capsys.readouterr().err == "there are no pictures in empty.\n"
    photo("a.png")
    assert main(["translate", "a.png", "--to", "winter", "-o", "out", "--model", "./empty"]) == 1
    assert capsys.readouterr().err == "./empty is not a checkpoint: it has no config.json.\n"
    Path("blocked").write_text("a file")
    assert main(["sample", "-o", "blocked/deeper", *model]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["translate", "a.png", "--to", "winter", "-o", "x", "--temperature", "-1", *model]) == 1
    assert capsys.readouterr().err == "a.png: temperature is -1.0: it must be 0 or more\n"


def test_the_only_checkpoint_is_the_default(
    here: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(__main__, "CHECKPOINTS", here / "checkpoints")
    assert main(["info"]) == 2
    assert capsys.readouterr().err == "say which model to use with --model (in checkpoints: none).\n"
    shutil.copytree(tiny_checkpoint, here / "checkpoints" / "seasons")
    assert main(["info"]) == 0
    shutil.copytree(tiny_checkpoint, here / "checkpoints" / "zoo")
    assert main(["info"]) == 2
    assert "in checkpoints: seasons, zoo" in capsys.readouterr().err


def test_as_a_person_runs_it(here: Path, model: list[str]) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "unit", *arguments]
        return subprocess.run(
            command, cwd=here, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=100
        )

    help_text = run("--help")
    assert help_text.returncode == 0
    assert "python -m unit translate garden.jpg --to winter -o" in help_text.stdout
    photo("a.png")
    Path("b.png").write_bytes(b"x")
    done = run("translate", "a.png", "b.png", "--to", "winter", "-o", "out", *model)
    assert done.returncode == 1
    assert done.stderr == "b.png: b.png is not a picture this program can read: try a JPEG or PNG file.\n"
    assert files("out") == ["a.png"]
