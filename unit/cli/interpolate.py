"""python -m unit interpolate"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from unit.cli.files import check_writable, draw_all, identity
from unit.cli.options import (
    Count,
    Format,
    Model,
    Output,
    Quality,
    Revision,
    Target,
    check_format,
    load_translator,
)
from unit.formats import CHOICES, suffix_like


@dataclass(frozen=True)
class Interpolate:
    """Go from one photo to another through the latent space."""

    first: Annotated[Positional[Path], arg(metavar="FIRST")]
    """The photo to begin with."""
    second: Annotated[Positional[Path], arg(metavar="SECOND")]
    """The photo to end with."""
    to: Target
    output: Output
    """A folder."""
    steps: Count = 8
    """Number of pictures."""
    format: Format = None
    quality: Quality = None
    model: Model = None
    revision: Revision = None

    def run(self) -> int:
        suffix = CHOICES[self.format] if self.format else suffix_like(self.first)
        check_format(self.output, self.format, self.quality, suffix)
        translator = load_translator(self.model, self.revision, self.to)
        check_writable(self.output)
        drawings = translator.draw_path(self.first, self.second, self.to, self.steps)
        paths = [self.output / f"{i:04d}{suffix}" for i in range(self.steps)]
        return draw_all(drawings, paths, self.quality, {identity(self.first), identity(self.second)})
