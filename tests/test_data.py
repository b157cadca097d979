"""The data: order and crops from seed and step alone, the cache, photos that cannot be read, the Hub's data sets."""

import io
import multiprocessing
import os
import random
import resource
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from hub_server import Clients, Hub, Repo
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from tests.test_train import assert_same
from train.config import TrainConfig
from train.data import store as cache
from train.data.batches import batches, held_out_photos, reading
from train.data.check import Unreadable, check_data
from train.data.crops import plan_crop, random_window, take_crop
from train.data.source import DataError, list_photos
from train.data.store import Recipe, decode, useful_scale
from train.loop import train
from train.parallel import catch_signals
from unit import UNITConfig
from unit.images import ImageError, load_image

pytest_plugins = ["hub_server"]
LEVELS = {"trainA": range(0, 200, 20), "trainB": range(5, 185, 20)}  # 10 photos and 9


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the cache goes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "unit" / "photos"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Flat pictures, each of a grey of its own, so that any crop of one says which it is."""
    for name, levels in LEVELS.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        for level in levels:
            Image.new("RGB", (40, 36), (level,) * 3).save(tmp_path / "data" / name / f"{level:03}.png")
    return tmp_path / "data"


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Noise larger than is of use: colour in trainA, 16-bit grey in trainB. The tests' photos are very small."""
    draw = np.random.default_rng(0)
    for name in ("trainA", "trainB"):
        (tmp_path / "scenes" / name).mkdir(parents=True)
    for i in range(8):
        colour = draw.integers(0, 256, (90 + i, 150, 3), dtype=np.uint8)
        Image.fromarray(colour).save(tmp_path / "scenes" / "trainA" / f"{i}.jpg", quality=95)
        Image.fromarray(draw.integers(0, 65536, (150 + i, 90), dtype=np.uint16)).save(
            tmp_path / "scenes" / "trainB" / f"{i}.png"
        )
    return tmp_path / "scenes"


def make_config(data: Path, **options: object) -> TrainConfig:
    defaults: dict = {"model": UNITConfig(dim=4, n_res=1, image_size=32), "steps": 5, "batch_size": 2, "workers": 0}
    return TrainConfig.of(data=str(data), **(defaults | {"max_unreadable": 0.15} | options))


def shown(config: TrainConfig, **where: int) -> tuple[list[int], list[int]]:
    """The levels of all pictures of a run, in order."""
    x_a, x_b = (torch.cat(xs) for xs in list(zip(*batches(config, 0, **where), strict=True))[:2])
    assert torch.equal(x_a, x_a[:, :1, :1, :1].expand_as(x_a))  # flat
    return tuple(x[:, 0, 0, 0].add(1).mul(127.5).round().int().tolist() for x in (x_a, x_b))  # type: ignore[return-value]


def batch(config: TrainConfig, step: int = 0, **where: int) -> Tensor:
    """Both domains' photos, as bytes that have to be equal."""
    return torch.cat([x.flatten() for x in next(iter(batches(config, step, **where)))[:2]])


# ---- order and crops -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [True, False])
def test_batches_depend_on_seed_and_step_only(scenes, keep):
    config = make_config(scenes, cache=keep)
    check_data(config)
    x_a, x_b, unreadable = next(iter(batches(config, 3)))
    assert x_a.shape == x_b.shape == (2, 3, 32, 32)
    assert -1 <= x_a.min() < x_a.max() <= 1
    assert unreadable == []
    torch.manual_seed(123)
    before = torch.get_rng_state()
    once = batch(config, 3)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(once, batch(config.replace(workers=1), 3))
    assert not torch.equal(once, batch(config, 4))
    assert not torch.equal(once, batch(config.replace(seed=1), 3))


@pytest.mark.parametrize("world", [2, 4])
def test_processes_share_the_rows_of_one_batch(scenes, world):
    config = make_config(scenes, batch_size=4)
    whole = next(iter(batches(config, 1)))
    shares = [next(iter(batches(config, 1, rank, world))) for rank in range(world)]
    assert torch.equal(torch.cat([share.x_a for share in shares]), whole.x_a)
    assert torch.equal(torch.cat([share.x_b for share in shares]), whole.x_b)


