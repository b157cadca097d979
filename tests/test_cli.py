"""python -m unit: files in, files out, and one line for everything that goes wrong."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from unit import UNIT, Sampling, Translator, UNITConfig, load_pretrained, save_pretrained
from unit.checkpoint import partial_name, write_atomic
from unit.cli import files as cli_files
from unit.cli import main, translate
from unit.cli import options as cli_options
from unit.cli.errors import one_line
from unit.cli.info import flops
from unit.cli.processes import gpu
from unit.faces import Box, centred, crop_box, paste
from unit.tiling import TiledImage

ROOT = Path(__file__).parent.parent


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def model(tiny_checkpoint: Path) -> list[str]:
    return ["--model", str(tiny_checkpoint)]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As `start` gives its processes, because rounding may depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A module of this program, or of Python's, as a process in the present folder."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-m", *arguments], env=env, stdout=pipe, stderr=pipe, text=True)


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
    expected = Translator.from_pretrained(tiny_checkpoint).translate(source, "summer", Sampling(1.5, 2, 7))
    assert Image.open("b.png").tobytes() == expected.tobytes()


@pytest.fixture
def of_faces(tmp_path: Path) -> Path:
    """A model of faces, too small to draw any."""
    torch.manual_seed(0)
    config = UNITConfig(dim=4, n_res=1, aligned=True, image_size=32, domain_a="cat", domain_b="dog")
    save_pretrained(UNIT(config), tmp_path / "of-faces")
    return tmp_path / "of-faces"


def test_the_face_step_comes_by_itself(here: Path, of_faces: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Where a face is found, it is translated in its place. Whether one is found: tests/test_finder.py."""
    Image.effect_noise((80, 40), 60).convert("RGB").save("a.png")
    command, translator = ["translate", "a.png", "--to", "dog", "--model", str(of_faces)], Translator
    whole = translator.from_pretrained(of_faces).translate("a.png", "dog").tobytes()
    assert main([*command, "-o", "none.png"]) == 0
    assert Image.open("none.png").tobytes() == whole
    assert "a.png: no face was found, so all of it is taken" in capsys.readouterr().err

    with Image.open("a.png") as before:
        for box, name, options in (
            (centred(before.size), "middle.png", ["--face"]),
            (Box(40, 4, 32), "found.png", []),
            (Box(40, 4, 32), "never.png", ["--no-face"]),
        ):
            if options != ["--face"]:
                monkeypatch.setattr(translate, "find_faces", lambda image: [Box(40, 4, 32), Box(2, 2, 16)])
            assert main([*command, "-o", name, *options]) == 0
            drawn = translator.from_pretrained(of_faces).translate(crop_box(before, box), "dog")
            expected = whole if name == "never.png" else paste(before, drawn, box).tobytes()
            assert Image.open(name).tobytes() == expected
    for options in ([], ["--no-face"]):  # another picture, so it is drawn again
        before_it = sorted(p.stat().st_mtime_ns for p in Path("out").glob("*"))
        assert main([*command, "-o", "out", *options]) == 0
        assert sorted(p.stat().st_mtime_ns for p in Path("out").glob("*")) != before_it


def test_a_model_of_whole_photos_has_no_face_step(here: Path, model: list[str], capsys) -> None:
    photo("a.png")
    assert main(["translate", "a.png", "--to", "winter", "-o", "b.png", "--face", *model]) == 2
    assert "this model translates whole photos, not faces: leave out --face" in capsys.readouterr().err
    assert not Path("b.png").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["translate", "a.png", "--to", "winter", "-o", "taken/out"],
        ["translate", "a.png", "--to", "winter", "-o", "taken/out/b.png"],
        ["sample", "-o", "taken/out"],
        ["interpolate", "a.png", "a.png", "--to", "winter", "-o", "taken/out"],
    ],
    ids=lambda command: command[0],
)
def test_a_folder_that_cannot_be_made_is_said_before_the_work(here: Path, model, command, capsys, monkeypatch) -> None:
    photo("a.png")
    Path("taken").write_text("a file")
    for name in ("draw", "draw_pairs", "draw_path"):
        monkeypatch.setattr(Translator, name, lambda *_, **__: pytest.fail("it works before it knows where to write"))
    assert main([*command, *model]) == 2
    assert re.search(r"-o taken/out cannot be written to \(.+\): choose another folder", capsys.readouterr().err)


