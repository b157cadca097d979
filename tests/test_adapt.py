"""Domain adaptation on digits: the networks are the paper's, and no label of the target is read in training."""

import gzip
import json
import math
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.distributions import Normal, kl_divergence

from train import adapt
from train.adapt import AdaptConfig, Run, Weights, results_table, shown, train_run
from train.checkpointer import Checkpointer
from train.data.source import DataError
from train.digits import (
    CoupledVAE,
    DataSet,
    Digits,
    Discriminator,
    Posterior,
    digits,
    load_digits,
    mnist_m,
    to_channels,
    to_unit,
    with_coordinates,
)


def some_digits(n: int, channels: int = 1, seed: int = 0) -> Digits:
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (n, channels, 32, 32), generator=draw).to(torch.uint8)
    return Digits(images, torch.arange(n) % 10)


def a_run(folder: Path, method: str = "UNIT", task: str = "mnist2usps", **options) -> Run:
    config = {"width": 6, "batch_size": 4, "steps": 2, "save_every": 1, "evaluate_every": 1, "device": "cpu"} | options
    return Run(AdaptConfig(task, folder, run_dir=folder, **config), method, seed=0)


def weights(run: Run) -> dict[str, torch.Tensor]:
    return run.generator.state_dict() | run.discriminator.state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def save_npz(folder: Path, name: str, *, n: int = 12, shape: tuple[int, ...] = (28, 28)) -> None:
    x, y = np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8), np.arange(n) % 10
    np.savez(folder / f"{name}.npz", x_train=x, y_train=y, x_test=x, y_test=y)


# Networks


def test_the_networks_at_full_width_are_as_large_as_the_papers():
    nets = CoupledVAE((3, 1), width=96), Discriminator((3, 1), width=96)
    millions = [sum(p.numel() for p in net.parameters()) / 1e6 for net in nets]
    assert millions == pytest.approx([22.60, 4.33], abs=0.01)


def test_upper_layers_are_the_same_for_both_domains_and_lower_ones_are_not():
    shared, apart = CoupledVAE((1, 1), width=6), CoupledVAE((1, 1), width=6, shared=False)
    x = torch.rand(3, 1, 32, 32) * 2 - 1
    names = ("upper_encoders", "means", "deviations", "upper_decoders")
    assert [len(getattr(shared, name)) for name in names] == [1, 1, 1, 1]
    assert [len(getattr(apart, name)) for name in names] == [2, 2, 2, 2]
    shared.encoders[1].load_state_dict(shared.encoders[0].state_dict())
    apart.encoders[1].load_state_dict(apart.encoders[0].state_dict())
    for net, alike in (
        (shared.eval(), True),
        (apart.eval(), False),
    ):  # with equal lower layers
        q_a, q_b = net.encode(x, x)
        assert torch.equal(q_a.mean, q_b.mean) == alike

    net = Discriminator((1, 1), width=6).eval()
    assert not torch.equal(net.features(x, "a"), net.features(x, "b"))
    net.first[1].load_state_dict(net.first[0].state_dict())
    assert torch.equal(net.features(x, "a"), net.features(x, "b"))


def test_pictures_stand_where_their_names_say():
    net = CoupledVAE((1, 3), width=6).eval()
    z_a, z_b = torch.randn(2, 2, 48, 1, 1).unbind()
    out = net.decode(z_a, z_b)
    assert [x.shape[1] for x in out] == [1, 1, 3, 3]
    assert torch.allclose(out.x_ab, net.decode(z_b, z_a).x_bb, atol=1e-6)
    assert torch.allclose(out.x_ba, net.decode(z_b, z_a).x_aa, atol=1e-6)


def test_kl_with_learned_variance_is_that_of_torch():
    mean, deviation = torch.randn(5, 7, 1, 1), torch.rand(5, 7, 1, 1) + 0.1
    expected = kl_divergence(Normal(mean, deviation), Normal(0.0, 1.0)).sum((1, 2, 3)).mean()
    assert Posterior(mean, deviation).kl() == pytest.approx(float(expected), rel=1e-5)
    assert Posterior(torch.zeros(1, 7, 1, 1), torch.ones(1, 7, 1, 1)).kl() == 0


