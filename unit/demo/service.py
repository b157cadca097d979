"""What the page does, without a page: photos and settings in, pictures out, or one sentence for the visitor."""

import contextlib
import hashlib
import logging
import os
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Semaphore
from typing import Any

from PIL import Image, ImageOps

from unit.demo.code_cache import Cache
from unit.faces import Box, centred, crop_box, find_face, find_faces, paste
from unit.images import ImageError, load_image
from unit.messages import MessageError
from unit.pipeline import EncodedImage, Sampling, Style, Translator

logger = logging.getLogger(__name__)

SIDE = 640  # pixels: what is looked at is drawn at this size at most; the full resolution is drawn on request
NOISE_SIDE = 256
MAX_PIXELS = 50_000_000  # one queue serves everybody: nobody should wait for a stranger's poster
MAX_TEMPERATURE, MAX_GRAIN, MAX_COUNT, MAX_STEPS, MAX_SEED = 3, 32, 8, 16, 2**31 - 1
MAX_STYLE = 1e6  # of each number of a style, which are N(0, I) when a model is trained
MAX_FACE = 150  # percent of the shorter side of the photo
KEPT_BYTES, KEPT_SECONDS = 256 * 2**20, 600  # latents: some twenty photos, none longer than ten minutes
FEW_AT_ONCE = Semaphore(2)  # photos being decoded: one may take half a gigabyte
GONE = "This photo is no longer here: please add it again."


class UserError(MessageError):
    """What a visitor can put right. The message is one sentence for them, and names nothing of the server."""


@dataclass(frozen=True)
class UploadedImage:
    """A photo that somebody gave us."""

    path: str
    name: str  # what its results are called after

    def opened(self) -> Image.Image:
        if not os.path.isfile(self.path):  # of which a name that no file can have is no error
            raise UserError(GONE)
        try:
            with FEW_AT_ONCE, enough_memory():
                return load_image(self.path, MAX_PIXELS)
        except ImageError as error:
            raise UserError(error.message.text, **error.message.values) from error

    def digest(self) -> bytes:
        """A name made of what is in the file: whoever has the same photo gets it, and nobody else."""
        try:
            return hashlib.blake2b(Path(self.path).read_bytes()).digest()
        except (OSError, ValueError) as error:
            raise UserError(GONE) from error


@dataclass(frozen=True)
class Face:
    """Where a face is in a photo: the middle of a square, and its side, as shares of the photo.

    Shares, so that it is the same place in a smaller copy of the photo.
    """

    across: float  # 0 to 1 of the width
    down: float  # 0 to 1 of the height
    side: float  # of the shorter side: above 0, and above 1 where a little of what is mirrored beyond it is wanted

    @classmethod
    def found(cls, photo: Image.Image) -> "Face":
        """The first guess: the face that `find_face` sees, or the middle of the photo."""
        return cls._in(photo, find_face(photo))

    @classmethod
    def all_found(cls, photo: Image.Image) -> "list[Face]":
        """All that are seen, the first guess first; none where none is seen."""
        return [cls._in(photo, box) for box in find_faces(photo)]

    @classmethod
    def middle(cls, photo: Image.Image) -> "Face":
        """Where it is guessed to be if none is seen."""
        return cls._in(photo, centred(photo.size))

    @classmethod
    def _in(cls, photo: Image.Image, box: Box) -> "Face":
        across, down = (place / length for place, length in zip(box.centre, photo.size, strict=True))
        return cls(across, down, box.side / min(photo.size))

    def rounded(self) -> "Face":
        """In whole percents, as sliders tell it."""
        return Face(round(100 * self.across) / 100, round(100 * self.down) / 100, max(10, round(100 * self.side)) / 100)

    def box(self, photo: Image.Image) -> Box:
        width, height = photo.size
        return Box.around(self.across * width, self.down * height, self.side * min(width, height), photo.size)


@dataclass(frozen=True)
class EncodedPicture:
    """What a model is shown of a photo, and the latent it made of it."""

    picture: Image.Image
    latent: EncodedImage

    @property
    def nbytes(self) -> int:
        return self.latent.nbytes + 3 * self.picture.width * self.picture.height


