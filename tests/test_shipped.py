"""The weights that ship: whole, small, and still drawing what they drew when they were committed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from unit import Translator
from unit.images import load_image

ROOT = Path(__file__).parent.parent
MODELS = [ROOT / "checkpoints" / name for name in ("cat2dog", "day2night", "summer2winter")]


@pytest.fixture(scope="module", params=MODELS, ids=lambda path: path.name)
def folder(request) -> Path:
    return request.param


@pytest.fixture(scope="module")
def translator(folder) -> Translator:
    return Translator.from_pretrained(folder, device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def photo(folder) -> Image.Image:
    return example(folder)


def example(folder: Path) -> Image.Image:
    """An example photo of domain a, small."""
    name, size = {
        "cat2dog": ("Chelsea", (240, 160)),
        "day2night": ("Palace-by-day", (240, 160)),
        "summer2winter": ("Summer-Palace", (240, 160)),
    }[folder.name]
    return load_image(folder / "examples" / f"{name}.jpg").resize(size, Image.Resampling.LANCZOS)


def levels(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference in grey levels, 0 to 255."""
    return float(np.abs(np.asarray(one, np.float32) - np.asarray(other, np.float32)).mean())


def test_files(folder):
    weights = folder / "model.safetensors"
    assert weights.stat().st_size < 25e6
    assert {w.dtype for w in load_file(weights).values()} == {torch.float16}
    card = (folder / "README.md").read_text()
    for word in ("license:", "photos_seen:", "steps", "Limits"):
        assert word in card
    assert (folder / "examples" / "README.md").is_file()


def test_it_draws_the_recorded_pictures(folder, translator, photo):
    """To make them anew after new weights: python -m tests.test_shipped"""
    for name in translator.domains:
        recorded = Image.open(recording(folder, name))
        assert levels(translator.translate(photo, name), recorded) < 1


def test_the_picture_changes_and_the_scene_comes_back(translator, photo):
    a = translator.domains[0]  # the example photos are of domain a
    x_ab, x_aba = translator.cycle(photo, a)
    drawn_again = levels(translator.reconstruct(photo, a), photo)
    assert drawn_again < 12
    assert drawn_again < levels(x_aba, photo) < levels(x_ab, photo)
    assert levels(x_ab, photo) > 12


def test_no_checkerboard(translator, photo):
    """Little of a drawing alternates from pixel to pixel: no more than of the photo itself."""

    def alternating(image: Image.Image) -> float:
        x = np.asarray(image.convert("L"), np.float32)
        signs = np.indices(x.shape).sum(0) % 2 * 2.0 - 1
        height, width = (side // 8 for side in x.shape)
        blocks = (x * signs).reshape(height, 8, width, 8).mean((1, 3))  # the pattern's amplitude in 8x8 squares
        return float(np.abs(blocks).mean())

    for name in translator.domains:
        assert alternating(translator.translate(photo, name)) < max(1.5 * alternating(photo), 0.5)


def recording(folder: Path, name: str) -> Path:
    return ROOT / "tests" / "recorded" / f"{folder.name}-{name}.png"


if __name__ == "__main__":
    (ROOT / "tests" / "recorded").mkdir(exist_ok=True)
    for folder in MODELS:
        translator = Translator.from_pretrained(folder, device="cpu", dtype=torch.float32)
        for name in translator.domains:
            translator.translate(example(folder), name).save(recording(folder, name))
