"""One direction of a trained UNIT or MUNIT as an ONNX file, which runs without PyTorch: python -m unit onnx."""

import copy
import importlib.util
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from unit.checkpoint import write_atomic
from unit.models.folded import fuse
from unit.models.munit import MUNIT, MUNITConfig
from unit.models.protocol import Code, Domain
from unit.models.unit import UNIT
from unit.pipeline import margin

OPSET = 18  # the operators' version, of December 2022: runtimes since then read the file
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
SIZES = ((24, 18), (15, 20))  # width, height in latent pixels: what the file is tried with
TOLERANCE = 0.5  # of 256 levels: the same picture, but for values that lie just between two levels
NO_PACKAGES = 'to export, install the packages of the extra onnx: pip install "unit-in-the-browser[onnx]"'


class OneDirection(nn.Module):
    """The networks of a UNIT from a photo of one domain to its translation: what is exported."""

    def __init__(self, model: UNIT, target: Domain):
        super().__init__()
        self.model, self.source, self.target = model, _other(target), target

    def forward(self, photo: Tensor, noise: Tensor | None = None) -> Tensor:
        """photo (N, C, H, W) in [-1, 1]; noise (N, 4 dim, H/d, W/d), added to the code -> (N, C', H, W) in [-1, 1]."""
        code = self.model.infer(photo, self.source)
        if noise is not None:
            code = self.model.sample_code(code, Code(noise))
        return self.model.decode(code, self.target)


class OneStyledDirection(nn.Module):
    """Those of a MUNIT: the style of the translation is an input, so styles of photos are none of its concern."""

    def __init__(self, model: MUNIT, target: Domain):
        super().__init__()
        self.model, self.source, self.target = model, _other(target), target

    def forward(self, photo: Tensor, style: Tensor) -> Tensor:
        """photo (N, C, H, W) in [-1, 1]; style (N, S) -> (N, C', H, W) in [-1, 1]."""
        code = Code(self.model.encode(photo, self.source), style[..., None, None])
        return self.model.decode(code, self.target)


Network = OneDirection | OneStyledDirection


@dataclass(frozen=True)
class Export:
    """What was written. As a string, it is a sentence."""

    path: Path
    source: str
    target: str
    multiple: int  # of which height and width must be
    border: int  # pixels that Translator mirrors around a photo before the networks see it
    size: int  # bytes
    difference: float  # from PyTorch, the largest of all pixels tried, in 256ths of the range of a picture
    style_dim: int | None = None  # numbers of the input `style`, if there is one

    def __str__(self) -> str:
        border = f", of a photo with {self.border} pixels mirrored around it" if self.border else ""
        style = (
            f" A style is {self.style_dim} numbers: 0 is the mean, N(0, 1) each a random one." if self.style_dim else ""
        )
        tried = " and ".join(f"{self.multiple * w} x {self.multiple * h}" for w, h in SIZES)
        return (
            f"{self.path}: {self.source} to {self.target}, {self.size / 1e6:.1f} MB, opset {OPSET}, float32; height "
            f"and width in multiples of {self.multiple}{border}. Pictures of {tried} pixels differ from PyTorch's by "
            f"at most {self.difference:.4f} of 256 levels.{style}"
        )


def export(model: UNIT | MUNIT, path: Path, target: str, noise: bool = False) -> Export:
    """Write the networks that translate to `target` as ONNX, once they have been seen to agree with PyTorch.

    The input `photo` is float32 (1, C, H, W) in [-1, 1], with H and W multiples of `model.config.downsampling`; the
    output `translation` is (1, C', H, W) in [-1, 1]. All of the photo is translated in one piece. A MUNIT has a second
    input, `style` (1, S), which is followed.

    Args:
        model: Its weights are written as float32.
        path: The file, which is written whole or not at all.
        target: The name of the domain to translate to.
        noise: Whether there is an input `noise`, (1, 4 dim, H/d, W/d), that is added to the code of a UNIT.

    Returns:
        What was written, and how far it is from PyTorch.

    Raises:
        ValueError: The domain is unknown, a MUNIT is asked for noise, or the exported networks disagree with PyTorch's.
        RuntimeError: Packages are missing.
    """
    config = model.config
    if target not in config.domains:
        raise ValueError(f"--to {target}: this model draws {' and '.join(config.domains)}.")
    if noise and isinstance(model, MUNIT):
        raise ValueError(
            "the noise of a model with styles is its style, which the file takes anyway: leave out --noise."
        )
    if not all(map(importlib.util.find_spec, PACKAGES)):
        raise RuntimeError(NO_PACKAGES)
    b: Domain = "a" if target == config.domains[0] else "b"
    network = one_direction(copy.deepcopy(model).cpu().float(), b).eval().requires_grad_(False)
    fuse(network)
    inputs = _inputs(network, SIZES[0], noise)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "network.onnx")
        _write(network, inputs, written)
        difference = max(_difference(network, _inputs(network, size, noise), written) for size in SIZES)
        if not difference <= TOLERANCE:
            raise ValueError(
                f"the exported networks differ from PyTorch's by {difference:.1f} of 256 levels: {path} is not written."
            )
        data = written.read_bytes()
    write_atomic(path, data)
    border = margin(config, (10**4, 10**4))
    source = config.domains[b == "a"]
    style_dim = config.style_dim if isinstance(config, MUNITConfig) else None
    return Export(path, source, target, config.downsampling, border, len(data), difference, style_dim)


def one_direction(model: UNIT | MUNIT, target: Domain) -> Network:
    return OneStyledDirection(model, target) if isinstance(model, MUNIT) else OneDirection(model, target)


def _inputs(network: Network, size: tuple[int, int], noise: bool) -> dict[str, Tensor]:
    """A picture of soft colours, and noise or a style, the same every time. size: width, height in latent pixels."""
    config, (width, height), generator = network.model.config, size, Generator().manual_seed(0)
    channels = config.channels[network.source == "b"]
    coarse = torch.rand(1, channels, height, width, generator=generator) * 2 - 1
    inputs = {"photo": nn.functional.interpolate(coarse, scale_factor=config.downsampling, mode="bilinear")}
    if isinstance(network.model, MUNIT):
        inputs["style"] = network.model.sample_style(generator=generator).flatten(1)
    elif noise:
        inputs["noise"] = network.model.noise((height, width), generator)((slice(0, height), slice(0, width))).content
    return inputs


def _write(network: Network, inputs: dict[str, Tensor], path: Path) -> None:
    d, rows, columns = network.model.config.downsampling, torch.export.Dim("h", min=2), torch.export.Dim("w", min=2)
    shapes: dict[str, Any] = {"photo": {2: d * rows, 3: d * columns}, "noise": {2: rows, 3: columns}, "style": {}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the exporter, about itself
        program = torch.onnx.export(
            network, kwargs=inputs, input_names=[*inputs], output_names=["translation"], opset_version=OPSET,
            dynamic_shapes={name: shapes[name] for name in inputs}, dynamo=True, verbose=False,
        )  # fmt: skip
    assert program is not None  # as it is for dynamo=True
    program.save(path)


def _difference(network: Network, inputs: dict[str, Tensor], path: Path) -> float:
    """The largest difference between ONNX Runtime and PyTorch, in 256ths of the range from -1 to 1."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (translation,) = session.run(["translation"], {name: x.contiguous().numpy() for name, x in inputs.items()})
    with torch.inference_mode():
        return float((torch.from_numpy(translation) - network(**inputs)).abs().max()) * 128


def _other(domain: Domain) -> Domain:
    return "b" if domain == "a" else "a"