def test_log_odds_of_being_real_are_those_of_a_softmax_over_two():
    net, x = Discriminator((1, 1), width=6).eval(), torch.rand(3, 1, 32, 32)
    h = net.features(x, "a")
    expected = net.real_or_not(h).flatten(1).log_softmax(1)[:, 1]
    assert torch.allclose(torch.nn.functional.logsigmoid(net.realness(h).flatten()), expected, atol=1e-6)


def test_coordinates_go_from_minus_one_to_just_below_one():
    x = with_coordinates(torch.zeros(2, 1, 32, 32))
    assert x.shape == (2, 3, 32, 32)
    assert torch.allclose(x[0, 1, 0], torch.linspace(-1, 1 - 2 / 32, 32))
    assert torch.equal(x[0, 1].T, x[0, 2])


# Objectives


def test_objectives_are_those_of_their_formulas(tmp_path):
    run = a_run(tmp_path)
    d = run.discriminator.eval()
    batch = adapt.Batch(*(to_unit(some_digits(4, seed=1).images), torch.arange(4), to_unit(some_digits(4).images)))
    with torch.no_grad():
        out, kl = run.generator(batch.x_a, batch.x_b)
    d.requires_grad_(False)

    def says(x: torch.Tensor, domain: str, real: bool) -> float:
        logits = d.real_or_not(d.features(x, domain)).flatten(1)
        return float(torch.nn.functional.cross_entropy(logits, torch.full((4,), int(real))))

    got = adapt.generator_terms(d, batch, out, kl)
    fakes = ((out.x_aa, "a"), (out.x_ba, "a"), (out.x_bb, "b"), (out.x_ab, "b"))
    assert float(got["gan"]) == pytest.approx(sum(says(x, at, True) for x, at in fakes), rel=1e-4)
    recon = ((out.x_aa - batch.x_a) ** 2).mean() * 1024 + ((out.x_bb - batch.x_b) ** 2).mean() * 1024
    assert float(got["recon"]) == pytest.approx(float(recon), rel=1e-4)

    got = adapt.discriminator_terms(d, batch, out.detach())
    real = says(batch.x_a, "a", True) + says(batch.x_b, "b", True)
    assert float(got["gan"]) == pytest.approx(real + sum(says(x, at, False) for x, at in fakes) / 2, rel=1e-4)
    classes = d.digit(d.features(batch.x_a, "a")).flatten(1).log_softmax(1)[range(4), range(4)]
    assert float(got["classes"]) == pytest.approx(-float(classes.mean()), rel=1e-4)
    h = [d.features(getattr(out, x), x[-1]) for x in ("x_ab", "x_aa", "x_ba", "x_bb")]
    matching = 2048 * (((h[0] - h[1]) ** 2).mean() + ((h[2] - h[3]) ** 2).mean())
    assert float(got["features"]) == pytest.approx(float(matching), rel=1e-4)


def test_a_weight_of_nothing_takes_the_term_away():
    terms = {"gan": torch.tensor(3.0), "kl": torch.tensor(5.0), "recon": torch.tensor(7.0)}
    assert float(adapt.weighted(terms, Weights(gan=0, kl=1, recon=2))) == 19


# Training


@pytest.mark.parametrize("method", adapt.METHODS)
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path, method):
    source, target = some_digits(20), DataSet(some_digits(12, seed=1), some_digits(8, seed=2))
    whole, first, second = (a_run(tmp_path / name, method) for name in ("whole", "parts", "parts"))
    before = {name: tensor.clone() for name, tensor in weights(whole).items()}
    assert train_run(whole, source, target)
    assert not same(weights(whole), before)
    object.__setattr__(first.config, "steps", 1)
    assert train_run(first, source, target)
    torch.manual_seed(99)
    assert train_run(second, source, target)
    assert same(weights(whole), weights(second))
    assert whole.curve == second.curve
    saved = [Checkpointer(run.folder).load_newest().tensors for run in (whole, second)]
    assert same(*saved)  # the optimisers' moments, too


