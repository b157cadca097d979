"""Digits for the paper's domain adaptation (arXiv:1703.00848, section 4): the networks and the data sets.

A classifier is to read digits of a target domain, of which it has seen no label. It is the discriminator: its upper
layers are one for both domains, so what it learns from labels of the source holds for the target, if a coupled
VAE-GAN makes pairs that let it see the same digit in both.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.data.source import DataError, list_photos
from unit.images import load_image, to_levels, to_tensor
from unit.models.protocol import Domain

SIDE = 32  # pixels of all digits, along both sides
CLASSES = 10
FULL_WIDTH = 96  # of the paper's networks
FULL_FEATURES = 2048  # values of h3 at full width: 512 channels of 2x2

Name = Literal["mnist", "usps", "svhn", "mnistm"]
CHANNELS: dict[Name, int] = {"mnist": 1, "usps": 1, "svhn": 3, "mnistm": 3}


# Networks -------------------------------------------------------------------------------------------------------------


class Posterior(NamedTuple):
    """q(z|x) = N(mean, diag(deviation^2)) of a batch: both (N, C, 1, 1)."""

    mean: Tensor
    deviation: Tensor

    def sample(self) -> Tensor:
        return self.mean + self.deviation * torch.randn_like(self.mean)

    def kl(self) -> Tensor:
        """KL(q(z|x) || N(0, I)), summed over the latents and averaged over the batch. A scalar."""
        variance = self.deviation.square()
        kl = 0.5 * (self.mean.square() + variance - 1 - variance.clamp(min=1e-12).log())
        return kl.flatten(1).sum(1).mean()


class Block(nn.Sequential):
    """A convolution, transposed or not, normalised over the batch, with a learned bias and a leaky rectifier."""

    def __init__(self, conv: nn.Module, channels: int):
        super().__init__(conv, nn.BatchNorm2d(channels, affine=False), Bias(channels), nn.LeakyReLU(inplace=True))


class Bias(nn.Module):
    """A learned number for each channel is added."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


def down(channels_in: int, channels: int, kernel: int, stride: int = 1, padding: int = 0) -> Block:
    return Block(nn.Conv2d(channels_in, channels, kernel, stride, padding, bias=False), channels)


def up(channels_in: int, channels: int, padding: int = 1) -> Block:
    return Block(nn.ConvTranspose2d(channels_in, channels, 4, 2, padding, bias=False), channels)


