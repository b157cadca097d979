"""Discriminators: one for each domain, each giving a list of logit maps (N, 1, h, w), one a scale.

    PatchDiscriminator       the 2017 network: six strided convolutions, one map
    MultiScaleDiscriminator  the 2018 network: three copies, on the image and on its halves and quarters
    ProjectedDiscriminator   small heads on frozen pretrained features (Sauer et al. 2021, arXiv:2111.01007)

None has a layer that knows height from width, so crops need not be square.
"""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from unit.models.blocks import init_normal


class Discriminators(nn.Module):
    """D_1 and D_2 of the paper.

    Training calls forward with what the discriminators look at: the images themselves, or, for the projected kind,
    the frozen features of them. One call judges both domains.
    """

    def __init__(self, a: nn.Module, b: nn.Module):
        super().__init__()
        self.a, self.b = a, b

    def forward(self, seen_a: Tensor | Sequence[Tensor], seen_b: Tensor | Sequence[Tensor]) -> list[Tensor]:
        """Logits of both domains in one list: all scales of a, then all scales of b."""
        return [*self.a(seen_a), *self.b(seen_b)]


class PatchDiscriminator(nn.Module):
    """Strided 3x3 convolutions, doubling the channels each time, no normalisation, then one logit a patch."""

    def __init__(self, channels: int = 3, dim: int = 64, n_layers: int = 6):
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(n_layers):
            layers += [nn.Conv2d(channels, dim * 2**i, 3, stride=2, padding=1), nn.LeakyReLU()]
            channels = dim * 2**i
        self.net = nn.Sequential(*layers, nn.Conv2d(channels, 1, 1)).apply(init_normal)

    def forward(self, x: Tensor) -> list[Tensor]:
        """x: (N, C, H, W) in [-1, 1] -> one map (N, 1, H / 2^n_layers, W / 2^n_layers)."""
        return [self.net(x)]


class MultiScaleDiscriminator(nn.Module):
    """The same small network, with weights of its own, at full, half and quarter resolution."""

    def __init__(self, channels: int = 3, dim: int = 64, n_layers: int = 4, n_scales: int = 3):
        super().__init__()

        def one_scale() -> nn.Sequential:
            layers: list[nn.Module] = []
            c = channels
            for i in range(n_layers):
                conv = nn.Conv2d(c, dim * 2**i, 4, stride=2, padding=1, padding_mode="reflect")
                layers += [conv, nn.LeakyReLU(0.2)]
                c = dim * 2**i
            return nn.Sequential(*layers, nn.Conv2d(c, 1, 1))

        self.scales = nn.ModuleList(one_scale() for _ in range(n_scales)).apply(init_normal)

    def forward(self, x: Tensor) -> list[Tensor]:
        """x: (N, C, H, W) in [-1, 1] -> n_scales maps, each half the side of the one before."""
        logits = []
        for scale in self.scales:
            logits.append(scale(x))
            x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return logits


class ProjectedDiscriminator(nn.Module):
    """One small spectrally normalised head on each map of a feature pyramid, and one on the pixels.

    The features come from `FeatureProjection`, which is frozen and shared by both domains. The head on the pixels
    sees what the features are blind to: single-pixel patterns and a tint over the whole picture.
    """

    def __init__(self, feature_channels: Sequence[int], channels: int = 3, dim: int = 32):
        super().__init__()
        sn = spectral_norm

        def head(c: int) -> nn.Sequential:
            return nn.Sequential(
                sn(nn.Conv2d(c, 2 * dim, 3, padding=1)), nn.LeakyReLU(0.2),
                sn(nn.Conv2d(2 * dim, 2 * dim, 4, stride=2, padding=1)), nn.LeakyReLU(0.2),
                sn(nn.Conv2d(2 * dim, 1, 3, padding=1)),
            )  # fmt: skip

        self.pixels = nn.Sequential(
            sn(nn.Conv2d(channels, dim, 4, stride=2, padding=1)), nn.LeakyReLU(0.2),
            sn(nn.Conv2d(dim, 2 * dim, 4, stride=2, padding=1)), nn.LeakyReLU(0.2),
            sn(nn.Conv2d(2 * dim, 2 * dim, 4, stride=2, padding=1)), nn.LeakyReLU(0.2),
            sn(nn.Conv2d(2 * dim, 1, 3, padding=1)),
        )  # fmt: skip
        self.heads = nn.ModuleList(head(c) for c in feature_channels)

    def forward(self, seen: Sequence[Tensor]) -> list[Tensor]:
        """seen: the image (N, C, H, W) and one map for each of `feature_channels` -> as many logit maps."""
        image, *features = seen
        return [self.pixels(image), *(head(f) for head, f in zip(self.heads, features, strict=True))]


class FeatureProjection(nn.Module):
    """What a projected discriminator looks at: the image, and frozen features mixed at random.

    `backbone` maps an image (N, 3, H, W) in [-1, 1] to feature maps from fine to coarse, whose channels are
    `backbone_channels`. Random 1x1 convolutions mix channels and random 3x3 convolutions mix scales from coarse to
    fine, so that no head can live on a few channels only (sections 3.2 and 3.3 of arXiv:2111.01007). Nothing here
    ever learns; gradients pass through to the image.

    The backbone sees pictures whose shorter side is below `least` pixels enlarged to it: it learnt from larger ones.
    """

    def __init__(self, backbone: nn.Module, backbone_channels: Sequence[int], dim: int = 32, least: int = 128):
        super().__init__()
        self.backbone, self.least = backbone, least
        self.channels = [dim * 2 ** min(i, 2) for i in range(len(backbone_channels))]
        self.across = nn.ModuleList(
            nn.Conv2d(c_in, c_out, 1, bias=False) for c_in, c_out in zip(backbone_channels, self.channels, strict=True)
        )
        self.down_to = nn.ModuleList(
            nn.Conv2d(coarse, fine, 3, padding=1, bias=False)
            for fine, coarse in zip(self.channels, self.channels[1:], strict=False)
        )
        for conv in (*self.across, *self.down_to):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "FeatureProjection":
        """Always evaluation: the batch statistics of the frozen network stay those it was trained with."""
        return super().train(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """x: (N, 3, H, W) in [-1, 1] -> [x, finest map, ..., coarsest map]."""
        scale = self.least / min(x.shape[-2:])
        large = x if scale <= 1 else F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
        maps = [conv(f) for conv, f in zip(self.across, self.backbone(large), strict=True)]
        for i in reversed(range(len(maps) - 1)):
            coarse = F.interpolate(maps[i + 1], size=maps[i].shape[-2:], mode="bilinear", align_corners=False)
            maps[i] = (maps[i] + self.down_to[i](coarse)) * 0.5**0.5
        return [x, *maps]


def real_and_fake(real: Tensor | Sequence[Tensor], *fakes: Tensor | Sequence[Tensor]) -> Tensor | list[Tensor]:
    """One batch for the discriminator's step: real views (N, ...), then fake ones, cut from the generator's graph."""
    if isinstance(real, Tensor):
        return torch.cat([real, *cast("tuple[Tensor, ...]", fakes)]).detach()
    return [torch.cat(views).detach() for views in zip(real, *fakes, strict=True)]
