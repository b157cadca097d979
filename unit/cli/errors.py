"""What went wrong, as one sentence for whoever started the command."""

import sys

import torch

FAILURES = (ValueError, OSError, RuntimeError, MemoryError)  # of one picture or of a model; RuntimeError is PyTorch's


class UsageError(Exception):
    """What was asked for makes no sense; the message is one line that says why."""


def complain(message: str, status: int) -> int:
    """Print `message` to stderr. Returns `status`, for the caller to end with."""
    print(message, file=sys.stderr)
    return status


def one_line(error: BaseException) -> str:
    """What `error` says, without a traceback and without the lines that help only programmers."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the file'}: {error.strerror}."
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
        return "there is not enough memory."
    return (str(error).strip() or type(error).__name__).splitlines()[0]
