"""The trainer: resume equals no interruption, damaged files, the data check, and that it learns."""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from train.benchmark import plain_step
from train.config import LossWeights, TrainConfig, presets
from train.data import DataError, UnpairedBatches, batches, check_data
from train.export import export
from train.loop import compile_networks, train, train_step, zoom
from train.state import TrainState, checkpoints
from unit import UNIT, UNITConfig, load_pretrained
from unit.layouts import LAYOUTS


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Green pictures with a bright spot, and white ones: the smallest summer and winter."""
    root = tmp_path_factory.mktemp("seasons")
    green, white = (60, 140, 40), (225, 230, 240)
    for name, colour, count in (("trainA", green, 10), ("trainB", white, 9), ("testA", green, 2), ("testB", white, 2)):
        (root / name).mkdir()
        for i in range(count):
            image = Image.new("RGB", (40, 36), colour)
            image.paste((255, 240, 150), (3 * i, 2 * i, 3 * i + 8, 2 * i + 8))
            image.save(root / name / f"{i}.png")
    return root


@pytest.fixture
def config(data, tmp_path) -> TrainConfig:
    return TrainConfig(
        data=data,
        run=tmp_path / "run",
        model=UNITConfig(dim=4, n_res=1, image_size=64, domain_a="summer", domain_b="winter"),
        discriminator="multiscale",
        weights=LossWeights(gan=1, kl=0.01, recon=10, cycle_kl=0.01, cycle=10, identity=0.1),
        steps=4,
        batch_size=2,
        compile=False,
        workers=0,
        device="cpu",
        log_every=1,
        sample_every=2,
        save_every=2,
    )


def assert_same(path_0: Path, path_1: Path) -> None:
    one, other = load_file(path_0), load_file(path_1)
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert different == []


@pytest.mark.parametrize("discriminator", ["multiscale", "projected"])
def test_resume_equals_an_uninterrupted_run_bit_for_bit(config, tmp_path, discriminator):
    config = dataclasses.replace(config, discriminator=discriminator, workers=1)
    through = train(config)
    stopped = dataclasses.replace(config, run=tmp_path / "stopped")
    train(dataclasses.replace(stopped, steps=2))
    resumed = train(stopped)
    assert resumed != through
    assert_same(through, resumed)
    grids = sorted(p.name for p in (tmp_path / "run" / "samples").iterdir())
    assert grids == ["step-00000002.png", "step-00000004.png"]
    lines = [json.loads(line) for line in (tmp_path / "stopped" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert {"recon", "kl", "cycle", "cycle_kl", "gan", "d"} <= lines[0].keys()


def test_another_seed_is_another_run(config, tmp_path):
    other = dataclasses.replace(config, seed=1, run=tmp_path / "other", steps=1)
    with pytest.raises(AssertionError):
        assert_same(train(dataclasses.replace(config, steps=1)), train(other))


def test_a_kill_loses_at_most_the_steps_since_the_last_checkpoint(config, tmp_path):
    """kill -9 a real training process once it has a checkpoint; the same command then finishes as if never killed."""
    options = (
        "--model.dim 4 --model.n-res 1 --model.image-size 64 --discriminator multiscale "
        "--batch-size 2 --no-compile --workers 0 --device cpu --save-every 1 --steps 100000"
    )
    command = [sys.executable, "-m", "train", "compact", "--data", str(config.data), "--run", str(config.run)]
    command += options.split()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not checkpoints(config.run):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    steps = int(checkpoints(config.run)[-1].stem.split("-")[1]) + 2
    finished = subprocess.run([*command[:-1], str(steps)], capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    assert "going on from" in finished.stdout
    options = [*command[:-1], str(steps)]
    options[options.index(str(config.run))] = str(tmp_path / "through")
    subprocess.run(options, capture_output=True, timeout=120, check=True)
    name = f"step-{steps:08d}.safetensors"
    assert_same(tmp_path / "through" / name, config.run / name)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(config, capsys):
    newest = train(config)
    newest.write_bytes(newest.read_bytes()[:1000])
    state = TrainState.build(config)
    assert state.resume() == config.run / "step-00000002.safetensors"
    assert state.step == 2
    assert "step-00000004.safetensors cannot be read" in capsys.readouterr().out


def test_a_checkpoint_of_another_network_is_refused(config):
    train(dataclasses.replace(config, steps=1))
    with pytest.raises(ValueError, match="made by another network"):
        TrainState.build(dataclasses.replace(config, model=dataclasses.replace(config.model, dim=8))).resume()


def test_only_two_checkpoints_are_kept(config):
    train(dataclasses.replace(config, save_every=1))
    assert [p.name for p in checkpoints(config.run)] == ["step-00000003.safetensors", "step-00000004.safetensors"]
    assert not list(config.run.glob("*.partial"))


def test_a_run_that_diverges_stops_and_keeps_its_good_checkpoint(config):
    good = train(dataclasses.replace(config, steps=2))
    with pytest.raises(ValueError, match=r"not a finite number at step 4.*lower --lr-g"):
        train(dataclasses.replace(config, lr_g=float("inf")))
    assert checkpoints(config.run) == [good]


def test_the_log_of_a_killed_run_is_continued_without_repeats(config):
    train(dataclasses.replace(config, steps=2))
    with open(config.run / "metrics.jsonl", "a") as file:
        file.write('{"step": 3, "recon": 1}\n{"step": 4, "rec')
    train(config)
    lines = (config.run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]


def test_a_name_that_could_not_be_loaded_is_refused_before_training(config):
    twins = dataclasses.replace(config.model, domain_b="summer")
    with pytest.raises(ValueError, match="both domains the name summer"):
        train(dataclasses.replace(config, model=twins))


def test_export_is_the_averaged_generator_with_a_card(config, tmp_path):
    newest = train(config)
    folder = export(config.run, tmp_path / "mine", notes="## Limits\n\nTiny.\n")
    model, saved = load_pretrained(folder), load_file(newest)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, saved[f"ema.{name}"].half().float())
    card = (folder / "README.md").read_text()
    assert "16 photos seen" in card
    assert "summer" in card
    assert card.endswith("## Limits\n\nTiny.\n")
    assert str(tmp_path) not in card
    with pytest.raises(ValueError, match="no checkpoint yet"):
        export(tmp_path, tmp_path / "none")


def test_batches_depend_on_seed_and_step_only(config):
    once = UnpairedBatches(config)[3]
    torch.manual_seed(123)
    before = torch.get_rng_state()
    again = UnpairedBatches(config)[3]
    torch.testing.assert_close(once, again, rtol=0, atol=0)
    assert torch.equal(before, torch.get_rng_state())
    loaded = next(iter(batches(dataclasses.replace(config, workers=1), first_step=3)))
    torch.testing.assert_close(once[0], loaded[0], rtol=0, atol=0)
    assert once[0].shape == (2, 3, 64, 64)
    assert -1 <= once[0].min() < once[0].max() <= 1


def test_an_epoch_shows_every_photo_once(config):
    dataset = UnpairedBatches(config)
    shown = [path for step in range(5) for path in dataset._paths(0, step)]
    assert sorted(shown) == dataset.paths[0]
    second = [path for step in range(5, 10) for path in dataset._paths(0, step)]
    assert sorted(second) == sorted(shown)
    assert second != shown


def test_it_learns_to_reconstruct(config):
    state = TrainState.build(dataclasses.replace(config, lr_g=2e-3))
    x_a, x_b = next(iter(batches(config, 0)))
    first = train_step(state, x_a, x_b)
    for _ in range(40):
        last = train_step(state, x_a, x_b)
    assert last["recon"] < first["recon"] / 2
    assert last["cycle"] < first["cycle"] / 2


def test_the_discriminator_step_leaves_no_trace_in_the_generator(config):
    """Only the weighted losses move the generator: with all weights zero it stays, while D learns."""
    weights = LossWeights(gan=0, kl=0, recon=0, cycle_kl=0, cycle=0, identity=0)
    state = TrainState.build(dataclasses.replace(config, weights=weights, weight_decay=0.0))
    before_g = [p.clone() for p in state.model.parameters()]
    before_d = [p.clone() for p in state.discriminator.parameters()]
    train_step(state, *next(iter(batches(config, 0))))
    assert all(torch.equal(p, q) for p, q in zip(before_g, state.model.parameters(), strict=True))
    assert not all(torch.equal(p, q) for p, q in zip(before_d, state.discriminator.parameters(), strict=True))


def test_one_pass_and_two_passes_agree_without_noise(config, monkeypatch):
    """The shared generator pass changes nothing but which noise is drawn."""
    monkeypatch.setattr("unit.unit.latent_noise", lambda mean, **_: torch.zeros_like(mean))
    config = dataclasses.replace(config, precision="fp32", betas=(0.0, 0.0))
    x_a, x_b = next(iter(batches(config, 0)))
    ours, plain = TrainState.build(config), TrainState.build(config)
    train_step(ours, x_a, x_b)
    plain_step(plain, x_a, x_b)
    for p, q in zip(ours.discriminator.parameters(), plain.discriminator.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-5, rtol=1e-4)
    moments, expected = (state.opt_g.state_dict()["state"] for state in (ours, plain))
    torch.testing.assert_close(moments, expected, atol=1e-5, rtol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_compiled_networks_never_fall_back(config, layout):
    """Every encoder and decoder is compiled whole, for every shape of a step; dynamo raises if it would give up."""
    model = dataclasses.replace(config.model, layout=layout, n_res_shared=0 if layout == "master2018" else 1)
    config = dataclasses.replace(config, model=model)
    state = TrainState.build(config)
    compile_networks(state)
    torch._dynamo.utils.counters.clear()
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
        train_step(state, *next(iter(batches(config, 0))))
        graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
        networks = [net for net in state.model.children() if list(net.parameters())]
        assert len(networks) <= graphs <= 2 * len(networks)  # by two batch sizes, and not by residual blocks
        train_step(state, *next(iter(batches(config, 0))))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == graphs
    assert not torch._dynamo.utils.counters["graph_break"]


def test_zoom_shows_the_same_place_of_every_picture():
    x = torch.rand(2, 3, 64, 48)
    torch.manual_seed(0)
    one, other = zoom(0.5, x, 1 - x)
    torch.testing.assert_close(one, 1 - other)
    assert one.shape == x.shape
    assert not torch.allclose(one, x)
    assert zoom(1.0, x)[0] is x
    ramp = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)  # a crop of 50 to 100 % covers as much of a ramp
    spans = [float(z.max() - z.min()) for z in (zoom(0.5, ramp)[0] for _ in range(50))]
    assert 0.45 < min(spans) < 0.6
    assert 0.85 < max(spans) <= 1


def test_the_average_follows_the_model(config):
    state = TrainState.build(config)
    with torch.no_grad():
        for p in state.model.parameters():
            p.fill_(1.0)
        for p in state.ema.parameters():
            p.fill_(0.0)
    state.step = 10**6
    state.update_ema()
    for p in state.ema.parameters():
        torch.testing.assert_close(p, torch.full_like(p, 0.001))


def test_the_weights_of_a_preset_name_the_losses():
    x = torch.rand(1, 3, 16, 16)
    terms = UNIT(UNITConfig(dim=4, n_res=1))(x, x).losses(x, x).keys() | {"gan"}
    for name, (help_line, config) in presets(Path("data")).items():
        assert config.model.layout == name
        assert help_line.endswith(".")
        assert vars(config.weights).keys() == terms
    paper = presets(Path("data"))["paper"][1]
    assert vars(paper.weights) == {"gan": 10, "kl": 0.1, "recon": 100, "cycle_kl": 0.1, "cycle": 100, "identity": 0}


def test_check_data_reports_and_refuses(data, tmp_path):
    report = check_data(data, 64)
    assert "trainA: 10 photos (10 RGB), short side 36 to 36 px; most are smaller than the 64 px crops" in report
    with pytest.raises(DataError, match="is not a folder"):
        check_data(tmp_path / "none", 64)
    (tmp_path / "trainA").mkdir()
    with pytest.raises(DataError, match=r"trainA has 0 photos.*trainB has 0 photos"):
        check_data(tmp_path, 64)


def test_check_data_names_an_unreadable_file(data, tmp_path):
    for name in ("trainA", "trainB"):
        (tmp_path / name).mkdir()
        for path in (data / name).iterdir():
            (tmp_path / name / path.name).write_bytes(path.read_bytes())
    broken = tmp_path / "trainB" / "broken.jpg"
    broken.write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"trainB has 1 unreadable files; the first is broken.jpg"):
        check_data(tmp_path, 32)