@pytest.mark.parametrize("method", [name for name in adapt.METHODS if name != "target supervised"])
def test_labels_of_the_target_are_never_trained_on(tmp_path, method):
    source, target = some_digits(20), DataSet(some_digits(12, seed=1), some_digits(8, seed=2))
    garbage = DataSet(*(Digits(part.images, torch.full_like(part.labels, -12345)) for part in target))
    honest, blind = a_run(tmp_path / "honest", method), a_run(tmp_path / "blind", method)
    train_run(honest, source, target), train_run(blind, source, garbage)
    assert same(weights(honest), weights(blind))
    assert blind.curve == [(1, 0.0), (2, 0.0)]


def test_the_ceiling_does_read_them(tmp_path):
    source, target = some_digits(20), DataSet(some_digits(12, seed=1), some_digits(8, seed=2))
    others = DataSet(Digits(target.train.images, target.train.labels.flip(0)), target.test)
    one, other = (a_run(tmp_path / name, "target supervised") for name in ("one", "other"))
    train_run(one, source, target), train_run(other, source, others)
    assert not same(weights(one), weights(other))


def test_a_classifier_learns_what_can_be_learnt(tmp_path):
    images = torch.zeros(40, 1, 32, 32, dtype=torch.uint8)
    labels = torch.arange(40) % 10
    for image, label in zip(images, labels, strict=True):
        image[0, 3 * label : 3 * label + 3] = 255  # a bar, higher or lower
    bars = Digits(images, labels)
    run = a_run(tmp_path, "source only", width=12, batch_size=40, steps=50, evaluate_every=50, save_every=50, lr=1e-3)
    train_run(run, bars, DataSet(bars, bars))
    assert run.curve == [(50, pytest.approx(1.0, abs=0.11))]


def test_other_options_are_another_run(tmp_path):
    source, target = some_digits(20), DataSet(some_digits(12, seed=1), some_digits(8, seed=2))
    train_run(a_run(tmp_path), source, target)
    with pytest.raises(ValueError, match="choose another --run-dir"):
        train_run(a_run(tmp_path, lr=1e-3), source, target)


def test_half_of_the_target_is_inverted_where_the_source_has_both_kinds():
    images = some_digits(4).images
    assert torch.equal(shown(images, invert=False), to_unit(images))
    assert torch.equal(shown(images, invert=True)[:2], to_unit(images)[:2])
    assert torch.allclose(shown(images, invert=True)[2:], to_unit(255 - images)[2:], atol=1e-6)
    assert adapt.TASKS["svhn2mnist"].invert


# The command


def test_the_command_prints_a_table_and_goes_on(tmp_path, capsys):
    save_npz(tmp_path, "svhn", shape=(32, 32, 3)), save_npz(tmp_path, "mnist")
    words = ["svhn2mnist", "--data", str(tmp_path), "--run-dir", str(tmp_path / "runs"), "--width", "6", "--device"]
    words += ["cpu", "--steps", "1", "--batch-size", "4", "--seeds", "2", "--methods", "UNIT", "source only"]
    assert adapt.main(words) == 0
    first = capsys.readouterr().out
    assert "| UNIT |" in first
    assert "0.9053" in first
    folder = tmp_path / "runs" / "svhn2mnist"
    written = {path: path.stat().st_mtime_ns for path in folder.glob("*/step-*")}
    assert len(written) == 4
    assert adapt.main(words) == 0
    assert written == {path: path.stat().st_mtime_ns for path in folder.glob("*/step-*")}  # nothing was trained again
    assert len(json.loads((folder / "results.json").read_text())["runs"]) == 4


def test_the_table_reports_the_last_step_and_names_the_best_as_no_result():
    runs = [
        {"method": "UNIT", "seed": seed, "steps": 10, "last": last, "best": 0.95}
        for seed, last in enumerate((0.9, 0.8))
    ]
    table = results_table("mnist2usps", runs)
    assert "| UNIT | 0.8500 ± 0.0707 | 0.9000, 0.8000 | 0.9500 | 10 |" in table
    assert "best on test, not a result" in table


@pytest.mark.parametrize(
    ("words", "message"), [(["--methods", "magic"], "'magic' is unknown"), (["--seeds", "0"], "--seeds is 0")]
)
def test_wrong_options_are_refused(tmp_path, capsys, words, message):
    assert adapt.main(["mnist2usps", "--data", str(tmp_path), "--run-dir", str(tmp_path / "r"), *words]) == 1
    assert message in capsys.readouterr().err


