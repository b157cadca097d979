"""The machine and the terminal that a program runs on."""

import io
import sys
from contextlib import suppress
from typing import IO, Any

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]


def print_anything() -> None:
    """What a terminal cannot show is replaced from now on, as is a name that is no text: neither may end the work."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def lock(file: IO[Any], *, wait: bool = False) -> bool:
    """Whether `file` is now this process's alone. The lock goes with the process, however that ends, or with the file.

    Where nothing can be locked (on Windows, on some network disks) the answer is yes: that keeps nobody from working.
    """
    if fcntl is None:
        return True
    with suppress(OSError):
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except (BlockingIOError, PermissionError):
            return False
    return True
