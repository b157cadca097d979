"""Translate photos of one domain to the other, with a trained UNIT.

examples:
  python -m unit translate garden.jpg --to winter -o garden_winter.png
  python -m unit translate photos more/*.jpg --to winter -o winter_photos --format webp --quality 80
  python -m unit translate garden.jpg --to winter -o out --temperature 1 --grain 8 --seed 3
  python -m unit translate cat.jpg --to dog -o dog.png
  python -m unit translate cats --to dog --style rex.jpg -o dogs_like_rex
  python -m unit translate cat.jpg --to dog --styles 8 -o eight_dogs
  torchrun --nproc-per-node 8 -m unit translate photos --to winter -o winter_photos
  python -m unit sample --model checkpoints/summer2winter --count 4 -o pairs
  python -m unit interpolate one.jpg two.jpg --to winter -o steps
  python -m unit info --model owner/name
  python -m unit benchmark --quick
  python -m unit onnx checkpoints/summer2winter winter.onnx --to winter
  python -m unit space owner/name --hardware zero-a10g

Every command has --help.
"""

import sys
from collections.abc import Sequence

from unit.cli.benchmark import Benchmark
from unit.cli.errors import FAILURES, UsageError, complain, one_line
from unit.cli.info import Info
from unit.cli.interpolate import Interpolate
from unit.cli.onnx import Onnx
from unit.cli.parse import parse
from unit.cli.sample import Sample
from unit.cli.space import Space
from unit.cli.translate import Translate
from unit.system import print_anything

COMMANDS = (Translate, Sample, Interpolate, Info, Benchmark, Onnx, Space)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: As typed after the name of the program; None: those of this process.

    Returns:
        The exit status: 0 done, 1 something failed, 2 the command makes no sense, 130 stopped by Ctrl-C.
    """
    print_anything()
    try:
        command = parse(COMMANDS, __doc__ or "", sys.argv[1:] if arguments is None else arguments)
        return command.run()
    except UsageError as error:
        return complain(str(error), 2)
    except FAILURES as error:
        return complain(one_line(error), 1)
    except KeyboardInterrupt:
        return complain("stopped.", 130)
