"""MUNIT: Multimodal Unsupervised Image-to-Image Translation (Huang, Liu, Belongie, Kautz, ECCV 2018, arXiv:1804.04732).

A photo is a content, which both domains share, and a style of its own domain: eight numbers, N(0, I) before a photo is
seen. A content drawn with another style of the other domain is another translation of the same photo.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Generator, Tensor, nn

from unit.losses import prior_moments, reconstruction
from unit.models.architectures import LAYOUTS, Layout
from unit.models.blocks import AdaINResBlock, StyledPreNormResBlock, StyledSequential, init_kaiming
from unit.models.protocol import Code, Domain, Noise
from unit.noise import Randomness, latent_noise, noise_map


@dataclass(frozen=True)
class MUNITConfig:
    """Everything needed to rebuild the network; saved as `config.json` beside the weights."""

    model: str = "munit"
    """Which class reads this file."""
    format: int = 1
    """Version of this file; a newer one is refused, not guessed at."""
    layout: Literal["munit", "munit-compact"] = "munit-compact"
    """munit: the published networks. munit-compact: UNIT's refined8, whose decoders follow a style."""
    domain_a: str = "a"
    """What people call domain a, for example "cat"."""
    domain_b: str = "b"
    """What people call domain b, for example "dog"."""
    channels_a: int = 3
    """Image channels of domain a: 3 colour, 1 grey."""
    channels_b: int = 3
    """Image channels of domain b."""
    image_size: int = 128
    """Side in pixels of the training crops."""
    aligned: bool = False
    """The training photos are aligned and shown nearly whole (faces): Translator scales photos to image_size first."""
    dim: int = 48
    """Width: the content has 4 * dim channels."""
    n_res: int = 3
    """Residual blocks of each content encoder and decoder that belong to one domain."""
    n_res_shared: int = 1
    """Residual blocks tied between the domains, at the end of the encoders and at the start of the decoders."""
    style_dim: int = 8
    """Numbers that are a style."""
    mlp_dim: int = 256
    """Width of the two hidden layers between a style and the blocks that follow it."""

    @property
    def domains(self) -> tuple[str, str]:
        """What people call domain a and domain b."""
        return self.domain_a, self.domain_b

    @property
    def channels(self) -> tuple[int, int]:
        """Image channels of both domains."""
        return self.channels_a, self.channels_b

    @property
    def downsampling(self) -> int:
        """Picture pixels for each content pixel, along each side: the d below."""
        return _layout(self).downsampling

    @property
    def receptive_radius(self) -> int | None:
        """Pixels from an output pixel to the furthest input pixel that matters to it, at a given style.

        None: instance norm lets all of the photo matter. Counted as `UNITConfig.receptive_radius` is.
        """
        if self.layout == "munit" or (margin := _layout(self).margin) is None:
            return None
        blocks = 2 * (self.n_res + self.n_res_shared)
        return self.downsampling * (2 * blocks + margin)

    @property
    def bytes_per_pixel(self) -> int:
        """Memory that translating takes for each picture pixel, in float32: that of the UNIT it is made of."""
        return (_layout(self).bytes or LAYOUTS["paper"].bytes) * self.dim

    @property
    def large(self) -> bool:
        """Whether drawing first weights takes longer than a second or two, or more memory than there may be."""
        return self.dim > 64 or self.n_res + self.n_res_shared > 8


def _layout(config: MUNITConfig) -> Layout:
    """The UNIT whose encoders, and last layers of the decoders, are a MUNIT's too."""
    return LAYOUTS["master2018" if config.layout == "munit" else "refined8"]