def test_an_epoch_shows_every_photo_once(data):
    first, other = shown(make_config(data))
    assert sorted(first) == list(LEVELS["trainA"])
    assert sorted(other[:9]) == list(LEVELS["trainB"])
    again, _ = shown(make_config(data, steps=10))
    assert again[:10] == first
    assert sorted(again[10:]) == sorted(first)
    assert again[10:] != first


@pytest.mark.parametrize("size", [(100, 100), (90, 160), (30, 400)], ids=["any-fits", "some-fit", "none-fits"])
def test_crops_are_those_of_torchvision(size):
    """In place, area and shape, as far as quantiles of 4000 tell."""
    draw = random.Random(0)
    ours = torch.tensor([random_window(*size, 0.4, draw) for _ in range(4000)]).float()
    torch.manual_seed(0)
    image = torch.empty(3, *size)
    theirs = [v2.RandomResizedCrop.get_params(image, [0.4, 1.0], [4 / 5, 5 / 4]) for _ in range(4000)]
    for one, other in zip(measures(ours), measures(torch.tensor(theirs).float()), strict=True):
        assert one == pytest.approx(other, rel=0.05, abs=2)


def measures(windows: Tensor) -> Iterator[float]:
    top, left, height, width = windows.T
    for values in (top, left, height * width / 100, 100 * width / height):
        yield from values.quantile(torch.tensor([0.05, 0.5, 0.95])).tolist()


# ---- the cache -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [(3, 1), (1, 3)])
def test_cached_and_read_from_files_are_the_same_to_the_bit(scenes, home, channels):
    model = UNITConfig(channels_a=channels[0], channels_b=channels[1], image_size=32)
    config = make_config(scenes, model=model, steps=20)
    report = check_data(config)
    assert "trainA: 8 photos (8 RGB), short side 90 to 97 px; kept decoded in" in report
    assert "trainB: 8 photos (8 I;16), short side 90 to 90 px; kept decoded in" in report
    direct = config.replace(cache=False)
    for step in range(20):
        assert torch.equal(batch(config, step), batch(direct, step))
    sizes = [path.stat().st_size for path in home.glob("*/pixels")]
    sides = {path.parent.name: Image.open(path).size for path in list_photos(scenes)}
    whole = 8 * sum(c * np.prod(sides[name]) for c, name in zip(channels, ("trainA", "trainB"), strict=True))
    assert sum(sizes) < whole / 3
    for path in scenes.rglob("*.*"):  # the files are not needed any more: only their names, sizes and times are
        damage(path)
    assert torch.equal(batch(config, 7), batch(config, 7))
    with pytest.raises(AssertionError):
        assert torch.equal(batch(config, 7), batch(direct, 7))


def damage(path: Path) -> None:
    """Zeros instead of the content, as a failing disk has them: of the same size and date."""
    stat = path.stat()
    path.write_bytes(bytes(stat.st_size))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def random_crop(photo, recipe, draw, rotate=0.0, jitter=0.0):
    return take_crop(photo, plan_crop(*photo.shape[:2], recipe, draw, rotate, jitter), recipe)


def test_a_crop_may_be_turned():
    """A quarter turn moves every pixel, and at any angle a flat photo stays flat up to its corners."""
    rng, recipe = np.random.default_rng(0), Recipe(3, 48, 1.0)
    photo = rng.integers(0, 256, (48, 48, 3), np.uint8)

    class Quarter(random.Random):
        def uniform(self, a, b):
            return b

    upright, turned = (random_crop(photo, recipe, Quarter(1), rotate=angle) for angle in (0.0, 90.0))
    quarters = [torch.rot90(upright, k, (2, 3)) for k in (1, -1)]
    assert min(float((turned - quarter).abs().max()) for quarter in quarters) < 0.01
    flat = np.full((60, 50, 3), (10, 200, 90), np.uint8)
    crop = random_crop(flat, recipe, random.Random(2), rotate=45.0)
    torch.testing.assert_close(crop, crop[..., :1, :1].expand_as(crop), atol=0.01, rtol=0)
    assert random_crop(rng.integers(0, 256, (60, 50), np.uint8), Recipe(1, 48, 0.5), random.Random(3), 20.0, 0.2).shape


