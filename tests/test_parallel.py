"""Many processes: two replicas stay identical, and equal one process with the whole batch."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.photos import seasons
from train.checkpointer import checkpoints
from train.config import TrainConfig, UNITWeights
from train.data.batches import _unless_the_trainer_has_gone
from train.loop import train
from train.parallel import processes
from unit import UNITConfig

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ROOT = Path(__file__).parent.parent
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}


def make_config(data: str, run: Path, **options: object) -> TrainConfig:
    defaults: dict = {
        "model": UNITConfig(dim=4, n_res=1, image_size=64, domain_a="summer", domain_b="winter"),
        "discriminator": "multiscale",
        "d_dim": 4,
        "weights": UNITWeights(gan=1, kl=0.01, recon=10, cycle_kl=0.01, cycle=10, identity=0.1),
        "steps": 3, "batch_size": 4, "precision": "fp32", "compile": False, "workers": 0, "device": "cpu", "zoom": 0.7,
        "cache": False, "log_every": 1,
    }  # fmt: skip
    return TrainConfig.of(data=data, run_dir=run, **(defaults | options))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(seasons(tmp_path_factory.mktemp("seasons")))


def run_replicas(launcher: list[str], data: str, out: Path, **options: object) -> None:
    out.mkdir()
    command = [*launcher, "-m", "tests.replica", data, str(out), json.dumps(options)]
    done = subprocess.run(command, cwd=ROOT, env=ONE_THREAD, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]


# Not spectral_norm: its power iteration makes a step at each forward pass, so it counts the parts of a batch.
ALL = {"r1": 10.0, "r1_every": 2, "diffaugment": True, "real_negatives": True, "clip": 1.0, "accumulate": 2}


@pytest.mark.parametrize(
    "options", [pytest.param({}, id="plain"), pytest.param(ALL, id="all-options", marks=pytest.mark.slow)]
)
def test_two_processes_are_identical_and_equal_one_with_the_whole_batch(data, tmp_path, options):
    run_replicas(TORCHRUN, data, tmp_path / "two", **options)
    run_replicas([sys.executable], data, tmp_path / "one", **(options | {"accumulate": 1}))
    for step in (1, 2, 3):
        first, second = (load_file(tmp_path / "two" / f"step-{step}-rank-{rank}.safetensors") for rank in (0, 1))
        assert first.keys() == second.keys()
        assert [name for name in first if not torch.equal(first[name], second[name])] == []

        one = load_file(tmp_path / "one" / f"step-{step}-rank-0.safetensors")
        if step == 1:  # then the optimisers' first moments are a share of the gradients, and nothing more
            for player in ("opt_g", "opt_d"):
                means = [name for name in one if name.startswith(player) and name.endswith("exp_avg")]
                scale = max(float(one[name].abs().max()) for name in means)
                for name in means:
                    torch.testing.assert_close(first[name], one[name], rtol=1e-4, atol=1e-5 * scale, msg=name)
        # Adam moves even a weight whose gradient is all rounding (a bias that real and fake pull at equally) by up to
        # its learning rate of 1e-4 a step; those are few.
        for net in ("model.", "discriminator."):
            differences = [(first[name] - one[name]).abs().flatten() for name in one if name.startswith(net)]
            assert torch.cat(differences).mean() < 1e-6


def steps_logged(run: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def command_line(data: str, run: Path) -> list[str]:
    options = (
        "--model.dim 4 --model.n-res 1 --model.image-size 64 --discriminator multiscale --d-dim 4 --no-cache "
        "--weights.perceptual 0 --batch-size 2 --no-compile --workers 1 --device cpu --save-every 2 --log-every 1 "
        "--steps 6"
    )
    return ["-m", "train", "compact", "--data", data, "--run-dir", str(run), *options.split()]


@pytest.mark.slow
def test_torchrun_trains_and_one_process_goes_on(data, tmp_path):
    """The whole trainer in two processes; its checkpoint is then carried on by one."""
    run = tmp_path / "run"
    data = shutil.copytree(data, tmp_path / "seasons")
    (data / "trainA" / "4.png").write_bytes(b"not a picture")  # one process meets it, and both must know
    done = subprocess.run(
        [*TORCHRUN, *command_line(str(data), run), "--max-unreadable", "0.1"],
        cwd=ROOT,
        env=ONE_THREAD,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("trainA: 9 photos") == 1  # one process speaks
    log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert log[-1]["unreadable"] == 1
    assert (done.stdout + done.stderr).count("trainA/4.png cannot be read") == 1
    assert [p.stem for p in checkpoints(run)] == ["step-00000004", "step-00000006"]
    assert steps_logged(run) == [1, 2, 3, 4, 5, 6]
    more = [*command_line(str(data), run)[:-1], "7", "--max-unreadable", "0.1"]
    done = subprocess.run([sys.executable, *more], cwd=ROOT, env=ONE_THREAD, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "going on from" in done.stdout


def test_processes_that_found_different_checkpoints_do_not_begin(data, tmp_path, monkeypatch):
    config = make_config(data, tmp_path / "run", steps=2)
    train(config)
    monkeypatch.setattr("train.loop.all_reduce_max", lambda value, _: max(value, 0))  # as beside a process at step 0
    with pytest.raises(ValueError, match=r"found checkpoints of steps 0 to 2: --run-dir .* that all of them share"):
        train(config.replace(steps=3))


def test_a_batch_that_cannot_be_shared_is_refused(data, tmp_path):
    config = make_config(data, tmp_path / "run", batch_size=3, accumulate=2)
    with pytest.raises(ValueError, match=r"--batch-size 3 cannot be shared equally by 1 processes working in 2 parts"):
        train(config)


def silence(trainer: int) -> None:
    """Stop its readers, as a disk does that no longer answers."""
    children = [int(p) for p in Path(f"/proc/{trainer}/task/{trainer}/children").read_text().split()]
    readers = [child for child in children if b"train" in Path(f"/proc/{child}/cmdline").read_bytes()]
    assert readers
    for reader in readers:
        os.kill(reader, signal.SIGSTOP)


def wait_until_nothing_changes(path: Path) -> None:
    before = b""
    while before != (before := path.read_bytes()):
        time.sleep(1)


@pytest.fixture
def hangups_heard() -> Iterator[None]:
    """What nohup starts hears none, nor what that starts: such a run goes on, and these tests would wait in vain."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BrokenPipeError("gone"), False), (EOFError(), False), (OSError("disk"), True), (RuntimeError("cuda"), True),
        (RuntimeError("did not receive acknowledgement of fd"), False),
    ],
)  # fmt: skip
def test_a_reader_does_not_complain_that_the_trainer_has_ended(error, told, capsys):
    """What Python's multiprocessing raises where nobody takes a batch any more."""
    _unless_the_trainer_has_gone(type(error), error, None)
    assert (type(error).__name__ in capsys.readouterr().err) is told


