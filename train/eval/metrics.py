"""Measures as functions of features, with how sure they are. Every input has a row a picture; all is done in float64.

KID and FID are torchmetrics' (tests compare them), written anew for two reasons. torchmetrics' KID wants both sets
of one size. And an interval needs a measure many times, on the same pictures in other proportions: here each resample
is a row of counts, how often each picture was drawn, and the products between all pictures are made once.

Intervals are 95 % bootstrap intervals (Efron 1979): where the value would lie for other pictures of the same kind, as
many of them. They know nothing of other features, other seeds of training or other data.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from unit.models.protocol import Domain

RESAMPLES = 1000
FID_RESAMPLES = 200  # each is a singular value decomposition
Progress = Callable[[Iterable[Any], str], Iterable[Any]]  # a long way to go, and what it is


class Measured(NamedTuple):
    """A value, the ends of its 95 % interval, and the number of pictures it was measured on."""

    value: float
    low: float
    high: float
    n: int


def mean(values: Tensor, *, resamples: int = RESAMPLES, seed: int = 0) -> Measured:
    """The mean of one value (n,) a picture."""
    values = values.cpu().double()
    draws = resample(len(values), resamples, Generator().manual_seed(seed)) @ values / len(values)
    return Measured(values.mean().item(), *_ends(draws), len(values))


def share(hits: Tensor, *, resamples: int = RESAMPLES, seed: int = 0) -> Measured:
    """The share of pictures for which `hits` (n,) is true. It may hold halves, of what is neither.

    Two imaginary pictures, a hit and a miss, join the bootstrap: a verdict of all does not mean that it is certain.
    """
    n = len(hits)
    generator = Generator().manual_seed(seed)
    expected = (hits.sum().item() + 1) / (n + 2)
    draws = torch.rand(resamples, n, generator=generator, dtype=torch.float64).lt(expected).double().mean(1)
    return Measured(hits.double().mean().item(), *_ends(draws), n)


def kid(x: Tensor, y: Tensor, *, resamples: int = RESAMPLES, seed: int = 0) -> Measured:
    """Kernel distance (Binkowski et al. 2018, arXiv:1801.01401) of features (n, D) and (m, D), unbiased.

    The squared maximum mean discrepancy under the kernel (x.y / D + 1)**3, of all pictures at once. It is about 0, and
    may be below, where both sets are of one kind. `n` counts x.

    A resample holds some pictures twice. Pairs of a picture with its own copy are left out, as pairs with itself are:
    they would make every resample look more different from the other set than it is. Where the distance is about 0,
    the interval is wider than it need be.
    """
    x, y = x.cpu().double(), y.cpu().double()
    k_xx, k_yy, k_xy = _cubic(x, x).fill_diagonal_(0), _cubic(y, y).fill_diagonal_(0), _cubic(x, y)

    def distance(u: Tensor, v: Tensor) -> Tensor:  # counts (R, n), (R, m) -> (R,)
        return _pairs(k_xx, u) + _pairs(k_yy, v) - 2 * ((u @ k_xy) * v).sum(1) / k_xy.numel()

    generator = Generator().manual_seed(seed)
    value = distance(torch.ones(1, len(x)).double(), torch.ones(1, len(y)).double()).item()
    draws = distance(resample(len(x), resamples, generator), resample(len(y), resamples, generator))
    return Measured(value, *_ends(draws), len(x))


def fid(
    x: Tensor,
    y: Tensor,
    *,
    resamples: int = FID_RESAMPLES,
    seed: int = 0,
    show: Progress = lambda steps, _: steps,
) -> Measured:
    """Frechet distance (Heusel et al. 2017, arXiv:1706.08500) of Gaussians fitted to features (n, D) and (m, D).

    It is biased: the fewer the pictures, the larger. Compare it only between sets of one size. `n` counts x.

    Resamples, which hold fewer different pictures, are biased even more. So the interval is the spread of the
    resamples about their mean, put about the value: it is for the FID of that many pictures, not of infinitely many.

    With centred features X, Y as rows, the trace of the root of both covariances' product is the sum of the singular
    values of X Y^T / sqrt((n - 1) (m - 1)): no D x D matrix is ever made.
    """
    if not (x.isfinite().all() and y.isfinite().all()):
        return Measured(math.nan, math.nan, math.nan, len(x))
    x, y = x.cpu().double(), y.cpu().double()
    centre = y.mean(0)  # any will do; one near both keeps the differences below exact
    x, y = x - centre, y - centre
    g_xx, g_yy, g_xy = x @ x.T, y @ y.T, x @ y.T

    def distance(u: Tensor, v: Tensor) -> float:  # counts (n,), (m,)
        p, q = u / u.sum(), v / v.sum()
        means = p @ g_xx @ p + q @ g_yy @ q - 2 * (p @ g_xy @ q)
        traces = _trace(g_xx, p) + _trace(g_yy, q)
        rows, columns = u > 0, v > 0
        cross = g_xy - (p @ g_xy) - (g_xy @ q)[:, None] + p @ g_xy @ q
        cross = (cross * (u / (len(x) - 1)).sqrt()[:, None] * (v / (len(y) - 1)).sqrt())[rows][:, columns]
        return (means + traces - 2 * torch.linalg.svdvals(cross).sum()).item()

    generator = Generator().manual_seed(seed)
    value = distance(torch.ones(len(x)).double(), torch.ones(len(y)).double())
    counts = list(zip(resample(len(x), resamples, generator), resample(len(y), resamples, generator), strict=True))
    draws = torch.tensor([distance(u, v) for u, v in show(counts, "resampling FID")], dtype=torch.float64)
    return Measured(value, *_ends(draws - draws.mean() + value), len(x))


def feature_distance(maps_x: list[Tensor], maps_y: list[Tensor]) -> Tensor:
    """How different pictures look: 0 if they are the same, about 1 if they have nothing in common. (N,).

    maps: for each depth of a network (N, C, h, w), of length one over C. The distance is 1 - cosine, averaged over
    the places of a depth and then over the depths. It is LPIPS (Zhang et al. 2018, arXiv:1801.03924) with equal
    weights and halved, and its values depend on the network: compare them only under the same network.
    """
    depths = [1 - (x * y).sum(1).mean((1, 2)) for x, y in zip(maps_x, maps_y, strict=True)]
    return torch.stack(depths).mean(0)


def mean_lab(x: Tensor) -> Tensor:
    """The mean colour of the middle half of each picture, in CIE L*a*b* (white point D65): (N, C, H, W) -> (N, 3).

    x: sRGB or grey in [-1, 1].
    """
    height, width = x.shape[-2:]
    return lab(x[..., height // 4 : height - height // 4, width // 4 : width - width // 4]).mean((2, 3))


def lab(x: Tensor) -> Tensor:
    """sRGB or grey (N, C, H, W) in [-1, 1] -> CIE L*a*b* (N, 3, H, W): L* from 0 to 100; a* and b* are 0 for greys."""
    rgb = ((x.cpu().double() + 1) / 2).clamp(0, 1).expand(-1, 3, -1, -1)
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = torch.einsum("ij,njhw->nihw", _XYZ, linear) / _XYZ.sum(1).view(3, 1, 1)  # white is (1, 1, 1)
    f = torch.where(xyz > (6 / 29) ** 3, xyz.clamp(min=1e-9) ** (1 / 3), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return torch.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def outside(values: Tensor, usual: Tensor, share_of_usual: float = 0.99) -> Tensor:
    """Which rows of (n, D) lie further from the middle of `usual` (m, D) than that share of its own rows do: (n,) bool.

    By the Mahalanobis distance, which knows how far each direction usually goes.
    """
    usual, values = usual.double(), values.double()
    inverse = torch.linalg.pinv(torch.cov(usual.T))

    def distance(rows: Tensor) -> Tensor:
        centred = rows - usual.mean(0)
        return torch.einsum("nd,de,ne->n", centred, inverse, centred)

    return distance(values) > distance(usual).quantile(share_of_usual)


def weave(x: Tensor, like: Tensor, smooth: float = 5.0) -> Tensor:
    """How much of a weave is in the smooth regions of pictures: its root mean square in grey levels of 255. (N,)

    Decoders that enlarge their maps by steps of two may leave patterns of periods 2, 4 and 8 pixels. x, like:
    (N, C, H, W) in [-1, 1]. The smooth regions are squares of 16 pixels in which the grey levels of `like`, the photo,
    have a standard deviation below `smooth`. NaN for a picture that has none.
    """
    side = 16

    def squares(image: Tensor) -> Tensor:  # (N, side, side, how many), in grey levels
        grey = 127.5 * image.cpu().double().mean(1, keepdim=True)
        return F.unfold(grey, side, stride=side).unflatten(1, (side, side))

    window = torch.hann_window(side, periodic=False, dtype=torch.float64)
    window2d = (window[:, None] * window)[..., None]
    flat = squares(like).flatten(1, 2).std(1) < smooth  # (N, how many)
    values = squares(x)
    spectrum = torch.fft.fft2((values - values.mean((1, 2), keepdim=True)) * window2d, dim=(1, 2)).abs().square()
    periodic = torch.zeros(side, side, dtype=torch.float64)
    periodic[:: side // 8, :: side // 8] = 1  # multiples of an eighth: periods of 8, 4 and 2 pixels, and 8/3
    periodic[0, 0] = 0
    power = (spectrum * periodic[..., None]).sum((1, 2)) / window2d.sum().square()  # exact for a wave of such a period
    return ((power * flat).sum(1) / flat.sum(1)).sqrt()


# Of linear sRGB, IEC 61966-2-1.
_XYZ = torch.tensor([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], dtype=torch.float64)


class Probe(NamedTuple):
    """A linear classifier of features."""

    weight: Tensor  # (D,)
    bias: Tensor  # ()

    def says(self, domain: Domain, features: Tensor) -> Tensor:
        """(N, D) -> (N,) bool: taken for `domain`. What is not a number is taken for neither."""
        score = features.cpu().double() @ self.weight + self.bias
        return score > 0 if domain == "b" else score < 0


def fit_probe(a: Tensor, b: Tensor, *, l2: float = 0.1) -> Probe:
    """Logistic regression between features (n, D) and (m, D). Either set weighs the same, however many are in it.

    Features are scaled to variance one. `l2`: weight of half the squared norm, beside the mean loss.
    """
    a, b = a.cpu().double(), b.cpu().double()
    centre, apart = (a.mean(0) + b.mean(0)) / 2, (a.mean(0) - b.mean(0)) / 2
    scale = ((a.var(0, correction=0) + b.var(0, correction=0)) / 2 + apart.square()).sqrt().clamp(min=1e-6)
    weight = torch.zeros(a.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=200, tolerance_grad=1e-6, line_search_fn="strong_wolfe")
    scaled = [(x - centre) / scale for x in (a, b)]

    def loss() -> Tensor:
        optimizer.zero_grad()
        s_a, s_b = (x @ weight[:-1] + weight[-1] for x in scaled)
        value = (F.softplus(s_a).mean() + F.softplus(-s_b).mean()) / 2 + l2 / 2 * weight[:-1].square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    w = weight.detach()[:-1] / scale
    return Probe(w, weight.detach()[-1] - w @ centre)


def resample(n: int, resamples: int, generator: Generator) -> Tensor:
    """How often each of n pictures comes up in n draws with replacement: (resamples, n), float64."""
    drawn = torch.randint(n, (resamples, n), generator=generator)
    return torch.zeros(resamples, n, dtype=torch.float64).scatter_add_(1, drawn, torch.ones_like(drawn).double())


def _ends(draws: Tensor) -> tuple[float, float]:
    if not len(draws):
        return math.nan, math.nan
    # Of two or three pictures a resample may hold but one, which has no pairs: such draws are NaN and left out.
    low, high = torch.nanquantile(draws, torch.tensor([0.025, 0.975], dtype=draws.dtype)).tolist()
    return low, high


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _pairs(kernel: Tensor, counts: Tensor) -> Tensor:
    """The mean of a kernel (n, n), 0 on its diagonal, over the pairs of different pictures in each row of counts."""
    return ((counts @ kernel) * counts).sum(1) / (counts.sum(1).square() - counts.square().sum(1))


def _trace(gram: Tensor, share: Tensor) -> Tensor:
    """The trace of the covariance of a set that holds `share` of each picture."""
    return (gram.diag() @ share - share @ gram @ share) * (len(gram) / (len(gram) - 1))
