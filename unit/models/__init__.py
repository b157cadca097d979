"""The networks: tensors in, tensors out. Nothing here knows files, devices or the page."""

from typing import Any

from unit.models.munit import MUNIT, MUNITConfig
from unit.models.unit import UNIT, UNITConfig

__all__ = ["MODELS", "MUNIT", "UNIT", "MUNITConfig", "UNITConfig"]

# By the name that config.json gives them: the class of the configuration, and that of the network it describes.
MODELS: dict[str, tuple[type[Any], type[Any]]] = {
    "unit": (UNITConfig, UNIT),
    "munit": (MUNITConfig, MUNIT),
}
