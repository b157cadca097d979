"""Nothing lost: kills, damaged files, full disks, gradients that are not finite."""

import dataclasses
import errno
import json
import math
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from tests.photos import seasons
from tests.test_parallel import make_config, steps_logged
from tests.test_train import assert_same, one_batch
from train.callbacks import Callbacks
from train.checkpointer import _UMASK, Checkpointer, checkpoints
from train.checks import check_options
from train.compile import compile_networks
from train.config import TrainConfig
from train.loop import save, train
from train.state import TrainState, schedule
from train.step import Diverged, train_step, update
from unit.checkpoint import save_pretrained
from unit.models.protocol import Code
from unit.models.unit import UNIT


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seasons(tmp_path_factory.mktemp("seasons"))


@pytest.fixture
def config(data: Path, tmp_path: Path) -> TrainConfig:
    return make_config(str(data), tmp_path / "run", steps=4, batch_size=2, sample_every=2, save_every=2)


def train_alone(config: TrainConfig) -> None:
    torch.set_num_threads(1)
    train(config)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums of floats depend on how many threads share them, so what is to be equal to the bit has as many."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_a_run_of_an_older_version_goes_on(config, monkeypatch):
    """Its checkpoint says `whole` where this version says `aligned`; what differs is told under today's name."""
    config = config.replace(model=dataclasses.replace(config.model, aligned=True))
    options = json.loads(config.to_json())
    options["model"] |= {"format": 1, "whole": options["model"].pop("aligned")}
    config.run_dir.mkdir(parents=True)
    with monkeypatch.context() as older:
        older.setattr(TrainConfig, "to_json", lambda self: json.dumps(options))
        TrainState.build(config).save()
    state = TrainState.build(config)
    assert state.resume()
    assert state.changes == ""
    other = TrainState.build(config.replace(model=dataclasses.replace(config.model, aligned=False)))
    assert other.resume()
    assert other.changes == ", with other options: --model.aligned True -> False"


@pytest.mark.slow
def test_kill_9_at_random_moments(config, tmp_path, caplog, one_thread):
    """Twenty-five kills, many of them while a checkpoint is written, and the end is that of a run left in peace."""
    config = config.replace(steps=240, save_every=1, sample_every=80)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["train.loop"])
    moments, kills = random.Random(0), 0
    while kills < 25:
        process = context.Process(target=train_alone, args=(config,))
        process.start()
        newest = checkpoints(config.run_dir)[-1:]
        deadline = time.monotonic() + 60
        while checkpoints(config.run_dir)[-1:] == newest and time.monotonic() < deadline and process.is_alive():
            time.sleep(0.005)  # until it has got a step further, so that the run does end
        time.sleep(moments.uniform(0, 0.15))
        assert process.is_alive(), "the run was over before it had been killed often enough"
        process.kill()
        process.join()
        kills += 1
        assert Checkpointer(config.run_dir).load_newest()[0] == checkpoints(config.run_dir)[-1]
    assert "cannot be read" not in caplog.text
    train(config)
    through = config.replace(run_dir=tmp_path / "through", save_every=1000)
    assert_same(train(through), checkpoints(config.run_dir)[-1])
    assert steps_logged(config.run_dir) == list(range(1, 241))
    assert not list(config.run_dir.glob("*.partial"))


def test_a_damaged_checkpoint_falls_back_to_the_one_before(config, caplog):
    newest = train(config)
    newest.write_bytes(newest.read_bytes()[:1000])
    state = TrainState.build(config)
    assert state.resume() == config.run_dir / "step-00000002.safetensors"
    assert state.step == 2
    assert "step-00000004.safetensors cannot be read" in caplog.text
    assert newest.with_suffix(".damaged").is_file()  # kept for a look, and out of the way of those that are good
    assert checkpoints(config.run_dir) == [config.run_dir / "step-00000002.safetensors"]


def test_a_checkpoint_of_another_network_is_refused(config):
    train(config.replace(steps=1))
    with pytest.raises(ValueError, match="made by another network"):
        TrainState.build(config.replace(model=dataclasses.replace(config.model, dim=8))).resume()