def test_heic_photos_without_a_reader_and_thumbnails_of_systems(here: Path, model, capsys, monkeypatch) -> None:
    monkeypatch.setattr(cli_files, "SUFFIXES", frozenset({".jpg", ".png"}))
    for name in ("in/a.jpg", "in/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "in/__MACOSX/a.jpg"):
        photo(name)
    Path("in/b.HEIC").write_bytes(b"heic")
    assert main(["translate", "in", "--to", "winter", "-o", "out", *model]) == 0
    assert files("out") == ["a.jpg"]
    assert "1 HEIC pictures cannot be read and are left out: pip install pillow-heif" in capsys.readouterr().err


def test_names_that_a_terminal_cannot_show_end_nothing(here: Path, model: list[str]) -> None:
    photo("in/\u96ea.png")
    (here / "in" / os.fsdecode(b"caf\xe9.png")).write_bytes(Path("in/\u96ea.png").read_bytes()[:60])
    process = start("unit", "translate", "in", "--to", "winter", "-o", "out", *model, PYTHONIOENCODING="latin-1")
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "damaged or cut short" in errors
    assert files("out") == ["\u96ea.png"]


def test_a_folder_keeps_its_shape(here: Path, model: list[str]) -> None:
    for name in ("one.jpg", "deep/er/two.PNG", "deep/one.webp", "deep/one.png", ".hidden.png", ".git/x.png"):
        photo(f"in/{name}")
    Path("in/notes.txt").write_text("not a picture")
    photo("single.bmp")
    assert main(["translate", "in", "single.bmp", "--to", "winter", "-o", "out", *model]) == 0
    assert files("out") == ["deep/er/two.png", "deep/one.png", "deep/one.webp", "one.jpg", "single.png"]
    command = ["translate", "in", "single.bmp", "--to", "winter", "--format", "png", "-o", "png"]
    assert main([*command, *model]) == 0
    assert files("png") == ["deep/er/two.png", "deep/one.png", "deep/one_webp.png", "one.png", "single.png"]


def test_bad_files_are_told_and_the_rest_is_done(
    here: Path, model: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    photo("in/a.png")
    Path("in/b.jpg").write_bytes(b"no picture at all")
    photo("in/c.jpg")
    assert main(["translate", "in", "away.png", "--to", "winter", "-o", "out", *model]) == 1
    assert files("out") == ["a.png", "c.jpg"]
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("in/b.jpg: b.jpg is not a picture")
    assert lines[1] == "away.png: There is no file away.png."


def test_inputs_are_never_overwritten(here: Path, model: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    photo("in/a.png")
    photo("in/b.bmp")
    before = Path("in/a.png").read_bytes()
    assert main(["translate", "in/a.png", "in/b.bmp", "--to", "winter", "-o", "in", *model]) == 1
    assert "in/a.png is an input and would be overwritten" in capfd.readouterr().err
    os.symlink("in/a.png", "link.png")
    for output in ("in/a.png", "in/../in/a.png", "link.png"):
        assert main(["translate", "in/a.png", "--to", "winter", "-o", output, *model]) == 1
    photo("0001.png")
    assert main(["interpolate", "in/a.png", "0001.png", "--to", "winter", "-o", ".", *model]) == 1
    assert Path("in/a.png").read_bytes() == before
    assert files("in") == ["a.png", "b.bmp", "b.png"]  # b.png hides nothing, so it was drawn
    assert Image.open("0001.png").getpixel((0, 0)) == (0, 128, 128)


def test_drawings_are_no_input_of_the_next_run(here: Path, model: list[str]) -> None:
    photo("in/a.jpg")
    for _ in range(2):
        assert main(["translate", "in", "--to", "winter", "-o", "in/drawn", *model]) == 0
    assert files("in") == ["a.jpg", "drawn/a.jpg"]


def test_sample_and_interpolate(here: Path, model: list[str], tiny_checkpoint: Path) -> None:
    assert main(["sample", "--count", "2", "--size", "30", "18", "--seed", "4", "-o", "pairs", *model]) == 0
    assert files("pairs") == ["0000_summer.png", "0000_winter.png", "0001_summer.png", "0001_winter.png"]
    expected = Translator.from_pretrained(tiny_checkpoint).sample(2, Sampling(1, seed=4), size=(30, 18))
    assert Image.open("pairs/0001_winter.png").tobytes() == expected[1][1].tobytes()

    one, two = photo("a.png"), photo("b.png", (50, 9), "red")
    assert main(["interpolate", "a.png", "b.png", "--to", "winter", "--steps", "3", "-o", "path", *model]) == 0
    path = Translator.from_pretrained(tiny_checkpoint).interpolate(one, two, "winter", 3)
    assert [Image.open(f"path/{name}").tobytes() for name in files("path")] == [p.tobytes() for p in path]


def test_info(here: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(tiny_checkpoint, "seasons")
    Path("seasons/README.md").write_text(
        "---\nlicense: mit\nmodel-index:\n- name: x\n  results: many\ntraining:\n  steps: 400\n---\n# Seasons\nsecret\n"
    )
    assert main(["info", "--model", "seasons", "--size", "64", "32"]) == 0
    shown = capsys.readouterr().out
    parameters = sum(p.numel() for p in load_pretrained("seasons").parameters())
    for part in ("summer (a), winter (b)", "compact", f"{parameters:,}", "64 x 32 pixels", "    steps: 400"):
        assert part in shown
    assert "secret" not in shown
    assert "many" not in shown


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
        (["translate", "in", "--to", "winter", "-o", "in/../in"], "-o in/../in has photos to draw"),
        (["translate", "a.png", "--to", "winter", "-o", "b.gif"], "no drawing can be written as .gif; take .png"),
        (["translate", "a.png", "--to", "winter", "-o", "b.png", "--format", "jpg"], "contradict each other"),
        (["translate", "a.png", "--to", "winter", "-o", "b.png", "--quality", "9"], "--quality is for jpg and webp"),
        (["translate", "in", "--to", "winter", "-o", "x", "--format", "png", "--quality", "9"], "this would be png"),
        (["translate", "in", "--to", "winter", "-o", "x", "--quality", "101"], "must be 100 or less"),
        (["sample", "-o", "x", "--quality", "9"], "this would be png"),
        (["interpolate", "a.png", "a.png", "--to", "winter", "-o", "x", "--quality", "9"], "this would be png"),
        (["translate", "a.png", "--to", "winter"], "required: -o"),
        (["translate", "a.png", "--to", "winter", "-o", "x", "--grain", "0"], "--grain: must be 1 or more"),
        (["translate", "--to", "winter", "-o", "x"], "required: the pictures or folders"),
        (["translate", "a.png", "--to", "winter", "-o", "x", "--face", "--no-face"], "contradict each other"),
        (["translate", "a.png", "--to", "winter", "-o", "x", "--seed", "x"], "--seed: 'x' is not a whole number"),
        (["translate", "a.png", "--to", "winter", "-o", "x", "--colour"], "unrecognized arguments: --colour"),
        (["translate", "a.png", "--to", "winter", "-o", "x", "--format", "gif"], "take one of jpg, png, webp"),
        (["sample", "--size", "0", "4", "-o", "x"], "--size: must be 1 or more"),
        (["sample", "-o", "x", "--size", "4", "--seed", "1"], "--size: 2 values expected"),
        (["interpolate", "a.png", "--to", "winter", "-o", "x"], "required: second"),
        (["benchmark", "--layouts", "huge"], "--layouts: invalid choice 'huge'; take one of compact"),
        (["benchmark", "--sizes", "64"], "--sizes: '64' is not a size: write it as 640x480"),
        (["space", "owner/page", "--models", "mine"], "--models: mine is not the name of a model of the Hub"),
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
    assert main([*arguments, *model] if arguments and arguments[0] != "space" else arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()  # one sentence, without a box
    assert message in line
    assert Path("notes.txt").read_text() == "mine"


def test_failures_are_status_1(here: Path, model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    assert main(["translate", "empty", "--to", "winter", "-o", "out", *model]) == 1
    assert capsys.readouterr().err == "there are no pictures in empty.\n"
    photo("a.png")
    assert main(["translate", "a.png", "--to", "winter", "-o", "out", "--model", "./empty"]) == 1
    assert capsys.readouterr().err == "./empty is not a checkpoint: it has no config.json.\n"
    assert main(["translate", "a.png", "--to", "winter", "-o", "x", "--temperature", "-1", *model]) == 1
    assert capsys.readouterr().err == "temperature is -1.0: it must be 0 or more\n"  # once, not for each photo


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried ...")])
def test_want_of_memory_is_said_in_one_way(error: Exception) -> None:
    assert one_line(error) == "there is not enough memory."


def test_want_of_memory_on_a_cpu_is_said_in_that_way_too() -> None:
    with pytest.raises(RuntimeError) as failure:
        torch.empty(2**50)
    assert one_line(failure.value) == "there is not enough memory."


def test_the_only_checkpoint_is_the_default(
    here: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli_options, "CHECKPOINTS", here / "checkpoints")
    assert main(["info"]) == 2
    assert capsys.readouterr().err == "say which model to use with --model (in checkpoints: none).\n"
    shutil.copytree(tiny_checkpoint, here / "checkpoints" / "seasons")
    assert main(["info"]) == 0
    shutil.copytree(tiny_checkpoint, here / "checkpoints" / "zoo")
    assert main(["info"]) == 2
    assert "in checkpoints: seasons, zoo" in capsys.readouterr().err


def test_of_several_checkpoints_the_one_that_draws_the_domain_is_the_default(
    here: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli_options, "CHECKPOINTS", here / "checkpoints")
    photo("a.png")
    shutil.copytree(tiny_checkpoint, here / "checkpoints" / "seasons")
    zoo = UNITConfig(dim=4, n_res=1, domain_a="cat", domain_b="dog")
    save_pretrained(UNIT(zoo), here / "checkpoints" / "zoo")
    for domain in ("winter", "dog"):
        assert main(["translate", "a.png", "--to", domain, "-o", f"{domain}.png"]) == 0
        assert (here / f"{domain}.png").is_file()
    capsys.readouterr()
    assert main(["translate", "a.png", "--to", "night", "-o", "night.png"]) == 2
    assert "in checkpoints: seasons, zoo" in capsys.readouterr().err


def test_as_a_person_runs_it(here: Path, model: list[str]) -> None:
    photo("a.png")
    Path("b.png").write_bytes(b"x")
    asked = start("unit", "--help")
    drawing = start("unit", "translate", "a.png", "b.png", "--to", "winter", "-o", "out", *model)
    assert "python -m unit translate garden.jpg --to winter -o" in asked.communicate(timeout=100)[0]
    out, err = drawing.communicate(timeout=100)
    assert (asked.returncode, drawing.returncode) == (0, 1)
    assert out == "1 of 2 drawn, 1 failed\n"
    assert err == "b.png: b.png is not a picture this program can read: try a JPEG or PNG file.\n"
    assert files("out") == ["a.png"]


@pytest.mark.parametrize(
    ("started", "name"),
    [("/usr/bin/unit", "unit"), ("C:/unit.exe", "unit"), ("/src/unit/__main__.py", "python -m unit")],
)
def test_help_says_what_was_started(started: str, name: str, capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", [started])
    for words in (["--help"], ["translate", "--help"]):
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 0
        shown = capsys.readouterr().out
        assert shown.startswith(f"usage: {' '.join([name, *words[:-1]])} [-h]")
        assert ("python -m unit" in shown) == (name != "unit")
    for text in (
        "exit status:",
        "In a folder, a result made from the same photo",
        "--face",
        "(default: like the photo",
    ):
        assert text in shown


def moments(folder: str) -> dict[str, int]:
    """When each file was written."""
    return {name: Path(folder, name).stat().st_mtime_ns for name in files(folder)}


def contents(folder: str) -> dict[str, bytes]:
    return {name: Path(folder, name).read_bytes() for name in files(folder)}


def test_a_finished_drawing_is_made_again_only_if_it_would_be_another(
    here: Path, model: list[str], tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo("in/a.png")
    photo("in/b.jpg")

    def drawn(*options: str) -> list[str]:
        """Which files the command wrote; what it prints must agree."""
        before = moments("out") if Path("out").exists() else {}
        assert main(["translate", "in", "-o", "out", "--to", "winter", *model, *options]) == 0
        new = [name for name, moment in moments("out").items() if moment != before.get(name)]
        kept = f", {2 - len(new)} were there already (--again draws them anew)" if len(new) < 2 else ""
        assert capsys.readouterr().out == f"{len(new)} of 2 drawn{kept}\n"
        return new

    both = ["a.png", "b.jpg"]
    assert drawn() == both
    assert drawn() == []
    assert drawn("--seed", "5") == []  # there is no noise
    assert drawn("--to", "summer") == both
    for noise in (["--temperature", "1"], ["--temperature", "1", "--seed", "5"], ["--temperature", "0.5"]):
        assert drawn(*noise) == both
        assert drawn(*noise) == []
    assert drawn("--temperature", "0.5", "--grain", "2") == both
    assert drawn("--temperature", "0.5", "--grain", "2", "--again") == both

    assert drawn() == both
    os.utime("in/a.png")  # a date is not a picture
    assert drawn() == []
    photo("in/a.png", colour="red")
    assert drawn() == ["a.png"]
    write_atomic(Path("out/a.png"), Path("out/a.png").read_bytes()[:-1])
    write_atomic(Path("out/b.jpg"), Path("out/b.jpg").read_bytes()[:-1])
    assert drawn() == both
    Path("out/a.png").write_bytes(b"")
    photo("out/b.jpg")  # of another program
    assert drawn() == both

    assert drawn("--quality", "60") == ["b.jpg"]  # nothing of a PNG depends on it
    assert drawn("--quality", "60") == []
    assert drawn("--format", "webp") == ["a.webp", "b.webp"]
    assert drawn("--format", "webp") == []
    assert drawn() == ["b.jpg"]

    retrained = load_pretrained(tiny_checkpoint)
    next(retrained.parameters()).add_(1)
    save_pretrained(retrained, "retrained")
    assert drawn("--model", "./retrained") == both


def test_drawings_are_files_like_their_photos(here: Path, model: list[str]) -> None:
    """JPEGs with all of their colours, and no larger than is of use."""
    Path("in").mkdir()
    grain = Image.merge("RGB", [Image.effect_noise((200, 150), 60)] * 3)
    for name in ("a.jpg", "b.webp", "c.png", "d.bmp"):
        grain.save(f"in/{name}")
    for options, folder in (([], "out"), (["--format", "jpg", "--quality", "20"], "small")):
        assert main(["translate", "in", "--to", "winter", "-o", folder, *options, *model]) == 0
    assert files("out") == ["a.jpg", "b.webp", "c.png", "d.png"]
    assert files("small") == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    kinds = {"a.jpg": "JPEG", "b.webp": "WEBP", "c.png": "PNG"}
    for name, kind in kinds.items():
        with Image.open(f"out/{name}") as image:
            assert image.format == kind
            image.load()
            if kind == "JPEG":
                assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]
    assert Path("small/a.jpg").stat().st_size < 0.5 * Path("out/a.jpg").stat().st_size

    grain.save("e.jpg")
    assert main(["interpolate", "e.jpg", "in/c.png", "--to", "winter", "--steps", "2", "-o", "path", *model]) == 0
    assert files("path") == ["0000.jpg", "0001.jpg"]
    assert main(["sample", "--format", "webp", "-o", "pairs", *model]) == 0
    assert files("pairs") == ["0000_summer.webp", "0000_winter.webp"]


@pytest.mark.parametrize(
    "name", ["x" * 240 + ".jpg", "雪" * 83 + ".jpg", "雪" * 83 + "aa.jpg"], ids=["latin", "253 bytes", "255 bytes"]
)
def test_results_keep_names_that_disks_take(here: Path, model: list[str], name: str) -> None:
    photo(f"in/{name}")
    command = ["translate", "in", "--to", "winter", *model]
    assert main([*command, "-o", "out"]) == 0
    assert files("out") == [name]
    assert main([*command, "--format", "webp", "-o", "other"]) == 0
    (other,) = files("other")
    assert other.removesuffix(".webp") in (name[:-4], name[:-5])
    photo(f"in/{Path(name).with_suffix('.png')}")
    assert main([*command, "--format", "png", "-o", "both"]) == 0
    assert len({*files("both"), Path(name).with_suffix(".png").name}) == 2
    partial = Path("out", f"{partial_name(Path('out', name))}.1-1.tmp")
    partial.write_bytes(b"half")  # of a process that was killed
    assert main([*command, "-o", "out"]) == 0
    assert not partial.exists()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["translate", "wide.png", "--to", "winter", "-o", "out.jpg"], "65501 x 1 pixels are too many for a JPEG"),
        (["translate", "wide.png", "--to", "winter", "-o", "out", "--format", "webp"], "WEBP file, which holds 16383"),
        (["sample", "--size", "1", "16384", "--format", "webp", "-o", "out"], "1 x 16384 pixels are too many"),
        (["interpolate", "wide.png", "a.png", "--to", "winter", "--format", "jpg", "-o", "out"], "write a PNG"),
    ],
    ids=["jpg", "webp", "sample", "interpolate"],
)
def test_pictures_that_a_format_cannot_hold_are_not_drawn(here: Path, model, command, told, capsys, monkeypatch):
    photo("wide.png", (65501, 1))
    photo("a.png")
    monkeypatch.setattr(TiledImage, "__next__", lambda _: pytest.fail("it draws what cannot be saved"))
    assert main([*command, *model]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if told in line] == lines[-1:]


def test_a_disk_that_is_full_ends_the_work_and_says_what_is_saved(here: Path, model, capsys, monkeypatch) -> None:
    room = 2

    def full(path: Path, data: bytes) -> None:
        if len(files(str(path.parent))) == room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        path.write_bytes(data)

    monkeypatch.setattr(cli_files, "write_atomic", full)
    for i in range(4):
        photo(f"in/{i}.png")
    assert main(["translate", "in", "--to", "winter", "-o", "out", *model]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("2 of 4 drawn, 1 failed, stopped as there is no room")
    assert err == "in/2.png: out/2.png: No space left on device.\n"
    assert main(["interpolate", "in/0.png", "in/1.png", "--to", "winter", "-o", "path", *model]) == 1
    assert capsys.readouterr().err == "path/0002.png: No space left on device. 2 of 8 pictures are saved.\n"
    assert main(["sample", "--count", "3", "-o", "pairs", *model]) == 1
    assert "2 of 6 pictures are saved." in capsys.readouterr().err


def test_pictures_are_saved_as_they_are_made(here: Path, model: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is saved at the moment that a tile is drawn: all pictures before its own."""
    saved, draw = [], TiledImage.__next__
    monkeypatch.setattr(TiledImage, "__next__", lambda drawing: saved.append(len(files("out"))) or draw(drawing))
    photo("a.png")
    assert main(["interpolate", "a.png", "a.png", "--to", "winter", "--steps", "3", "-o", "out", *model]) == 0
    assert sorted(set(saved)) == [0, 1, 2]
    saved.clear()
    shutil.rmtree("out")
    assert main(["sample", "--count", "2", "-o", "out", *model]) == 0
    assert sorted(set(saved)) == [0, 1, 2, 3]


def test_a_drawing_named_as_a_file_is_always_made(
    here: Path, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    photo("a.jpg")
    for _ in range(2):
        photo("b.png", colour="red")
        assert main(["translate", "a.jpg", "--to", "winter", "-o", "b.png", *model]) == 0
        assert Image.open("b.png").getpixel((0, 0)) != (255, 0, 0)
        assert capsys.readouterr().out == ""


def test_nothing_of_a_photo_but_its_pixels_is_in_a_drawing(here: Path, model: list[str]) -> None:
    exif = Image.Exif()
    exif[0x010E] = "my garden"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 13.0)})  # where it was taken
    Path("in").mkdir()
    Image.new("RGB", (20, 12), "teal").save("in/a.jpg", exif=exif, comment=b"my garden")
    assert b"my garden" in Path("in/a.jpg").read_bytes()
    for kind in ("jpg", "webp", "png"):
        assert main(["translate", "in", "--to", "winter", "--format", kind, "-o", "out", *model]) == 0
        assert b"my garden" not in Path("out", f"a.{kind}").read_bytes()
        with Image.open(f"out/a.{kind}") as image:
            assert not image.getexif()
            assert not {"comment", "xmp", "icc_profile"} & image.info.keys()
    with Image.open("out/a.png") as image:
        image.load()
        assert not image.info
        assert not image.getexif()
        ((name, mark, _),) = image.private_chunks  # type: ignore[attr-defined]
    assert (name, len(mark)) == (b"unIT", 32)


@pytest.mark.parametrize("names", [("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS")])
def test_each_process_draws_its_share(
    names: tuple[str, str],
    here: Path,
    model: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for i in range(7):
        photo(f"in/{i % 2}/{i}.png", (20 + i, 12))
    command = ["translate", "in", "--to", "winter", "--temperature", "1", "--seed", "3", *model]
    assert main([*command, "-o", "one"]) == 0
    so_far: set[str] = set()
    for rank, share in enumerate((3, 2, 2)):
        for name, value in zip(names, (rank, 3), strict=True):
            monkeypatch.setenv(name, str(value))
        capsys.readouterr()
        assert main([*command, "-o", "three"]) == 0
        assert capsys.readouterr().out == f"process {rank + 1} of 3: {share} of {share} drawn\n"
        assert len(set(files("three")) - so_far) == share
        so_far |= set(files("three"))
    assert contents("three") == contents("one")


def test_a_process_that_is_none_of_them_is_refused(
    here: Path, model: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photo("a.png")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("2", "-1", "first"):
        monkeypatch.setenv("RANK", rank)
        assert main(["translate", "a.png", "--to", "winter", "-o", "out", *model]) == 2
        expected = f"RANK={rank} and WORLD_SIZE=2 do not say which of how many processes this is.\n"
        assert capsys.readouterr().err == expected


def test_two_processes_of_torchrun(here: Path, model: list[str], one_thread: None) -> None:
    """One meets a file that is no picture first, and must not take the other down with it."""
    Path("in").mkdir()
    Path("in/0.png").write_bytes(b"x")
    for i in range(1, 9):
        photo(f"in/{i}.png", (300 + i, 200), "red" if i % 3 else "teal")
    command = ["translate", "in", "--to", "winter", "--temperature", "1", "--seed", "3", *model]
    torchrun = start("torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "unit", *command, "-otwo")
    assert main([*command, "-o", "one"]) == 1
    out, err = torchrun.communicate(timeout=200)
    assert torchrun.returncode == 0, err
    assert sorted(out.splitlines()) == ["process 1 of 2: 4 of 5 drawn, 1 failed", "process 2 of 2: 4 of 4 drawn"]
    assert "in/0.png: 0.png is not a picture" in err
    assert contents("two") == contents("one")
    assert len(contents("one")) == 8


def test_stopped_and_killed_processes_lose_nothing(
    here: Path, model: list[str], one_thread: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(16):
        photo(f"in/{i:02d}.png", (640, 480 + i))
    command = ["translate", "in", "--to", "winter", "-o", "out", *model]
    stopped, killed = (start("unit", *command, RANK=str(rank), WORLD_SIZE="2") for rank in (0, 1))
    try:
        ends = {"00.png": (stopped, signal.SIGTERM), "01.png": (killed, signal.SIGKILL)}  # each after its first photo
        deadline = time.monotonic() + 100
        while ends and time.monotonic() < deadline:
            for first in [name for name in ends if Path("out", name).exists()]:
                process, number = ends.pop(first)
                process.send_signal(number)
            time.sleep(0.005)
        out, err = stopped.communicate(timeout=100)
        killed.communicate(timeout=100)
    finally:
        stopped.kill()
        killed.kill()
    assert (stopped.returncode, killed.returncode) == (0, -signal.SIGKILL), err
    assert out.startswith("process 1 of 2: ")
    assert out.endswith(" of 8 drawn, stopped by SIGTERM: the same command goes on\n")

    if not (child := os.fork()):  # and one that is killed while it writes
        os.replace = lambda *_: os._exit(0)  # type: ignore[assignment]
        write_atomic(Path("out/03.png"), b"half")
    os.waitpid(child, 0)
    assert len([name for name in files("out") if name.startswith(".03.png.")]) == 1

    before = {name: moment for name, moment in moments("out").items() if not name.startswith(".")}
    assert 2 <= len(before) < 16
    assert main(command) == 0
    rest = 16 - len(before)
    assert capsys.readouterr().out.startswith(f"{rest} of 16 drawn, {16 - rest} were there already")
    assert files("out") == files("in")
    assert before.items() <= moments("out").items()

    result = contents("out")
    assert main([*command, "--again"]) == 0
    assert contents("out") == result


def test_processes_take_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that says it has two; to name a device needs no driver."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [str(gpu(local)) for local in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]
