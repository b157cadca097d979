"""UNIT: Unsupervised Image-to-Image Translation Networks (Liu, Breuel, Kautz, NIPS 2017, arXiv:1703.00848).

Two domains, one latent space. A photo of either domain is encoded to a Gaussian over one shared latent map, and any
point of that map can be drawn in either domain.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Generator, Tensor, nn

from unit.losses import chroma_distance, gaussian_kl, reconstruction
from unit.models.architectures import LAYOUTS
from unit.models.protocol import Code, Domain, Noise
from unit.noise import Randomness, latent_noise, noise_map


@dataclass(frozen=True)
class UNITConfig:
    """Everything needed to rebuild the network; saved as `config.json` beside the weights."""

    model: str = "unit"
    """Which class reads this file."""
    format: int = 2
    """Version of this file; a newer one is refused, not guessed at."""
    layout: Literal["paper", "master2018", "compact", "compact8", "refined8"] = "compact"
    """Which networks (see unit/models/architectures.py)."""
    domain_a: str = "a"
    """What people call domain a, for example "summer"."""
    domain_b: str = "b"
    """What people call domain b, for example "winter"."""
    channels_a: int = 3
    """Image channels of domain a: 3 colour, 1 grey."""
    channels_b: int = 3
    """Image channels of domain b."""
    image_size: int = 128
    """Side in pixels of the training crops, and of the pictures drawn from the prior."""
    aligned: bool = False
    """The training photos are aligned and shown nearly whole (faces): Translator scales photos to image_size first."""
    dim: int = 32
    """Width: the latent map has 4 * dim channels."""
    n_res: int = 3
    """Residual blocks of each encoder and decoder that belong to one domain."""
    n_res_shared: int = 1
    """Residual blocks tied between the domains, at the end of the encoders and again at the start of the decoders."""

    @property
    def domains(self) -> tuple[str, str]:
        """What people call domain a and domain b."""
        return self.domain_a, self.domain_b

    @property
    def downsampling(self) -> int:
        """Picture pixels for each latent pixel, along each side: the d below."""
        return LAYOUTS[self.layout].downsampling

    @property
    def channels(self) -> tuple[int, int]:
        """Image channels of both domains."""
        return self.channels_a, self.channels_b

    @property
    def receptive_radius(self) -> int | None:
        """Pixels from an output pixel to the furthest input pixel that matters to it. None: all of the photo matters.

        Counted in latent pixels: the margin of the layout, and two for each residual block of two 3x3 convolutions.
        The layouts with instance norm look at the whole photo.
        """
        if (margin := LAYOUTS[self.layout].margin) is None:
            return None
        blocks = 2 * (self.n_res + self.n_res_shared)  # those of the encoder and those of the decoder
        return self.downsampling * (2 * blocks + margin)

    @property
    def bytes_per_pixel(self) -> int:
        """Memory that translating takes for each picture pixel, in float32."""
        return LAYOUTS[self.layout].bytes * self.dim

    @property
    def large(self) -> bool:
        """Whether drawing first weights takes longer than a second or two, or more memory than there may be."""
        return self.dim > 64 or self.n_res + self.n_res_shared > 8


class Gaussian(NamedTuple):
    """q(z|x) = N(mean, I): the paper's posterior, whose variance is one and not learned."""

    mean: Tensor  # (N, 4 dim, H/d, W/d)

    def sample(self, *, generator: Randomness = None) -> Tensor:
        """z = mean + eta, eta ~ N(0, I): the reparameterisation trick. Same shape as `mean`."""
        return self.mean + latent_noise(self.mean, generator=generator)

    def kl(self) -> Tensor:
        """Divergence to the prior N(0, I), in the reduction of `gaussian_kl`. A scalar."""
        return gaussian_kl(self.mean)


