"""A steady pace of requests, so that a quota is met and not merely run into."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any


class RequestPacer:
    """
    botocore ``before-send`` handler that spaces the requests of each operation evenly.

    Retries are sends too, therefore they are paced as well. It is shared by the threads of one client; tasks share
    the quota by their pool (`include.rekognition.pool`). What others take away shows as throttling, and botocore's
    retries with backoff and jitter deal with that.

    :param requests_per_s: Requests a second and operation.
    """

    def __init__(
        self,
        requests_per_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval_s = 1 / requests_per_s
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at: dict[str, float] = {}

    def __call__(self, *, event_name: str, **_: Any) -> None:
        """Return when the operation of ``event_name`` may be sent; None lets botocore send it."""
        with self._lock:
            now = self._clock()
            start = max(now, self._free_at.get(event_name, now))
            self._free_at[event_name] = start + self._interval_s
        if start > now:
            self._sleep(start - now)
