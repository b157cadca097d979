"""Whether a photo is like those that a model has learnt from, so that a page can say where it is not.

Photos are compared by what the finder of heads sees in them, whose first layers come from a network that knows the
kinds of ImageNet: meadows, rooms and faces look unlike each other there, whatever their colours. `python -m train
familiar` looks at training photos; docs/results.md says how many photos of other kinds are told apart.
"""

import logging
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch
from PIL import Image, ImageOps
from safetensors import SafetensorError
from torch import Tensor

from unit.checkpoint import FAMILIAR, read_tensors, write_atomic
from unit.finder import load_finder
from unit.images import to_tensor

logger = logging.getLogger(__name__)

SIDE = 224  # pixels: a photo is compared as a square of this side, cut from its middle
FEATURES = 224  # the mean and the standard deviation of 112 maps


@torch.inference_mode()
def features(photo: Image.Image) -> Tensor:
    """(FEATURES,) numbers that tell what kind of photo an RGB photo of any size is."""
    square = ImageOps.fit(photo, (SIDE, SIDE), Image.Resampling.BICUBIC)
    _, maps = load_finder().maps(to_tensor(square, 3))  # (1, 112, 14, 14)
    return torch.cat([maps.mean((2, 3)), maps.std((2, 3))], 1)[0]


class Familiar(NamedTuple):
    """The kinds of photos that a model knows.

    centres: (K, FEATURES), one for each kind, in units of `deviation`. deviation: (FEATURES,), of all photos together.
    limit: the distance from the nearest centre at which a photo is of no known kind, in the same units.
    """

    centres: Tensor
    deviation: Tensor
    limit: Tensor

    def distances(self, seen: Tensor) -> Tensor:
        """Features (N, FEATURES) -> how far each is from the nearest centre, (N,)."""
        return torch.cdist(seen / self.deviation, self.centres).amin(1)

    def knows(self, photo: Image.Image) -> bool:
        """Whether an RGB photo is of a kind that the model has learnt from."""
        return bool(self.distances(features(photo)[None]) <= self.limit)

    def save(self, folder: Path) -> None:
        """Put it beside the weights of a model."""
        tensors = {name: tensor.to(torch.float16).contiguous() for name, tensor in self._asdict().items()}
        write_atomic(folder / FAMILIAR, safetensors.torch.save(tensors))

    @classmethod
    def load(cls, folder: Path | None) -> "Familiar | None":
        """What lies beside a model, or None if nothing does that can be used: it may come from anybody."""
        if folder is None or not (folder / FAMILIAR).is_file():
            return None
        try:
            known = cls(**{name: tensor.float() for name, tensor in read_tensors(folder / FAMILIAR).items()})
        except (OSError, SafetensorError, TypeError) as error:
            logger.warning("%s of %s cannot be used: %s", FAMILIAR, folder.name, error)
            return None
        shapes = [tuple(tensor.shape) for tensor in known]
        if shapes != [(len(known.centres), FEATURES), (FEATURES,), ()] or not len(known.centres):
            logger.warning("%s of %s cannot be used: its shapes are %s", FAMILIAR, folder.name, shapes)
            return None
        return known
