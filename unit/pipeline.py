"""Translator: photos in, photos out. The app, the command line and the evaluation all draw through it."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, ImageOps
from torch import Generator, Tensor

from unit.hub import load_pretrained
from unit.images import load_image, pad_to_multiple, to_image, to_tensor
from unit.layouts import DOWNSAMPLING
from unit.unit import UNIT, Domain, UNITConfig, latent_noise

BORDER = 16  # pixels mirrored around a photo, which soften what the zeros that convolutions pad with would do to it
LONGEST = 8  # times image_size: the longer side of what a model of whole pictures is shown
TILE = 768  # pixels: the side of what is drawn at once of a large picture, without its surroundings

Photo = str | Path | Image.Image  # whatever `load_image` takes
Window = tuple[slice, slice]  # rows, columns


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

    Where the layout allows it, large pictures are drawn in tiles. The result is that of drawing them whole, and the
    network needs no more memory for them than for one tile.
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
        """A folder, or a repository "owner/name" of the Hugging Face Hub. Raises `unit.hub.CheckpointError`."""
        return cls(load_pretrained(source, revision=revision), device, dtype)

    @property
    def domains(self) -> tuple[str, str]:
        """What people call domain a and domain b, for example ("summer", "winter")."""
        return self.config.domain_a, self.config.domain_b

    @property
    def parameters(self) -> int:
        """How many numbers the networks of both domains learnt."""
        return sum(p.numel() for p in self._model.parameters())

    @torch.inference_mode()
    def encode(self, image: Photo, domain: str) -> Latent:
        """A photo of `domain` -> its latent: the slow half of a translation, done once for many drawings.

        A latent is larger than its photo: 4 dim numbers for every 16 pixels. Raises ValueError for an unknown domain.
        """
        a = self._domain(domain)
        x, size = self._photo(image, a)
        x, crop = self._pad(x)
        mean = self._assemble(x, lambda seen: self._model.encode(self._send(_cut(x, seen)), a).mean)
        return Latent(mean, crop, size)

    @torch.inference_mode()
    def decode(
        self, latent: Latent, target: str, *, temperature: float = 0.0, grain: int = 1, seed: int | None = None
    ) -> Image.Image:
        """A latent drawn in `target`, which may be either domain: the other one translates, its own reconstructs.

        The noise, and what is raised, are those of `translate`: decode(encode(photo, a), b, ...) is its picture.
        """
        b = self._domain(target)
        return self._decode(latent, b, self._noise(latent.mean.shape[-2:], temperature, grain, _generator(seed)))

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
        shape = latent.mean.shape[-2:]
        eta_0, eta_1 = (self._noise(shape, temperature, grain, generator) for _ in range(2))

        @torch.inference_mode()
        def draw(t: float) -> Image.Image:
            eta = None if eta_0 is None or eta_1 is None else math.cos(t) * eta_0 + math.sin(t) * eta_1
            return self._decode(latent, b, eta)

        return (draw(2 * math.pi * step / steps) for step in range(steps))

    @torch.inference_mode()
    def translate(
        self, image: Photo, target: str, *, temperature: float = 0.0, grain: int = 1, seed: int | None = None
    ) -> Image.Image:
        """A photo of the other domain, drawn in `target`.

        temperature: how much noise is added in the latent; 0 is none, 1 what the network was trained with.
        grain: side of the squares that share one value of the noise, in latent pixels (4 picture pixels each).
        seed: of the noise; None draws a new one each time.

        Raises ValueError for an unknown domain, a temperature below 0 and a grain below 1.
        """
        b = self._domain(target)
        a = _other(b)
        x, size = self._photo(image, a)
        return _drawing(self._translate(x, a, b, temperature, grain, seed), size)

    @torch.inference_mode()
    def reconstruct(self, image: Photo, domain: str) -> Image.Image:
        """A photo of `domain`, encoded and drawn again in `domain`: what of it the latent keeps."""
        a = self._domain(domain)
        x, size = self._photo(image, a)
        return _drawing(self._translate(x, a, a), size)

    @torch.inference_mode()
    def cycle(self, image: Photo, source: str) -> tuple[Image.Image, Image.Image]:
        """A photo of `source`, drawn in the other domain, and from there back again: (x_ab, x_aba)."""
        a = self._domain(source)
        b = _other(a)
        x, size = self._photo(image, a)
        x_ab = self._translate(x, a, b)
        return _drawing(x_ab, size), _drawing(self._translate(x_ab, b, a), size)

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
        blank, crop = self._pad(torch.zeros(1, 1, height, width))
        h, w = _latent_shape(blank)
        origin = Latent(torch.zeros(1).expand(1, 4 * self.config.dim, h, w), crop, (width, height))
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
        self, x: Tensor, a: Domain, b: Domain, temperature: float = 0.0, grain: int = 1, seed: int | None = None
    ) -> Tensor:
        """x: (1, C, H, W) of domain a, any H and W -> the same size in domain b, float32 on the CPU.

        Tile by tile from photo to drawing: the latent of a whole large photo would take ten times its memory.
        """
        x, crop = self._pad(x)
        eta = self._noise(_latent_shape(x), temperature, grain, _generator(seed))
        return _cut(self._draw(x, lambda seen: self._model.encode(self._send(_cut(x, seen)), a).mean, eta, b), crop)

    def _decode(self, latent: Latent, b: Domain, eta: Tensor | None) -> Image.Image:
        h, w = latent.mean.shape[-2:]
        blank = torch.empty(1).expand(1, 1, DOWNSAMPLING * h, DOWNSAMPLING * w)  # only its shape is looked at
        x = self._draw(blank, lambda seen: self._send(_cut(latent.mean, _latent(seen))), eta, b)
        return _drawing(_cut(x, latent.crop), latent.size)

    def _draw(self, x: Tensor, mean: Callable[[Window], Tensor], eta: Tensor | None, b: Domain) -> Tensor:
        """mean: of windows of x (1, C, H, W). eta: of all of it, so that tiles agree -> (1, C', H, W) of domain b."""

        def draw(seen: Window) -> Tensor:
            z = mean(seen)
            if eta is not None:
                z = z + self._send(_cut(eta, _latent(seen)))
            return self._fetch(self._model.decode(z, b))

        return self._assemble(x, draw)

    def _assemble(self, x: Tensor, draw: Callable[[Window], Tensor]) -> Tensor:
        """What `draw` makes of windows of x (1, C, H, W), put together: a picture, or a latent a quarter its size."""
        height, width = x.shape[-2:]
        whole = torch.empty(0)
        for tile in tiles(height, width, self._reach):
            part = draw(tile.seen)
            scale = (tile.seen[0].stop - tile.seen[0].start) // part.shape[-2]
            core, kept = (w if scale == 1 else _latent(w) for w in (tile.core, tile.kept))
            if not len(whole):
                whole = part.new_empty(*part.shape[:2], height // scale, width // scale)
            _cut(whole, core).copy_(_cut(part, kept))
        return whole

    def _pad(self, x: Tensor) -> tuple[Tensor, Window]:
        if self._reach is not None:
            return pad_to_multiple(x, DOWNSAMPLING, BORDER)
        # Statistics over the picture should be of the picture only, but there are none of a single latent pixel.
        return pad_to_multiple(x, DOWNSAMPLING, 0 if min(x.shape[-2:]) > DOWNSAMPLING else DOWNSAMPLING)

    def _noise(self, shape: Sequence[int], temperature: float, grain: int, generator: Generator) -> Tensor | None:
        """temperature * eta, eta ~ N(0, 1): (1, 4 dim, *shape) on the CPU. None for temperature 0."""
        if not 0 <= temperature < math.inf:
            raise ValueError(f"temperature is {temperature}: it must be 0 or more")
        if not temperature:
            return None
        like = torch.empty(1).expand(1, 4 * self.config.dim, *shape)  # only its shape is looked at
        return temperature * latent_noise(like, generator=generator, grain=grain).to(self.dtype)

    def _send(self, x: Tensor) -> Tensor:
        return x.to(self.device, self.dtype, memory_format=self._format)

    def _fetch(self, x: Tensor) -> Tensor:
        return x.to("cpu", torch.float32)

    def _photo(self, image: Photo, domain: Domain) -> tuple[Tensor, tuple[int, int]]:
        """What the network is shown of a photo (1, C, H, W), and the photo's (width, height)."""
        photo = load_image(image)
        size = photo.size
        if self.config.whole:
            scale = self.config.image_size * min(1 / min(size), LONGEST / max(size))
            width, height = (max(1, round(scale * side)) for side in size)
            photo = photo.resize((width, height), Image.Resampling.BICUBIC)
        return to_tensor(photo, self.config.channels_a if domain == "a" else self.config.channels_b), size

    def _domain(self, name: str) -> Domain:
        if name not in self.domains:
            raise ValueError(f"{name!r} is not a domain of this model: choose {' or '.join(self.domains)}")
        return "a" if name == self.config.domain_a else "b"


class Tile(NamedTuple):
    seen: Window  # what the network is shown of the picture
    core: Window  # the part of the picture that is drawn
    kept: Window  # that part within `seen`


def tiles(height: int, width: int, margin: int | None) -> Iterator[Tile]:
    """Cover a picture, whose sides are multiples of 4, with tiles; `margin` None makes a single one of it."""
    for rows, columns in product(_spans(height, margin), _spans(width, margin)):
        yield Tile(*zip(rows, columns, strict=True))


def reach(config: UNITConfig) -> int | None:
    """How many pixels from an output pixel an input pixel can be and still matter to it; None: any number.

    Counted at the latent resolution, for the compact layout. The encoder sees one latent pixel beyond its own before
    the first residual block, the decoder one after the last, and each block, two 3x3 convolutions, two more. The
    layouts with instance norm look at the whole picture.
    """
    if config.layout != "compact":
        return None
    blocks = 2 * (config.n_res + config.n_res_shared)  # those of the encoder and those of the decoder
    return DOWNSAMPLING * (1 + 2 * blocks + 1)


def _spans(length: int, margin: int | None) -> list[tuple[slice, slice, slice]]:
    """Tiles along one side, as (seen, core, kept)."""
    if margin is None or length <= TILE + 2 * margin:
        return [(slice(0, length),) * 3]
    step = math.ceil(length / math.ceil(length / TILE) / DOWNSAMPLING) * DOWNSAMPLING  # tiles of about equal size
    spans = []
    for start in range(0, length, step):
        stop = min(start + step, length)
        first, last = max(start - margin, 0), min(stop + margin, length)
        spans.append((slice(first, last), slice(start, stop), slice(start - first, stop - first)))
    return spans


def _drawing(x: Tensor, size: tuple[int, int]) -> Image.Image:
    image = to_image(x)
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _cut(x: Tensor, window: Window) -> Tensor:
    rows, columns = window
    return x[..., rows, columns]


def _latent(window: Window) -> Window:
    rows, columns = (slice(s.start // DOWNSAMPLING, s.stop // DOWNSAMPLING) for s in window)
    return rows, columns


def _latent_shape(x: Tensor) -> tuple[int, int]:
    h, w = (side // DOWNSAMPLING for side in x.shape[-2:])
    return h, w


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
