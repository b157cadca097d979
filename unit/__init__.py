"""UNIT: unsupervised image-to-image translation networks (Liu, Breuel, Kautz, NIPS 2017, arXiv:1703.00848)."""

from unit import zero  # noqa: F401  (before torch: see there)
from unit.hub import load_pretrained, save_pretrained
from unit.pipeline import Translator
from unit.unit import UNIT, UNITConfig

__all__ = ["UNIT", "Translator", "UNITConfig", "load_pretrained", "save_pretrained"]