def test_only_two_checkpoints_are_kept(config):
    train(config.replace(save_every=1))
    assert [p.name for p in checkpoints(config.run_dir)] == ["step-00000003.safetensors", "step-00000004.safetensors"]
    assert not list(config.run_dir.glob("*.partial"))


def test_the_log_of_a_killed_run_is_continued_without_repeats(config):
    train(config.replace(steps=2))
    with open(config.run_dir / "metrics.jsonl", "a") as file:
        file.write('{"step": 3, "recon": 1}\n{"step": 4, "rec')
    train(config)
    lines = (config.run_dir / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]


def test_a_log_that_cannot_be_written_stops_nothing(config, capsys, monkeypatch):
    config = config.replace(steps=3, save_every=2, tensorboard=True)
    train(config.replace(steps=2))
    path = config.run_dir / "metrics.jsonl"
    with open(path, "a") as file:
        file.write('{"step": 3, "rec')  # cut short by a kill
    told = path.read_text()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("train.callbacks.write_atomic", full)
    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.add_scalar", full)
    train(config)
    assert path.read_text().startswith(told)
    assert "TensorBoard's log could not be written: [Errno 28]" in capsys.readouterr().out


def test_a_name_that_could_not_be_loaded_is_refused_before_training(config):
    twins = dataclasses.replace(config.model, domain_b="summer")
    with pytest.raises(ValueError, match="both domains the name summer"):
        train(config.replace(model=twins))


def test_a_flipped_bit_is_found(config, caplog):
    newest = train(config)
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    state = TrainState.build(config)
    assert state.resume() == config.run_dir / "step-00000002.safetensors"
    assert "step-00000004.safetensors cannot be read (its checksum is wrong)" in caplog.text


def test_a_run_without_a_readable_checkpoint_is_not_begun_anew(config):
    train(config)
    for path in checkpoints(config.run_dir):
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"no checkpoint in .* can be read: move them away"):
        train(config)


def test_a_disk_that_is_full_for_a_while(config, capsys):
    """A limit on file sizes stands in for the full disk. The run goes on, the old checkpoint stays."""
    good = train(config.replace(steps=2))
    state = TrainState.build(config)
    state.resume()
    train_step(state, *one_batch(config))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        assert save(state, 0) == 1
        assert checkpoints(config.run_dir) == [good]
        assert not list(config.run_dir.glob("*.partial"))
        with pytest.raises(Exception, match="File too large"):
            save(state, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "step 3 could not be saved" in capsys.readouterr().out
    assert save(state, 1) == 0
    assert len(checkpoints(config.run_dir)) == 2


def test_a_folder_that_cannot_be_written_is_refused_at_once(config):
    with pytest.raises(ValueError, match=r"--run-dir /proc/unit cannot be written to"):
        train(config.replace(run_dir=Path("/proc/unit")))


@pytest.mark.parametrize(
    ("option", "value"),
    [(o, 0) for o in ("steps", "batch_size", "accumulate", "log_every", "save_every", "push_every", "zoom", "d_dim")]
    + [(o, -1) for o in ("clip", "r1", "lr_g", "workers", "evaluate_every", "max_unreadable")]
    + [("zoom", 1.5), ("min_crop", 0), ("ema", 1.0), ("lr_d", math.nan), ("weight_decay", math.nan), ("seed", 10**23)],
)
def test_options_that_cannot_be_are_refused_before_anything_is_read(config, option, value):
    with pytest.raises(ValueError, match=f"--{option.replace('_', '-')} is {value}: "):
        config.replace(**{option: value})


@pytest.mark.parametrize("betas", [(0.5, 1.0), (-0.1, 0.9), (math.nan, 0.9)])
def test_betas_that_cannot_be_are_refused(config, betas):
    with pytest.raises(ValueError, match=r"--betas is .*: both must be from 0 to below 1"):
        config.replace(betas=betas)


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="names there are always text")
def test_a_folder_whose_checkpoints_could_not_be_read_again_is_refused(config, tmp_path):
    latin = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    with pytest.raises(ValueError, match="its name is no UTF-8"):
        train(config.replace(data="nowhere", run_dir=latin))
    assert not latin.exists()


