"""The ablation: its measure is what it says, and its variants lack what their names say."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from train import ablate
from train.ablate import AblateConfig, pixel_accuracy, results_table, run_config
from train.networks import build_discriminators

OPTIONS = ["--size", "32", "--dim", "4", "--steps", "2", "--batch-size", "2", "--pairs", "2", "--device", "cpu"]


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise, and the same darker: places and their maps under one name."""
    root, draw = tmp_path_factory.mktemp("maps"), np.random.default_rng(0)
    for folder in ("trainA", "trainB", "testA", "testB"):
        (root / folder).mkdir()
    for part, count in (("train", 8), ("test", 3)):
        for i in range(count):
            pixels = draw.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / f"{part}A" / f"{i}.png")
            Image.fromarray(pixels // 2).save(root / f"{part}B" / f"{i}.png")
    return root


def test_a_pixel_is_right_when_every_channel_is_near():
    level = 2 / 255
    x = torch.full((1, 3, 2, 2), -1.0)
    x_hat = x.clone()
    x_hat[0, :, 0, 0] += 15 * level
    assert pixel_accuracy(x_hat, x) == 1
    x_hat[0, 1, 0, 0] += level  # 16 of 256, in one channel
    assert pixel_accuracy(x_hat, x) == 0.75
    x_hat[0, :, 1, :] += 100 * level
    assert pixel_accuracy(x_hat, x) == 0.25
    assert pixel_accuracy(x, x_hat) == 0.25


def test_variants_lack_what_their_names_say():
    options = AblateConfig("maps")
    full = run_config(options, "full", 0)
    assert (full.model.n_res_shared, full.weights.cycle, full.discriminator.d_layers) == (1, 100, 5)
    assert run_config(options, "no sharing", 0).model.n_res_shared == 0
    lacks_cycle = run_config(options, "no cycle", 0).weights
    assert (lacks_cycle.cycle, lacks_cycle.cycle_kl, lacks_cycle.recon) == (0, 0, full.weights.recon)
    shallow, deep = (
        sum(m.weight.numel() for m in build_discriminators(config)[1].a.modules() if isinstance(m, torch.nn.Conv2d))
        for config in (run_config(options, "shallow discriminator", 0), full)
    )
    assert shallow < deep / 10
    for n in (2, 3, 4):
        assert run_config(options, f"{n} shared", 0).model.n_res_shared == n
    configs = [run_config(options, name, 0) for name in ablate.VARIANTS]
    assert {config.model.n_res + config.model.n_res_shared for config in configs} == {4}
    assert len({config.run_dir for config in configs}) == len(configs)


def test_the_command_prints_a_table_and_goes_on(maps, tmp_path, capsys, monkeypatch):
    words = ["--data", str(maps), "--run-dir", str(tmp_path), *OPTIONS, "--seeds", "1", "--variants", "full"]
    assert ablate.main(words) == 0
    assert "| full | 0." in capsys.readouterr().out
    (found,) = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert (found["variant"], found["seed"], found["steps"]) == ("full", 0, 2)

    trained = []
    train = ablate.train
    monkeypatch.setattr(ablate, "train", lambda config: trained.append(config.run_dir.name) or train(config))
    assert ablate.main([*words, "shallow discriminator"]) == 0
    assert trained == ["shallow-discriminator-0"]  # the full one was not trained again
    assert "| shallow discriminator | 0." in capsys.readouterr().out


def test_a_run_that_is_told_to_stop_has_no_result(maps, tmp_path, monkeypatch):
    train = ablate.train
    monkeypatch.setattr(ablate, "train", lambda config: train(config.replace(steps=1)))
    words = ["--data", str(maps), "--run-dir", str(tmp_path), *OPTIONS, "--seeds", "1", "--variants", "full"]
    assert ablate.main(words) == 130
    assert not list(tmp_path.glob("*/result.json"))
    monkeypatch.setattr(ablate, "train", train)
    assert ablate.main(words) == 0
    assert (tmp_path / "full-0" / "result.json").is_file()


def test_what_is_measured_are_pairs(maps, tmp_path, capsys):
    for folder in ("trainA", "trainB", "testA"):
        (tmp_path / folder).symlink_to(maps / folder)
    (tmp_path / "testB").mkdir()
    for name in ("0.png", "2.png"):
        (tmp_path / "testB" / name).symlink_to(maps / "testB" / name)
    assert ablate.main(["--data", str(tmp_path), *OPTIONS]) == 1
    assert "with pairs" in capsys.readouterr().err


def test_the_table_has_means_and_spreads():
    runs = [
        {"variant": "full", "seed": seed, "steps": 9, "accuracy": value} for seed, value in enumerate((0.5, 0.6, 0.7))
    ]
    assert "| full | 0.6000 ± 0.1000 | 0.5000, 0.6000, 0.7000 | 9 |" in results_table(runs)
