"""A second model, as small as it can be and unlike UNIT: content and a style, as MUNIT has them, without a layer alike.

What it takes to be a model of this program is in `unit.models.protocol`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from unit.losses import reconstruction
from unit.models.protocol import Code, Domain
from unit.noise import Window, latent_noise, noise_map


@dataclass(frozen=True)
class ToyConfig:
    model: str = "toy"
    format: int = 1
    domain_a: str = "a"
    domain_b: str = "b"
    image_size: int = 32
    dim: int = 4

    channels = (3, 3)
    aligned = False
    downsampling = 2
    receptive_radius = None
    bytes_per_pixel = 100
    large = False

    @property
    def domains(self) -> tuple[str, str]:
        return self.domain_a, self.domain_b


class ToyOutput(NamedTuple):
    x_aa: Tensor
    x_bb: Tensor
    x_ab: Tensor
    x_ba: Tensor

    def losses(self, x_a: Tensor, x_b: Tensor) -> dict[str, Tensor]:
        return {"recon": reconstruction(self.x_aa, x_a) + reconstruction(self.x_bb, x_b)}


class Toy(nn.Module):
    """content: what a photo has beside its mean colour. style: that colour. Each domain has a usual one."""

    def __init__(self, config: ToyConfig = ToyConfig()):
        super().__init__()
        self.config = config
        self.encoders = nn.ModuleDict({domain: nn.Conv2d(3, config.dim, 1) for domain in ("a", "b")})
        self.decoders = nn.ModuleDict({domain: nn.Conv2d(config.dim, 3, 1) for domain in ("a", "b")})
        self.usual = nn.ParameterDict({domain: torch.randn(1, 3, 1, 1) / 4 for domain in ("a", "b")})

    def infer(self, x: Tensor, domain: Domain) -> Code:
        style = x.mean((2, 3), keepdim=True)
        return Code(self.encoders[domain](F.avg_pool2d(x - style, 2)), style)

    def noise(self, shape: tuple[int, int], generator: Generator, grain: int = 1) -> Callable[[Window], Code]:
        eta, style = noise_map(self.config.dim, *shape, generator, grain), torch.randn(1, 3, 1, 1, generator=generator)
        return lambda window: Code(eta(window), style)

    def sample_code(self, code: Code, noise: Code) -> Code:
        return Code(code.content + noise.content, noise.style)

    def decode(self, code: Code, domain: Domain) -> Tensor:
        style = self.usual[domain] if code.style is None else code.style
        return F.interpolate(self.decoders[domain](code.content), scale_factor=2.0) + style

    def forward(self, x_a: Tensor, x_b: Tensor, *, generator: Generator | None = None) -> ToyOutput:
        a, b = self.infer(x_a, "a"), self.infer(x_b, "b")
        a, b = (
            code._replace(content=code.content + latent_noise(code.content, generator=generator)) for code in (a, b)
        )
        x_ab, x_ba = self.decode(Code(a.content), "b"), self.decode(Code(b.content), "a")
        return ToyOutput(self.decode(a, "a"), self.decode(b, "b"), x_ab, x_ba)
