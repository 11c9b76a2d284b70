"""What was read a moment ago, so that it need not be read again by every page that is open."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

T = TypeVar("T")

_KEPT: Final = 10_000


class Recent:
    """Values with the times when they were read, safe to share between threads.

    :param clock: seconds that only go up
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._values: dict[Hashable, tuple[float, Any]] = {}
        self._locks: dict[Hashable, threading.Lock] = {}

    def read(self, key: Hashable, seconds: float, read: Callable[[], T]) -> T:
        """The value, read again where it is older than that; many who ask at the same time read it once.

        :param read: raises what it likes, and nothing is remembered then
        """
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            found = self._values.get(key)
            if found is not None and self._clock() - found[0] < seconds:
                value: T = found[1]
                return value
            value = read()
            with self._lock:
                if len(self._values) >= _KEPT:
                    self._values.clear()
                    self._locks.clear()
                self._values[key] = (self._clock(), value)
            return value

    def forget(self, key: Hashable) -> None:
        """Have the value read again."""
        with self._lock:
            self._values.pop(key, None)