def test_a_run_of_another_network_is_refused_before_the_photos_are_read(config, monkeypatch):
    config.run_dir.mkdir()
    TrainState.build(config).save()
    monkeypatch.setattr("train.loop.check_data", None)
    wider = config.replace(model=dataclasses.replace(config.model, dim=2 * config.model.dim))
    with pytest.raises(ValueError, match="was made by another network"):
        train(wider)


def test_a_weight_that_cannot_be_is_refused(config):
    with pytest.raises(ValueError, match=r"--weights\.cycle-kl is -1: it must be 0 or more"):
        dataclasses.replace(config.weights, cycle_kl=-1)


def test_where_half_precision_has_wrong_gradients_it_is_refused(config):
    small = dataclasses.replace(config.model, image_size=32)
    patch = config.replace(model=small, discriminator="patch", precision="bf16")
    with pytest.raises(ValueError, match="set --precision fp32"):
        train(patch.replace(data="nowhere"))
    cpu = torch.device("cpu")
    check_options(patch.replace(precision="fp32"), device=cpu)
    check_options(patch.replace(model=config.model), device=cpu)


def test_crops_must_be_whole_latent_pixels(config):
    model = dataclasses.replace(config.model, image_size=66)
    with pytest.raises(ValueError, match=r"--model\.image-size 66 must be a multiple of 4"):
        train(config.replace(data="nowhere", model=model))


def test_a_batch_with_nan_changes_nothing(config):
    state = TrainState.build(config)
    x_a, x_b = one_batch(config)
    train_step(state, x_a, x_b)
    learnt = ("model.", "opt_g.", "opt_d.")
    before = {name: tensor.clone() for name, tensor in state.tensors().items() if name.startswith(learnt)}
    judges = [p.clone() for p in state.discriminator.parameters()]
    train_step(state, x_a * float("nan"), x_b)
    assert (state.step, state.skipped, state.skipped_in_a_row) == (2, 1, 1)
    after = state.tensors()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    assert all(torch.equal(p, q) for p, q in zip(judges, state.discriminator.parameters(), strict=True))
    train_step(state, x_a, x_b)
    assert (state.step, state.skipped, state.skipped_in_a_row) == (3, 1, 0)


def test_a_run_that_diverges_stops_and_keeps_its_good_checkpoint(config):
    good = train(config.replace(steps=2))
    wild = config.replace(lr_g=1e30, steps=40, max_skipped=3)
    with pytest.raises(Diverged, match=r"4 steps in a row.*not finite.*lower --lr-g"):
        train(wild)
    assert checkpoints(config.run_dir) == [good]


def test_what_is_not_finite_is_never_saved(config):
    state = TrainState.build(config)
    with torch.no_grad():
        next(state.model.parameters()).fill_(float("inf"))
    config.run_dir.mkdir()
    with pytest.raises(ValueError, match=r"is not finite at step 0, so it was not saved"):
        state.save()
    assert not list(config.run_dir.iterdir())


def test_fp16_scales_its_loss_and_resumes(config, tmp_path):
    config = config.replace(precision="fp16")
    through = train(config)
    stopped = config.replace(run_dir=tmp_path / "stopped")
    train(stopped.replace(steps=2))
    assert_same(through, train(stopped))
    state = TrainState.build(stopped)
    state.resume()
    assert state.scaler.get_scale() == 2**16 / 2**state.skipped  # an overflow halves it, and skips the step
    assert state.skipped < 4


def test_schedules():
    def factors(name: str) -> list[float]:
        config = TrainConfig.of(data="", steps=8, schedule=name)  # type: ignore[arg-type]
        return [schedule(config, step) for step in (0, 2, 4, 6, 8)]

    assert factors("constant") == [1, 1, 1, 1, 1]
    assert factors("linear") == [1, 1, 1, 0.5, 0]
    assert factors("cosine") == pytest.approx([1, 0.853553, 0.5, 0.146447, 0], abs=1e-6)
    config = TrainConfig.of(data="", steps=10**6, schedule="step")
    assert [schedule(config, 10**5 * i - 1) for i in (1, 2, 10)] == [1, 1 / 2, 1 / 2**9]