def test_a_crop_may_be_seen_in_other_light():
    ramp = np.linspace(60, 190, 48).astype(np.uint8)[None, :, None].repeat(48, 0).repeat(3, 2)
    crops = [random_crop(ramp, Recipe(3, 48, 1.0), random.Random(i), jitter=0.2) for i in range(40)]
    means = torch.stack([crop.mean((0, 2, 3)) for crop in crops])  # (40, 3)
    plain = random_crop(ramp, Recipe(3, 48, 1.0), random.Random(0)).mean()
    assert (means - plain).abs().max() < 0.2 * 1.5 * (1 + plain) + 0.1
    assert means.mean(1).std() > 0.05  # brightness
    assert (means[:, 0] - means[:, 2]).std() > 0.05  # the light's colour
    spans = torch.stack([crop.amax((1, 2, 3)) - crop.amin((1, 2, 3)) for crop in crops])
    assert spans.std() > 0.05  # contrast
    for crop in crops:
        rising = crop[0, 0, 0].diff()
        assert (rising >= 0).all() or (rising <= 0).all()  # a ramp stays one


def test_sixteen_bits_come_out_as_their_upper_eight(tmp_path):
    for name in ("trainA", "trainB"):
        (tmp_path / "deep" / name).mkdir(parents=True)
        for i in range(8):
            Image.fromarray(np.full((32, 32), 257 * 30 * i, np.uint16)).save(tmp_path / "deep" / name / f"{i}.png")
    config = make_config(tmp_path / "deep", model=UNITConfig(channels_a=1, image_size=32), steps=4)
    check_data(config)
    levels, _ = shown(config)
    assert sorted(levels) == [30 * i for i in range(8)]


