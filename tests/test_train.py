"""The trainer: resume equals no interruption, damaged files, the data check, and that it learns."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.photos import seasons
from train.checks import check_options, problems
from train.compile import compile_networks
from train.config import TrainConfig, UNITWeights, presets
from train.data.batches import batches
from train.loop import train
from train.publish.export import export, main
from train.state import TrainState
from train.step import Forward, discriminator_loss, forward, generator_loss, split_batch, train_step, update
from train.tools.benchmark import plain_step
from unit import UNIT, UNITConfig, load_pretrained, save_pretrained
from unit.losses import feature_l1
from unit.models import MODELS
from unit.models.architectures import LAYOUTS
from unit.pipeline import best_dtype


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return seasons(tmp_path_factory.mktemp("seasons"))


@pytest.fixture
def config(data, tmp_path) -> TrainConfig:
    return TrainConfig.of(
        data=str(data),
        run_dir=tmp_path / "run",
        model=UNITConfig(dim=4, n_res=1, image_size=64, domain_a="summer", domain_b="winter"),
        discriminator="multiscale",
        d_dim=8,
        weights=UNITWeights(gan=1, kl=0.01, recon=10, cycle_kl=0.01, cycle=10, identity=0.1),
        steps=4,
        batch_size=2,
        compile=False,
        workers=0,
        cache=False,
        device="cpu",
        log_every=1,
        sample_every=2,
        save_every=2,
    )


def one_batch(config: TrainConfig) -> tuple[Tensor, Tensor]:
    x_a, x_b, _ = next(iter(batches(config, 0)))
    return x_a, x_b


def one_pass(state: TrainState, x_a: Tensor, x_b: Tensor) -> Forward:
    (part,) = split_batch(state, x_a, x_b)
    return forward(state, part)


def assert_same(path_0: Path, path_1: Path) -> None:
    one, other = load_file(path_0), load_file(path_1)
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert different == []


@pytest.mark.parametrize("discriminator", ["multiscale", "projected"])
def test_resume_equals_an_uninterrupted_run_bit_for_bit(config, tmp_path, discriminator):
    config = config.replace(discriminator=discriminator, workers=1)
    through = train(config)
    stopped = config.replace(run_dir=tmp_path / "stopped")
    train(stopped.replace(steps=2))
    resumed = train(stopped)
    assert resumed != through
    assert_same(through, resumed)
    grids = sorted(p.name for p in (tmp_path / "run" / "samples").iterdir())
    assert grids == ["step-00000002.png", "step-00000004.png"]
    lines = [json.loads(line) for line in (tmp_path / "stopped" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert {"recon", "kl", "cycle", "cycle_kl", "gan", "d"} <= lines[0].keys()


def test_d_looks_through_the_projections_it_learnt_with(config):
    """They are drawn from the seed, and a run may go on with another one."""
    config = config.replace(discriminator="projected", steps=1)
    train(config)
    state = TrainState.build(config.replace(seed=1))
    drawn = state.feature_projection.across[0].weight.clone()
    state.resume()
    first = TrainState.build(config).feature_projection.state_dict()
    assert all(torch.equal(first[name], tensor) for name, tensor in state.feature_projection.state_dict().items())
    assert not torch.equal(drawn, state.feature_projection.across[0].weight)
    assert not [name for name in state.tensors() if name.startswith("look.backbone")]  # 13 MB that never change


def test_another_seed_is_another_run(config, tmp_path):
    other = config.replace(seed=1, run_dir=tmp_path / "other", steps=1)
    with pytest.raises(AssertionError):
        assert_same(train(config.replace(steps=1)), train(other))


def test_export_is_the_averaged_generator_with_a_card(config, tmp_path):
    newest = train(config)
    folder = export(config.run_dir, tmp_path / "mine", notes="## Limits\n\nTiny.\n")
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


def test_weights_of_two_runs_can_be_blended(config, tmp_path, capsys):
    train(config.replace(steps=2))
    first = export(config.run_dir, tmp_path / "first")
    train(config)
    last, mine = export(config.run_dir, tmp_path / "last"), str(tmp_path / "mine")
    assert main([str(config.run_dir), mine, "--blend", str(first), "--share", "0.75"]) == 0
    one, two, both = (load_pretrained(folder).state_dict() for folder in (first, last, mine))
    for name, weight in both.items():
        torch.testing.assert_close(weight, 0.25 * one[name] + 0.75 * two[name], atol=1e-3, rtol=2e-3)  # fp16
    assert "decay 0.999; 0.75 of it and 0.25 of the weights in first |" in (tmp_path / "mine" / "README.md").read_text()

    save_pretrained(UNIT(UNITConfig(dim=4, n_res=2)), tmp_path / "other")
    for options, message in (
        (["--blend", str(tmp_path / "other")], "not built like this one"),
        (["--blend", str(first), "--share", "1.5"], "--share is 1.5"),
        (["--blend", str(tmp_path / "none")], "There is no folder"),
    ):
        assert main([str(config.run_dir), mine, *options]) == 1
        assert message in capsys.readouterr().err


def test_a_run_goes_on_with_the_discriminators_of_an_export(config, tmp_path, caplog):
    config = config.replace(discriminator="projected", steps=2)
    saved = load_file(train(config))
    folder, plain = tmp_path / "first", tmp_path / "plain"
    assert main([str(config.run_dir), str(folder), "--with-discriminators"]) == 0
    assert main([str(config.run_dir), str(plain)]) == 0
    further = config.replace(run_dir=tmp_path / "second", init=str(folder), seed=1)
    names = [name for name in saved if name.startswith(("discriminator.", "look."))]
    assert names
    went_on = TrainState.build(further).tensors()
    for name in names:
        torch.testing.assert_close(went_on[name].cpu().contiguous(), saved[name].half().float(), atol=0, rtol=0)
    anew = TrainState.build(further.replace(init=str(plain))).tensors()
    assert not torch.equal(anew["look.across.0.weight"], went_on["look.across.0.weight"])

    TrainState.build(further.replace(discriminator="multiscale"))
    assert "of another kind" in caplog.text
    (folder / "discriminators.safetensors").write_bytes(b"cut short")
    with pytest.raises(ValueError, match="remove it to start with new discriminators"):
        TrainState.build(further)
    assert main([str(config.run_dir), str(folder)]) == 0
    assert not (folder / "discriminators.safetensors").exists()  # it would be of other weights


def test_it_learns_to_reconstruct(config):
    state = TrainState.build(config.replace(lr_g=2e-3))
    x_a, x_b = one_batch(config)
    first = train_step(state, x_a, x_b)
    for _ in range(40):
        last = train_step(state, x_a, x_b)
    assert last["recon"] < first["recon"] / 2
    assert last["cycle"] < first["cycle"] / 2


def gradients_of_a_step(state: TrainState, x_a: Tensor, x_b: Tensor, monkeypatch) -> dict[str, dict[str, list]]:
    """What each optimiser's parameters had for a gradient when each player moved."""
    seen = []

    def note(state, optimizer, lr):
        players = {"opt_d": state.opt_d, "opt_g": state.opt_g}
        seen.append({name: [p.grad for p in player.param_groups[0]["params"]] for name, player in players.items()})
        return update(state, optimizer, lr)

    monkeypatch.setattr("train.step.update", note)
    train_step(state, x_a, x_b)
    return dict(zip("dg", seen, strict=True))


