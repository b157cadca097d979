"""Room for a second model: a toy that shares nothing with UNIT is saved, found by its name, loaded and translates."""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toy_model import Toy, ToyConfig

from tests.photos import seasons
from train.config import TrainConfig
from train.loop import train
from train.state import TrainState
from unit import Sampling, Translator, load_pretrained, pipeline, save_pretrained
from unit.checkpoint import CheckpointError
from unit.images import to_image, to_tensor
from unit.models import MODELS


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "toy", (ToyConfig, Toy))


@pytest.fixture
def toy() -> Toy:
    torch.manual_seed(0)
    return Toy(ToyConfig(domain_a="summer", domain_b="winter"))


@pytest.fixture
def translator(toy: Toy) -> Translator:
    return Translator(toy, "cpu", torch.float32)


def photo(colour: tuple[int, int, int] = (120, 60, 30), size: tuple[int, int] = (50, 30)) -> Image.Image:
    """Some stripes around a colour."""
    waves = 20 * np.sin(np.arange(size[0]) / 3)[None, :, None] + np.zeros((size[1], 1, 1))
    return Image.fromarray((np.array(colour) + waves).clip(0, 255).astype(np.uint8))


def mean_colour(image: Image.Image) -> np.ndarray:
    return np.asarray(image, float).mean((0, 1))


def test_it_is_saved_and_found_by_its_name(toy: Toy, tmp_path: Path) -> None:
    save_pretrained(toy, tmp_path, dtype=torch.float32)
    loaded = load_pretrained(tmp_path)
    assert isinstance(loaded, Toy)
    assert loaded.config == toy.config
    assert all(torch.equal(loaded.state_dict()[key], w) for key, w in toy.state_dict().items())
    here, there = (t.translate(photo(), "winter") for t in (Translator(toy, "cpu"), Translator(loaded, "cpu")))
    assert here == there == Translator.from_pretrained(tmp_path, device="cpu").translate(photo(), "winter")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "cyclegan"}, "is of a model 'cyclegan', and this program knows unit, munit and toy: update it."),
        ({"format": 2}, "has format 2, newer than 1: update this program."),
        ({"layout": "paper"}, "has an unknown field 'layout'"),
        ({"dim": 8}, "does not fit its config.json"),
        ({"domain_b": "summer"}, "gives both domains the name summer"),
    ],
)
def test_what_is_wrong_with_it_is_refused_as_ever(change: dict, message: str, toy: Toy, tmp_path: Path) -> None:
    save_pretrained(toy, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(CheckpointError) as caught:
        load_pretrained(tmp_path)
    assert message in str(caught.value)


@pytest.mark.parametrize("size", [(1, 1), (37, 61)])
def test_every_verb_translates(translator: Translator, size: tuple[int, int]) -> None:
    image, noise = photo(size=size), Sampling(1, 2, 3)
    encoded = translator.encode(image, "summer")
    assert translator.decode(encoded, "winter", noise) == translator.translate(image, "winter", noise)
    assert translator.decode(encoded, "summer") == translator.reconstruct(image, "summer")
    walk = list(translator.walk(encoded, "winter", 3, noise))
    assert walk[0] == translator.decode(encoded, "winter", noise)
    assert all(one != other for one, other in pairwise(walk))
    drawn = translator.translate_batch(to_tensor(image, 3), "summer", "winter", noise)
    assert to_image(drawn) == translator.translate(image, "winter", noise)
    others = [*translator.cycle(image, "winter"), *translator.interpolate(image, photo(), "winter", 2)]
    others += translator.sample(size=size)[0]
    assert all(other.size == size for other in others)


def test_a_translation_never_has_the_style_of_its_photo(translator: Translator) -> None:
    """Its colour, which is the toy's style, is kept in the photo's own domain and left behind on the way to another."""
    red, blue = photo((150, 60, 60)), photo((60, 60, 150))
    assert translator.translate(red, "winter") == translator.translate(blue, "winter")
    same = [mean_colour(translator.reconstruct(image, "summer")) for image in (red, blue)]
    assert np.abs(same[0] - same[1]).max() > 50


@pytest.mark.parametrize("tiled", [False, True])
def test_a_photo_can_be_followed_in_its_style(
    tiled: bool, translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    if tiled:
        monkeypatch.setattr(pipeline, "MAX_BYTES", 100 * 64**2)
    image = photo(size=(150, 130))
    assert (len(translator.draw(image, "winter")) > 1) == tiled
    followed = {colour: photo(colour) for colour in ((160, 90, 70), (60, 100, 120))}
    drawn = {
        colour: translator.translate(image, "winter", Sampling(style_image=example))
        for colour, example in followed.items()
    }
    one, other = (mean_colour(drawn[colour]) - mean_colour(example) for colour, example in followed.items())
    np.testing.assert_allclose(one, other, atol=1.5)  # the content's own colour, whatever the style
    encoded = translator.encode(image, "summer")
    for colour, example in followed.items():
        again = np.asarray(translator.decode(encoded, "winter", Sampling(style_image=example)), int)
        assert tiled or np.abs(again - np.asarray(drawn[colour], int)).max() == 0


@dataclass(frozen=True)
class ToyWeights:
    """The terms that the toy has, and those that every model has."""

    gan: float = 1.0
    recon: float = 10.0
    perceptual: float = 0.0


def test_it_is_trained_by_the_same_step_stopped_resumed_and_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps in one go are a step, a checkpoint, and a step; and what they leave is loaded and translates."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    data = str(seasons(tmp_path / "data"))

    def config(run: str, steps: int) -> TrainConfig:
        settings = {"discriminator": "patch", "d_dim": 4, "precision": "fp32", "device": "cpu", "compile": False}
        return TrainConfig.of(
            data=data, run_dir=tmp_path / run, steps=steps, batch_size=2, workers=0, sample_every=2,
            model=ToyConfig(domain_a="summer", domain_b="winter"), weights=ToyWeights(), **settings,
        )  # fmt: skip  # type: ignore[arg-type]

    train(config("whole", 2))
    train(config("parts", 1))
    train(config("parts", 2))
    whole, parts = (TrainState.build(config(run, 2)) for run in ("whole", "parts"))
    start = {name: tensor.clone() for name, tensor in whole.tensors().items()}
    for state in (whole, parts):
        state.resume()
    assert whole.step == parts.step == 2
    ours, theirs = whole.tensors(), parts.tensors()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert any(not torch.equal(ours[name], start[name]) for name in ours if name.startswith("model."))
    assert (tmp_path / "whole" / "samples" / "step-00000002.png").is_file()

    save_pretrained(whole.ema, tmp_path / "toy", dtype=torch.float32)
    assert isinstance(load_pretrained(tmp_path / "toy"), Toy)
    drawn = Translator.from_pretrained(tmp_path / "toy", device="cpu").translate(photo(), "winter")
    assert drawn == Translator(whole.ema, "cpu").translate(photo(), "winter")
    assert drawn.size == (50, 30)
