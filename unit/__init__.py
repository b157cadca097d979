"""UNIT: unsupervised image-to-image translation networks (Liu, Breuel, Kautz, NIPS 2017, arXiv:1703.00848)."""

from unit.checkpoint import save_pretrained
from unit.hub import load_pretrained
from unit.models.unit import UNIT, UNITConfig
from unit.pipeline import Sampling, Translator

__all__ = ["UNIT", "Sampling", "Translator", "UNITConfig", "load_pretrained", "save_pretrained"]
