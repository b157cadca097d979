"""What a run is said to cost is what it costs."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.test_parallel import make_config
from train.config import presets
from train.state import TrainState
from train.step import train_step
from train.tools.plan import LINKS, main, plan, step_on_many

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "options",
    [{}, {"accumulate": 2}, {"checkpointing": True}, {"discriminator": "projected", "diffaugment": True}],
    ids=str,
)
def test_flops_are_those_of_a_real_step(options):
    config = make_config("", Path("run"), precision="fp32", zoom=1.0, **options)
    state = TrainState.build(config)
    with FlopCounterMode(display=False) as counter:
        train_step(state, torch.rand(4, 3, 64, 64), torch.rand(4, 3, 64, 64))
    assert plan(config).flops == pytest.approx(counter.get_total_flops(), rel=0.001)


@pytest.mark.slow
def test_processes_and_parts_share_the_activations():
    config = make_config("", Path("run"), batch_size=8)
    whole, shared, parts = plan(config), plan(config, 4), plan(config.replace(accumulate=4))
    assert shared.flops == pytest.approx(whole.flops, rel=1e-6)
    assert parts.flops > whole.flops  # the fakes are drawn twice
    for part in (shared, parts):
        assert part.static == whole.static
        assert part.activations < whole.activations / 3


def test_checkpointing_is_seen():
    config = make_config("", Path("run"))
    assert plan(config.replace(checkpointing=True)).activations < plan(config).activations / 2


def test_the_plan_is_for_the_device_that_will_train(monkeypatch):
    monkeypatch.setattr("train.parallel.best_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(
        "train.parallel.best_dtype", lambda device: torch.bfloat16 if device.type == "cuda" else torch.float32
    )
    config = make_config("", Path("run"), precision="auto", device="auto")
    auto, asked = plan(config), plan(config.replace(precision="bf16"))
    assert auto == asked
    assert auto.precision == "bfloat16"
    assert plan(config.replace(device="cpu")).precision == "float32"


def test_the_presets_have_the_sizes_of_the_released_networks():
    paper, master = (plan(presets("")[name][1]) for name in ("paper", "master2018"))
    assert (round(paper.generator / 1e6, 1), round(paper.discriminators / 1e6, 1)) == (18.0, 50.3)
    assert round(master.generator / 1e6, 1) == 22.3
    generator = 3 * (4 * 44.7 + 6 * 43.5 - 2 * 9.7) / 1e3  # the shared block once where there are two drawings
    assert paper.flops / 1e12 == pytest.approx(generator + 0.05, abs=0.02)


@pytest.mark.slow
def test_memory_is_near_what_a_process_takes():
    """In a process of its own, for it asks for the most the process ever held."""
    done = subprocess.run(
        [sys.executable, "-m", "train", "plan", "compact", "--measure", "--precision", "fp32", "--batch-size", "2"],
        cwd=ROOT, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said, found = (
        float(line.split()[1 if line.startswith("memory") else 2])
        for line in done.stdout.splitlines()
        if line.startswith(("memory", "measured"))
    )
    assert 0.75 < said / found < 1.15


def test_the_command_says_what_to_expect(capsys):
    arguments = ["compact", "--model.image-size", "64", "--batch-size", "8", "--processes", "2", "--peak", "100"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "compact, dim 32, 64 px, batch 8 of each domain, 2 processes" in out
    assert out.count("photos/s on the device (100 TFLOP/s) at 30% of its peak") == 1
    assert main(["compact", "--batch-size", "3", "--processes", "2"]) == 1
    assert "make it a multiple of 2" in capsys.readouterr().err


def test_many_gpus_wait_for_their_gradients():
    """A ring of n sends 2 (n - 1) / n of the bytes; one GPU sends nothing."""
    assert step_on_many(0.2, 10**9, 1) == 0.2
    assert step_on_many(0.2, 10**9, 8) == pytest.approx(0.2 + 2 * 7 / 8 * 1e9 / LINKS["NVLink"])
    assert step_on_many(0.2, 10**9, 64) == pytest.approx(0.2 + 2 * 63 / 64 * 1e9 / LINKS["network"])


def test_a_measured_step_is_scaled(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["faces", "--step", "0.162", "--batch-size", "32"]) == 0
    one, eight, many = capsys.readouterr().out.splitlines()[-3:]
    assert one.lstrip().startswith("1 GPU ")
    assert "395 photos/s, --batch-size 32, 0.162 s a step, 100% of the pace of one" in one
    assert eight.startswith(" 8 GPUs")
    assert "--batch-size 2048," in many
    rates = [int(line.split(" photos/s")[0].split()[-1].replace(",", "")) for line in (one, eight, many)]
    assert 8 * 395 * 0.9 < rates[1] <= 8 * 396
    assert 64 * 395 * 0.5 < rates[2] < 64 * 396
