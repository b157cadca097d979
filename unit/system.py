"""The machine and the terminal that a program runs on."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, TextIO

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

GONE = (errno.EPIPE, errno.EIO)  # whoever read what we say, as `head` does, or the terminal itself


class Heard:
    """A stream whose reader may go away: what is said to it from then on is lost, and the work goes on."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        with _whether_or_not_heard():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with _whether_or_not_heard():
            self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextmanager
def _whether_or_not_heard() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in GONE:
            raise


NAME_BYTES = 255  # how long a file's name can be on nearly every disk: bytes, of which a Chinese character takes three


def print_anything() -> None:
    """From now on, what is printed never ends the work: a terminal may be unable to show a name, or be closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
            setattr(sys, name, Heard(stream))


@contextmanager
def no_proxy() -> Iterator[None]:
    """Inside, nothing is sent through the proxies that the environment names, as nothing leaves this machine."""
    before = os.environ.get("no_proxy")  # in small letters it counts before one in capitals
    os.environ["no_proxy"] = "*"
    try:
        yield
    finally:
        del os.environ["no_proxy"]
        if before is not None:
            os.environ["no_proxy"] = before


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


def short_name(stem: str, ending: str = "", longest: int = NAME_BYTES) -> str:
    """stem + ending as the name of a file, with as much of the stem as `longest` bytes hold."""
    while stem and len(os.fsencode(stem + ending)) > longest:
        stem = stem[:-1]
    return stem + ending
