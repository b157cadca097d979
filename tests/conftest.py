"""What every test may ask for."""

from pathlib import Path

import pytest
import torch

from unit import UNIT, UNITConfig, save_pretrained


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as training leaves it in checkpoints/, of a network too small to draw anything. Do not write to it."""
    folder = tmp_path_factory.mktemp("models") / "seasons"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = UNIT(UNITConfig(dim=4, n_res=1, domain_a="summer", domain_b="winter"))
    save_pretrained(model, folder)
    return folder
