"""What the commands of `python -m train` have in common: how they are made of functions, and how they fail."""

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, TypeVar

import tyro
from safetensors import SafetensorError
from tyro import _errors as rejected

from unit.usage import sentence

Arguments = Sequence[str] | None  # None: those of the process
T = TypeVar("T")
Unprefixed = Annotated[T, tyro.conf.arg(name="")]  # a dataclass whose fields are options without its name before them

# A flag is `--private` alone, without `--no-private`; a positional is called like its parameter; nobody types None.
STYLE = (tyro.conf.FlagCreatePairsOff, tyro.conf.PositionalMetavarFromFieldName, tyro.conf.DisallowNone)


def command(name: str, *style: object) -> Callable[[Callable[..., int | None]], Callable[..., int]]:
    """Make a typed function the command `python -m train NAME`.

    Its parameters are the options, its docstring is the help. What it is made to is called with a list of arguments
    and returns the exit status: what the function returns, or 0.
    """

    def decorate(run: Callable[..., int | None]) -> Callable[..., int]:
        def main(arguments: Arguments = None) -> int:
            with refusals():
                return tyro.cli(run, prog=f"python -m train {name}", args=arguments, config=(*STYLE, *style)) or 0

        main.__doc__ = run.__doc__
        return one_sentence(main)

    return decorate


@contextmanager
def refusals() -> Iterator[None]:
    """Inside, what tyro cannot read is a sentence on stderr, and the program ends with status 2."""

    def refuse(event: rejected.ParseErrorEvent) -> None:
        if isinstance(event, rejected.InstantiationFailure) and not event.argument:
            raise ValueError(event.message)  # as a dataclass said it whose options have no prefix
        if said := sentence(event):
            print(said, file=sys.stderr)
            raise SystemExit(2)

    with rejected.on_parse_error(refuse):
        yield


def one_sentence(main: Callable[[Arguments], int]) -> Callable[..., int]:
    """`main` with what is wrong as a sentence on stderr and exit status 1, instead of a traceback; 130 after Ctrl-C."""

    @functools.wraps(main)
    def command(arguments: Arguments = None) -> int:
        try:
            return main(arguments)
        except OSError as error:
            said = f"{error.filename}: {error.strerror}." if error.filename and error.strerror else error
            print(said, file=sys.stderr)
            return 1
        except (ValueError, SafetensorError) as error:
            print(error, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130

    return command