def test_no_crop_has_to_be_enlarged_because_a_photo_was_kept_small():
    draw = random.Random(0)
    for _ in range(300):
        width, height, size = draw.randint(20, 3000), draw.randint(20, 3000), draw.choice([16, 64, 256])
        recipe = Recipe(3, size, draw.uniform(0.1, 1))
        scale = useful_scale(width, height, recipe)
        if scale >= 1:
            continue
        kept = [-int(-scale * side // 1) for side in (height, width)]
        for _ in range(20):
            assert min(random_window(*kept, recipe.min_crop, draw)[2:]) >= size - 1
    assert useful_scale(256, 256, Recipe(3, 128, 0.25)) > 1
    assert useful_scale(1500, 1000, Recipe(3, 128, 0.25)) == pytest.approx(128 / (1.5e6 * 0.25 * 0.8) ** 0.5)


def test_small_photos_are_kept_as_they_are(data):
    path = data / "trainA" / "020.png"
    assert np.array_equal(decode(path, Recipe(3, 64, 0.4)), np.asarray(Image.open(path)))


def test_a_changed_photo_is_decoded_again(data, home):
    config = make_config(data)
    check_data(config)
    Image.new("RGB", (50, 36), (199,) * 3).save(data / "trainA" / "000.png")
    assert sorted(shown(config)[0])[-1] == 199  # even before it is looked at
    check_data(config)
    assert sorted(shown(config)[0])[-1] == 199
    assert len(list(home.iterdir())) == 3


def test_a_photo_that_may_be_read_now_is_read(data, monkeypatch):
    """The tests may run as root, who may read everything; so the operating system is played."""
    config, closed = make_config(data, max_unreadable=0.5), data / "trainA" / "000.png"
    access, read = os.access, cache.load_image

    def load(path):
        if path == closed:
            raise ImageError("000.png may not be read: check its permissions.")
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(cache, "load_image", load)
        patch.setattr(os, "access", lambda path, mode: path != closed and access(path, mode))
        assert "000.png may not be read: check its permissions" in check_data(config)
    assert "000.png" not in check_data(config)


def test_too_little_memory_is_not_held_against_the_photo(data, monkeypatch):
    def no_memory(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "load", no_memory)
        with pytest.raises(MemoryError):
            check_data(make_config(data))
    assert "trainA: 10 photos" in check_data(make_config(data))


def test_a_disk_that_failed_for_a_while_is_not_held_against_the_photo(data, monkeypatch):
    config, victim = make_config(data, max_unreadable=0.2), list_photos(data / "trainA")[3]

    def fails(path: Path) -> Image.Image:
        if path == victim:
            raise ImageError(f"{path.name} is damaged.")
        return load_image(path)

    with monkeypatch.context() as patch:
        patch.setattr(cache, "load_image", fails)
        for _ in range(2):
            assert f"1 left out that cannot be read: {victim.name}" in check_data(config)
    assert "trainA: 10 photos" in check_data(config)


def test_a_cache_cut_short_or_emptied_meanwhile_costs_nothing_but_time(data, home):
    config = make_config(data, workers=1)
    check_data(config)
    expected = shown(config)
    loader = batches(config, 0)
    for pixels in home.glob("*/pixels"):
        os.truncate(pixels, 100)
    steps = list(loader)
    assert [round(float(x) * 127.5 + 127.5) for step in steps for x in step.x_a[:, 0, 0, 0]] == expected[0]
    check_data(config)
    assert all(pixels.stat().st_size > 100 for pixels in home.glob("*/pixels"))
    for pixels in home.glob("*/pixels"):
        pixels.rename(pixels.with_name("pixels.partial"))  # as a kill leaves it
    assert shown(config) == expected
    check_data(config)
    assert shown(config) == expected
    assert not list(home.glob("*/*.partial"))


def test_where_nothing_can_be_kept_the_files_are_read(data, home, monkeypatch):
    config = make_config(data)
    check_data(config)
    expected = shown(config)
    home.parent.parent.rename(home.parent.parent.with_name("old"))

    home.parent.parent.write_text("a file where the folder should be")
    assert "read from the files each time, because they cannot be cached: Not a directory" in check_data(config)
    assert shown(config) == expected
    home.parent.parent.unlink()

    monkeypatch.setattr(cache, "SPARE", 2**60)
    monkeypatch.setattr(cache, "TOGETHER", 4)
    assert "because they cannot be cached: 0.0 GB more are needed in" in check_data(config)
    assert not list(home.glob("*/pixels*"))
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home.parent.parent))

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # less than the cache, more than what pytest captures
    try:
        assert "because they cannot be cached: File too large" in check_data(config)
        assert shown(config) == expected
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "kept decoded in" in check_data(config)
    assert shown(config) == expected


def check_at_once(config: TrainConfig, reports: multiprocessing.Queue) -> None:
    reports.put(check_data(config))


@pytest.mark.slow
def test_processes_that_start_at_once_fill_one_cache(scenes, home):
    config = make_config(scenes)
    context = multiprocessing.get_context("forkserver")  # this process has threads, which a fork may leave locked
    context.set_forkserver_preload(["tests.test_data"])
    reports = context.Queue()
    processes = [context.Process(target=check_at_once, args=(config, reports)) for _ in range(4)]
    for process in processes:
        process.start()
    assert len({reports.get(timeout=60) for _ in processes}) == 1
    for process in processes:
        process.join()
    assert len(list(home.glob("*/pixels"))) == 2
    assert torch.equal(batch(config), batch(config.replace(cache=False)))


def test_a_run_resumed_with_a_cache_equals_one_without(scenes, tmp_path):
    options = {"discriminator": "multiscale", "d_dim": 4, "compile": False, "device": "cpu", "save_every": 2}
    model = UNITConfig(dim=4, n_res=1, image_size=64, channels_b=1)
    config = make_config(scenes, model=model, run_dir=tmp_path / "through", steps=4, cache=False, **options)
    through = train(config)
    resumed = config.replace(run_dir=tmp_path / "resumed", cache=True)
    train(resumed.replace(steps=2))
    assert_same(through, train(resumed))


# ---- what cannot be read ---------------------------------------------------------------------------------------------


