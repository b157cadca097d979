"""python -m unit benchmark"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from unit.cli import options
from unit.cli.errors import UsageError
from unit.cli.options import Flag, Model, Revision, help_of, load_ours, number, width_x_height, words
from unit.models import MODELS
from unit.models.munit import MUNIT
from unit.models.unit import UNIT


@dataclass(frozen=True)
class Benchmark:
    """Measure the ways to draw on this CPU against each other.

    what is measured:
      Prints a Markdown table: medians in milliseconds of Translator.encode, decode and translate, PIL image to PIL
      image. Without --model and --layouts, all models in checkpoints/. ONNX Runtime (pip install onnx onnxscript
      onnxruntime) and OpenVINO (pip install openvino) are measured if they are installed, torch.compile if there is a
      C++ compiler; to build them takes about a minute. Let nothing else run. OMP_NUM_THREADS says how many threads
      draw.
    """

    layouts: Annotated[tuple[str, ...], words(str, "LAYOUT ...", "*"), help_of()] = ()
    """Networks with random weights instead of a model: compact, compact8, paper, master2018, munit-compact or munit."""
    sizes: Annotated[
        tuple[tuple[int, int], ...], words(width_x_height, "WxH ...", "*"), help_of("", "256x256 512x384 1024x768")
    ] = ()
    """Pixels."""
    seconds: Annotated[float | None, words(number, "SECONDS"), help_of("", "60")] = None
    """For the rounds, shared by models and sizes."""
    quick: Flag = False
    """Only what needs no building, 256x256, 5 seconds."""
    app: Flag = False
    """Instead: how soon the page is there, what a call takes (of the first of --sizes)."""
    model: Model = None
    revision: Revision = None

    # unit.latency is imported where it is needed: it is slow, and --help of all commands would wait for it.
    def run(self) -> int:
        for line in self._page() if self.app else self._table():
            print(line, flush=True)
        return 0

    def _page(self) -> Iterator[str]:
        if not Path("app.py").is_file():
            raise UsageError(f"there is no app.py in {Path.cwd()}: run this in a checkout of this program.")
        from unit.latency import page

        return page(self.sizes[0]) if self.sizes else page()

    def _table(self) -> Iterator[str]:
        from unit.latency import SIZES, benchmark

        sizes = self.sizes or (SIZES[:1] if self.quick else SIZES)
        seconds = self.seconds or (5 if self.quick else 60)
        return benchmark(self._models(), sizes, seconds, built=not self.quick)

    def _models(self) -> dict[str, UNIT | MUNIT]:
        from unit.latency import CONFIGS

        if unknown := [name for name in self.layouts if name not in CONFIGS]:
            raise UsageError(f"--layouts: invalid choice '{unknown[0]}'; take one of {', '.join(CONFIGS)}.")
        if self.layouts:
            return {name: MODELS[CONFIGS[name].model][1](CONFIGS[name]) for name in self.layouts}
        found = sorted(path for path in options.CHECKPOINTS.glob("*") if path.is_dir())
        sources = [self.model] if self.model else found
        if not sources:
            raise UsageError("there is no model in checkpoints/: name one with --model, or layouts with --layouts.")
        return {Path(source).name: load_ours(source, self.revision) for source in sources}