class MUNITOutput(NamedTuple):
    """All that one training pass draws. `x_ab`: content of a, drawn in b with a random style of b.

    Images are (N, C, H, W) in [-1, 1], contents (N, 4 dim, H/d, W/d), styles (N, S, 1, 1).
    """

    x_aa: Tensor  # reconstructions
    x_bb: Tensor
    x_ab: Tensor  # translations
    x_ba: Tensor
    x_aba: Tensor  # there and back again, with the photo's own style
    x_bab: Tensor
    a: Code  # content and style of x_a, x_b, x_ab and x_ba
    b: Code
    ab: Code
    ba: Code
    s_a: Tensor  # the styles that were drawn: x_ba has s_a, x_ab has s_b
    s_b: Tensor

    def losses(self, x_a: Tensor, x_b: Tensor) -> dict[str, Tensor]:
        """The unweighted terms of section 3 of the paper, summed over the two domains, without the GAN's.

        recon       equation 1: a photo from its own content and style
        content     equation 2: the content of a translation is that of its photo. The photo's content is a constant
                    here: where layers normalise what they are given, it could otherwise be made small at no cost.
        style       equation 3: the style of a translation is the one that was drawn
        cycle       section 5.1's style-augmented cycle consistency
        style_kl    ours: styles of photos have the first two moments of the prior. Without it, a style that is taken
                    from an example may lie where no style was ever drawn.
        """
        styles = [(self.ab.style, self.s_b), (self.ba.style, self.s_a)]
        return {
            "recon": reconstruction(self.x_aa, x_a) + reconstruction(self.x_bb, x_b),
            "content": reconstruction(self.ab.content, self.a.content.detach())
            + reconstruction(self.ba.content, self.b.content.detach()),
            "style": torch.stack([reconstruction(s_hat, s) for s_hat, s in styles if s_hat is not None]).sum(),
            "cycle": reconstruction(self.x_aba, x_a) + reconstruction(self.x_bab, x_b),
            "style_kl": torch.stack([prior_moments(c.style) for c in (self.a, self.b) if c.style is not None]).sum(),
        }


class MUNIT(nn.Module):
    """Content encoders, style encoders and decoders of two domains.

    E^c = encoder_a then encoder_shared; E^s = style_a; G = decoder_shared then decoder_a, whose residual blocks follow
    what mlp_a makes of a style. Nothing is shared in the published networks: there, n_res_shared is 0.

    Image sides must be multiples of d = `config.downsampling`; `unit.Translator` pads and crops for you.
    """

    def __init__(self, config: MUNITConfig = MUNITConfig()):
        super().__init__()
        if config.layout not in ("munit", "munit-compact"):
            raise ValueError(f"layout {config.layout!r} is unknown: choose munit or munit-compact")
        self.config = config
        layout, dim, published = _layout(config), config.dim, config.layout == "munit"

        def blocks(n: int) -> list[nn.Module]:
            return [layout.block(4 * dim) for _ in range(n)]

        def styled(n: int) -> list[nn.Module]:
            kind = AdaINResBlock if published else StyledPreNormResBlock
            return [kind(4 * dim, config.mlp_dim) for _ in range(n)]

        style_encoder = _style_encoder if published else _compact_style_encoder
        self.encoder_a = nn.Sequential(*layout.encoder(config.channels_a, dim), *blocks(config.n_res))
        self.encoder_b = nn.Sequential(*layout.encoder(config.channels_b, dim), *blocks(config.n_res))
        self.encoder_shared = nn.Sequential(*blocks(config.n_res_shared))
        self.style_a = style_encoder(config.channels_a, dim, config.style_dim)
        self.style_b = style_encoder(config.channels_b, dim, config.style_dim)
        self.mlp_a, self.mlp_b = (_mlp(config.style_dim, config.mlp_dim) for _ in range(2))
        self.decoder_shared = StyledSequential(*styled(config.n_res_shared))
        self.decoder_a = StyledSequential(*styled(config.n_res), *layout.decoder(config.channels_a, dim))
        self.decoder_b = StyledSequential(*styled(config.n_res), *layout.decoder(config.channels_b, dim))
        if published:
            self.apply(init_kaiming)

    def encode(self, x: Tensor, domain: Domain) -> Tensor:
        """x: (N, C, H, W) in [-1, 1], H and W multiples of d -> its content (N, 4 dim, H/d, W/d)."""
        d = self.config.downsampling
        if x.shape[-1] % d or x.shape[-2] % d:
            raise ValueError(f"image sides must be multiples of {d}, got {tuple(x.shape)}")
        return self.encoder_shared((self.encoder_a if _is_a(domain) else self.encoder_b)(x))

    def encode_style(self, x: Tensor, domain: Domain) -> Tensor:
        """x: (N, C, H, W) in [-1, 1], of `domain` -> its style (N, S, 1, 1), of all of the picture."""
        return (self.style_a if _is_a(domain) else self.style_b)(x).mean((2, 3), keepdim=True)

    def infer(self, x: Tensor, domain: Domain) -> Code:
        """Content and style of x."""
        return Code(self.encode(x, domain), self.encode_style(x, domain))

    def sample_style(self, n: int = 1, *, generator: Generator | None = None) -> Tensor:
        """n styles (n, S, 1, 1) of the prior N(0, I), on the CPU."""
        return torch.randn(n, self.config.style_dim, 1, 1, generator=generator)

    def noise(self, shape: tuple[int, int], generator: Generator, grain: int = 1) -> Noise:
        """One style of the prior, which does not depend on `shape`: a seed is one style for photos of all sizes.

        The content beside it is only for pictures without a photo: a content has no prior that it was trained with.
        """
        style = self.sample_style(generator=generator)
        eta: Callable[..., Tensor] = noise_map(4 * self.config.dim, *shape, generator, grain)
        return lambda window: Code(eta(window), style)

    def sample_code(self, code: Code, noise: Code) -> Code:
        """The same content with the style of the noise or, if the code has one of its own, with that and the noise."""
        assert noise.style is not None
        return code._replace(style=noise.style if code.style is None else code.style + noise.style)

    def decode(self, code: Code, domain: Domain) -> Tensor:
        """Content (N, 4 dim, h, w) and style (N or 1, S, 1, 1) -> image (N, C, d h, d w) in [-1, 1], in `domain`.

        A code without a style is drawn with the prior's mean.
        """
        content, style = code
        if style is None:
            style = content.new_zeros(1, self.config.style_dim, 1, 1)
        followed = (self.mlp_a if _is_a(domain) else self.mlp_b)(style.flatten(1))  # (N or 1, mlp_dim)
        decoder = self.decoder_a if _is_a(domain) else self.decoder_b
        return decoder(self.decoder_shared(content, followed), followed)

    def forward(self, x_a: Tensor, x_b: Tensor, *, generator: Randomness = None) -> MUNITOutput:
        """Figure 2 of the paper: all that training calls. x_a, x_b: (N, C, H, W) in [-1, 1], unpaired.

        generator: of the two styles.
        """
        a, b = self.infer(x_a, "a"), self.infer(x_b, "b")  # content (N, 4 dim, H/d, W/d), style (N, S, 1, 1)
        assert a.style is not None
        assert b.style is not None
        s_a = latent_noise(a.style, generator=generator)  # (N, S, 1, 1), of the prior
        s_b = latent_noise(b.style, generator=generator)

        x_aa, x_bb = self.decode(a, "a"), self.decode(b, "b")  # each (N, C, H, W): within a domain
        x_ab = self.decode(a._replace(style=s_b), "b")  # (N, C, H, W): across domains
        x_ba = self.decode(b._replace(style=s_a), "a")

        ab, ba = self.infer(x_ab, "b"), self.infer(x_ba, "a")  # as a and b
        x_aba = self.decode(ab._replace(style=a.style), "a")  # (N, C, H, W)
        x_bab = self.decode(ba._replace(style=b.style), "b")
        return MUNITOutput(x_aa, x_bb, x_ab, x_ba, x_aba, x_bab, a, b, ab, ba, s_a, s_b)