def test_the_report_and_what_is_refused_at_once(data, tmp_path):
    config = make_config(data, model=UNITConfig(image_size=64), cache=False)
    report = check_data(config)
    assert "trainA: 10 photos (10 RGB), short side 36 to 36 px; most are smaller than the 64 px crops" in report
    assert report.endswith("read from the files each time")
    with pytest.raises(DataError, match=r"is not a folder. --data needs a folder that holds trainA and trainB"):
        check_data(make_config(tmp_path / "none"))
    with pytest.raises(DataError, match=r"no folder \S+trainA: --data names a folder.*no folder \S+trainB"):
        check_data(make_config(tmp_path))


@pytest.mark.parametrize(
    ("given", "made", "said"),
    [
        (
            "photos/trainA",
            ["photos/trainA", "photos/trainB"],
            r"holds 9 pictures: did you mean --data \S*photos\?",
        ),
        ("photos", ["photos/TrainA", "photos/trainB"], r"but TrainA: give it the name trainA"),
        ("photos", ["photos/train/A", "photos/train/B"], r"but \S*train/A: move that to \S*trainA"),
    ],
)
def test_a_folder_that_is_not_where_one_thinks(given, made, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in made:
        Path(folder).mkdir(parents=True)
        for i in range(9):
            Image.new("RGB", (40, 40)).save(f"{folder}/{i}.png")
    with pytest.raises(DataError, match=said):
        check_data(make_config(Path(given), cache=False))


def test_too_little_shared_memory_is_said_before_the_first_step(scenes, monkeypatch):
    config = make_config(scenes, workers=2, batch_size=4)  # two readers, each four batches of 8 x 3 x 32 x 32 floats
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2 * 4 * 8 * 3 * 32 * 32 * 4 - 1))
    with (
        pytest.raises(DataError, match=r"2 readers need up to 1 MB .*--shm-size 2g\), or set --workers 0"),
        reading(config, 0),
    ):
        pass
    with reading(config.replace(workers=0), 0) as loaded:
        next(loaded)


