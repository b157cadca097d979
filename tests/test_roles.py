"""The page of the five models: its measures are what they say, and the command makes it from an exported run."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch import nn

from tests.photos import seasons
from train.__main__ import main
from train.config import TrainConfig
from train.eval.roles import Judges, measure, sheet
from train.loop import train
from train.publish.export import export
from unit import UNITConfig, save_pretrained
from unit.images import to_image
from unit.models.discriminator import Discriminators
from unit.models.munit import MUNIT, MUNITConfig


class Brightness(nn.Module):
    """A discriminator of two scales that says how bright a picture is, one scale a unit more than the other."""

    def forward(self, x):
        grey = x.mean(1, keepdim=True)
        return [grey - 0.5, nn.functional.avg_pool2d(grey, 4) + 0.5]


def judges(**options) -> Judges:
    return Judges(TrainConfig.of(data="", **options), nn.Identity(), Discriminators(Brightness(), Brightness()))


def test_pictures_are_accepted_by_the_mean_over_places_and_scales():
    x = torch.tensor([-0.2, 0.1, 0.3, 0.8]).view(4, 1, 1, 1) + torch.linspace(-0.2, 0.2, 64).view(1, 1, 8, 8)
    x = x.expand(-1, 3, -1, -1)
    assert judges(gan_loss="hinge").accepted(x, "a").value == 0.75
    assert judges(gan_loss="bce").accepted(x, "b").value == 0.75
    assert judges(gan_loss="lsgan").accepted(x, "a").value == 0.25  # of which real is 1, and made up is 0


class Mirror:
    """Gives back what it is shown, and makes up pairs of equal pictures."""

    domains = ("a", "b")

    def translate_batch(self, x, source, target):
        return x

    def sample(self, n, sampling):
        noise = torch.rand(n, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
        return [(to_image(x), to_image(x)) for x in noise]


def test_a_mirror_is_a_perfect_vae_and_cogan():
    real = {"a": torch.full((9, 3, 64, 64), 0.4), "b": torch.full((9, 3, 64, 64), -0.4)}
    real["a"][:, :, :32] += 0.2
    rows = {row.role: row for row in measure(Mirror(), judges(), real)}
    assert list(rows) == ["VAE", "translator", "GAN", "VAE-GAN", "CoGAN"]
    assert (rows["VAE"].a.value, rows["VAE"].b.value, rows["VAE"].a.n) == (0, 0, 9)
    assert rows["VAE"].reference == "one colour: 0.050 and 0.000"
    assert (rows["VAE-GAN"].a.value, rows["VAE-GAN"].b.value) == (1, 0)
    assert (rows["translator"].a.value, rows["translator"].b.value) == (0, 1)  # they are photos of the other
    assert rows["GAN"].reference == "real photos: 1.000 and 0.000"
    assert rows["CoGAN"].a.value == pytest.approx(0, abs=1e-6)
    assert float(rows["CoGAN"].reference.rpartition(" ")[2]) > 0.05


def test_a_sheet_keeps_pictures_apart():
    red, blue = (Image.new("RGB", (3, 2), colour) for colour in ("red", "blue"))
    whole = sheet([[red, blue], [blue, red]], gap=1)
    assert whole.size == (7, 5)
    rows = [[whole.getpixel((x, y)) for x in (0, 3, 4)] for y in (0, 2, 3)]
    r, b, white = (255, 0, 0), (0, 0, 255), (255, 255, 255)
    assert rows == [[r, white, b], [white] * 3, [b, white, r]]


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> SimpleNamespace:
    root = tmp_path_factory.mktemp("roles")
    (root / "photos").mkdir()
    config = TrainConfig.of(
        data=str(seasons(root / "photos")), run_dir=root / "run", discriminator="projected", steps=1, batch_size=2,
        model=UNITConfig(dim=4, n_res=1, image_size=64, domain_a="summer", domain_b="winter"),
        compile=False, workers=0, cache=False, device="cpu",
    )  # fmt: skip
    train(config)
    folder = export(config.run_dir, root / "model", with_discriminators=True)
    return SimpleNamespace(data=root / "photos", folder=folder, photo=next((root / "photos" / "testA").iterdir()))


def test_the_page_of_an_exported_run(exported, tmp_path, capsys):
    out = tmp_path / "docs" / "roles.md"
    words = ["roles", str(exported.folder), "--data", str(exported.data), "--photo", str(exported.photo)]
    assert main([*words, "--out", str(out), "--n", "2"]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    text = out.read_text()
    assert [line.split(" | ")[0] for line in text.splitlines() if " n=2 |" in line] == [
        f"| {role}" for role in ("VAE", "translator", "GAN", "VAE-GAN", "CoGAN")
    ]
    for name in ("vae", "translator", "gan", "cogan"):
        assert f"(roles/{name}.jpg)" in text
        assert Image.open(out.with_suffix("") / f"{name}.jpg").width > 64


def test_what_cannot_be_shown_is_one_sentence(exported, tiny_checkpoint, tmp_path, capsys):
    def said(folder: Path, *options: str) -> str:
        words = ["roles", str(folder), "--photo", str(exported.photo), "--out", str(tmp_path / "roles.md")]
        assert main([*words, "--data", str(exported.data), *options]) != 0
        assert not (tmp_path / "roles.md").exists()
        return capsys.readouterr().err

    munit = tmp_path / "munit"
    save_pretrained(MUNIT(MUNITConfig(dim=4, n_res=1, mlp_dim=8)), munit)
    assert "munit is a munit: the five roles are those of a unit" in said(munit)
    assert "export the run again with --with-discriminators" in said(tiny_checkpoint)
    assert "--n is 1: measuring needs 2 photos" in said(exported.folder, "--n", "1")
    empty = tmp_path / "photos"
    (empty / "trainA").mkdir(parents=True)
    (empty / "trainB").mkdir()
    assert "needs testA and testB with photos" in said(exported.folder, "--data", str(empty))
