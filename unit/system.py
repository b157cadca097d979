"""The machine and the terminal that a program runs on."""

import io
import sys


def print_anything() -> None:
    """What a terminal cannot show is replaced from now on, as is a name that is no text: neither may end the work."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
