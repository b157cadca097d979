"""python -m unit sample"""

from dataclasses import dataclass

from unit.cli.files import check_writable, draw_all
from unit.cli.options import Count, Format, Model, Output, Quality, Revision, Seed, Size, check_format, load_translator
from unit.formats import CHOICES
from unit.pipeline import Sampling


@dataclass(frozen=True)
class Sample:
    """Draw pairs of pictures from nothing but noise."""

    output: Output
    """A folder."""
    count: Count = 1
    """Number of pairs."""
    size: Size = None
    seed: Seed = None
    format: Format = None
    quality: Quality = None
    model: Model = None
    revision: Revision = None

    def run(self) -> int:
        suffix = CHOICES[self.format or "png"]
        check_format(self.output, self.format, self.quality, suffix)
        translator = load_translator(self.model, self.revision)
        check_writable(self.output)
        pairs = translator.draw_pairs(self.count, Sampling(1.0, seed=self.seed), size=self.size)
        drawings = (drawing for pair in pairs for drawing in pair)
        names = [f"{i:04d}_{name}{suffix}" for i in range(self.count) for name in translator.domains]
        return draw_all(drawings, [self.output / name for name in names], self.quality)
