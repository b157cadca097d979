"""Translator: photos in, photos out. The app, the command line and the evaluation all draw through it."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Generator, Tensor

from unit.hub import load_pretrained
from unit.images import Padded, Photo, load_image
from unit.models.architectures import LAYOUTS
from unit.models.unit import UNIT, Domain, UNITConfig
from unit.noise import Window, noise_map, slice_window
from unit.tiling import Tile, TiledImage, tiles

BORDER = 16  # pixels mirrored around a photo, which soften what the zeros that convolutions pad with would do to it
LONGEST = 8  # times image_size: the longer side of what a model of whole pictures is shown
TILE = 768  # pixels: the side of what is drawn at once of a large picture, without its surroundings

# Layouts that look at the whole picture are shown all of it, unless that takes more than PIECE bytes; then, pieces.
PIECE = 2**30
BYTES = {"paper": 12, "master2018": 28}  # for each pixel and unit of dim: measured in float32, at dim 32 and 64
OVERLAP = 256  # pixels: pieces differ in colour, as their statistics do, and one changes into the next over so many

Noise = Callable[[Window], Tensor]  # rows and columns of the latent -> (1, 4 dim, rows, columns)


@dataclass(frozen=True)
class Latent:
    """A photo as a point of the shared latent space: `Translator.encode` makes it, `decode` draws it, as often as
    wanted. It belongs to the translator that made it, and is never changed, so threads can share it.
    """

    mean: Tensor  # (1, 4 dim, h, w) on the translator's device, of the photo with what is mirrored around it
    crop: Window  # where the photo is in the drawing
    size: tuple[int, int]  # width and height of the photo, and of every drawing

    @property
    def nbytes(self) -> int:
        return self.mean.nbytes

    def lerp(self, other: "Latent", t: float) -> "Latent":
        """The point `t` of the way along the straight line to `other`; 0 is here, 1 is there.

        Raises ValueError unless both photos have the same size.
        """
        if self.size != other.size:
            raise ValueError(f"the photos have the sizes {self.size} and {other.size}: make one as large as the other")
        return replace(self, mean=torch.lerp(self.mean, other.mean, t))


class Translator:
    """A trained UNIT for people who have photos: domains by name, any size, any kind of file, one call each.

    A photo is a path or a PIL image (see `unit.images.load_image`, which raises ImageError); a drawing is a PIL image
    of exactly the photo's size. A model of whole, aligned pictures (`UNITConfig.whole`) draws small, and its drawing is
    enlarged. Nothing is kept from call to call, so threads can share one Translator. Noise is drawn on the CPU, so a
    seed means the same picture on every device, up to rounding.

    Large pictures are drawn in tiles, and the network needs no more memory for them than for one; `draw` hands them out
    one by one. In the compact layouts the result is that of drawing them whole. The other layouts look at the whole
    picture, and are shown it up to about a megapixel (see `piece`). Of larger ones they draw pieces that overlap and
    are blended: there is no seam, but each piece is taken for a picture of its own, with its own contrast.
    """

    def __init__(self, model: UNIT, device: str | torch.device | None = None, dtype: torch.dtype | None = None):
        """The model is copied, so training may go on with it. device and dtype None: the best this machine has."""
        self.config = model.config
        self.device = torch.device(device) if device is not None else best_device()
        self.dtype = dtype if dtype is not None else best_dtype(self.device)
        self._format = memory_format(self.device)
        model = copy.deepcopy(model).eval().requires_grad_(False)
        self._model = model.to(self.device, self.dtype).to(memory_format=self._format)
        self._reach = reach(model.config)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> "Translator":
        """A folder, or a repository "owner/name" of the Hugging Face Hub. Raises `unit.checkpoint.CheckpointError`."""
        return cls(load_pretrained(source, revision=revision), device, dtype)

    @property
    def domains(self) -> tuple[str, str]:
        """What people call domain a and domain b, for example ("summer", "winter")."""
        return self.config.domains

    @property
    def parameters(self) -> int:
        """How many numbers the networks of both domains learnt."""
        return sum(p.numel() for p in self._model.parameters())

    @torch.inference_mode()
    def encode(self, image: Photo, domain: str) -> Latent:
        """A photo of `domain` -> its latent: the slow half of a translation, done once for many drawings.

        A latent holds 4 dim numbers for every d x d pixels, so it may be larger than its photo. Layouts that look at
        the whole picture are shown it whole, however much memory that takes. Raises ValueError for an unknown domain.
        """
        a = self._domain(domain)
        photo, size = self._photo(image)
        x = self._pad(photo, self._channels(a))
        h, w = self._latent_shape(x.shape)
        mean = torch.empty(1, 4 * self.config.dim, h, w, device=self.device, dtype=self.dtype)
        parts = _piece(*x.shape) if self._reach is None else self._tiles(x.shape, TILE, self._reach)
        for tile in parts:
            part = self._encode(x, tile.seen, a)
            slice_window(mean, self._latent(tile.core)).copy_(slice_window(part, self._latent(tile.kept)))
        return Latent(mean, x.crop, size)

    @torch.inference_mode()
    def decode(
        self, latent: Latent, target: str, *, temperature: float = 0.0, grain: int = 1, seed: int | None = None
    ) -> Image.Image:
        """A latent drawn in `target`, which may be either domain: the other one translates, its own reconstructs.

        The noise, and what is raised, are those of `translate`: decode(encode(photo, a), b, ...) is its picture, unless
        that is blended of pieces.
        """
        b = self._domain(target)
        return self._decode(latent, b, self._noise(_sides(latent.mean), temperature, grain, _generator(seed)))

    @torch.inference_mode()
    def walk(
        self,
        latent: Latent,
        target: str,
        steps: int = 24,
        *,
        temperature: float = 1.0,
        grain: int = 1,
        seed: int | None = None,
    ) -> Iterator[Image.Image]:
        """A closed walk around a latent, drawn in `target` step by step; after the last step comes the first again.

        The noise is cos(t) eta_0 + sin(t) eta_1, which at every step is noise of the same strength. The first picture
        is what `decode` draws with the same seed. Raises ValueError as `translate` does, and for less than one step.
        """
        if steps < 1:
            raise ValueError(f"steps is {steps}: it counts pictures, so it must be 1 or more")
        b, generator = self._domain(target), _generator(seed)
        eta_0, eta_1 = (self._noise(_sides(latent.mean), temperature, grain, generator) for _ in range(2))

        def noise(t: float) -> Noise | None:
            if eta_0 is None or eta_1 is None:
                return None
            return lambda window: math.cos(t) * eta_0(window) + math.sin(t) * eta_1(window)

        return (self._decode(latent, b, noise(2 * math.pi * step / steps)) for step in range(steps))

    @torch.inference_mode()
    def translate(
        self, image: Photo, target: str, *, temperature: float = 0.0, grain: int = 1, seed: int | None = None
    ) -> Image.Image:
        """A photo of the other domain, drawn in `target`.

        temperature: how much noise is added in the latent; 0 is none, 1 what the network was trained with.
        grain: side of the squares that share one value of the noise, in latent pixels of 4 or 8 picture pixels.
        seed: of the noise; None draws a new one each time. Of pictures above 16 megapixels (at dim 32; see
        `unit.noise`) fine noise is drawn square by square, so there it is not what `UNIT.translate` draws.

        Raises ValueError for an unknown domain, a temperature below 0 and a grain below 1.
        """
        return self.draw(image, target, temperature=temperature, grain=grain, seed=seed).finish()

    @torch.inference_mode()
    def draw(
        self, image: Photo, target: str, *, temperature: float = 0.0, grain: int = 1, seed: int | None = None
    ) -> TiledImage:
        """What `translate` draws, one tile at a time: for those who want to show how far it is, or to stop.

        The photo is read, and what `translate` raises is raised, before this returns. Nothing is drawn yet.
        """
        b = self._domain(target)
        photo, size = self._photo(image)
        return self._translate(photo, size, _other(b), b, temperature, grain, seed)

    def reconstruct(self, image: Photo, domain: str) -> Image.Image:
        """A photo of `domain`, encoded and drawn again in `domain`: what of it the latent keeps."""
        a = self._domain(domain)
        photo, size = self._photo(image)
        return self._translate(photo, size, a, a).finish()

    def cycle(self, image: Photo, source: str) -> tuple[Image.Image, Image.Image]:
        """A photo of `source`, drawn in the other domain, and from there back again: (x_ab, x_aba).

        x_aba is drawn from x_ab as it could be saved, with its 256 levels.
        """
        a = self._domain(source)
        b = _other(a)
        photo, size = self._photo(image)
        x_ab = self._translate(photo, photo.size, a, b).finish()
        x_aba = self._translate(x_ab, size, b, a).finish()
        return x_ab if x_ab.size == size else x_ab.resize(size, Image.Resampling.LANCZOS), x_aba

    @torch.inference_mode()
    def sample(
        self,
        n: int = 1,
        *,
        size: tuple[int, int] | None = None,
        temperature: float = 1.0,
        grain: int = 1,
        seed: int | None = None,
    ) -> list[tuple[Image.Image, Image.Image]]:
        """n pairs drawn from the prior, without a photo: one z, seen in both domains, in the order of `domains`.

        size: (width, height) in pixels; by default the square of the training crops. For a seed, the first pairs
        are the same whatever n is.
        temperature, grain: of the noise, as in `translate`. At 1 and 1 it is the paper's prior N(0, I).
        """
        width, height = size or (self.config.image_size, self.config.image_size)
        if n < 1 or width < 1 or height < 1:
            raise ValueError(f"cannot draw {n} pairs of {width} x {height} pixels: every number must be 1 or more")
        generator = _generator(seed)
        blank = self._pad(Image.new("L", (width, height)), 1)
        h, w = self._latent_shape(blank.shape)
        origin = Latent(torch.zeros(1).expand(1, 4 * self.config.dim, h, w), blank.crop, (width, height))
        etas = (self._noise((h, w), temperature, grain, generator) for _ in range(n))
        return [(self._decode(origin, "a", eta), self._decode(origin, "b", eta)) for eta in etas]

    @torch.inference_mode()
    def interpolate(self, image_0: Photo, image_1: Photo, target: str, steps: int = 8) -> list[Image.Image]:
        """From one photo to another along a straight line in the shared latent, drawn in `target`: `steps` pictures.

        Both photos are of the other domain. The second is scaled and cropped to the size of the first.
        """
        if steps < 1:
            raise ValueError(f"steps is {steps}: it counts pictures, so it must be 1 or more")
        b = self._domain(target)
        source = self.domains[b == "a"]
        first = load_image(image_0)
        here = self.encode(first, source)
        there = self.encode(ImageOps.fit(load_image(image_1), first.size), source)
        return [self._decode(here.lerp(there, step / max(steps - 1, 1)), b, None) for step in range(steps)]

    def _translate(
        self,
        photo: Image.Image,
        size: tuple[int, int],
        a: Domain,
        b: Domain,
        temperature: float = 0.0,
        grain: int = 1,
        seed: int | None = None,
    ) -> TiledImage:
        """Tile by tile from photo to drawing: the latent of a whole large photo would take ten times its memory."""
        x = self._pad(photo, self._channels(a))
        eta = self._noise(self._latent_shape(x.shape), temperature, grain, _generator(seed))
        return self._draw(lambda seen: self._encode(x, seen, a), eta, b, x.shape, x.crop, size)

    def _encode(self, x: Padded, seen: Window, a: Domain) -> Tensor:
        return self._model.encode(self._send(x[seen]), a).mean

    def _decode(self, latent: Latent, b: Domain, eta: Noise | None) -> Image.Image:
        def mean(seen: Window) -> Tensor:
            return self._send(slice_window(latent.mean, self._latent(seen)))

        h, w = _sides(latent.mean)
        shape = self.config.downsampling * h, self.config.downsampling * w
        return self._draw(mean, eta, b, shape, latent.crop, latent.size).finish()

    def _draw(
        self,
        mean: Callable[[Window], Tensor],
        eta: Noise | None,
        b: Domain,
        shape: tuple[int, int],
        crop: Window,
        size: tuple[int, int],
    ) -> TiledImage:
        """mean: of windows of a picture of `shape` (height, width). eta: of all its latent, so that tiles agree."""

        def draw(seen: Window) -> Tensor:
            z = mean(seen)
            if eta is not None:
                z = z + self._send(eta(self._latent(seen)))
            return self._model.decode(z, b)

        if self._reach is not None:
            return TiledImage(draw, self._tiles(shape, TILE, self._reach), crop, size)
        side, d = piece(self.config), self.config.downsampling
        if shape[0] * shape[1] <= side**2:
            return TiledImage(draw, _piece(*shape), crop, size)
        overlap = min(OVERLAP, side // 4 // d * d)
        return TiledImage(draw, self._tiles(shape, side - 2 * BORDER, BORDER, overlap), crop, size, overlap)

    def _tiles(self, shape: tuple[int, int], side: int, margin: int, overlap: int = 0) -> list[Tile]:
        return tiles(*shape, side, margin, overlap, multiple=self.config.downsampling)

    def _latent(self, window: Window) -> Window:
        rows, columns = (slice(s.start // self.config.downsampling, s.stop // self.config.downsampling) for s in window)
        return rows, columns

    def _latent_shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        height, width = shape
        return height // self.config.downsampling, width // self.config.downsampling

    def _pad(self, photo: Image.Image, channels: int) -> Padded:
        d = self.config.downsampling
        if self._reach is not None:
            return Padded(photo, channels, d, border(self.config))
        # There are no statistics over a single latent pixel.
        return Padded(photo, channels, d, 0 if min(photo.size) > d else d)

    def _noise(self, shape: tuple[int, int], temperature: float, grain: int, generator: Generator) -> Noise | None:
        """temperature * eta, eta ~ N(0, 1), of a latent of `shape`, on the CPU. None for temperature 0."""
        if not 0 <= temperature < math.inf:
            raise ValueError(f"temperature is {temperature}: it must be 0 or more")
        if not temperature:
            return None
        eta = noise_map(4 * self.config.dim, *shape, generator, grain)
        return lambda window: temperature * eta(window).to(self.dtype)

    def _send(self, x: Tensor) -> Tensor:
        return x.to(self.device, self.dtype, memory_format=self._format)

    def _photo(self, image: Photo) -> tuple[Image.Image, tuple[int, int]]:
        """What the network is shown of a photo, and the photo's (width, height)."""
        photo = load_image(image)
        size = photo.size
        if self.config.whole:
            scale = self.config.image_size * min(1 / min(size), LONGEST / max(size))
            width, height = (max(1, round(scale * side)) for side in size)
            photo = photo.resize((width, height), Image.Resampling.BICUBIC)
        return photo, size

    def _channels(self, domain: Domain) -> int:
        return self.config.channels_a if domain == "a" else self.config.channels_b

    def _domain(self, name: str) -> Domain:
        if name not in self.domains:
            raise ValueError(f"{name!r} is not a domain of this model: choose {' or '.join(self.domains)}")
        return "a" if name == self.config.domain_a else "b"


