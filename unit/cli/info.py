"""python -m unit info"""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

import torch

from unit.checkpoint import CARD, WEIGHTS
from unit.cli import options
from unit.cli.options import Revision, Size, default_model, load_ours
from unit.hub import find_checkpoint
from unit.models import MODELS
from unit.models.protocol import Model, ModelConfig


@dataclass(frozen=True)
class Info:
    """Say what a model is, how large, and how it was trained."""

    size: Size = None
    model: options.Model = None
    revision: Revision = None

    def run(self) -> int:
        source = self.model or default_model()
        model = load_ours(source, self.revision)
        folder = find_checkpoint(source, revision=self.revision)
        config = model.config
        parts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
        width, height = self.size or (config.image_size, config.image_size)
        print(f"domains     {config.domain_a} (a), {config.domain_b} (b)")
        print(f"layout      {config.layout}, dim {config.dim}, trained on {config.image_size} pixel crops")
        print(f"parameters  {sum(parts.values()):,}")
        for name, count in parts.items():
            print(f"  {name:<14}{count:>12,}")
        print(f"on disk     {(folder / WEIGHTS).stat().st_size / 1e6:.1f} MB")
        print(f"translating {width} x {height} pixels takes {flops(config, width, height) / 1e9:.2f} GFLOP")
        if front := _front_matter(folder / CARD):
            print(f"model card\n{front}")
        return 0


def flops(config: ModelConfig, width: int, height: int) -> int:
    """Floating point operations to translate one picture, that of its own style included.

    Sides are rounded up to whole latent pixels, and nothing is mirrored.
    """
    from torch.utils.flop_counter import FlopCounterMode  # a third of a second to import, for this command alone

    h, w = (-(-side // config.downsampling) * config.downsampling for side in (height, width))
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        model: Model = MODELS[config.model][1](config)
        code = model.infer(torch.empty(1, config.channels[0], h, w), "a")
        model.decode(code._replace(style=None), "b")
    return counter.get_total_flops()


def _front_matter(card: Path) -> str:
    """The block between the first two lines of three dashes, as its author wrote it.

    Without the Hub's table of measures (`model-index`), a hundred lines of what metrics.md says in twenty.
    """
    try:
        first, *lines = card.read_text(encoding="utf-8").splitlines()
        block = "\n".join(lines[: lines.index("---")]) if first == "---" else ""
    except (OSError, ValueError):
        return ""
    return textwrap.indent(re.sub(r"^model-index:\n(?:[ -].*(?:\n|$))*", "", block, flags=re.MULTILINE), "  ")
