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
from unit.noise import Randomness, latent_noise

Domain = Literal["a", "b"]  # the paper's X_1 and X_2


@dataclass(frozen=True)
class UNITConfig:
    """Everything needed to rebuild the network; saved as `config.json` beside the weights."""

    model: str = "unit"
    """Which class reads this file."""
    format: int = 1
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
    whole: bool = False
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


class Gaussian(NamedTuple):
    """q(z|x) = N(mean, I): the paper's posterior, whose variance is one and not learned."""

    mean: Tensor  # (N, 4 dim, H/d, W/d)

    def sample(self, *, temperature: float = 1.0, generator: Randomness = None, grain: int = 1) -> Tensor:
        """z = mean + temperature * eta, eta ~ N(0, I): the reparameterisation trick. Same shape as `mean`."""
        if temperature == 0:
            return self.mean
        return self.mean + temperature * latent_noise(self.mean, generator=generator, grain=grain)

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
    nu_a: Tensor | None = None  # what the other domain's encoder makes of x_a and x_b, if it was asked
    nu_b: Tensor | None = None

    def losses(self, x_a: Tensor, x_b: Tensor) -> dict[str, Tensor]:
        """The unweighted terms of the paper's objective, summed over the two domains, without the GAN's.

        recon, kl         L_VAE: lambda_2 = 100 and lambda_1 = 0.1 in the paper
        cycle, cycle_kl   L_CC: lambda_4 = 100 and lambda_3 = 0.1; its other divergence, of q(z|x_a), is `kl` again
        identity          ours, 0 unless `nu_a` is there: a photo shown to the wrong encoder should give the latent of
                          the right one, so that summer drawn in summer stays as it is. Mean squared distance in the
                          latent, in units of the posterior's variance; the right encoder's answer is the target.
        colour            ours: large regions of a translation keep the photo's colours. Without it, a cycle allows
                          ginger cats to become grey dogs, and grey cats golden ones. Not for pairs of other colours.
        """
        identity = torch.zeros_like(self.mu_a[0, 0, 0, 0], dtype=torch.float32)
        if self.nu_a is not None and self.nu_b is not None:
            identity = _squared(self.nu_a, self.mu_a) + _squared(self.nu_b, self.mu_b)
        return {
            "recon": reconstruction(self.x_aa, x_a) + reconstruction(self.x_bb, x_b),
            "kl": gaussian_kl(self.mu_a) + gaussian_kl(self.mu_b),
            "cycle": reconstruction(self.x_aba, x_a) + reconstruction(self.x_bab, x_b),
            "cycle_kl": gaussian_kl(self.mu_ab) + gaussian_kl(self.mu_ba),
            "identity": identity,
            "colour": chroma_distance(self.x_ab, x_a) + chroma_distance(self.x_ba, x_b),
        }


def _squared(nu: Tensor, mu: Tensor) -> Tensor:
    return (nu.float() - mu.detach().float()).square().mean()


class UNIT(nn.Module):
    """Two encoders and two decoders around one latent space.

    The paper's names, for a reader who has it open (E_1, G_1 of domain a; E_2, G_2 of domain b; D_1, D_2 live in
    `unit.models.discriminator`). The sub-networks contain five models:

        VAE         {E_1, G_1}              reconstruct(x, "a")
        translator  {E_1, G_2}              translate(x, "a", "b")
        GAN         {G_1, D_1}              sample(...) judged by the discriminator of a
        VAE-GAN     {E_1, G_1, D_1}         the two above together
        CoGAN       {G_1, G_2, D_1, D_2}    sample(...): one z, a corresponding pair of images

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

    def decode(self, z: Tensor, domain: Domain) -> Tensor:
        """z: (N, 4 dim, h, w) -> image (N, C, d h, d w) in [-1, 1], drawn in `domain`."""
        decoder = self.decoder_a if _is_a(domain) else self.decoder_b
        return decoder(self.decoder_shared(z))

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
        x_aba = self.decode(q_ab.sample(generator=generator), "a")  # (N, C, H, W)
        x_bab = self.decode(q_ba.sample(generator=generator), "b")
        out = UNITOutput(x_aa, x_bb, x_ab, x_ba, x_aba, x_bab, q_a.mean, q_b.mean, q_ab.mean, q_ba.mean)
        if identity:
            out = out._replace(nu_a=self.encode(x_a, "b").mean, nu_b=self.encode(x_b, "a").mean)
        return out

    def translate(
        self,
        x: Tensor,
        source: Domain,
        target: Domain,
        *,
        temperature: float = 0.0,
        generator: Generator | None = None,
        grain: int = 1,
    ) -> Tensor:
        """x of `source` (N, C, H, W) drawn in `target`. temperature 0 takes the mean of q, 1 the paper's noise."""
        z = self.encode(x, source).sample(temperature=temperature, generator=generator, grain=grain)
        return self.decode(z, target)

    def reconstruct(self, x: Tensor, domain: Domain) -> Tensor:
        """The VAE: x encoded and drawn again in its own domain, without noise."""
        return self.translate(x, domain, domain)

    def sample(self, n: int, size: tuple[int, int], *, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """CoGAN: z ~ N(0, I) drawn in both domains. Two batches (n, C, H, W) for `size` = (H, W), in pairs."""
        d = self.config.downsampling
        if size[0] % d or size[1] % d:
            raise ValueError(f"image sides must be multiples of {d}, got {size}")
        h, w = size[0] // d, size[1] // d
        weight = next(self.parameters())
        z = latent_noise(weight.new_empty(n, 4 * self.config.dim, h, w), generator=generator)
        return self.decode(z, "a"), self.decode(z, "b")

    def interpolate(self, x_0: Tensor, x_1: Tensor, source: Domain, target: Domain, steps: int) -> Tensor:
        """The straight line between two images (1, C, H, W) of `source` in the shared latent, drawn in `target`.

        Returns (steps, C, H, W), from the translation of x_0 to that of x_1.
        """
        mean_0, mean_1 = self.encode(x_0, source).mean, self.encode(x_1, source).mean
        t = torch.linspace(0, 1, steps, dtype=mean_0.dtype, device=mean_0.device).view(-1, 1, 1, 1)
        return torch.cat([self.decode(z[None], target) for z in torch.lerp(mean_0, mean_1, t)])


def _is_a(domain: Domain) -> bool:
    if domain not in ("a", "b"):
        raise ValueError(f'domain is {domain!r}: say "a" or "b"')
    return domain == "a"