class CoupledVAE(nn.Module):
    """Encoders and decoders of two domains, 32x32 pixels, that share all but the layers next to the pixels.

    Args:
        channels: image channels of both domains.
        width: channels after the first convolution; 96 in the paper, 22.6 million parameters.
        shared: False gives each domain all layers of its own, for the ablation.
    """

    def __init__(self, channels: tuple[int, int], width: int = FULL_WIDTH, shared: bool = True):
        super().__init__()
        self.encoders = nn.ModuleList(down(c + 2, width, 5, stride=2, padding=2) for c in channels)
        self.upper_encoders = twice(shared, lambda: upper_encoder(width))
        self.means = twice(shared, lambda: nn.Conv2d(8 * width, 8 * width, 1))
        self.deviations = twice(shared, lambda: nn.Conv2d(8 * width, 8 * width, 1))
        self.upper_decoders = twice(shared, lambda: upper_decoder(width))
        self.decoders = nn.ModuleList(nn.Sequential(up(2 * width, width), nn.Conv2d(width, c, 1)) for c in channels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.shared = shared

    def encode(self, x_a: Tensor, x_b: Tensor) -> tuple[Posterior, Posterior]:
        """x_a, x_b: (N, C, 32, 32) in [-1, 1] -> the posteriors of both, whose latents are (N, 8 width, 1, 1)."""
        h_a, h_b = (encoder(with_coordinates(x)) for encoder, x in zip(self.encoders, (x_a, x_b), strict=True))
        h_a, h_b = self._both(self.upper_encoders, h_a, h_b)
        mean_a, mean_b = self._both(self.means, h_a, h_b)
        deviation_a, deviation_b = (F.softplus(s) for s in self._both(self.deviations, h_a, h_b))
        return Posterior(mean_a, deviation_a), Posterior(mean_b, deviation_b)

    def decode(self, z_a: Tensor, z_b: Tensor) -> "Translations":
        """Latents of both domains (N, 8 width, 1, 1) -> all four pictures of them."""
        n = len(z_a)
        if self.shared:
            h_a = h_b = self.upper_decoders[0](torch.cat([z_a, z_b]))
        else:
            h_a, h_b = (decoder(torch.cat([z_a, z_b])) for decoder in self.upper_decoders)
        in_a, in_b = (torch.tanh(decoder(h)) for decoder, h in zip(self.decoders, (h_a, h_b), strict=True))
        return Translations(x_aa=in_a[:n], x_ba=in_a[n:], x_ab=in_b[:n], x_bb=in_b[n:])

    def forward(self, x_a: Tensor, x_b: Tensor) -> tuple["Translations", Tensor]:
        """One pass over unpaired digits: the pictures, and the KL divergence, summed over the domains."""
        q_a, q_b = self.encode(x_a, x_b)
        return self.decode(q_a.sample(), q_b.sample()), q_a.kl() + q_b.kl()

    def _both(self, nets: nn.ModuleList, h_a: Tensor, h_b: Tensor) -> tuple[Tensor, Tensor]:
        """Shared layers see both domains in one batch, as their normalisation is over it."""
        if self.shared:
            h = nets[0](torch.cat([h_a, h_b]))
            return h[: len(h_a)], h[len(h_a) :]
        return nets[0](h_a), nets[1](h_b)


class Translations(NamedTuple):
    """Digits (N, C, 32, 32) in [-1, 1]: x_ab is from a, drawn in b; x_aa is a reconstruction."""

    x_aa: Tensor
    x_ba: Tensor
    x_ab: Tensor
    x_bb: Tensor

    def detach(self) -> "Translations":
        return Translations(*(x.detach() for x in self))


def twice(shared: bool, build: Callable[[], nn.Module]) -> nn.ModuleList:
    """One network for both domains, or one for each."""
    return nn.ModuleList(build() for _ in range(1 if shared else 2))


def upper_encoder(width: int) -> nn.Sequential:
    """(N, width, 16, 16) -> (N, 8 width, 1, 1)."""
    return nn.Sequential(
        down(width, 2 * width, 5, stride=2, padding=2), down(2 * width, 4 * width, 8), down(4 * width, 8 * width, 1)
    )


def upper_decoder(width: int) -> nn.Sequential:
    """(N, 8 width, 1, 1) -> (N, 2 width, 16, 16)."""
    return nn.Sequential(up(8 * width, 8 * width, padding=0), up(8 * width, 4 * width), up(4 * width, 2 * width))


def with_coordinates(x: Tensor) -> Tensor:
    """Two channels are added that say where a pixel is, from -1 at the left or top to just below 1."""
    n, _, h, w = x.shape
    rows, columns = (torch.arange(side, device=x.device, dtype=x.dtype) * (2 / side) - 1 for side in (h, w))
    grid = torch.stack([columns.expand(h, w), rows[:, None].expand(h, w)])
    return torch.cat([x, grid.expand(n, 2, h, w)], 1)


class Discriminator(nn.Module):
    """Real or not, and which digit: one network for both questions and, but for its first layer, both domains.

    Args:
        channels: image channels of both domains.
        width: of the generator, 96 in the paper; this network's first layer has two thirds of it, 64.
    """

    def __init__(self, channels: tuple[int, int], width: int = FULL_WIDTH):
        super().__init__()
        d = max(4, round(width * 2 / 3))
        self.first = nn.ModuleList(nn.Conv2d(c, d, 5, padding=2) for c in channels)
        self.convs = nn.ModuleList(nn.Conv2d(d * 2**i, d * 2 ** (i + 1), 5, padding=2) for i in range(3))
        self.real_or_not = nn.Conv2d(8 * d, 2, 2)
        self.digit = nn.Conv2d(8 * d, CLASSES, 2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_normal_(module.weight, gain=math.sqrt(2))
                nn.init.constant_(module.bias, 0.1)  # type: ignore[arg-type]

    def features(self, x: Tensor, domain: Domain, dropout: bool = True) -> Tensor:
        """h3, (N, 8 d, 2, 2). Features are matched without dropout; the paths to both questions have it in training."""
        h = self.first[domain == "b"](x)
        for conv, p in zip((*self.convs, None), (0.1, 0.3, 0.5, 0.5), strict=True):
            h = F.dropout(F.max_pool2d(F.relu(h), 2), p, self.training and dropout)
            h = h if conv is None else conv(h)
        return h

    def realness(self, h: Tensor) -> Tensor:
        """h3 -> (N, 1, 1, 1): the log-odds that a softmax over the two outputs gives to "real"."""
        logits = self.real_or_not(h)
        return logits[:, 1:] - logits[:, :1]

    def classify(self, h: Tensor) -> Tensor:
        """h3 -> logits of the ten digits, (N, 10)."""
        return self.digit(h).flatten(1)


# Data sets ------------------------------------------------------------------------------------------------------------


class Digits(NamedTuple):
    """Pictures (N, C, 32, 32) uint8 and their digits (N,) int64."""

    images: Tensor
    labels: Tensor


class DataSet(NamedTuple):
    train: Digits
    test: Digits


def load_digits(name: Name, folder: Path, photos: Path | None = None) -> DataSet:
    """Read a data set of digits that lies in a folder; nothing is downloaded.

    Args:
        name: mnist, usps, svhn or mnistm.
        folder: with NAME.npz (x_train, y_train, x_test, y_test), or, of svhn, train_32x32.mat, test_32x32.mat and, if
            there is one, extra_32x32.mat, or else as torchvision.datasets leaves it. mnistm is made of mnist.
        photos: for mnistm without a file of its own: a folder of photos, whose patches the digits are blended with.

    Raises:
        DataError: it is not there, or cannot be read.
    """
    if (file := folder / f"{name}.npz").is_file():
        return _from_npz(file)
    if name == "svhn" and (folder / "train_32x32.mat").is_file():
        return _svhn(folder)
    if name == "mnistm":
        if photos is None:
            raise DataError("MNIST-M is made of MNIST and photos: name a folder of photos with --photos.")
        mnist, patches = load_digits("mnist", folder), load_photos(photos)
        return DataSet(*(mnist_m(digits, patches, seed) for seed, digits in enumerate(mnist)))
    return _from_torchvision(name, folder)


def _from_npz(file: Path) -> DataSet:
    try:
        with np.load(file) as arrays:
            x_train, y_train, x_test, y_test = (arrays[f"{k}_{s}"] for s in ("train", "test") for k in "xy")
    except (KeyError, ValueError, OSError) as error:
        raise DataError(f"{file} cannot be read as x_train, y_train, x_test and y_test: {error}") from None
    return DataSet(digits(x_train, y_train), digits(x_test, y_test))


def _svhn(folder: Path) -> DataSet:
    """Stanford's "cropped digits"; for training the large extra set, as in the paper, if it is there."""
    try:
        from scipy.io import loadmat
    except ImportError:
        raise DataError("SVHN's .mat files take SciPy to read: pip install scipy") from None

    def split(name: str) -> Digits:
        try:
            arrays = loadmat(folder / f"{name}_32x32.mat")
        except (OSError, ValueError) as error:
            raise DataError(f"{folder / name}_32x32.mat cannot be read: {error}") from None
        return digits(arrays["X"].transpose(3, 0, 1, 2), arrays["y"].reshape(-1) % 10)  # They write 10 for 0.

    extra = (folder / "extra_32x32.mat").is_file()
    return DataSet(split("extra" if extra else "train"), split("test"))


def _from_torchvision(name: Name, folder: Path) -> DataSet:
    from torchvision import datasets

    reader = {"mnist": datasets.MNIST, "usps": datasets.USPS}.get(name)
    try:
        if reader is None:
            raise RuntimeError
        parts = [reader(folder, train=train) for train in (True, False)]
    except (RuntimeError, OSError):
        files = "train_32x32.mat and test_32x32.mat" if name == "svhn" else f"what torchvision.datasets.{name.upper()}"
        files += "" if name == "svhn" else " leaves"
        raise DataError(f"--data {folder} has neither {name}.npz nor {files}: put one of them there.") from None
    return DataSet(*(digits(np.asarray(part.data), np.asarray(part.targets)) for part in parts))


def digits(images: np.ndarray, labels: np.ndarray) -> Digits:
    """Pictures (N, H, W) or (N, H, W, C), uint8, resized bilinearly to 32x32 pixels. Raises DataError."""
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or len(images) != len(labels):
        raise DataError(f"digits are {images.dtype} {images.shape} for {len(labels)} labels: they must be uint8.")
    x = torch.from_numpy(images.copy()).reshape(*images.shape[:3], -1).permute(0, 3, 1, 2)
    if x.shape[-2:] != (SIDE, SIDE):
        parts = [F.interpolate(part.float(), (SIDE, SIDE), mode="bilinear") for part in x.split(4096)]
        x = torch.cat([part.round().to(torch.uint8) for part in parts])
    return Digits(x.contiguous(), torch.from_numpy(labels.astype(np.int64)))


def load_photos(folder: Path, longest: int = 512) -> list[Tensor]:
    """Photos (3, H, W) uint8, scaled down to `longest` pixels. Raises DataError if there are none of use."""
    photos = []
    for path in list_photos(folder):
        image = load_image(path)
        image.thumbnail((longest, longest))
        if min(image.size) >= SIDE:
            photos.append(to_levels(to_tensor(image, 3))[0].to(torch.uint8))
    if not photos:
        raise DataError(f"--photos {folder} has no photo of {SIDE} pixels or more.")
    return photos


def mnist_m(source: Digits, photos: list[Tensor], seed: int) -> Digits:
    """MNIST-M (Ganin & Lempitsky 2015, arXiv:1409.7495): |patch - digit| for each channel, of random patches of photos.

    Args:
        source: digits of one channel, white on black.
        photos: (3, H, W) uint8, 32x32 pixels or more.
        seed: decides the patches.
    """
    draw = torch.Generator().manual_seed(seed)
    images = torch.empty(len(source.images), 3, SIDE, SIDE, dtype=torch.uint8)
    for image, digit in zip(images, source.images, strict=True):
        photo = photos[int(torch.randint(len(photos), (), generator=draw))]
        top, left = (int(torch.randint(side - SIDE + 1, (), generator=draw)) for side in photo.shape[1:])
        patch = photo[:, top : top + SIDE, left : left + SIDE]
        image.copy_((patch.short() - digit.short()).abs())
    return Digits(images, source.labels)


def to_unit(images: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def to_channels(x: Tensor, channels: int) -> Tensor:
    """Grey pictures as colour ones, or colour ones as their mean."""
    return x if x.shape[1] == channels else x.mean(1, keepdim=True).expand(-1, channels, -1, -1)
