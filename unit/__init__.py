"""UNIT: unsupervised image-to-image translation networks (Liu, Breuel, Kautz, NIPS 2017, arXiv:1703.00848)."""

from unit.checkpoint import save_pretrained
from unit.hub import load_pretrained
from unit.models.unit import UNIT, UNITConfig
from unit.pipeline import Sampling, Translator

__version__ = "0.1.0"  # the only place: pyproject.toml reads it, too

__all__ = ["UNIT", "Sampling", "Translator", "UNITConfig", "__version__", "load_pretrained", "save_pretrained"]
