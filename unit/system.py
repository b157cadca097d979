"""The machine and the terminal that a program runs on."""

import io
import os
import sys

NAME_BYTES = 255  # how long a file's name can be on nearly every disk: bytes, of which a Chinese character takes three


def print_anything() -> None:
    """What a terminal cannot show is replaced from now on, as is a name that is no text: neither may end the work."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def short_name(stem: str, ending: str = "", longest: int = NAME_BYTES) -> str:
    """stem + ending as the name of a file, with as much of the stem as `longest` bytes hold."""
    while stem and len(os.fsencode(stem + ending)) > longest:
        stem = stem[:-1]
    return stem + ending
