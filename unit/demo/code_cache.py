"""Latents of the photos that were looked at last, so that a photo is encoded once and drawn many times."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock, Timer
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


Value = TypeVar("Value", bound=Sized)


class Cache(Generic[Value]):
    """What was made for a key, until it is `seconds` old or `limit` bytes are needed for what was used since.

    It forgets by itself, also when nobody asks: what strangers' photos left behind should not stay. Threads can share
    it. Two that ask for the same new key at once both make it, which costs time and harms nothing.
    """

    def __init__(self, limit: int, seconds: float):
        self.limit, self.seconds = limit, seconds
        self._lock = Lock()
        self._kept: OrderedDict[Hashable, tuple[float, Value]] = OrderedDict()  # the one used last is the last
        self._timer: Timer | None = None

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What is kept for `key`, or else made now. What `make` raises is raised, and nothing is kept."""
        with self._lock:
            self._forget()
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][1]
        value = make()
        with self._lock:
            if value.nbytes <= self.limit:
                self._kept[key] = time.monotonic(), value
                while self._nbytes() > self.limit:
                    self._kept.popitem(last=False)
                self._wake_later()
        return value

    @property
    def nbytes(self) -> int:
        with self._lock:
            return self._nbytes()

    def __len__(self) -> int:
        with self._lock:
            return len(self._kept)

    def _nbytes(self) -> int:
        return sum(value.nbytes for _, value in self._kept.values())

    def _forget(self) -> None:
        too_old = time.monotonic() - self.seconds
        for key in [key for key, (made, _) in self._kept.items() if made <= too_old]:
            del self._kept[key]

    def _wake_later(self) -> None:
        if self._timer is None:
            oldest = min(made for made, _ in self._kept.values())
            self._timer = Timer(max(0, oldest + self.seconds - time.monotonic()), self._wake)
            self._timer.daemon = True  # nothing to wait for when the program ends
            self._timer.start()

    def _wake(self) -> None:
        with self._lock:
            self._timer = None
            self._forget()
            if self._kept:
                self._wake_later()