def test_the_schedule_may_follow_the_clock():
    config = TrainConfig.of(data="", steps=100, minutes=2.0, schedule="linear")
    assert [schedule(config, 10, seconds) for seconds in (0, 60, 90, 120, 200)] == [1, 1, 0.5, 0, 0]
    assert schedule(config, 75, 60) == 0.5  # whichever is further


def test_two_experiments_do_not_share_the_default_folder(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = config.replace(run_dir=TrainConfig.run_dir, steps=1)
    train(first)
    other = shutil.copytree(config.data.source, tmp_path / "other")
    with pytest.raises(ValueError, match=r"runs/unit, where runs go .* holds one on .*Choose a --run-dir"):
        train(first.replace(data=str(other), steps=2))
    assert train(first.replace(data=str(other), run_dir=tmp_path / "mine")).parent == tmp_path / "mine"


def test_init_of_a_run_that_goes_on_is_said_to_change_nothing(config, tmp_path, capsys):
    train(config.replace(steps=1))
    train(config.replace(steps=2, init="owner/elsewhere"))
    assert "--init owner/elsewhere is for new runs, and changes nothing here" in capsys.readouterr().out


def test_a_run_by_the_clock_ends_by_itself_and_is_then_finished(config):
    config = config.replace(steps=10**6, minutes=0.02)
    path = train(config)
    assert 0 < int(path.stem.removeprefix("step-")) < 1000
    assert train(config) == path
    assert len(list(config.run_dir.glob("step-*.safetensors"))) <= 2


def test_a_long_gradient_is_clipped(config):
    state = TrainState.build(config.replace(clip=1.0, schedule="linear", steps=8))
    weight = torch.nn.Parameter(torch.zeros(2))
    for step, gradient, moved in (
        (0, [3.0, 4.0], [-0.6, -0.8]),
        (0, [0.3, 0.4], [-0.3, -0.4]),
        (6, [3.0, 4.0], [-0.3, -0.4]),
    ):
        state.step = step
        weight.data.zero_()
        weight.grad = torch.tensor(gradient)
        assert update(state, torch.optim.SGD([weight], fused=True), lr=1.0)
        torch.testing.assert_close(weight.data, torch.tensor(moved), rtol=1e-4, atol=1e-6)


def test_checkpointing_gives_the_same_gradients_from_less_memory(config):
    kept, gradients = {}, {}
    for checkpointing in (False, True):
        state = TrainState.build(config.replace(checkpointing=checkpointing))
        x_a, x_b = one_batch(config)
        storages: dict[int, int] = {}

        def note(tensor: torch.Tensor, storages: dict[int, int] = storages) -> torch.Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        torch.manual_seed(0)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            out = state.ddp_generator(x_a, x_b)
        sum(out.losses(x_a, x_b).values()).backward()
        kept[checkpointing] = sum(storages.values())
        gradients[checkpointing] = [p.grad for p in state.model.parameters() if p.grad is not None]
    for plain, again in zip(gradients[False], gradients[True], strict=True):
        assert torch.equal(plain, again)
    assert kept[True] < kept[False] / 2


def test_init_goes_on_from_exported_weights(config, tmp_path):
    from train.publish.export import export

    train(config)
    folder = export(config.run_dir, tmp_path / "exported")
    state = TrainState.build(config.replace(init=str(folder), run_dir=tmp_path / "another"))
    again = TrainState.build(config.replace(init="gone since"))  # of no use to a run that goes on
    again.resume()
    for name, weight in again.ema.state_dict().items():
        torch.testing.assert_close(state.model.state_dict()[name], weight, rtol=1e-3, atol=1e-6)
    model = dataclasses.replace(config.model, dim=8)
    wider = config.replace(init=str(folder), run_dir=tmp_path / "another", model=model)
    with pytest.raises(ValueError, match="has dim 4, and this run 8"):
        TrainState.build(wider)


def test_compact8_grows_from_compact(config, tmp_path):
    """Shown a picture, the grown encoders say what the small ones say of it at half the size; so do the decoders,
    as far as they are the same."""
    small = UNIT(config.model)
    with torch.no_grad():  # residual blocks start as the identity
        for p in small.parameters():
            p.add_(0.05 * torch.randn_like(p))
    save_pretrained(small, tmp_path / "small", dtype=torch.float32)
    model = dataclasses.replace(config.model, layout="compact8", image_size=64)
    large = TrainState.build(config.replace(init=str(tmp_path / "small"), model=model)).model

    x = torch.rand(2, 3, 32, 48) * 2 - 1
    last = config.model.n_res + 3
    for domain in ("a", "b"):
        z = small.encode(F.avg_pool2d(x, 2), domain).mean
        torch.testing.assert_close(large.encode(x, domain).mean, z)
        parts = [(net.decoder_shared, getattr(net, f"decoder_{domain}")[:last]) for net in (small, large)]
        torch.testing.assert_close(*(own(shared(z)) for shared, own in parts))
        assert large.decode(Code(z), domain).shape == (2, 3, 32, 48)


def test_a_folder_is_trained_in_by_one_run(config):
    """And its lock is gone with the process, even if that was killed."""
    context = multiprocessing.get_context("spawn")
    other = context.Process(target=train_alone, args=(config.replace(steps=100_000),))
    other.start()
    try:
        wait_for(lambda: checkpoints(config.run_dir))
        with pytest.raises(ValueError, match="is being trained in: stop that, or choose another folder"):
            train(config)
    finally:
        other.kill()
        other.join()
    step = Checkpointer(config.run_dir).load_newest()[1]["opt_g.0.step"]
    train(config.replace(steps=int(step) + 1))


def wait_for(there, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the readers in /proc")
def test_when_a_reader_is_killed_the_run_ends_and_can_go_on(config):
    """As by the kernel, for want of memory. Python would wait for the other readers for ever."""
    options = [
        "compact", "--data", config.data.source, "--run-dir", config.run_dir, "--model.dim", "4", "--model.n-res", "1",
        "--model.image-size", "16", "--batch-size", "2", "--no-compile", "--device", "cpu", "--discriminator", "patch",
        "--d-dim", "4", "--weights.perceptual", "0", "--precision", "fp32", "--workers", "2", "--save-every", "2",
        "--steps", "100000",
    ]  # fmt: skip
    run = subprocess.Popen([sys.executable, "-m", "train", *map(str, options)], stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: checkpoints(config.run_dir))
        children = [int(p) for p in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()]
        readers = [child for child in children if b"train" in Path(f"/proc/{child}/cmdline").read_bytes()]
        assert len(readers) >= 2
        os.kill(readers[-1], signal.SIGKILL)
        _, err = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 1, err
    assert "A process that reads photos has ended" in err
    assert "Traceback" not in err
    assert Checkpointer(config.run_dir).load_newest() is not None


def test_it_is_saved_before_what_may_take_long(config, monkeypatch):
    def measured(self, losses, unreadable, told):
        raise MemoryError

    monkeypatch.setattr(Callbacks, "after_step", measured)
    with pytest.raises(MemoryError):
        train(config.replace(save_every=1))
    assert Checkpointer(config.run_dir).load_newest() is not None


def test_other_options_are_said_and_a_finished_run_is_left_alone(config, capsys):
    path = train(config)
    made = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o666 & ~_UMASK  # as of any new file
    capsys.readouterr()
    weights = dataclasses.replace(config.weights, gan=0.5)
    other = config.replace(lr_g=1e-5, weights=weights, workers=1)
    assert train(other) == path
    said = capsys.readouterr().out
    assert f"going on from {path}, with other options: " in said
    assert f"--weights.gan {config.weights.gan} -> 0.5" in said
    assert "--lr-g" in said
    assert "workers" not in said
    assert path.read_bytes() == made


@pytest.mark.slow
def test_what_is_recomputed_is_compiled_too(config):
    config = config.replace(checkpointing=True, compile=True)
    state = TrainState.build(config)
    compile_networks(state)
    torch._dynamo.utils.counters.clear()
    train_step(state, *one_batch(config))
    networks = [net for net in state.model.children() if list(net.parameters())]
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= len(networks)
    assert not torch._dynamo.utils.counters["graph_break"]