def _style_encoder(channels: int, dim: int, style_dim: int) -> nn.Sequential:
    """No normalisation: it would take away the means and deviations that are the style."""

    def conv(c_in: int, c_out: int, kernel: int, stride: int, padding: int) -> list[nn.Module]:
        return [nn.Conv2d(c_in, c_out, kernel, stride, padding, padding_mode="reflect"), nn.ReLU()]

    widths = [(dim, 2 * dim), (2 * dim, 4 * dim), (4 * dim, 4 * dim), (4 * dim, 4 * dim)]
    halves = [layer for c_in, c_out in widths for layer in conv(c_in, c_out, 4, 2, 1)]
    # The mean over the picture, which the paper takes before the last convolution, may as well be taken after it.
    return nn.Sequential(*conv(channels, dim, 7, 1, 3), *halves, nn.Conv2d(4 * dim, style_dim, 1))


def _compact_style_encoder(channels: int, dim: int, style_dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.PixelUnshuffle(4), nn.Conv2d(16 * channels, 2 * dim, 3, padding=1), nn.SiLU(),
        nn.Conv2d(2 * dim, 4 * dim, 4, stride=2, padding=1), nn.SiLU(),
        nn.Conv2d(4 * dim, 4 * dim, 3, padding=1), nn.SiLU(),
        nn.Conv2d(4 * dim, style_dim, 1),
    )  # fmt: skip


def _mlp(style_dim: int, mlp_dim: int) -> nn.Sequential:
    """The first two layers of the paper's MLP. Its last layer is split over the blocks that follow the style."""
    return nn.Sequential(nn.Linear(style_dim, mlp_dim), nn.ReLU(), nn.Linear(mlp_dim, mlp_dim), nn.ReLU())


def _is_a(domain: Domain) -> bool:
    if domain not in ("a", "b"):
        raise ValueError(f'domain is {domain!r}: say "a" or "b"')
    return domain == "a"