@dataclass(frozen=True)
class TranslationRequest:
    """A photo on its way from one domain to the other. With a face, the model is shown only that part of it.

    example: a photo of the target domain, on its way to the source, whose style is followed. style: one that was
    chosen, which is followed instead.
    """

    upload: UploadedImage
    translator: Translator
    source: str
    target: str
    face: Face | None
    seen_before: Cache[EncodedPicture]
    example: "TranslationRequest | None" = None
    style: Style | None = None

    @property
    def name(self) -> str:
        return self.upload.name

    def picture(self) -> Image.Image:
        """What the model is shown, at most SIDE pixels a side."""
        return self._seen(self.source).picture

    def look(self) -> Image.Image:
        """The same, without the model."""
        return small(self._of_face(self.upload.opened()))

    def latent(self, domain: str | None = None) -> EncodedImage:
        """Of that picture, taken for one of `domain`: the source if it is not said."""
        return self._seen(domain or self.source).latent

    def fitted(self, size: tuple[int, int]) -> EncodedImage:
        """The same of the picture cropped to `size`."""
        return self._seen(self.source, size).latent

    def draw(self, domain: str, latent: EncodedImage | None = None, **noise: Any) -> Image.Image:
        """The photo, or another latent, drawn in `domain`."""
        with enough_memory():
            return self.translator.decode(latent or self.latent(), domain, self._sampling(domain, noise))

    def there_and_back(self, there: Image.Image) -> Image.Image:
        """The translation, drawn in the domain of the photo again, with the photo's own style if there are styles."""
        with enough_memory():
            return self.translator.translate(there, self.source, Sampling(style=self.latent().style))

    @property
    def followed(self) -> Style:
        """The style of the translation, of a model that has styles: the chosen one, the example's, or the mean."""
        return self._style() or self.translator.mean_style

    def _style(self) -> Style | None:
        return self.style or (self.example.latent().style if self.example else None)

    def whole(self) -> Image.Image:
        """All of the photo, face or not, at most SIDE pixels a side."""
        return small(self.upload.opened())

    def put_back(self, drawing: Image.Image, photo: Image.Image) -> Image.Image:
        """`drawing` in the place of the face in `photo`, in any size of it; the drawing itself if there is no face."""
        return paste(photo, drawing, self.face.box(photo)) if self.face else drawing

    def full(self, put_back: bool, **noise: Any) -> Iterator[tuple[int, int] | Image.Image]:
        """At the photo's own resolution: (tiles drawn, tiles in all) again and again, then the picture."""
        with enough_memory():
            photo = self.upload.opened()
            drawing = self.translator.draw(self._of_face(photo), self.target, self._sampling(self.target, noise))
            for done, _ in enumerate(drawing, 1):
                yield done, len(drawing)
            yield self.put_back(drawing.image, photo) if put_back else drawing.image

    def _sampling(self, domain: str, noise: dict[str, Any]) -> Sampling:
        """In the domain that the style is of, it is followed."""
        return Sampling(**{"style": self._style() if domain == self.target else None} | noise)

    def _of_face(self, photo: Image.Image) -> Image.Image:
        return crop_box(photo, self.face.box(photo)) if self.face else photo

    def _seen(self, domain: str, size: tuple[int, int] | None = None) -> EncodedPicture:
        def look() -> EncodedPicture:
            picture = ImageOps.fit(self.look(), size) if size else self.look()
            with enough_memory():
                return EncodedPicture(picture, self.translator.encode(picture, domain))

        return self.seen_before.get((self.upload.digest(), self.translator, domain, self.face, size), look)


