"""Checkpoints do not know what they hold: any modules, any optimisers, and some text."""

import pytest
import torch
from torch import nn

from train.checkpointer import Checkpointer, checkpoints


def trained(seed: int, steps: int) -> tuple[dict[str, nn.Module], dict[str, torch.optim.Optimizer]]:
    """A network of its own kind and its optimiser, after some steps."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters())
    for _ in range(steps):
        net(torch.randn(2, 3, 8, 8)).square().mean().backward()
        optimizer.step()
    return {"classifier": net}, {"adamw": optimizer}


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_modules_and_optimisers_come_back_as_they_were(tmp_path):
    modules, optimizers = trained(seed=0, steps=3)
    path = Checkpointer(tmp_path).save(3, modules, optimizers, {"classes": "cats, dogs"})
    assert path == tmp_path / "step-00000003.safetensors"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]

    found = Checkpointer(tmp_path).load_newest()
    assert (found.path, found.extra) == (path, {"step": "3", "classes": "cats, dogs"})
    others, their_optimizers = trained(seed=1, steps=0)
    found.load(others, their_optimizers)
    assert same(modules["classifier"].state_dict(), others["classifier"].state_dict())
    moments, theirs = (each["adamw"].state_dict()["state"] for each in (optimizers, their_optimizers))
    assert moments.keys() == theirs.keys() == {0, 1, 2, 3}
    assert all(same(moments[i], theirs[i]) for i in moments)
    assert theirs[0]["exp_avg"].is_contiguous(memory_format=torch.channels_last)  # as fused optimisers need it


def test_an_empty_folder_has_no_checkpoint_and_old_ones_go(tmp_path):
    checkpointer = Checkpointer(tmp_path)
    assert checkpointer.load_newest() is None
    for step in (5, 6, 100):
        checkpointer.save(step, *trained(seed=0, steps=1), {})
    assert [p.stem for p in checkpoints(tmp_path)] == ["step-00000006", "step-00000100"]


def test_a_module_that_is_built_in_another_way_is_refused(tmp_path):
    Checkpointer(tmp_path).save(1, *trained(seed=0, steps=1), {})
    with pytest.raises(RuntimeError, match="size mismatch"):
        Checkpointer(tmp_path).load_newest().load({"classifier": nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))}, {})