class UNITOutput(NamedTuple):
    """All that one training pass draws. `x_ab`: from a, drawn in b. Images are (N, C, H, W) in [-1, 1]."""

    x_aa: Tensor  # reconstructions
    x_bb: Tensor
    x_ab: Tensor  # translations
    x_ba: Tensor
    x_aba: Tensor  # there and back again
    x_bab: Tensor
    mu_a: Tensor  # posterior means (N, 4 dim, H/d, W/d) of x_a, x_b, x_ab and x_ba
    mu_b: Tensor
    mu_ab: Tensor
    mu_ba: Tensor
    mu_a_from_b: Tensor | None = None  # what the other domain's encoder makes of x_a (that of b) and x_b, if asked
    mu_b_from_a: Tensor | None = None

    def losses(self, x_a: Tensor, x_b: Tensor) -> dict[str, Tensor]:
        """The unweighted terms of the paper's objective, summed over the two domains, without the GAN's.

        recon, kl         L_VAE: lambda_2 = 100 and lambda_1 = 0.1 in the paper
        cycle, cycle_kl   L_CC: lambda_4 = 100 and lambda_3 = 0.1; its other divergence, of q(z|x_a), is `kl` again
        identity          ours, 0 unless `mu_a_from_b` is there: a photo shown to the wrong encoder should give the
                          latent of the right one, so that summer drawn in summer stays as it is. Mean squared distance
                          in the latent, in units of the posterior's variance; the right encoder's answer is the target.
        colour            ours: large regions of a translation keep the photo's colours. Without it, a cycle allows
                          ginger cats to become grey dogs, and grey cats golden ones. Not for pairs of other colours.
        """
        identity = torch.zeros_like(self.mu_a[0, 0, 0, 0], dtype=torch.float32)
        if self.mu_a_from_b is not None and self.mu_b_from_a is not None:
            identity = _squared(self.mu_a_from_b, self.mu_a) + _squared(self.mu_b_from_a, self.mu_b)
        return {
            "recon": reconstruction(self.x_aa, x_a) + reconstruction(self.x_bb, x_b),
            "kl": gaussian_kl(self.mu_a) + gaussian_kl(self.mu_b),
            "cycle": reconstruction(self.x_aba, x_a) + reconstruction(self.x_bab, x_b),
            "cycle_kl": gaussian_kl(self.mu_ab) + gaussian_kl(self.mu_ba),
            "identity": identity,
            "colour": chroma_distance(self.x_ab, x_a) + chroma_distance(self.x_ba, x_b),
        }


def _squared(mu: Tensor, target: Tensor) -> Tensor:
    return (mu.float() - target.detach().float()).square().mean()