def reach(config: UNITConfig) -> int | None:
    """How many pixels from an output pixel an input pixel can be and still matter to it; None: any number.

    Counted in latent pixels: the margin of the layout, and two for each residual block of two 3x3 convolutions. The
    layouts with instance norm look at the whole picture.
    """
    if (margin := LAYOUTS[config.layout].margin) is None:
        return None
    blocks = 2 * (config.n_res + config.n_res_shared)  # those of the encoder and those of the decoder
    return config.downsampling * (2 * blocks + margin)


def border(config: UNITConfig) -> int:
    """How many pixels are mirrored around a photo before a network sees it.

    None for models of whole, aligned pictures: from the zeros around its picture the network has learnt where in it it
    is, and with a border it draws the eyes twice, once where the photo has them and once where they should be. None
    either where statistics over the picture should be of the picture only.
    """
    return 0 if config.whole or reach(config) is None else BORDER


def piece(config: UNITConfig) -> int:
    """Pixels, in whole latent ones: side of the largest square that a layout without a reach is shown at once."""
    side = math.isqrt(PIECE // (BYTES[config.layout] * config.dim))
    return side // config.downsampling * config.downsampling


def _piece(height: int, width: int) -> list[Tile]:
    """A single tile of it all."""
    return tiles(height, width, max(height, width), 0)


def _sides(x: Tensor) -> tuple[int, int]:
    height, width = x.shape[-2:]
    return height, width


def _other(domain: Domain) -> Domain:
    return "b" if domain == "a" else "a"


def _generator(seed: int | None) -> Generator:
    generator = Generator()
    if seed is None:
        generator.seed()
    elif -(2**63) <= seed < 2**64:
        generator.manual_seed(seed)
    else:
        raise ValueError(f"seed is {seed}: it must fit in 64 bits")
    return generator


def best_device() -> torch.device:
    """The first of cuda, mps, cpu that is there."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def memory_format(device: torch.device) -> torch.memory_format:
    """channels_last is what convolutions on CPUs and CUDA are quick with; on MPS it has given wrong results."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def best_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it, else float32.

    Measured: four times as fast on a CPU with AMX; a convolution takes 13 times as long
    on one with AVX2 only (docs/training.md).
    """
    if device.type == "cuda":
        quick = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":  # PyTorch keeps these questions private, so ask gently; bool() is False
        quick = any(getattr(torch.cpu, f"_is_{name}_supported", bool)() for name in ("amx_tile", "avx512_bf16"))
    else:
        quick = False
    return torch.bfloat16 if quick else torch.float32