def test_the_discriminator_step_leaves_no_trace_in_the_generator(config, monkeypatch):
    state = TrainState.build(config)
    gradients = gradients_of_a_step(state, *one_batch(config), monkeypatch)
    assert [p is not None for p in gradients["d"]["opt_g"]] == [False] * len(gradients["d"]["opt_g"])
    assert all(p is not None for p in gradients["d"]["opt_d"] + gradients["g"]["opt_g"])
    assert [p is not None for p in gradients["g"]["opt_d"]] == [False] * len(gradients["g"]["opt_d"])


def test_both_players_play_for_lambda_0_times_the_sum_over_domains_and_scales(config, monkeypatch):
    """D's gradient is that of the 2018 code, whose weight decay would otherwise weigh more than there."""
    _, master = presets("")["master2018"]
    assert master.weights.gan == 3 * 1.0  # ours multiplies the mean over three scales
    weights = dataclasses.replace(config.weights, gan=master.weights.gan)
    state = TrainState.build(config.replace(weights=weights, gan_loss="lsgan", precision="fp32"))
    x_a, x_b = one_batch(config)
    out = one_pass(state, x_a, x_b).out
    total = torch.zeros(())
    for net, real, fake in (
        (state.discriminator.a, x_a, out.x_ba),
        (state.discriminator.b, x_b, out.x_ab),
    ):
        for r, f in zip(net(real), net(fake.detach()), strict=True):
            total = total + (r - 1).square().mean() + f.square().mean()
    expected = torch.autograd.grad(total, list(state.discriminator.parameters()))
    found = gradients_of_a_step(state, x_a, x_b, monkeypatch)["d"]["opt_d"]
    torch.testing.assert_close(found, list(expected), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("discriminator", ["multiscale", "projected"])
def test_real_negatives_are_half_of_what_d_refuses(config, discriminator):
    """The loss is the mean of two: against the drawings, and against the other domain's photos."""
    config = config.replace(discriminator=discriminator, gan_loss="lsgan")
    state = TrainState.build(config)
    state.discriminator.eval()  # spectral norm's power iteration stands still
    for p in state.discriminator.parameters():
        p.data *= 8  # a new discriminator gives much the same logits for all pictures
    x_a, x_b = one_batch(config)
    fwd = one_pass(state, x_a, x_b)
    drawings, _ = discriminator_loss(state, fwd)
    photos, _ = discriminator_loss(state, fwd._replace(fake=fwd.real[::-1]))
    state.config = config.replace(real_negatives=True)
    both, _ = discriminator_loss(state, fwd)
    torch.testing.assert_close(both, (drawings + photos) / 2)
    assert (drawings - photos).abs() > 1e-3


def test_what_others_draw_from_the_global_generator_changes_no_step(config):
    """The thread that pushes builds a network, which draws its weights."""
    state = TrainState.build(config.replace(zoom=0.5))
    x_a, x_b = one_batch(config)
    torch.manual_seed(0)
    one = one_pass(state, x_a, x_b)
    torch.manual_seed(1)
    torch.testing.assert_close(one_pass(state, x_a, x_b).real, one.real, atol=0, rtol=0)


def test_real_negatives_need_domains_of_equally_many_channels(config):
    model = dataclasses.replace(config.model, channels_b=1)
    weights = dataclasses.replace(config.weights, identity=0)
    with pytest.raises(ValueError, match="set --no-real-negatives"):
        train(config.replace(real_negatives=True, model=model, weights=weights))


def test_all_that_contradicts_itself_is_told_at_once_and_before_a_photo_is_read(config, monkeypatch):
    _, compact = presets("nowhere")["compact"]
    model = dataclasses.replace(compact.model, channels_a=1)
    wrong = compact.replace(
        run_dir=config.run_dir, model=model, device="cpu", tensorboard=True, batch_size=3, accumulate=2
    )
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="--batch-size 3") as told:
        train(wrong)
    for advice in (
        "--weights.identity 0", "--no-real-negatives", "--weights.perceptual 0", "--discriminator multiscale",
        "make it a multiple of 2", "--no-compile", "pip install tensorboard",
    ):  # fmt: skip
        assert advice in str(told.value)
    assert len(str(told.value).splitlines()) == 7