class UNIT(nn.Module):
    """Two encoders and two decoders around one latent space.

    The paper's names, for a reader who has it open (E_1, G_1 of domain a; E_2, G_2 of domain b; D_1, D_2 live in
    `unit.models.discriminator`). The sub-networks contain five models:

        VAE         {E_1, G_1}              reconstruct(x, "a")
        translator  {E_1, G_2}              translate(x, "a", "b")
        GAN         {G_1, D_1}              decode(Code(z), "a"), z ~ N(0, I), judged by the discriminator of a
        VAE-GAN     {E_1, G_1, D_1}         the two above together
        CoGAN       {G_1, G_2, D_1, D_2}    one z decoded in both domains: a corresponding pair of images

    E_1 = encoder_a then encoder_shared, G_1 = decoder_shared then decoder_a, likewise for b: the shared modules are
    the weight-sharing constraint, one object and not two kept equal. `config.n_res_shared = 0` removes it.

    Image sides must be multiples of d = `config.downsampling`; `unit.Translator` pads and crops for you.
    """

    def __init__(self, config: UNITConfig = UNITConfig()):
        super().__init__()
        if config.layout not in LAYOUTS:
            raise ValueError(f"layout {config.layout!r} is unknown: choose one of {', '.join(LAYOUTS)}")
        self.config = config
        layout, dim = LAYOUTS[config.layout], config.dim

        def blocks(n: int) -> list[nn.Module]:
            return [layout.block(4 * dim) for _ in range(n)]

        self.encoder_a = nn.Sequential(*layout.encoder(config.channels_a, dim), *blocks(config.n_res))
        self.encoder_b = nn.Sequential(*layout.encoder(config.channels_b, dim), *blocks(config.n_res))
        self.encoder_shared = nn.Sequential(*blocks(config.n_res_shared))
        self.decoder_shared = nn.Sequential(*blocks(config.n_res_shared))
        self.decoder_a = nn.Sequential(*blocks(config.n_res), *layout.decoder(config.channels_a, dim))
        self.decoder_b = nn.Sequential(*blocks(config.n_res), *layout.decoder(config.channels_b, dim))
        self.apply(layout.init)

    def encode(self, x: Tensor, domain: Domain) -> Gaussian:
        """x: (N, C, H, W) in [-1, 1], H and W multiples of d -> q(z|x) over (N, 4 dim, H/d, W/d)."""
        d = self.config.downsampling
        if x.shape[-1] % d or x.shape[-2] % d:
            raise ValueError(f"image sides must be multiples of {d}, got {tuple(x.shape)}")
        encoder = self.encoder_a if _is_a(domain) else self.encoder_b
        return Gaussian(self.encoder_shared(encoder(x)))

    def infer(self, x: Tensor, domain: Domain) -> Code:
        """The mean of q(z|x): what is decoded where no noise is wanted."""
        return Code(self.encode(x, domain).mean)

    def noise(self, shape: tuple[int, int], generator: Generator, grain: int = 1) -> Noise:
        """eta ~ N(0, I) for a latent map of `shape` (h, w), smooth over `grain` latent pixels (see `noise_map`)."""
        eta = noise_map(4 * self.config.dim, *shape, generator, grain)
        return lambda window: Code(eta(window))

    def sample_code(self, code: Code, noise: Code) -> Code:
        """z = mean + noise."""
        return Code(code.content + noise.content)

    def decode(self, code: Code, domain: Domain) -> Tensor:
        """The latent map z = code.content (N, 4 dim, h, w) -> image (N, C, d h, d w) in [-1, 1], drawn in `domain`."""
        decoder = self.decoder_a if _is_a(domain) else self.decoder_b
        return decoder(self.decoder_shared(code.content))

    def forward(self, x_a: Tensor, x_b: Tensor, *, generator: Randomness = None, identity: bool = False) -> UNITOutput:
        """Figure 1 of the paper, with noise: all that training calls. x_a, x_b: (N, C, H, W) in [-1, 1], unpaired.

        generator: of the noise.
        identity: also show each photo to the encoder of the other domain, for the loss of that name.
        """
        q_a, q_b = self.encode(x_a, "a"), self.encode(x_b, "b")  # mean (N, 4 dim, H/d, W/d)
        z = torch.cat([q.sample(generator=generator) for q in (q_a, q_b)])  # (2N, 4 dim, H/d, W/d)
        h = self.decoder_shared(z)  # once for both domains
        x_aa, x_ba = self.decoder_a(h).chunk(2)  # each (N, C, H, W)
        x_ab, x_bb = self.decoder_b(h).chunk(2)

        q_ab, q_ba = self.encode(x_ab, "b"), self.encode(x_ba, "a")
        x_aba = self.decode(Code(q_ab.sample(generator=generator)), "a")  # (N, C, H, W)
        x_bab = self.decode(Code(q_ba.sample(generator=generator)), "b")
        out = UNITOutput(x_aa, x_bb, x_ab, x_ba, x_aba, x_bab, q_a.mean, q_b.mean, q_ab.mean, q_ba.mean)
        if identity:
            out = out._replace(mu_a_from_b=self.encode(x_a, "b").mean, mu_b_from_a=self.encode(x_b, "a").mean)
        return out

    def translate(self, x: Tensor, source: Domain, target: Domain) -> Tensor:
        """x of `source` (N, C, H, W) drawn in `target`, without noise."""
        return self.decode(self.infer(x, source), target)

    def reconstruct(self, x: Tensor, domain: Domain) -> Tensor:
        """The VAE: x encoded and drawn again in its own domain, without noise."""
        return self.translate(x, domain, domain)


def _is_a(domain: Domain) -> bool:
    if domain not in ("a", "b"):
        raise ValueError(f'domain is {domain!r}: say "a" or "b"')
    return domain == "a"
