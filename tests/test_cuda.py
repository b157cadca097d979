"""What a device can change, checked on an NVIDIA GPU against the CPU. Elsewhere there is nothing to run."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from tests.photos import seasons
from tests.test_parallel import make_config
from train.compile import compile_networks
from train.config import TrainConfig, UNITWeights
from train.data.batches import DeviceBatches, UnpairedBatches, fit_on
from train.data.check import check_data
from train.loop import train
from train.state import TrainState
from train.step import train_step
from train.tools.plan import plan
from unit import UNIT, Sampling, Translator, UNITConfig
from unit.models.architectures import LAYOUTS
from unit.pipeline import memory_format

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
CUDA = torch.device("cuda")


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """float32 is float32: no TF32, whose products keep ten bits."""
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return make_config("", tmp_path / "run", device="cuda", diffaugment=True)


def one_batch(n: int = 4, size: int = 64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x_a, x_b = (torch.rand(n, 3, size, size, generator=generator) * 2 - 1 for _ in "ab")
    return x_a, x_b


def step(state: TrainState, x_a: Tensor, x_b: Tensor) -> dict[str, float]:
    layout = memory_format(state.device)
    terms = train_step(state, *(x.to(state.device, memory_format=layout) for x in (x_a, x_b)))
    return {name: float(term) for name, term in terms.items()}


def first_moments(state: TrainState) -> Tensor:
    """(1 - beta) times the generator's gradients of a first step, in one vector."""
    moments = state.opt_g.state_dict()["state"].values()
    return torch.cat([each["exp_avg"].cpu().flatten() for each in moments])


def noiseless(monkeypatch: pytest.MonkeyPatch) -> None:
    """The devices draw different noise of a seed, so compare them without."""
    monkeypatch.setattr("unit.models.unit.latent_noise", lambda mean, **_: torch.zeros_like(mean))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_step_is_that_of_the_cpu(config, layout, monkeypatch):
    noiseless(monkeypatch)
    model = dataclasses.replace(config.model, layout=layout, n_res_shared=0 if layout == "master2018" else 1)
    config = config.replace(model=model, zoom=1.0)
    here, there = (TrainState.build(config.replace(device=name)) for name in ("cuda", "cpu"))
    assert step(here, *one_batch()) == pytest.approx(step(there, *one_batch()), rel=1e-3, abs=1e-4)
    one, other = first_moments(here), first_moments(there)
    assert (one - other).norm() < 0.02 * other.norm()  # L1 has only signs for gradients, some of which rounding decides


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_takes_nearly_the_same_step(config, precision):
    config = config.replace(discriminator="projected")
    exact, rounded = (TrainState.build(config.replace(precision=p)) for p in ("fp32", precision))
    # What the frozen features see of a rounded picture may differ by some percent, and logits are differences of it.
    assert step(rounded, *one_batch()) == pytest.approx(step(exact, *one_batch()), rel=0.1, abs=0.05)


def test_compiled_networks_take_nearly_the_same_step(config):
    model = dataclasses.replace(config.model, layout="refined8", dim=16)
    config = config.replace(model=model, precision="bf16", discriminator="projected")
    exact, plain, compiled = (
        TrainState.build(config.replace(**changes)) for changes in ({"precision": "fp32"}, {}, {"compile": True})
    )
    compile_networks(compiled)
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
        for state in (exact, plain, compiled):
            step(state, *one_batch())
    expected = first_moments(exact)
    allowed = 0.02 * expected.norm() + 1.3 * (first_moments(plain) - expected).norm()
    assert (first_moments(compiled) - expected).norm() < allowed
    assert not compiled.skipped


def test_a_batch_with_nan_changes_nothing(config):
    state = TrainState.build(config)
    x_a, x_b = one_batch()
    step(state, x_a, x_b)
    before = {name: tensor.clone() for name, tensor in state.tensors().items() if name.startswith(("model.", "opt_"))}
    step(state, x_a * float("nan"), x_b)
    assert (state.skipped, state.skipped_in_a_row) == (1, 1)
    after = state.tensors()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_resume_equals_an_uninterrupted_run(config, tmp_path, precision, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    (tmp_path / "photos").mkdir()
    config = config.replace(data=str(seasons(tmp_path / "photos")), precision=precision, steps=4)
    torch.use_deterministic_algorithms(True)
    try:
        through = train(config)
        stopped = config.replace(run_dir=tmp_path / "stopped")
        train(stopped.replace(steps=2))
        resumed = train(stopped)
    finally:
        torch.use_deterministic_algorithms(False)
    one, other = load_file(through), load_file(resumed)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_the_plan_of_memory_is_near_what_is_taken(config):
    model = UNITConfig(layout="compact", dim=32, image_size=128)
    config = config.replace(model=model, batch_size=8, weights=UNITWeights(), zoom=1.0, diffaugment=False)
    planned = plan(config).memory
    state = TrainState.build(config)
    x_a, x_b = one_batch(8, 128)
    torch.cuda.reset_peak_memory_stats()
    for _ in range(2):
        step(state, x_a, x_b)
    assert torch.cuda.max_memory_allocated() == pytest.approx(planned, rel=0.4)


@pytest.mark.parametrize("layout", ["compact", "refined8"])
def test_pictures_are_those_of_the_cpu(layout):
    torch.manual_seed(0)
    model = UNIT(UNITConfig(layout=layout, dim=8, domain_a="summer", domain_b="winter"))
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 150, 3), np.uint8))
    here, there = (
        np.asarray(Translator(model, device, torch.float32).translate(photo, "winter", Sampling(0.5, seed=3)), float)
        for device in ("cuda", "cpu")
    )
    assert abs(here - there).max() <= 1  # the noise is drawn on the CPU; what is left is rounding


def test_photos_on_the_card_are_cropped_as_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    data = str(seasons(tmp_path / "data"))
    config = make_config(data, tmp_path / "run", device="cuda", min_crop=0.3, rotate=20.0, jitter=0.2, cache=True)
    check_data(config)
    plan = UnpairedBatches(config)
    assert fit_on(CUDA, plan)
    here, there = (next(DeviceBatches(plan, device, range(3, 4))) for device in (CUDA, torch.device("cpu")))
    for ours, theirs in ((here.x_a, there.x_a), (here.x_b, there.x_b)):
        torch.testing.assert_close(ours.cpu(), theirs, rtol=0, atol=1e-3)
