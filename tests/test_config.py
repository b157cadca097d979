"""The options of a run: their names on the command line and in files, whatever group they are in."""

import dataclasses
import json
from importlib import import_module
from pathlib import Path

import pytest
import tyro

from train.__main__ import COMMANDS, main
from train.config import GROUPS, DataConfig, OptimConfig, TrainConfig, UNITWeights, option_names, presets
from unit.models.unit import UNITConfig

ROOT = Path(__file__).parent.parent


def parsed(*words: str) -> TrainConfig:
    return tyro.extras.overridable_config_cli(presets(tyro.MISSING), args=words)


def test_options_are_typed_without_their_group() -> None:
    config = parsed(
        "compact", "--data", "photos", "--batch-size", "3", "--discriminator", "patch", "--lr-g", "0.5", "--no-compile",
        "--save-every", "7", "--push-to", "owner/name", "--seed", "4", "--weights.colour", "2", "--model.dim", "8",
        "--betas", "0.1", "0.2",
    )  # fmt: skip
    _, compact = presets("photos")["compact"]
    expected = dataclasses.replace(
        compact,
        data=dataclasses.replace(compact.data, batch_size=3),
        discriminator=dataclasses.replace(compact.discriminator, kind="patch"),
        optim=dataclasses.replace(compact.optim, lr_g=0.5, betas=(0.1, 0.2)),
        engine=dataclasses.replace(compact.engine, compile=False),
        log=dataclasses.replace(compact.log, save_every=7),
        hub=dataclasses.replace(compact.hub, push_to="owner/name"),
        weights=dataclasses.replace(compact.weights, colour=2.0),
        model=dataclasses.replace(compact.model, dim=8),
        seed=4,
    )
    assert config == expected


def test_no_two_groups_have_an_option_of_the_same_name() -> None:
    names = [option for group in GROUPS.values() for option in option_names(group).values()]
    names += [f.name for f in dataclasses.fields(TrainConfig) if f.name not in GROUPS]
    assert len(names) == len(set(names))
    assert set(names) == TrainConfig.of(data="").options().keys()


@pytest.mark.parametrize("name", ["cat2dog", "day2night", "summer2winter"])
def test_a_recorded_run_is_read(name: str) -> None:
    """The files beside the shipped weights are of several versions, in which all options were in one list."""
    saved = json.loads((ROOT / "checkpoints" / name / "training.json").read_text())["config"]
    config = TrainConfig.from_saved(saved)
    written = json.loads(config.to_json())
    # Younger than some files, and of no effect in them.
    younger = {"rotate": 0.0, "jitter": 0.0, "minutes": 0.0, "d_layers": 6, "weights": {"colour": 0.0}}
    model = {k: v for k, v in saved["model"].items() if k != "whole"} | {"format": 2}
    aligned = saved["model"].get("whole", saved["model"].get("aligned"))
    assert written == {**younger, **saved} | {
        "model": model | {"aligned": aligned}, "weights": younger["weights"] | saved["weights"],
    }  # fmt: skip
    assert config.optim.lr_d == saved["lr_d"] == 1e-3
    assert config.data == DataConfig(
        saved["data"], **{name: written[name] for name in option_names(DataConfig) if name != "source"}
    )
    assert TrainConfig.from_saved(written) == config


def test_options_that_are_gone_are_left_out() -> None:
    saved = json.loads(TrainConfig.of(data="photos").to_json())
    assert TrainConfig.from_saved(saved | {"run": "/home/somebody"}) == TrainConfig.of(data="photos")
    with pytest.raises(TypeError, match="run"):
        TrainConfig.of(data="photos", run="/home/somebody")


def test_a_copy_differs_by_what_is_named() -> None:
    config = TrainConfig.of(data="photos", lr_g=0.5, discriminator="patch")
    other = config.replace(steps=7, data="others")
    assert (other.optim.steps, other.optim.lr_g, other.discriminator.kind) == (7, 0.5, "patch")
    assert other.replace(steps=config.optim.steps, data="photos") == config


def test_a_group_refuses_all_that_is_wrong_in_it_at_once() -> None:
    with pytest.raises(ValueError, match="--steps is 0") as told:
        OptimConfig(steps=0, lr_g=-1.0, betas=(0.5, 1.0))
    assert str(told.value).splitlines() == [
        "--steps is 0: it must be 1 or more.",
        "--lr-g is -1.0: it must be 0 or more.",
        "--betas is 0.5 1.0: both must be from 0 to below 1.",
    ]
    with pytest.raises(ValueError, match=r"--weights\.kl is -1: it must be 0 or more\."):
        UNITWeights(kl=-1)


def test_what_cannot_be_is_told_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compact", "--data", "photos", "--zoom", "2", "--seed", str(2**64)]) == 1
    assert capsys.readouterr().err == "--zoom is 2.0: it is a share of the side, above 0 and up to 1.\n"
    assert main(["compact", "--data", "photos", "--weights.kl", "-1"]) == 1
    assert capsys.readouterr().err == "--weights.kl is -1.0: it must be 0 or more.\n"


def test_the_presets_are_whole_configs() -> None:
    for _, config in presets("photos").values():
        assert TrainConfig.of(**config.options()) == config
        assert config.data.source == "photos"
    assert presets("photos")["paper"][1].model == UNITConfig(
        layout="paper", image_size=256, dim=64, n_res=3, n_res_shared=1
    )


def test_the_help_lists_all_commands_and_each_has_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    listed = capsys.readouterr().out
    for name, (module, line) in COMMANDS.items():
        assert f"    {name:<10} {line}\n" in listed
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
        usage, _, text = capsys.readouterr().out.partition("\n\n")
        assert usage.startswith(f"usage: python -m train {name} ")
        assert text.startswith(import_module(module).main.__doc__.partition("\n")[0])
    assert all(f"• {name} " in listed for name in presets(""))


def test_what_a_command_is_not_given_right_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence each, as argparse has it, and no box."""
    for words, told in (
        (["push", "model"], "the following arguments are required: repo."),
        (["push", "model", "owner/name", "--publlic"], "unrecognized arguments: --publlic. --help lists "),
        (["benchmark", "--preset", "none"], "--preset: invalid choice 'none'; take one of compact, "),
        (["evaluate", "model", "--data", "photos", "--n", "many"], "--n: "),
        (["push", "model", "owner/name", "--every", "day"], "--every: "),
        (["compact", "--data", "photos", "--lr-g", "fast"], "--lr-g: "),
        (["compact"], "the following arguments are required: --data."),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(words)
        error = capsys.readouterr().err
        assert error.startswith(told)
        assert error.count("\n") == 1
    assert main(["nope"]) == main([]) == 2
    assert "nope is neither.\n" in capsys.readouterr().err