class DemoService:
    """The models of a page, and what its visitors can ask of them. Settings come as the browser sent them: anything
    may be wrong with them, and what is wrong becomes a UserError.
    """

    def __init__(self, models: Mapping[str, Translator]):
        self.models = models
        self.default = next(iter(models))
        self._seen_before: Cache[EncodedPicture] = Cache(KEPT_BYTES, KEPT_SECONDS)

    def translator(self, name: str | None) -> Translator:
        """The model of that name; no name means the first one."""
        name = name or self.default
        if name not in list(self.models):  # callers send anything, also what has no hash
            raise UserError("There is no model {name} here: choose {names}.", name=brief(name), names=list(self.models))
        return self.models[name]

    def directions(self, name: str | None) -> dict[str, str]:
        """What people choose from, and the domain it draws in: {"summer → winter": "winter", ...}, a → b first."""
        a, b = self.translator(name).domains
        return {f"{a} → {b}": b, f"{b} → {a}": a}

    def target(self, direction: str, name: str | None) -> str:
        known = self.directions(name)
        if direction not in list(known):
            for other in self.models:
                if direction in list(self.directions(other)):
                    raise UserError(
                        "The direction {direction} belongs to the model {name}: choose that model too.",
                        direction=direction, name=other,
                    )  # fmt: skip
            raise UserError(
                "The direction is {direction}: choose {directions}.", direction=brief(direction), directions=list(known)
            )
        return known[direction]

    def other(self, domain: str, name: str | None) -> str:
        return next(other for other in self.translator(name).domains if other != domain)

    def domain(self, domain: str, name: str | None) -> str:
        domains = self.translator(name).domains
        if domain not in domains:
            raise UserError(
                "{domain} is not a domain of this model: choose {domains}.", domain=brief(domain), domains=list(domains)
            )
        return domain

    def of_faces(self, name: str | None) -> bool:
        """Whether the model draws faces that fill the picture, so that of a photo it must be shown the face."""
        return self.translator(name).config.aligned

    def has_styles(self, name: str | None) -> bool:
        """Whether the model has many translations for a photo, one for each style."""
        return self.translator(name).has_styles

    def style(self, seed: Any, name: str | None) -> Style:
        """A random style."""
        self._check_styles(name)
        return self.translator(name).sample_style(int(number("Seed", seed, 0, MAX_SEED)))

    def style_dim(self, name: str | None) -> int | None:
        """How many numbers a style of this model is; None where it has none."""
        return self.translator(name).style_dim

    def written_style(self, text: Any, name: str | None) -> Style:
        """The style that `style_text` has written."""
        wanted = self._check_styles(name)
        try:
            style = tuple(map(float, text.split(",")))
        except (AttributeError, ValueError):
            style = ()
        if len(style) != wanted or not all(abs(x) <= MAX_STYLE for x in style):
            raise UserError("A style of this model is {n} numbers: please choose another one.", n=wanted)
        return style

    def _check_styles(self, name: str | None) -> int:
        wanted = self.style_dim(name)
        if wanted is None:
            raise UserError("This model has no styles: leave the style out.")
        return wanted

    def request(
        self, upload: UploadedImage, direction: str, name: str | None, face: Face | None = None,
        example: UploadedImage | None = None, style: Style | None = None,
    ) -> TranslationRequest:  # fmt: skip
        """`face` is for models of faces; None: the first guess. `example` and `style` are for models of styles."""
        target = self.target(direction, name)
        if not self.of_faces(name):
            face = None
        elif face is None:
            face = Face.found(upload.opened()).rounded()  # so that the sliders, which show it, mean the same
        source, followed = self.other(target, name), None
        if example:
            self._check_styles(name)
            back = next(way for way, domain in self.directions(name).items() if domain == source)
            followed = self.request(example, back, name)
        return TranslationRequest(
            upload, self.translator(name), source, target, face, self._seen_before, followed, style
        )


def lerp_style(here: Style, there: Style, share: float) -> Style:
    """The style `share` of the straight way from one to another; 0 is here, 1 is there."""
    return tuple(x + share * (y - x) for x, y in zip(here, there, strict=True))


def style_text(style: Style) -> str:
    """A style as the page and its links write it."""
    return ",".join(f"{x:.6g}" for x in style)


def face_at(across: Any, down: Any, side: Any) -> Face:
    """From percentages."""
    return Face(
        number("From the left", across, 0, 100) / 100,
        number("From the top", down, 0, 100) / 100,
        number("Size of the face", side, 1, MAX_FACE) / 100,
    )


def noise(temperature: Any, grain: Any, seed: Any) -> dict[str, Any]:
    """The noise that `Sampling` takes."""
    return {
        "temperature": number("Temperature", temperature, 0, MAX_TEMPERATURE),
        "grain": int(number("Grain", grain, 1, MAX_GRAIN)),
        "seed": int(number("Seed", seed, 0, MAX_SEED)),
    }


def number(name: str, value: Any, low: float, high: float) -> float:
    if not isinstance(value, int | float) or not low <= value <= high:
        raise UserError(
            "{name} must be a number from {low} to {high}, and it is {value}.",
            name=name, low=low, high=high, value=brief(value),
        )  # fmt: skip
    return value


def brief(value: Any) -> str:
    """What somebody sent, for a sentence: it may be megabytes."""
    return reprlib.repr(value)


def small(image: Image.Image) -> Image.Image:
    image.thumbnail((SIDE, SIDE))
    return image


@contextlib.contextmanager
def enough_memory() -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # PyTorch says the second when it cannot have the memory
        logger.error("%s: %s", type(error).__name__, error)
        raise UserError("There is not enough memory for this picture: please try a smaller one.") from error
