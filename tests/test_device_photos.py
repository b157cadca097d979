"""Photos on the device: the same crops as from the disk, to about a grey level, whatever is done to them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from train.config import TrainConfig
from train.data.batches import DeviceBatches, UnpairedBatches, fit_on
from train.data.check import check_data
from train.data.device import DevicePhotos
from unit import UNITConfig

CPU = torch.device("cpu")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Noise of some pixels' width in photos of many shapes, in colour and in grey; one file is no picture."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    draw = np.random.default_rng(0)
    for name, bands in (("trainA", (3,)), ("trainB", ())):
        (tmp_path / name).mkdir()
        for i in range(9):
            small = Image.fromarray(draw.integers(0, 256, (12 + i, 20, *bands), dtype=np.uint8))
            small.resize((90 + 17 * i, 70), Image.Resampling.BICUBIC).save(tmp_path / name / f"{i}.png")
        (tmp_path / name / "no.png").write_text("no picture")
    return tmp_path


def make_config(data: Path, **changes: object) -> TrainConfig:
    model = UNITConfig(image_size=32, channels_b=1)
    settings = {"batch_size": 6, "min_crop": 0.3, "max_unreadable": 0.2, "workers": 0} | changes
    return TrainConfig.of(data=str(data), model=model, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [{}, {"min_crop": 1.0}, {"rotate": 25.0}, {"jitter": 0.3}, {"rotate": 15.0, "jitter": 0.1}],
    ids=lambda changes: "+".join(changes) or "plain",
)
def test_crops_are_those_from_the_disk(data: Path, changes: dict[str, float]) -> None:
    config = make_config(data, **changes)
    check_data(config)
    disk = UnpairedBatches(config)
    device = DeviceBatches(disk, CPU, range(5, 9))
    for step in range(5, 9):
        ours, theirs = next(device), disk[step]
        assert ours.unreadable == theirs.unreadable
        for x, y in ((ours.x_a, theirs.x_a), (ours.x_b, theirs.x_b)):
            levels = 127.5 * (x - y).abs()
            assert x.shape == y.shape
            assert x.dtype == y.dtype
            assert levels.mean() < 0.6
            assert levels.max() < 3
    with pytest.raises(StopIteration):
        next(device)


def test_rows_of_many_processes_are_those_of_one(data: Path) -> None:
    config = make_config(data, rotate=10.0)
    check_data(config)
    whole = next(DeviceBatches(UnpairedBatches(config), CPU, range(3, 4)))
    halves = [next(DeviceBatches(UnpairedBatches(config, rank, 2), CPU, range(3, 4))) for rank in (0, 1)]
    torch.testing.assert_close(torch.cat([half.x_a for half in halves]), whole.x_a, atol=1e-4, rtol=0)


def test_photos_that_are_not_kept_stay_on_the_disk(data: Path) -> None:
    batches = UnpairedBatches(make_config(data, cache=False))
    assert not fit_on(torch.device("cuda"), batches)
    with pytest.raises(ValueError, match="kept decoded"):
        DevicePhotos(batches.domains[0], CPU)


def test_only_a_gpu_with_room_takes_the_photos(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(data)
    check_data(config)
    batches = UnpairedBatches(config)
    needed = sum(photos.kept.offsets[-1] for photos in batches.domains if photos.kept)

    class Card:
        total_memory = 4 * needed

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Card)
    assert fit_on(torch.device("cuda"), batches)
    assert not fit_on(CPU, batches)
    Card.total_memory -= 4
    assert not fit_on(torch.device("cuda"), batches)