@pytest.mark.parametrize("size", [32, 128])
@pytest.mark.parametrize("channels", [(1, 3), (3, 1), (1, 1)])
def test_who_follows_all_of_the_advice_is_not_refused_again(size, channels):
    _, compact = presets("nowhere")["compact"]
    a, b = channels
    config = compact.replace(model=dataclasses.replace(compact.model, image_size=size, channels_a=a, channels_b=b))
    advice = " ".join(problems(config))
    weights = {name: 0.0 for name in ("identity", "perceptual") if f"--weights.{name} 0" in advice}
    obeyed = config.replace(
        discriminator=advice.partition("--discriminator ")[2].partition(".")[0],
        weights=dataclasses.replace(config.weights, **weights),
        real_negatives="--no-real-negatives" not in advice,
    )
    assert list(problems(obeyed)) == []


def test_the_perceptual_loss_compares_reconstructions_and_photos(config):
    config = config.replace(discriminator="projected", weights=UNITWeights(perceptual=1), precision="fp32")
    state = TrainState.build(config)
    x_a, x_b = one_batch(config)
    fwd = one_pass(state, x_a, x_b)
    expected = sum(
        feature_l1(state.feature_projection(x_hat)[1:], state.feature_projection(x)[1:])
        for x_hat, x in ((fwd.out.x_aa, x_a), (fwd.out.x_bb, x_b))
    )
    _, losses = generator_loss(state, fwd)
    torch.testing.assert_close(losses["perceptual"], expected)
    losses["perceptual"].backward()
    assert state.model.encoder_a[1].weight.grad.any()

    assert not generator_loss(state, fwd._replace(recon=[]))[1]["perceptual"]
    with pytest.raises(ValueError, match=r"set --weights\.perceptual 0"):
        check_options(config.replace(discriminator="multiscale"))


