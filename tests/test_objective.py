"""The weights and factors of the objective, by hand; and that they are asked of any model by name."""

import copy
import dataclasses
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.test_parallel import make_config
from train.config import TrainConfig, UNITWeights
from train.objective import discriminator_objective, generator_objective, weighted_sum
from train.state import TrainState
from train.step import train_step

# Logits of two domains with two scales each, as discriminators give them: all of a, then all of b.
REAL, FAKE = ([torch.full((2, 1, side, side), value) for value, side in zip(values, (4, 2, 4, 2), strict=True)]
              for values in ((1.0, 2.0, 3.0, 4.0), (0.0, 1.0, 0.0, 3.0)))  # fmt: skip


@pytest.fixture
def config() -> TrainConfig:
    return make_config("", Path("run"), gan_loss="lsgan", weights=UNITWeights(gan=5.0), r1=3.0, r1_every=4)


def test_d_plays_for_lambda_0_times_the_sum_over_domains(config):
    """Each domain's loss is the mean over its scales of (real - 1)^2 + fake^2."""
    domain_a = ((0 + 0) + (1 + 1)) / 2
    domain_b = ((4 + 0) + (9 + 9)) / 2
    loss, terms = discriminator_objective(config, REAL, FAKE)
    assert terms["d"] == domain_a + domain_b
    assert loss == 5 * (domain_a + domain_b)
    loss, terms = discriminator_objective(config, REAL, FAKE, r1=torch.tensor(0.5))
    assert terms["d"] == domain_a + domain_b + 3 * 4 * 0.5  # once in four steps, four times as much
    assert loss == 5 * terms["d"]


def test_g_plays_for_the_weighted_sum_of_all_terms(config):
    losses = {name: torch.tensor(0.0) for name in vars(config.weights) if name not in ("gan", "perceptual")}
    losses |= {"recon": torch.tensor(2.0), "cycle_kl": torch.tensor(3.0)}
    loss, terms = generator_objective(config, losses, FAKE)
    assert terms["gan"] == ((1 + 0) / 2) + ((1 + 4) / 2)  # (fake - 1)^2, of a and of b
    assert terms["perceptual"] == 0
    torch.testing.assert_close(loss, 5 * terms["gan"] + 100 * 2 + 0.1 * 3)


def test_the_perceptual_term_is_that_of_the_features_of_both_domains(config):
    weights = dataclasses.replace(config.weights, perceptual=2.0)
    image, ones = torch.rand(1, 3, 4, 4), torch.ones(1, 4, 2, 2)
    losses = {name: torch.tensor(0.0) for name in vars(weights) if name not in ("gan", "perceptual")}
    recon, real = [[image, 1.5 * ones], [image, 3 * ones]], [[-image, ones], [-image, ones]]
    _, terms = generator_objective(config.replace(weights=weights), losses, FAKE, recon, real)
    assert terms["perceptual"] == 0.5 + 2


def test_weighted_sum_wants_the_same_names():
    terms = {"recon": torch.tensor(2.0), "gan": torch.tensor(3.0)}
    assert weighted_sum(terms, {"gan": 10.0, "recon": 1.0}) == 32
    with pytest.raises(KeyError, match="same names"):
        weighted_sum(terms, {"gan": 1.0})


@dataclasses.dataclass(frozen=True)
class OtherWeights:
    gan: float = 1.0
    perceptual: float = 0.0
    content: float = 10.0


class OtherOutput(NamedTuple):
    x_ab: Tensor
    x_ba: Tensor
    content_a: Tensor
    content_b: Tensor

    def losses(self, x_a: Tensor, x_b: Tensor) -> dict[str, Tensor]:
        return {"content": F.l1_loss(self.content_a, x_a) + F.l1_loss(self.content_b, x_b)}


class Other(nn.Module):
    """A model that agrees with UNIT on nothing but what the step reads."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.a, self.b = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))

    def forward(self, x_a: Tensor, x_b: Tensor, *, generator: object = None) -> OtherOutput:
        content_a, content_b = self.encoder(x_a), self.encoder(x_b)
        return OtherOutput(self.b(content_a).tanh(), self.a(content_b).tanh(), content_a, content_b)


def test_another_model_with_other_terms_is_trained_by_the_same_step(config):
    config = config.replace(weights=OtherWeights(), discriminator="patch", batch_size=2, lr_g=0.02)
    state = TrainState.build(config)  # which seeds the weights of the model, too
    model = Other()
    state = dataclasses.replace(
        state, model=model, ddp_generator=model, ema=copy.deepcopy(model),
        opt_g=torch.optim.Adam(model.parameters(), fused=True),
    )  # fmt: skip
    before = copy.deepcopy(model.state_dict())
    x_a, x_b = (torch.rand(2, 3, 64, 64) * 2 - 1 for _ in "ab")
    terms = [train_step(state, x_a, x_b) for _ in range(20)]
    assert terms[0].keys() == {"d", "content", "gan", "perceptual"}
    assert terms[-1]["content"] < 0.7 * terms[0]["content"]
    assert all(not torch.equal(before[name], weight) for name, weight in model.state_dict().items())
