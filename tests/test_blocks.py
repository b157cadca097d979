"""Blocks against what they are short for."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unit.models.blocks import LayerNorm2d, PreNormResBlock
from unit.models.folded import FoldedUpConv, FoldedUpConv5, UpConv, Upsample2, fuse


def test_upsample2_is_nearest_neighbour():
    x = torch.randn(2, 3, 5, 7)
    torch.testing.assert_close(Upsample2()(x), F.interpolate(x, scale_factor=2, mode="nearest"))


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (8, 6)])
def test_folded_upconv_is_resize_then_convolution(size):
    torch.manual_seed(0)
    folded, plain = FoldedUpConv(5, 3).double(), UpConv(5, 3, 3).double()
    plain[1].load_state_dict(folded.state_dict())
    check_folded(folded, plain, size)


@pytest.mark.parametrize("size", [(2, 2), (2, 5), (8, 6)])
def test_folded_upconv5_is_resize_reflection_then_convolution(size):
    torch.manual_seed(0)
    folded, plain = FoldedUpConv5(5, 3).double(), UpConv(5, 3, 5, "reflect").double()
    plain.load_state_dict(folded.state_dict())
    check_folded(folded, plain, size)


def check_folded(folded: nn.Module, plain: nn.Module, size: tuple[int, int]) -> None:
    """Equal to what it is short for, in its values and in the gradients of everything."""
    x = torch.randn(2, 5, *size, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(folded(x), plain(x))
    torch.testing.assert_close(folded.plain(x), plain(x))
    gradients = [torch.autograd.grad(net(x).square().sum(), [x, *net.parameters()]) for net in (folded, plain)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("layer", [FoldedUpConv, FoldedUpConv5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_it_folds_no_more_and_gives_the_same(layer, dtype, monkeypatch):
    net = nn.Sequential(layer(5, 3)).to(dtype).to(memory_format=torch.channels_last)
    x = torch.randn(2, 5, 6, 7, dtype=dtype).to(memory_format=torch.channels_last)
    expected, keys = net(x), net.state_dict().keys()
    fuse(net)
    monkeypatch.setattr(layer, "folded", None)
    assert torch.equal(net(x), expected)
    assert net.state_dict().keys() == keys  # the kernels are not saved


def test_pixel_norm_is_layer_norm_of_each_pixel():
    torch.manual_seed(0)
    norm = LayerNorm2d(6)
    nn.init.normal_(norm.weight)
    x = torch.randn(2, 6, 4, 5)
    expected = F.layer_norm(x[1, :, 2, 3], (6,), norm.weight, norm.bias)
    torch.testing.assert_close(norm(x)[1, :, 2, 3], expected)


def test_a_new_residual_block_is_the_identity():
    block, x = PreNormResBlock(4), torch.randn(1, 4, 6, 6)
    torch.testing.assert_close(block(x), x)