def test_one_pass_and_two_passes_agree_without_noise(config, monkeypatch):
    """The shared generator pass changes nothing but which noise is drawn."""
    monkeypatch.setattr("unit.models.unit.latent_noise", lambda mean, **_: torch.zeros_like(mean))
    config = config.replace(precision="fp32", betas=(0.0, 0.0))
    x_a, x_b = one_batch(config)
    ours, plain = TrainState.build(config), TrainState.build(config)
    train_step(ours, x_a, x_b)
    plain_step(plain, x_a, x_b)
    for p, q in zip(ours.discriminator.parameters(), plain.discriminator.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-5, rtol=1e-4)
    moments, expected = (state.opt_g.state_dict()["state"] for state in (ours, plain))
    torch.testing.assert_close(moments, expected, atol=1e-5, rtol=1e-2)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_compiled_networks_never_fall_back_and_learn_the_same(config, layout):
    """Every encoder and decoder is compiled whole, for every shape of a step; dynamo raises if it would give up.

    At the usual width and size, and in the precision that this machine trains in: small maps meet other kernels.
    """
    shared = 0 if layout == "master2018" else 1
    model = dataclasses.replace(config.model, layout=layout, n_res_shared=shared, dim=32, image_size=128)
    config = config.replace(model=model, batch_size=4)
    x_a, x_b = (torch.rand(4, 3, 128, 128).to(memory_format=torch.channels_last) * 2 - 1 for _ in "ab")
    exact, plain, state = (
        TrainState.build(config.replace(**changes)) for changes in ({"precision": "fp32"}, {}, {"compile": True})
    )
    torch._dynamo.reset()  # or it takes the graphs of equal blocks from the layout before
    compile_networks(state)
    torch._dynamo.utils.counters.clear()
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
        for each in (exact, plain, state):
            train_step(each, x_a, x_b)
        assert not state.skipped
        expected, rounded, compiled = (
            torch.cat([moments["exp_avg"].flatten() for moments in each.opt_g.state_dict()["state"].values()])
            for each in (exact, plain, state)
        )
        # In fp32 nearly equal (L1 has only signs for gradients); in bf16 as far from fp32 as it is uncompiled.
        allowed = 0.02 * expected.norm() + 1.3 * (rounded - expected).norm()
        assert (compiled - expected).norm() < allowed

        graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
        networks = [net for net in state.model.children() if list(net.parameters())]
        assert len(networks) <= graphs <= 2 * len(networks)  # by two batch sizes, and not by residual blocks
        train_step(state, x_a, x_b)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == graphs
    assert not torch._dynamo.utils.counters["graph_break"]


def test_half_precision_takes_nearly_the_same_step(config):
    """bf16 has to work on every machine, also where `auto` takes fp32 because it is slow."""
    assert TrainState.build(config).dtype == best_dtype(torch.device("cpu"))
    losses = {}
    for precision in ("fp32", "bf16"):
        state = TrainState.build(config.replace(precision=precision))
        losses[precision] = train_step(state, *one_batch(config))
        assert all(p.dtype == torch.float32 for p in state.model.parameters())
    torch.testing.assert_close(losses["bf16"], losses["fp32"], rtol=0.02, atol=0.002)
    assert losses["bf16"] != losses["fp32"]


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
    for help_line, config in presets("data").values():
        assert help_line.endswith(".")
        tiny = dataclasses.replace(config.model, dim=4, n_res=1)
        _, model_class = MODELS[tiny.model]
        assert vars(config.weights).keys() == model_class(tiny)(x, x).losses(x, x).keys() | {"gan", "perceptual"}
    layouts = {config.model.layout for _, config in presets("data").values() if config.model.model == "unit"}
    assert layouts <= set(LAYOUTS)
    paper = presets("data")["paper"][1]
    assert paper.weights == UNITWeights(gan=10, kl=0.1, recon=100, cycle_kl=0.1, cycle=100, identity=0, perceptual=0)
