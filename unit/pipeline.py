"""Translator: photos in, photos out. The app, the command line, training and the evaluation all draw through it."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from PIL import Image, ImageOps
from torch import Generator, Tensor, nn

from unit.hub import load_pretrained
from unit.images import MAX_PIXELS, Padded, Photo, load_image, pad_to_multiple, quantize
from unit.models.folded import fuse
from unit.models.protocol import Code, Domain, Model, ModelConfig, Noise
from unit.noise import Window, slice_window
from unit.tiling import TiledImage, tiles

BORDER = 16  # pixels mirrored around a photo, which soften what the zeros that convolutions pad with would do to it
LONGEST = 8  # times image_size: the longer side of what a model of aligned pictures is shown
TILE = 768  # pixels: the side of what is drawn at once of a large picture, without its surroundings

# Models that look at the whole picture are shown all of it, unless that takes more bytes than these; then, tiles.
MAX_BYTES = 2**30
OVERLAP = 256  # pixels: such tiles differ in colour, as their statistics do, and one changes into the next over so many
MAX_KEPT = 2**30  # bytes: the codes of two photos that are kept from picture to picture; larger ones are made anew

Codes = Callable[[Window], Code]  # windows of a picture -> the code of what lies in them
Style = tuple[float, ...]  # the few numbers that a model of many translations follows: eight of MUNIT's


@dataclass(frozen=True)
class Sampling:
    """What is drawn of the many translations that a photo may have. As it is: the one without noise.

    Args:
        temperature: how much noise is added to the code of a photo; 0 is none, 1 what the network was trained with.
        grain: side of the squares that share one value of the noise, in latent pixels of 4 or 8 picture pixels.
        seed: of the noise; None draws a new one each time. Of pictures above 16 megapixels (at dim 32) fine noise is
            drawn square by square (see `unit.noise`).
        style_image: a photo of the target domain whose style is followed, for models that have styles. It is encoded
            for each translation.
        style: a style that is there already, of `Translator.encode_style` or `Translator.sample_style`: for many
            photos that should come out alike. Noise is added to it, so at temperature 0 it is followed as it is.

    Raises:
        ValueError: for a temperature below 0, a grain below 1, a seed that does not fit in 64 bits, and two styles.
    """

    temperature: float = 0.0
    grain: int = 1
    seed: int | None = None
    style_image: Photo | None = None
    style: Style | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature is {self.temperature}: it must be 0 or more")
        if self.grain < 1:
            raise ValueError(f"grain is {self.grain}: it counts latent pixels, so it must be 1 or more")
        if self.seed is not None and not -(2**63) <= self.seed < 2**64:
            raise ValueError(f"seed is {self.seed}: it must fit in 64 bits")
        if self.style_image is not None and self.style is not None:
            raise ValueError("style_image and style contradict each other: leave out one")

    def generator(self) -> Generator:
        """A generator that starts at the seed, or somewhere new if there is none. It is on the CPU."""
        generator = Generator()
        if self.seed is None:
            generator.seed()
        else:
            generator.manual_seed(self.seed)
        return generator


MEAN = Sampling()  # no noise
PRIOR = Sampling(temperature=1.0)  # noise as in training


@dataclass(frozen=True)
class EncodedImage:
    """A photo's code, and where the photo lies in it: `Translator.encode` makes it, `decode` draws it, as often as
    wanted. It belongs to the translator that made it, and is never changed, so threads can share it.
    """

    code: Code  # of one photo with what is mirrored around it, on the translator's device
    domain: Domain  # which the photo was taken to be of
    crop: Window  # where the photo is in a picture drawn of the code
    size: tuple[int, int]  # width and height of the photo, and of every drawing

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.code if part is not None)

    @property
    def style(self) -> Style | None:
        """What `Sampling.style` takes; None of a model that has no styles."""
        return None if self.code.style is None else tuple(self.code.style.flatten().tolist())

    def lerp(self, other: "EncodedImage", t: float) -> "EncodedImage":
        """The point `t` of the way along the straight line to `other`; 0 is here, 1 is there.

        Raises ValueError unless both photos have the same size.
        """
        if self.size != other.size:
            raise ValueError(f"the photos have the sizes {self.size} and {other.size}: make one as large as the other")
        return replace(self, code=self.code.map(lambda x, y: torch.lerp(x, y, t), other.code))


class Translator:
    """A trained model for people who have photos: domains by name, any size, any kind of file, one call each.

    A photo is a path or a PIL image (see `unit.images.load_image`, which raises ImageError); a drawing is a PIL image
    of exactly the photo's size. A model of aligned pictures (`UNITConfig.aligned`) draws small, and its drawing is
    enlarged. Nothing is kept from call to call, so threads can share one Translator. Noise is drawn on the CPU, so a
    seed means the same picture on every device, up to rounding.

    Large pictures are drawn in tiles, and the network needs no more memory for them than for one; `draw` hands them out
    one by one. In the compact layouts the result is that of drawing them whole. The other layouts look at the whole
    picture, and are shown it up to about a megapixel (see `max_tile`). Of larger ones they draw tiles that overlap and
    are blended: there is no seam, but each tile is taken for a picture of its own, with its own contrast.
    """

    def __init__(self, model: Model, device: str | torch.device | None = None, dtype: torch.dtype | None = None):
        """The model is copied, so training may go on with it. device and dtype None: the best this machine has."""
        self.config: ModelConfig = model.config
        self.device = torch.device(device) if device is not None else best_device()
        self.dtype = dtype if dtype is not None else best_dtype(self.device)
        self._format = memory_format(self.device)
        net = cast(nn.Module, copy.deepcopy(model)).eval().requires_grad_(False)
        fuse(net.to(self.device, self.dtype).to(memory_format=self._format))
        self._model = cast(Model, net)
        self._radius = model.config.receptive_radius
        pixel = self._one_pixel(Generator()).style
        self.style_dim = None if pixel is None else pixel.numel()

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
    def encode(self, image: Photo, domain: str) -> EncodedImage:
        """A photo of `domain` -> its code: the slow half of a translation, done once for many drawings.

        A UNIT's code holds 4 dim numbers for every d x d pixels, so it may be larger than its photo. Models that look
        at the whole picture are shown it whole, however much memory that takes. Raises ValueError for an unknown
        domain.
        """
        a = self._domain(domain)
        photo, size = self._photo(image)
        x = self._pad(photo, a)
        code = self._kept(x, a)(_all_of(x.shape))
        if code.style is None:  # of a photo in tiles, none of which has seen all of it
            code = code._replace(style=self._whole_style(photo, a))
        return EncodedImage(code, a, x.crop, size)

    @property
    def has_styles(self) -> bool:
        """Whether a photo has many translations here, one for each style of `style_dim` numbers."""
        return self.style_dim is not None

    @torch.inference_mode()
    def encode_style(self, image: Photo, domain: str) -> Style:
        """The style of a photo of `domain`, to translate other photos into. The photo is prepared as all photos are.

        One that is too large to be looked at as a whole (see `max_tile`) is scaled down first. Raises ValueError for an
        unknown domain and for a model that has no styles.
        """
        self._check_styles()
        a = self._domain(domain)
        photo, _ = self._photo(image)
        style = self._whole_style(photo, a)
        assert style is not None
        return tuple(style.flatten().tolist())

    @property
    def mean_style(self) -> Style:
        """The mean of the prior: what is followed where no style is asked for, and where a way to another begins.

        Raises ValueError for a model that has no styles.
        """
        return (0.0,) * self._check_styles()

    def sample_style(self, seed: int | None = None) -> Style:
        """A random style of the prior, which `Sampling(1, seed=seed)` has too. seed None: a new one each time.

        Raises ValueError for a model that has no styles.
        """
        self._check_styles()
        style = self._one_pixel(Sampling(seed=seed).generator()).style
        assert style is not None
        return tuple(style.flatten().tolist())

    @torch.inference_mode()
    def decode(self, encoded: EncodedImage, target: str, sampling: Sampling = MEAN) -> Image.Image:
        """A code drawn in `target`, which may be either domain: the other one translates, its own reconstructs.

        decode(encode(photo, a), b, sampling) is the picture that `translate` draws, unless that is blended of tiles.
        Raises ValueError for an unknown domain.
        """
        b = self._domain(target)
        noise = self._noise(_sides(encoded.code.content), sampling, sampling.generator())
        return self._decode(encoded, b, noise, self._style(sampling, b)).finish()

    @torch.inference_mode()
    def walk(
        self, encoded: EncodedImage, target: str, steps: int = 24, sampling: Sampling = PRIOR
    ) -> Iterator[Image.Image]:
        """A closed walk around a photo, drawn in `target` step by step; after the last step comes the first again.

        The noise is cos(t) eta_0 + sin(t) eta_1, which at every step is noise of the same strength. The first picture
        is what `decode` draws with the same sampling. Raises ValueError as `decode` does, and for less than one step.
        """
        if steps < 1:
            raise ValueError(f"steps is {steps}: it counts pictures, so it must be 1 or more")
        b, generator = self._domain(target), sampling.generator()
        style, shape = self._style(sampling, b), _sides(encoded.code.content)
        eta_0, eta_1 = (self._noise(shape, sampling, generator) for _ in range(2))

        def noise(t: float) -> Noise | None:
            if eta_0 is None or eta_1 is None:
                return None
            return lambda window: eta_0(window).map(lambda x, y: math.cos(t) * x + math.sin(t) * y, eta_1(window))

        return (self._decode(encoded, b, noise(2 * math.pi * step / steps), style).finish() for step in range(steps))

    @torch.inference_mode()
    def translate(self, image: Photo, target: str, sampling: Sampling = MEAN) -> Image.Image:
        """A photo of the other domain, drawn in `target`.

        Raises ValueError for an unknown domain, and for a style where the model has no styles.
        """
        return self.draw(image, target, sampling).finish()

    @torch.no_grad()
    def translate_batch(self, x: Tensor, source: str, target: str, sampling: Sampling = MEAN) -> Tensor:
        """Photos of `source` drawn in `target`, each as `translate` draws and saves it: same border, same 256 levels.

        Args:
            x: (N, C, H, W) in [-1, 1], drawn in one piece, so they should fit into memory. A model of aligned pictures
                is shown them as they are, so their shorter side should be `image_size`.
            source: the domain the photos are of. It may also be the target: then they are reconstructed.
            sampling: each photo has noise of its own; the first has what `translate` would add to it.

        Returns:
            (N, C', H, W) float32 in [-1, 1], on the device of x.

        Raises:
            ValueError: as `translate` does.
        """
        a, b, generator = self._domain(source), self._domain(target), sampling.generator()
        size = (x.shape[-1], x.shape[-2])
        padded, crop = pad_to_multiple(x, self.config.downsampling, margin(self.config, size))
        code = self._towards(self._model.infer(self._send(padded), a), a, b, self._style(sampling, b))
        shape = _sides(code.content)
        noises = [self._noise(shape, sampling, generator) for _ in x]
        rows = [self._send_code(noise(_all_of(shape))) for noise in noises if noise]
        if rows:
            code = self._model.sample_code(code, rows[0].map(lambda *etas: torch.cat(etas), *rows[1:]))
        return quantize(slice_window(self._model.decode(code, b), crop)).to(x.device)

    @torch.inference_mode()
    def draw(self, image: Photo, target: str, sampling: Sampling = MEAN) -> TiledImage:
        """What `translate` draws, one tile at a time: for those who want to show how far it is, or to stop.

        The photo is read, and what `translate` raises is raised, before this returns. Nothing is drawn yet.
        """
        b = self._domain(target)
        photo, size = self._photo(image)
        return self._translate(photo, size, _other(b), b, sampling)

    def reconstruct(self, image: Photo, domain: str) -> Image.Image:
        """A photo of `domain`, encoded and drawn again in `domain`: what of it the code keeps."""
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
        self, n: int = 1, sampling: Sampling = PRIOR, *, size: tuple[int, int] | None = None
    ) -> list[tuple[Image.Image, Image.Image]]:
        """n pairs drawn from the prior, without a photo: one z, seen in both domains, in the order of `domains`.

        Args:
            sampling: at temperature 1 and grain 1, as in training, it is the paper's prior N(0, I); at temperature 0
                there is nothing but its mean, n times. For a seed, the first pairs are the same whatever n is.
            size: (width, height) in pixels; by default the square of the training crops.
        """
        pairs = self.draw_pairs(n, sampling, size=size)
        return [(x_a.finish(), x_b.finish()) for x_a, x_b in pairs]

    @torch.inference_mode()
    def draw_pairs(
        self, n: int = 1, sampling: Sampling = PRIOR, *, size: tuple[int, int] | None = None
    ) -> Iterator[tuple[TiledImage, TiledImage]]:
        """The pairs of `sample`, one after the other and each tile by tile: for those who want to save each at once."""
        width, height = size or (self.config.image_size, self.config.image_size)
        if n < 1 or width < 1 or height < 1:
            raise ValueError(f"cannot draw {n} pairs of {width} x {height} pixels: every number must be 1 or more")
        if width * height > MAX_PIXELS:  # before the memory for it is asked for, which may end more than this program
            raise ValueError(f"{width} x {height} is too large: draw at most {MAX_PIXELS // 1_000_000} million pixels")
        generator = sampling.generator()
        blank = self._pad(Image.new("L", (width, height)), "a")

        def drawn(z: Noise, domain: Domain) -> TiledImage:
            codes = lambda seen: self._send_code(z(self._latent(seen)))  # noqa: E731
            return self._draw(codes, None, domain, blank.shape, blank.crop, (width, height))

        etas = (self._scaled_noise(self._latent_shape(blank.shape), sampling, generator) for _ in range(n))
        return ((drawn(z, "a"), drawn(z, "b")) for z in etas)

    @torch.inference_mode()
    def interpolate(self, image_0: Photo, image_1: Photo, target: str, steps: int = 8) -> list[Image.Image]:
        """From one photo to another along a straight line in the shared latent, drawn in `target`: `steps` pictures.

        Both photos are of the other domain. The second is scaled and cropped to the size of the first.
        """
        return [drawing.finish() for drawing in self.draw_path(image_0, image_1, target, steps)]

    @torch.inference_mode()
    def draw_path(self, image_0: Photo, image_1: Photo, target: str, steps: int = 8) -> Iterator[TiledImage]:
        """The pictures of `interpolate`, one after the other and each tile by tile, in memory that has a limit.

        The photos are read, and what `interpolate` raises is raised, before this returns. Nothing is drawn yet.
        """
        if steps < 1:
            raise ValueError(f"steps is {steps}: it counts pictures, so it must be 1 or more")
        b = self._domain(target)
        a = _other(b)
        first, size = self._photo(image_0)
        second, _ = self._photo(ImageOps.fit(load_image(image_1), size))
        x, y = (self._pad(photo, a) for photo in (first, second))
        here, there = self._codes(x, a), self._codes(y, a)

        def between(t: float) -> Callable[[Window], Code]:
            def codes(seen: Window) -> Code:
                code = here(seen).map(lambda x, y: torch.lerp(x, y, t), there(seen))
                return self._send_code(self._towards(code, a, b, None))

            return codes

        places = (step / max(steps - 1, 1) for step in range(steps))
        return (self._draw(between(t), None, b, x.shape, x.crop, size) for t in places)

    def _translate(
        self, photo: Image.Image, size: tuple[int, int], a: Domain, b: Domain, sampling: Sampling = MEAN
    ) -> TiledImage:
        """Tile by tile from photo to drawing: the code of a whole large photo would take ten times its memory."""
        x = self._pad(photo, a)
        style = self._style(sampling, b)
        if a == b and style is None:
            style = self._whole_style(photo, a)  # one for all tiles
        noise = self._noise(self._latent_shape(x.shape), sampling, sampling.generator())

        def codes(seen: Window) -> Code:
            return self._towards(self._infer(x, seen, a), a, b, style)

        return self._draw(codes, noise, b, x.shape, x.crop, size)

    def _codes(self, x: Padded, a: Domain) -> Codes:
        """The code of one of two photos that are drawn many times: kept, if there is room for both.

        Otherwise each picture encodes them again, in the tiles that `translate` takes.
        """
        channels = self._one_pixel(Generator()).content.numel()
        size = 2 * channels * math.prod(self._latent_shape(x.shape)) * self.dtype.itemsize
        whole = self._radius is not None or math.prod(x.shape) <= max_tile(self.config) ** 2
        return self._kept(x, a) if whole and size <= MAX_KEPT else lambda seen: self._infer(x, seen, a)

    def _kept(self, x: Padded, a: Domain) -> Codes:
        """The code of a photo, of which each tile is made when a window first needs it, and then kept."""
        side, margin = (max(x.shape), 0) if self._radius is None else (TILE, self._radius)
        left = tiles(*x.shape, side, margin, multiple=self.config.downsampling)
        whole, kept = len(left) == 1, cast(Code | None, None)

        def window(wanted: Window) -> Code:
            nonlocal kept
            for tile in [tile for tile in left if _overlap(tile.core, wanted)]:
                part = self._infer(x, tile.seen, a)
                if kept is None:
                    content = part.content.new_empty(1, part.content.shape[1], *self._latent_shape(x.shape))
                    kept = Code(content, part.style if whole else None)
                slice_window(kept.content, self._latent(tile.core)).copy_(
                    slice_window(part.content, self._latent(tile.kept))
                )
                left.remove(tile)
            assert kept is not None  # every window lies in some tile
            return kept._replace(content=slice_window(kept.content, self._latent(wanted)))

        return window

    def _decode(
        self, encoded: EncodedImage, b: Domain, noise: Noise | None = None, style: Tensor | None = None
    ) -> TiledImage:
        code = self._towards(encoded.code, encoded.domain, b, style)

        def codes(seen: Window) -> Code:
            return self._send_code(code._replace(content=slice_window(code.content, self._latent(seen))))

        h, w = _sides(code.content)
        shape = self.config.downsampling * h, self.config.downsampling * w
        return self._draw(codes, noise, b, shape, encoded.crop, encoded.size)

    def _draw(
        self,
        codes: Callable[[Window], Code],
        noise: Noise | None,
        b: Domain,
        shape: tuple[int, int],
        crop: Window,
        size: tuple[int, int],
    ) -> TiledImage:
        """codes: of windows of a picture of `shape` (height, width). noise: of all its code, so that tiles agree."""
        side, margin, overlap = self._tiling(shape)

        def draw(seen: Window) -> Tensor:
            code = codes(seen)
            if noise is not None:
                code = self._model.sample_code(code, self._send_code(noise(self._latent(seen))))
            return self._model.decode(code, b)

        plan = tiles(*shape, side, margin, overlap, multiple=self.config.downsampling)
        return TiledImage(draw, plan, crop, size, overlap)

    def _tiling(self, shape: tuple[int, int]) -> tuple[int, int, int]:
        """Side, margin and overlap in pixels of the tiles that a picture of `shape` is translated in (see `tiles`)."""
        if self._radius is not None:
            return TILE, self._radius, 0
        side, d = max_tile(self.config), self.config.downsampling
        if math.prod(shape) <= side**2:
            return max(shape), 0, 0  # in one piece
        return side - 2 * BORDER, BORDER, min(OVERLAP, side // 4 // d * d)

    def _infer(self, x: Padded, seen: Window, a: Domain) -> Code:
        return self._model.infer(self._send(x[seen]), a)

    def _towards(self, code: Code, a: Domain, b: Domain, style: Tensor | None) -> Code:
        """The code of a photo of `a`, to be drawn in `b`: with the style to follow, and never with that of `a` in b."""
        return code if a == b and style is None else code._replace(style=style)

    def _style(self, sampling: Sampling, b: Domain) -> Tensor | None:
        """The style that is to be followed, (1, S, 1, 1), if there is one."""
        style = sampling.style
        if sampling.style_image is not None:
            style = self.encode_style(sampling.style_image, self.config.domains[b == "b"])
        if style is None:
            return None
        if len(style) != (wanted := self._check_styles()):
            raise ValueError(f"a style of this model is {wanted} numbers, and this one {len(style)}")
        if not all(map(math.isfinite, style)):
            raise ValueError(f"a style of this model is {wanted} numbers, and this one has others: they must be finite")
        return self._send(torch.tensor(style).view(1, -1, 1, 1))

    def _check_styles(self) -> int:
        """How many numbers a style is. Raises ValueError where there are none."""
        if self.style_dim is None:
            raise ValueError("this model has no styles: leave the style out")
        return self.style_dim

    def _whole_style(self, photo: Image.Image, a: Domain) -> Tensor | None:
        """The photo's own style, (1, S, 1, 1): that of all of it, scaled down if it is too large to be looked at whole.

        None of a model that has no styles.
        """
        if not self.has_styles:
            return None
        side = max_tile(self.config)
        x = self._pad(ImageOps.contain(photo, (side, side)) if max(photo.size) > side else photo, a)
        return self._infer(x, _all_of(x.shape), a).style

    def _one_pixel(self, generator: Generator) -> Code:
        """Noise of the smallest photo: it has the channels of every code and, of a model of styles, a style."""
        return self._model.noise((1, 1), generator, 1)(_all_of((1, 1)))

    def _latent(self, window: Window) -> Window:
        rows, columns = (slice(s.start // self.config.downsampling, s.stop // self.config.downsampling) for s in window)
        return rows, columns

    def _latent_shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        height, width = shape
        return height // self.config.downsampling, width // self.config.downsampling

    def _pad(self, photo: Image.Image, domain: Domain) -> Padded:
        channels = self.config.channels[domain == "b"]
        return Padded(photo, channels, self.config.downsampling, margin(self.config, photo.size))

    def _noise(self, shape: tuple[int, int], sampling: Sampling, generator: Generator) -> Noise | None:
        """temperature * eta for a code of `shape` (h, w), on the CPU. None for temperature 0."""
        return self._scaled_noise(shape, sampling, generator) if sampling.temperature else None

    def _scaled_noise(self, shape: tuple[int, int], sampling: Sampling, generator: Generator) -> Noise:
        eta = self._model.noise(shape, generator, sampling.grain)
        return lambda window: eta(window).map(lambda x: sampling.temperature * x.to(self.dtype))

    def _send(self, x: Tensor) -> Tensor:
        return x.to(self.device, self.dtype, memory_format=self._format)

    def _send_code(self, code: Code) -> Code:
        return code.map(self._send)

    def _photo(self, image: Photo) -> tuple[Image.Image, tuple[int, int]]:
        """What the network is shown of a photo, and the photo's (width, height)."""
        photo = load_image(image)
        size = photo.size
        if self.config.aligned:
            scale = self.config.image_size * min(1 / min(size), LONGEST / max(size))
            width, height = (max(1, round(scale * side)) for side in size)
            photo = photo.resize((width, height), Image.Resampling.BICUBIC)
        return photo, size

    def _domain(self, name: str) -> Domain:
        if name not in self.domains:
            raise ValueError(f"{name!r} is not a domain of this model: choose {' or '.join(self.domains)}")
        return "a" if name == self.domains[0] else "b"


def margin(config: ModelConfig, size: tuple[int, int]) -> int:
    """How many pixels are mirrored around a photo of `size` before a network sees it.

    None for models of aligned pictures: from the zeros around its picture the network has learnt where in it it is, and
    with a border it draws the eyes twice, once where the photo has them and once where they should be. None either
    where statistics over the picture should be of the picture only, unless it is a single latent pixel, which has none.
    """
    if config.receptive_radius is None:
        return 0 if min(size) > config.downsampling else config.downsampling
    return 0 if config.aligned else BORDER


def max_tile(config: ModelConfig) -> int:
    """Side in pixels of the largest square that a model without a receptive radius is shown at once."""
    side = math.isqrt(MAX_BYTES // config.bytes_per_pixel)
    return side // config.downsampling * config.downsampling


def _all_of(shape: tuple[int, int]) -> Window:
    height, width = shape
    return slice(0, height), slice(0, width)


def _overlap(one: Window, other: Window) -> bool:
    return all(s.start < o.stop and o.start < s.stop for s, o in zip(one, other, strict=True))


def _sides(x: Tensor) -> tuple[int, int]:
    height, width = x.shape[-2:]
    return height, width


def _other(domain: Domain) -> Domain:
    return "b" if domain == "a" else "a"


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
    on one with AVX2 only (docs/results.md).
    """
    if device.type == "cuda":
        quick = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":  # PyTorch keeps these questions private, so ask gently; bool() is False
        quick = any(getattr(torch.cpu, f"_is_{name}_supported", bool)() for name in ("amx_tile", "avx512_bf16"))
    else:
        quick = False
    return torch.bfloat16 if quick else torch.float32
