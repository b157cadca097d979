"""ZeroGPU, where a Space has a GPU only while a function runs. Anywhere else, nothing here does anything.

`spaces`, which is there on such a Space, lets models be moved to a GPU that is not there yet. For that it wants to be
imported before torch, so app.py imports it first of all.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

try:
    if os.environ.get("SPACES_ZERO_GPU", "").lower() not in ("1", "t", "true"):  # what `spaces` itself takes for a yes
        raise ImportError("this is no ZeroGPU")
    import spaces
except ImportError:
    spaces = None

ON = spaces is not None  # then nothing can be drawn but in functions that `gpu` has made


def gpu(function: Function, seconds: int = 30) -> Function:
    """`function`; on ZeroGPU, one that does the same in a process which has a GPU for at most so many seconds.

    A visitor whose quota has fewer seconds left than that is turned away, so it should be no more than needed. A
    generator must come as it is, not inside a lambda. What goes in and out is pickled: settings and paths, but nothing
    that is on the GPU, and no dict whose keys are parts of the page. What the function changes elsewhere, such as a
    cache, is changed in that process only. Called from another of its kind, it runs in the same process.
    """
    return spaces.GPU(function, duration=seconds) if ON else function