@pytest.mark.parametrize(
    ("number", "silent"),
    [(signal.SIGTERM, False), (signal.SIGINT, False), (signal.SIGHUP, False), (signal.SIGTERM, True)],
)
def test_a_signal_to_the_whole_group_saves_and_ends(data, tmp_path, number, silent, hangups_heard):
    """As SLURM, Spaces and a terminal send it: to the trainer and its readers at once, also where these are silent."""
    run = tmp_path / "run"
    command = [sys.executable, *command_line(data, run)[:-1], "100000"]
    command[command.index("--save-every") + 1] = "100000"
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=ONE_THREAD,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not (run / "metrics.jsonl").exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        if silent:
            silence(process.pid)
            wait_until_nothing_changes(run / "metrics.jsonl")
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=20 if silent else 60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == (130 if number == signal.SIGINT else 0), err
    assert f"{number.name}: saved" in out
    assert "Traceback" not in err
    (saved,) = checkpoints(run)
    logged = steps_logged(run)
    assert int(saved.stem.split("-")[1]) == logged[-1]  # not a step was lost


@pytest.mark.parametrize("name", ["cuda", "gpu", "cuda:9", "mps"])
def test_a_device_that_is_not_there_is_said(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=rf"^--device {name}: .* choose of: cpu\.$"), processes(name):
        pass


@pytest.mark.parametrize(("gpus", "chosen"), [(8, 3), (1, 0)])
def test_processes_take_gpus_in_turn(gpus, chosen, monkeypatch):
    """SLURM may show each process one GPU, which is the first of those it sees."""
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    with processes("cuda") as device:
        assert device == torch.device("cuda", chosen)
