"""The kinds of photos that a model knows: what is learnt, what is made of a file, and what the shipped ones say."""

import errno
import os
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch
from photos import seasons
from PIL import ImageOps

from train.tools.familiar import MARGIN, k_means, learn, main
from unit.checkpoint import FAMILIAR
from unit.familiar import FEATURES, Familiar, features
from unit.images import load_image

ROOT = Path(__file__).parent.parent
CHELSEA = Path(__file__).parent / "data" / "cat_chelsea.jpg"
SCENES = ["summer2winter", "day2night"]


def blobs(n: int) -> torch.Tensor:
    """n photos of each of three kinds, far from each other and each within one unit of its middle: (3 n, FEATURES)."""
    middles = 100 * torch.eye(FEATURES)[:3]
    noise = torch.rand(n, 3, FEATURES, generator=torch.Generator().manual_seed(0)) - 0.5
    return (middles + 2 * noise / FEATURES**0.5).flatten(0, 1)


def test_k_means_finds_kinds_that_are_far_from_each_other():
    x = blobs(20)
    centres = k_means(x, 3)
    assert torch.allclose(centres, x.view(20, 3, FEATURES).mean(0), atol=1e-5)


def test_the_limit_is_a_little_beyond_the_photos_that_were_kept_apart():
    x = blobs(20)
    known = learn(x, 3)
    inside = known.distances(x)
    assert (inside <= known.limit).float().mean() > 0.95
    assert known.limit <= MARGIN * inside.max()
    stranger = torch.full((1, FEATURES), 50.0)
    assert known.distances(stranger) > 10 * known.limit


@pytest.mark.parametrize(
    ("photos", "kinds", "said"), [(9, 3, "9 photos are too few for 3 kinds"), (9, 0, "--kinds is 0")]
)
def test_too_few_photos_are_one_sentence(photos, kinds, said):
    with pytest.raises(ValueError, match=said):
        learn(torch.rand(photos, FEATURES), kinds)


def test_a_file_gives_what_was_saved(tmp_path):
    known = learn(blobs(10), 3)
    known.save(tmp_path)
    again = Familiar.load(tmp_path)
    for one, other in zip(known, again, strict=True):
        assert torch.allclose(one, other, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize(
    "content",
    [
        b"no tensors",
        safetensors.torch.save({"centres": torch.zeros(3, FEATURES)}),
        safetensors.torch.save({"centres": torch.zeros(3, 5), "deviation": torch.ones(5), "limit": torch.ones(())}),
        safetensors.torch.save(
            {"centres": torch.zeros(0, FEATURES), "deviation": torch.ones(FEATURES), "limit": torch.ones(())}
        ),
    ],
    ids=["no file of tensors", "some are missing", "other features", "no kinds"],
)
def test_what_cannot_be_used_is_as_if_it_were_not_there(tmp_path, caplog, content):
    (tmp_path / FAMILIAR).write_bytes(content)
    assert Familiar.load(tmp_path) is None
    assert "cannot be used" in caplog.text
    assert Familiar.load(tmp_path / "nothing") is None
    assert Familiar.load(None) is None


def test_the_command_looks_at_training_photos(tmp_path, tiny_checkpoint, capsys):
    checkpoint = shutil.copytree(tiny_checkpoint, tmp_path / "model")
    (tmp_path / "data").mkdir()
    data = seasons(tmp_path / "data")
    assert main([str(checkpoint), "--data", str(data), "--kinds", "2", "--others", str(CHELSEA.parent)]) == 0
    out = capsys.readouterr().out
    assert "2 kinds of 19 photos" in out
    assert f"{CHELSEA.parent}: 1 of 1 photos are unfamiliar" in out
    known = Familiar.load(checkpoint)
    assert sum(known.knows(load_image(path)) for path in (tmp_path / "data" / "trainB").iterdir()) > 4  # of nine
    assert not known.knows(load_image(CHELSEA))
    assert main([str(checkpoint), "--data", str(data), "--kinds", "9"]) == 1
    assert "too few for 9 kinds" in capsys.readouterr().err


def test_where_nothing_can_be_written_it_is_a_sentence_with_the_file(tmp_path, tiny_checkpoint, capsys, monkeypatch):
    checkpoint = shutil.copytree(tiny_checkpoint, tmp_path / "model")

    def full(file, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))

    monkeypatch.setattr("unit.familiar.write_atomic", full)
    (tmp_path / "data").mkdir()
    assert main([str(checkpoint), "--data", str(seasons(tmp_path / "data")), "--kinds", "2"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"{checkpoint / FAMILIAR}: No space left on device."


def test_a_photo_of_any_size_and_mode_is_looked_at():
    photo = load_image(CHELSEA)
    assert features(photo.convert("L")).shape == features(photo.crop((0, 0, 1, 5))).shape == (FEATURES,)


@pytest.mark.parametrize("name", SCENES)
def test_shipped_models_of_scenes_know_their_examples_and_no_cat(name):
    known = Familiar.load(ROOT / "checkpoints" / name)
    examples = sorted((ROOT / "checkpoints" / name / "examples").glob("*.jpg"))
    assert examples
    assert [path.name for path in examples if not known.knows(load_image(path))] == []
    cat = load_image(CHELSEA)
    for photo in (cat, ImageOps.mirror(cat)):
        assert not known.knows(photo)
