"""Requests a second: a token bucket for every account, Region and operation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from include.local_aws.errors import ServiceError
from include.local_aws.signatures import Caller

# AWS General Reference, "Amazon Rekognition endpoints and quotas": requests a second, per account and Region.
REQUESTS_PER_SECOND: Final = 5.0
_TAG_REQUESTS_PER_SECOND: Final = 10.0
_TAG_OPERATIONS: Final = frozenset({"TagResource", "UntagResource", "ListTagsForResource"})


class Throttle:
    """Holds one bucket for each (account, Region, operation), full at first, as deep as one second's quota."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[tuple[Caller, str], tuple[float, float]] = {}

    def take(self, caller: Caller, operation: str) -> None:
        """Let one request pass.

        Raises:
            ServiceError: ProvisionedThroughputExceededException when the quota is used up.
        """
        rate = _TAG_REQUESTS_PER_SECOND if operation in _TAG_OPERATIONS else REQUESTS_PER_SECOND
        with self._lock:
            now = self._clock()
            tokens, since = self._buckets.get((caller, operation), (rate, now))
            tokens = min(rate, tokens + (now - since) * rate)
            admitted = tokens >= 1
            self._buckets[caller, operation] = (tokens - admitted, now)
        if not admitted:
            raise ServiceError("ProvisionedThroughputExceededException", "Provisioned rate exceeded")