@pytest.fixture
def silent_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers that live and deliver nothing."""
    monkeypatch.setattr("train.data.batches.UnpairedBatches.__getitem__", lambda *_: time.sleep(1000))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_for_a_silent_reader(number, data, silent_readers):
    config = make_config(data, workers=2)
    began = time.monotonic()
    with catch_signals() as caught, reading(config, 0, caught) as loaded:
        threading.Timer(0.5, os.kill, (os.getpid(), number)).start()
        assert len(next(loaded).x_a) == len(next(loaded).x_b) == 0  # and nobody waits again
        assert caught == [number]
    assert time.monotonic() - began < 10
    assert not multiprocessing.active_children()


def test_a_reader_that_is_silent_for_long_is_given_up(data, silent_readers, monkeypatch):
    monkeypatch.setattr("train.data.batches.SILENCE", 1)
    with (
        pytest.raises(DataError, match=r"have brought none for 1 s\. .*--workers 0.*goes on from the last checkpoint"),
        reading(make_config(data, workers=1), 0) as loaded,
    ):
        next(loaded)
    assert not multiprocessing.active_children()


def test_folders_of_thumbnails_hold_no_photos(tmp_path):
    for folder in ("", "@eaDir/1.jpg", "__MACOSX", ".AppleDouble", "holiday"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / folder / "a.jpg")
    assert list_photos(tmp_path) == [tmp_path / "a.jpg", tmp_path / "holiday" / "a.jpg"]


def test_heic_photos_that_cannot_be_read_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("train.data.check.SUFFIXES", frozenset({".jpg"}))
    for name in ("trainA", "trainB"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "IMG_1.HEIC").touch()
    with pytest.raises(DataError, match=r"1 HEIC pictures in it cannot be read: pip install pillow-heif"):
        check_data(make_config(tmp_path))


def test_the_report_says_how_no_crop_is_enlarged(data):
    config = make_config(data, cache=False, min_crop=0.25)  # of 40 x 36 pixels, for crops of 32 x 32
    assert "crops of down to 19 px are enlarged to 32, which blurs; not with --min-crop 0.72" in check_data(config)
    assert "enlarged" not in check_data(config.replace(min_crop=0.72))


@pytest.mark.parametrize("keep", [True, False])
def test_unreadable_photos_are_named_and_left_out_up_to_a_share(data, keep):
    (data / "trainB" / "180.png").write_bytes(b"not a picture")
    config = make_config(data, cache=keep)
    for _ in range(2):
        report = check_data(config)
        assert "trainB: 9 photos (9 RGB)" in report
        assert "; 1 left out that cannot be read: 180.png is not a picture" in report
    assert 180 not in shown(config)[1]
    assert {name for step in batches(config, 0) for name in step.unreadable} == {"trainB/180.png"}
    with pytest.raises(DataError, match=r"^trainB: 1 of 10 photos cannot be read\. .*--max-unreadable.*180.png is not"):
        check_data(config.replace(max_unreadable=0.01))


def test_a_domain_without_one_readable_photo_is_refused(data):
    for path in list_photos(data / "trainB"):
        path.write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"^trainB: 9 of 9 photos cannot be read\."):
        check_data(make_config(data, max_unreadable=1.0))


def test_a_photo_that_breaks_in_an_epoch_is_replaced_by_the_next_one(data, capsys):
    config = make_config(data, cache=False)
    unreadable = Unreadable(config)
    order, other = shown(config)
    (data / "trainA" / f"{order[4]:03}.png").write_bytes(b"not a picture")
    assert shown(config) == ([*order[:4], order[5], *order[5:]], other)
    assert shown(config.replace(workers=2)) == shown(config)
    named = [step.unreadable for step in batches(config, 0)]
    assert named == [[], [], [f"trainA/{order[4]:03}.png"], [], []]
    for names in named * 2:
        unreadable.add(names)
    assert len(unreadable) == 1
    assert capsys.readouterr().out.count("another photo stands in for it") == 1
    with pytest.raises(DataError, match=r"^trainA: 2 of 10 photos cannot .*--max-unreadable.*They are: trainA/001.jpg"):
        unreadable.add(["trainA/001.jpg"])


def test_a_disk_that_goes_away_stops_the_run_and_harms_nothing(data):
    config = make_config(data, cache=False)
    loader = batches(config, 0)
    unreadable = Unreadable(config)
    for path in (data / "trainA").iterdir():
        path.unlink()
    x_a, _, names = next(iter(loader))
    assert x_a.isnan().all()
    with pytest.raises(DataError, match=r"^trainA: 10 of 10 photos cannot be read"):
        unreadable.add(names)


def test_the_log_counts_them(data, tmp_path):
    (data / "trainB" / "180.png").write_bytes(b"not a picture")
    options = {"discriminator": "multiscale", "d_dim": 4, "compile": False, "device": "cpu", "log_every": 1}
    model = UNITConfig(dim=4, n_res=1, image_size=64)
    train(make_config(data, model=model, run_dir=tmp_path / "run", **options))
    assert '"unreadable": 1.0' in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1]


def test_signals_to_the_whole_group_leave_the_readers_reading(data):
    config = make_config(data, workers=2, steps=40)
    loader = iter(batches(config, 0))
    next(loader), next(loader)  # both have begun
    for worker in multiprocessing.active_children():
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(worker.pid, number)
    assert len(list(loader)) == 38


def test_held_out_photos_are_the_first_that_can_be_read(data):
    config = make_config(data, model=UNITConfig(channels_b=1, image_size=32))
    assert held_out_photos(config, 3) is None
    for name in ("testA", "testB"):
        (data / name).mkdir()
        for i in range(4):
            strip = np.repeat(np.array([[0, i, 0]], np.uint8), [32, 64, 32], axis=1).repeat(64, axis=0)
            Image.fromarray(strip).save(data / name / f"{i}.png")
        (data / name / "0.png").write_bytes(b"not a picture")
        (data / name / "._1.png").write_bytes(b"what a Mac leaves beside it")
    (data / "testB" / "3.png").unlink()
    assert [len(x) for x in held_out_photos(config, 4)] == [2, 2]
    x_a, x_b = held_out_photos(config, 2)
    assert (x_a.shape, x_b.shape) == ((2, 3, 32, 32), (2, 1, 32, 32))
    for i in (0, 1):  # the middle square of each
        torch.testing.assert_close(x_a[i], torch.full((3, 32, 32), (i + 1) / 127.5 - 1))


def test_hidden_files_and_folders_hold_no_photos(data):
    before = list_photos(data / "trainA")
    for folder in (".Trash-1000", ".ipynb_checkpoints", "sub/.hidden"):
        (data / "trainA" / folder).mkdir(parents=True)
        shutil.copy(before[0], data / "trainA" / folder / "copy.png")
    (data / "trainA" / "folder.png").mkdir()
    shutil.copy(before[0], data / "trainA" / "sub" / "UPPER.PNG")
    assert list_photos(data / "trainA") == sorted([*before, data / "trainA" / "sub" / "UPPER.PNG"])


# ---- data sets of the Hub --------------------------------------------------------------------------------------------


PROGRAM = """
from train.config import TrainConfig
from train.data.batches import batches, held_out_photos
from train.data.check import check_data
from unit import UNITConfig

