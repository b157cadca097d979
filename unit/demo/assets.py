"""What the page shows that is not of its making."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from unit.demo.service import UploadedImage
from unit.demo.visualize import thumbnail
from unit.messages import Message


class Example(NamedTuple):
    photo: Path
    model: str
    direction: str
    label: str


class PageAssets(NamedTuple):
    """What the page shows that is not of its making."""

    examples: list[Example]
    credits: str  # of the examples
    pictures: Mapping[str, str]  # thumbnails, by the names of the models
    results: Mapping[str, tuple[str, str]]  # files of an example photo and its translation, likewise
    folders: Mapping[str, Path | None]  # where cards and measures lie, by the names of the models
    notice: Message | None  # what to tell every visitor

    def seconds(self) -> list[Example]:
        """The examples, each photo once: two models may show the same one."""
        photos = [example.photo.read_bytes() for example in self.examples]
        return [example for i, example in enumerate(self.examples) if photos[i] not in photos[:i]]

    def picker_style(self) -> str:
        """CSS that puts a thumbnail before the name of each model and of each example."""

        def photos(examples: list[Example]) -> list[str]:
            return [thumbnail(photo, photo) for photo in (UploadedImage(str(e.photo), "").opened() for e in examples)]

        places = {
            "#model label": list(self.pictures.values()),  # in the order of the models; none on ZeroGPU
            "#examples .gallery > button": photos(self.examples),
            "#seconds .gallery > button": photos(self.seconds()),
        }
        return "\n".join(
            f"{place}:nth-of-type({i}) {{ background-image: url({picture}); }}"
            for place, shown in places.items()
            for i, picture in enumerate(shown, 1)
        )