def test_missing_digits_are_one_sentence(tmp_path, capsys):
    assert adapt.main(["mnist2usps", "--data", str(tmp_path), "--run-dir", str(tmp_path / "r")]) == 1
    error = capsys.readouterr().err.strip()
    assert "neither mnist.npz nor what torchvision.datasets.MNIST leaves" in error
    assert "\n" not in error


# Data


def test_digits_are_resized_and_keep_their_values():
    flat = digits(np.full((2, 16, 16), 77, np.uint8), np.array([3, 4]))
    assert flat.images.shape == (2, 1, 32, 32)
    assert flat.images.unique().tolist() == [77]
    exact = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    assert np.array_equal(digits(exact, np.array([3, 4])).images.permute(0, 2, 3, 1).numpy(), exact)
    with pytest.raises(DataError, match="uint8"):
        digits(np.zeros((2, 16, 16)), np.array([3, 4]))


def test_mnist_m_is_the_difference_of_digit_and_patch():
    source = some_digits(3)
    photo = torch.randint(256, (3, 32, 32)).to(torch.uint8)
    made = mnist_m(source, [photo], seed=0)
    assert torch.equal(made.images.int(), (photo.int() - source.images.int()).abs())
    assert torch.equal(made.labels, source.labels)
    large = [torch.randint(256, (3, 40, 50)).to(torch.uint8) for _ in range(2)]
    assert torch.equal(mnist_m(source, large, 0).images, mnist_m(source, large, 0).images)
    assert not torch.equal(mnist_m(source, large, 0).images, mnist_m(source, large, 1).images)


def test_mnist_m_is_made_of_a_folder_of_photos(tmp_path):
    save_npz(tmp_path, "mnist")
    with pytest.raises(DataError, match="--photos"):
        load_digits("mnistm", tmp_path)
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (40, 40), (10, 20, 30)).save(tmp_path / "photos" / "a.png")
    made, mnist = load_digits("mnistm", tmp_path, tmp_path / "photos").train, load_digits("mnist", tmp_path).train
    assert torch.equal(made.images[:, 1:2].int(), (20 - mnist.images.int()).abs())


def test_svhn_is_read_as_stanford_gives_it(tmp_path, monkeypatch):
    x = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 5), dtype=np.uint8)
    asked = []

    def loadmat(path: Path) -> dict[str, np.ndarray]:
        asked.append(path.name)
        return {"X": x, "y": np.array([[10], [1], [2], [3], [10]])}

    monkeypatch.setitem(sys.modules, "scipy", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "scipy.io", SimpleNamespace(loadmat=loadmat))
    (tmp_path / "train_32x32.mat").touch()
    found = load_digits("svhn", tmp_path)
    assert found.train.labels.tolist() == [0, 1, 2, 3, 0]
    assert np.array_equal(found.train.images[3].permute(1, 2, 0).numpy(), x[..., 3])
    (tmp_path / "extra_32x32.mat").touch()
    load_digits("svhn", tmp_path)
    assert asked == [f"{name}_32x32.mat" for name in ("train", "test", "extra", "test")]


def test_mnist_is_read_as_torchvision_leaves_it(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    x, y = np.random.default_rng(0).integers(0, 256, (6, 32, 32), dtype=np.uint8), np.arange(6, dtype=np.uint8)
    for split in ("train", "t10k"):
        images, labels = raw / f"{split}-images-idx3-ubyte", raw / f"{split}-labels-idx1-ubyte"
        images.write_bytes(struct.pack(">4i", 0x803, *x.shape) + x.tobytes())
        labels.write_bytes(struct.pack(">2i", 0x801, len(y)) + y.tobytes())
        for path in (images, labels):
            (raw / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    found = load_digits("mnist", tmp_path)
    assert np.array_equal(found.test.images[:, 0].numpy(), x)
    assert found.train.labels.tolist() == y.tolist()


def test_grey_and_colour_pictures_are_made_of_each_other():
    grey = torch.rand(2, 1, 32, 32)
    assert torch.equal(to_channels(grey, 1), grey)
    assert math.isclose(float(to_channels(to_channels(grey, 3), 1).sum()), float(grey.sum()), rel_tol=1e-5)
