"""What Translator, checkpoints and the trainer expect of a model. For type checkers: models share no base class."""

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, Protocol

from torch import Generator, Tensor, nn

from unit.noise import Window

Domain = Literal["a", "b"]  # the paper's X_1 and X_2


class Code(NamedTuple):
    """A photo as a model sees it, or the noise that is added to one: what Translator keeps, blends and tiles."""

    content: Tensor  # UNIT: the mean of q(z|x), (N, 4 dim, h, w)
    style: Tensor | None = None  # of models that have one: (N, S, 1, 1), of the whole photo, so it is never tiled

    def map(self, change: Callable[..., Tensor], *others: "Code") -> "Code":
        """`change` of the contents, this one's first, and, where all have one, of the styles."""
        styles = [code.style for code in (self, *others)]
        style = None if any(s is None for s in styles) else change(*styles)
        return Code(change(self.content, *(code.content for code in others)), style)


Noise = Callable[[Window], Code]  # rows and columns of the code -> its noise there


class ModelConfig(Protocol):
    """Everything needed to rebuild a model: a frozen dataclass, saved as config.json."""

    @property
    def model(self) -> str:
        """The model's name in MODELS."""

    @property
    def domains(self) -> tuple[str, str]:
        """What people call domain a and domain b."""

    @property
    def channels(self) -> tuple[int, int]:
        """Image channels of both domains: 3 colour, 1 grey."""

    @property
    def image_size(self) -> int:
        """Side in pixels of the training crops."""

    @property
    def aligned(self) -> bool:
        """Whether photos are scaled to image_size first, as the training photos all showed the same thing."""

    @property
    def downsampling(self) -> int:
        """Picture pixels for each pixel of the code, along each side."""

    @property
    def receptive_radius(self) -> int | None:
        """Pixels from an output pixel to the furthest input pixel that matters to it. None: all of the photo matters.

        That of the content, at a given style: the style of a photo is always that of all of it.
        """

    @property
    def bytes_per_pixel(self) -> int:
        """Memory that translating takes for each picture pixel, in float32."""

    @property
    def large(self) -> bool:
        """Whether to draw first weights, only to replace them by those of a file, would take seconds or gigabytes."""


class Model(Protocol):
    """Two domains, and a code that a photo of either becomes and that can be drawn in either. An nn.Module."""

    @property
    def config(self) -> ModelConfig: ...

    def infer(self, x: Tensor, domain: Domain) -> Code:
        """x: (N, C, H, W) in [-1, 1], H and W multiples of d = downsampling -> its code, (N, ..., H/d, W/d)."""

    def noise(self, shape: tuple[int, int], generator: Generator, grain: int) -> Noise:
        """One draw of unit noise, on the CPU, for a photo whose code has `shape` (h, w).

        It is drawn once for all tiles of a photo, so that they agree.
        """

    def sample_code(self, code: Code, noise: Code) -> Code:
        """Another code of the same photo: `code`, moved by noise of the strength that is wanted."""

    def decode(self, code: Code, domain: Domain) -> Tensor:
        """The code (N, ..., h, w) drawn in `domain`, (N, C, d h, d w) in [-1, 1].

        A code of the other domain comes without its style.
        """

    def forward(self, x_a: Tensor, x_b: Tensor, *, generator: Any = None) -> Any:
        """One training pass over unpaired photos: x_ab, x_ba, and `losses(x_a, x_b)`, unweighted terms by name."""

    # Of nn.Module.
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def state_dict(self, *args: Any, **kwargs: Any) -> Any: ...
    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any: ...
    def eval(self) -> Any: ...
    def to(self, *args: Any, **kwargs: Any) -> Any: ...
