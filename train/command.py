"""What the commands of `python -m train` have in common."""

import functools
import sys
from collections.abc import Callable, Sequence

from safetensors import SafetensorError

Arguments = Sequence[str] | None  # None: those of the process


def one_sentence(main: Callable[[Arguments], int]) -> Callable[..., int]:
    """`main` with what is wrong as a sentence on stderr and exit status 1, instead of a traceback; 130 after Ctrl-C."""

    @functools.wraps(main)
    def command(arguments: Arguments = None) -> int:
        try:
            return main(arguments)
        except (ValueError, OSError, SafetensorError) as error:
            print(error, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130

    return command