for name in NAMES:
    try:
        config = TrainConfig.of(data=name, model=UNITConfig(image_size=32), steps=5, batch_size=2, workers=0)
        report = check_data(config).replace(chr(10), " | ")
        levels = [round(float(x) * 127.5 + 127.5) for step in batches(config, 0) for x in step.x_a[:, 0, 0, 0]]
        print(report, sorted(levels), held_out_photos(config, 2) is not None)
    except ValueError as error:
        print(error)
"""


def ask(clients: Clients, hub: Hub, folder: Path, *names: str, **settings: str) -> list[str]:
    """What somebody who trains on data sets of that Hub is told about each of them, and what is shown of domain a."""
    settings |= {"XDG_CACHE_HOME": str(folder / "cache")}
    done = clients.run(f"NAMES = {names}\n{PROGRAM}", hub, folder, **settings)
    assert done.status == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "is domain a" not in line]
    assert len(lines) == len(names), done.stdout
    return lines


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


def test_a_data_set_of_folders(clients, hub, data, tmp_path):
    repo = hub.repos["datasets/owner/greys"] = Repo()
    test = {f"{name}/1.png": (data / "trainA" / "020.png").read_bytes() for name in ("testA", "testB")}
    first = repo.commit("main", files_in(data) | test | {"README.md": b"# Greys", "code.py": b"1 / 0"}, "greys")
    repo.refs["v1"] = first
    second = repo.commit("main", {}, "gone")
    hub.repos["datasets/owner/private"] = Repo(private=True)
    hub.repos["datasets/owner/gated"] = Repo(gated=True)
    hub.repos["datasets/owner/gated"].commit("main", files_in(data), "greys")
    greys, none, missing, private, gated, odd, empty = ask(
        clients, hub, tmp_path, "hf:owner/greys@v1", "hf:owner/greys@v2", "hf:owner/none", "hf:owner/private",
        "hf:owner/gated", "hf:greys", "hf:owner/greys", HF_TOKEN="hf_guest",
    )  # fmt: skip
    assert greys.startswith(f"hf:owner/greys@v1 is revision {first} | trainA: 10 photos (10 RGB)")
    assert greys.endswith(f"{list(LEVELS['trainA'])} True")
    assert none == "owner/greys has no revision v2."
    assert missing.startswith("There is no data set owner/none on the Hugging Face Hub")
    assert private.startswith("There is no data set owner/private on the Hugging Face Hub")
    assert gated.startswith("owner/gated asks you to accept its terms")
    assert odd == "hf:greys names no data set of the Hugging Face Hub: write hf:owner/name or hf:owner/name@revision."
    assert empty == "hf:owner/greys holds neither folders trainA and trainB of photos nor Parquet files."
    assert not [asked for asked in hub.asked if "code.py" in asked]
    assert second in repo.commits

    (again,) = ask(clients, hub, tmp_path, "hf:owner/greys@v1", HF_HUB_OFFLINE="1")
    assert again == greys


def parquet(images: dict[int, int], names: list[str]) -> bytes:
    """Flat pictures of these greys, with a label."""
    contents = [{"bytes": flat(level), "path": f"{level:03}.png"} for level in images]
    features = {"picture": datasets.Image(), "season": datasets.ClassLabel(names=names)}
    rows = {"picture": contents, "season": list(images.values())}
    file = io.BytesIO()
    datasets.Dataset.from_dict(rows, datasets.Features(features)).to_parquet(file)
    return file.getvalue()


def pairs(first: str, second: str, declared: bool = True) -> bytes:
    """Flat pictures in two columns, of which the second is shorter."""
    contents = [[{"bytes": flat(level), "path": f"{level:03}.png"} for level in levels] for levels in LEVELS.values()]
    contents[1].append(None)
    bare = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    feature = datasets.Image() if declared else bare
    file = io.BytesIO()
    rows = datasets.Dataset.from_dict(
        dict(zip((first, second), contents, strict=True)), datasets.Features({first: feature, second: feature})
    )
    rows.to_parquet(file)
    return file.getvalue()


def flat(level: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 36), (level,) * 3).save(file, "PNG")
    return file.getvalue()


def test_data_sets_of_parquet(clients, hub, tmp_path):
    seasons = ["summer", "winter"]
    splits = {name: parquet(dict.fromkeys(levels, 0), seasons) for name, levels in LEVELS.items()}
    labels = parquet({level: i for i, levels in enumerate(LEVELS.values()) for level in levels} | {255: -1}, seasons)
    named = "".join(f"- config_name: {name}\n  data_files: {name}/*\n" for name in splits)
    configs = f"---\nconfigs:\n{named}---\n"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "0.parquet").write_bytes(labels)
    for name, files in {
        "splits": {f"data/{split}-00000-of-00001.parquet": content for split, content in splits.items()},
        "configs": {f"{split}/0.parquet": content for split, content in splits.items()}
        | {"README.md": configs.encode()},
        "labels": {f"data/{split}-00000-of-00001.parquet": labels for split in ("train", "test")},
        "columns": {f"data/{split}-00000-of-00001.parquet": pairs("imageA", "imageB") for split in ("train", "test")},
        "bare": {"data/train-00000-of-00001.parquet": pairs("summer", "winter", declared=False)},
        "three": {"data/train-00000-of-00001.parquet": parquet({0: 0}, ["spring", *seasons])},
        "thief": {"0.parquet": labels, "README.md": configs.replace("trainA/*", f"{elsewhere}/*").encode()},
        "broken": {"data/trainA-00000-of-00001.parquet": b"PAR1 and no more"},
    }.items():
        hub.repos[f"datasets/owner/{name}"] = Repo()
        hub.repos[f"datasets/owner/{name}"].commit("main", files, name)
    tested = ("hf:owner/labels", "hf:owner/columns")
    good = ("hf:owner/splits", "hf:owner/configs", "hf:owner/bare", *tested)
    bad = ("hf:owner/three", "hf:owner/broken", "hf:owner/thief")
    *told, three, broken, thief = ask(clients, hub, tmp_path, *good, *bad)
    for name, line in zip(good, told, strict=True):
        assert line.startswith(f"{name} is revision ")
        assert f"{list(LEVELS['trainA'])} {name in tested}" in line
        assert "trainB: 9 photos (9 RGB)" in line
    assert three == (
        "owner/three has the splits train, with images in picture. It needs trainA and trainB, or a split train with "
        "two columns of images or a label of two classes."
    )
    assert broken.startswith("The Parquet files of owner/broken cannot be read: ")
    assert thief.startswith("The README of this data set asks for files outside of it")
    unpacked = sorted((tmp_path / "cache" / "unit" / "hub" / "owner--labels").glob("*/testB/*"))
    assert [path.read_bytes() for path in unpacked] == [flat(level) for level in LEVELS["trainB"]]
    assert list(ask(clients, hub, tmp_path, *good, HF_HUB_OFFLINE="1")) == told
