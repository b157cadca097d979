"""Measures as functions of features, with how sure they are. Every input has a row a picture; all is done in float64.

KID and FID are torchmetrics' (tests compare them), written anew for two reasons. torchmetrics' KID wants both sets
of one size. And an interval needs a measure many times, on the same pictures in other proportions: here each resample
is a row of counts, how often each picture was drawn, and the products between all pictures are made once.

Intervals are 95 % bootstrap intervals (Efron 1979): where the value would lie for other pictures of the same kind, as
many of them. They know nothing of other judges, other seeds of training or other data.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from unit.unit import Domain

RESAMPLES = 1000
FID_RESAMPLES = 200  # each is a singular value decomposition


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
    """The share of pictures for which `hits` (n,) is true.

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


def fid(x: Tensor, y: Tensor, *, resamples: int = FID_RESAMPLES, seed: int = 0) -> Measured:
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
    counts = zip(resample(len(x), resamples, generator), resample(len(y), resamples, generator), strict=True)
    draws = torch.tensor([distance(u, v) for u, v in counts], dtype=torch.float64)
    return Measured(value, *_ends(draws - draws.mean() + value), len(x))


def perceptual(maps_x: list[Tensor], maps_y: list[Tensor]) -> Tensor:
    """How different pictures look: 0 if they are the same, about 1 if they have nothing in common. (N,).

    maps: for each depth of a network (N, C, h, w), of length one over C. The distance is 1 - cosine, averaged over
    the places of a depth and then over the depths. It is LPIPS (Zhang et al. 2018, arXiv:1801.03924) with equal
    weights and halved, and its values depend on the network: compare them only under the same judge.
    """
    depths = [1 - (x * y).sum(1).mean((1, 2)) for x, y in zip(maps_x, maps_y, strict=True)]
    return torch.stack(depths).mean(0)


class Probe(NamedTuple):
    """A linear classifier of features."""

    weight: Tensor  # (D,)
    bias: Tensor  # ()

    def says(self, domain: Domain, features: Tensor) -> Tensor:
        """(N, D) -> (N,) bool: judged as `domain`. What is not a number is judged as neither."""
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
