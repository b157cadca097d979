"""A drawing in the making: tile by tile, so that whoever waits can see how far it is, and stop it."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from unit.images import to_image
from unit.noise import Window, slice_window


class Tile(NamedTuple):
    seen: Window  # what the network is shown of the picture
    core: Window  # the part of the picture that is drawn
    kept: Window  # that part within `seen`


def tiles(height: int, width: int, side: int, margin: int, overlap: int = 0, *, multiple: int = 4) -> list[Tile]:
    """Cover a picture with tiles, row by row. All edges are at multiples of `multiple`, as the picture's sides are.

    side: at most so many pixels of the picture are drawn at once, along each side.
    margin: at most so many more are shown all round, so that what is drawn has its surroundings.
    overlap: so many are drawn twice where two tiles meet. All three are multiples of `multiple`.
    """
    spans = (_spans(length, side, margin, overlap, multiple) for length in (height, width))
    return [Tile(*zip(rows, columns, strict=True)) for rows, columns in product(*spans)]


class TiledImage(Iterator[None]):
    """A picture that is drawn one tile per `next()`; after the last one, `image` is there.

        drawing = translator.draw("garden.jpg", "winter")
        for _ in tqdm(drawing):
            ...  # say how far it is, or stop
        drawing.image.save("winter.png")

    `len()` counts the tiles. Between two of them nothing is computed, and to stop is to let go of the drawing, which
    frees all of its memory. It is for one thread at a time, not necessarily always the same.
    """

    def __init__(
        self,
        draw: Callable[[Window], Tensor],
        tiles: Sequence[Tile],
        crop: Window,
        size: tuple[int, int],
        overlap: int = 0,
    ):
        """draw: of a window of the picture (rows, columns), its drawing (1, C, rows, columns) in [-1, 1].
        tiles: as `tiles` makes them, with the same overlap, across which neighbours are blended.
        crop: the part of what the tiles cover that is wanted.
        size: (width, height) it is enlarged to.
        """
        self.size = size
        self._draw: Callable[[Window], Tensor] | None = draw
        self._tiles, self._crop, self._overlap = tiles, crop, overlap
        self._drawn = 0
        self._row = self._image = Image.new("L", (0, 0))  # until the first tile tells the mode

    def __len__(self) -> int:
        return len(self._tiles)

    @torch.inference_mode()
    def __next__(self) -> None:
        if self._draw is None:
            raise StopIteration
        tile = self._tiles[self._drawn]
        self._paste(to_image(slice_window(self._draw(tile.seen), tile.kept)), tile.core)
        self._drawn += 1
        if self._drawn == len(self):
            self._draw = None  # and with it the photo
            self._row = Image.new("L", (0, 0))
            if self._image.size != self.size:
                self._image = self._image.resize(self.size, Image.Resampling.LANCZOS)

    def finish(self) -> Image.Image:
        """Draw all that is left. Returns `image`."""
        for _ in self:
            pass
        return self.image

    @property
    def image(self) -> Image.Image:
        """The drawing, RGB or L. Raises RuntimeError while there are tiles to draw."""
        if self._draw is not None:
            raise RuntimeError(f"{self._drawn} of {len(self)} tiles are drawn: the picture is not there yet")
        return self._image

    def _paste(self, part: Image.Image, core: Window) -> None:
        """Into the row of tiles it belongs to, and the row, when it is full, into the picture.

        Each is blended into what is there already, with a weight and one minus that: first across, then down. In 8
        bits this costs at most a level, and as floats the picture would take four times the memory.
        """
        rows, columns = core
        top, left = (s.start for s in self._crop)
        if not self._drawn:
            height, width = (s.stop - s.start for s in self._crop)
            self._image = Image.new(part.mode, (width, height))
        if columns.start == 0:
            self._row = Image.new(part.mode, (self._tiles[-1].core[1].stop, part.height))
        self._row.paste(part, (columns.start, 0), _ramp(part, self._overlap if columns.start else 0, axis=1))
        if columns.stop == self._row.width:  # what lies outside the crop falls off the edges
            mask = _ramp(self._row, self._overlap if rows.start else 0, axis=0)
            self._image.paste(self._row, (-left, rows.start - top), mask)


def _spans(length: int, side: int, margin: int, overlap: int, multiple: int) -> list[tuple[slice, slice, slice]]:
    """Tiles along one side, as (seen, core, kept)."""
    if length <= side + 2 * margin:
        return [(slice(0, length),) * 3]
    count = math.ceil((length - overlap) / (side - overlap))
    step = math.ceil((length - overlap) / count / multiple) * multiple  # tiles of about equal size
    spans = []
    for start in range(0, length - overlap, step):
        stop = min(start + step + overlap, length)
        first, last = max(start - margin, 0), min(stop + margin, length)
        spans.append((slice(first, last), slice(start, stop), slice(start - first, stop - first)))
    return spans


def _ramp(image: Image.Image, overlap: int, axis: int) -> Image.Image | None:
    """The weight of each pixel, 0 to 255: rising along the first `overlap` pixels of the axis. None: all are 255."""
    if not overlap:
        return None
    length = image.size[1 - axis]
    weight = ((np.arange(length) + 1) / (overlap + 1)).clip(max=1)
    line = Image.fromarray(np.expand_dims((255 * weight).round().astype(np.uint8), 1 - axis))
    return line.resize(image.size, Image.Resampling.NEAREST)
