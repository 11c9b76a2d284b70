"""The Airflow pool that keeps all tasks of an installation together within Rekognition's request quota.

A task that is in the pool takes as many slots as it may send requests: ten slots are one request a second and
operation. The hook paces the task accordingly, and Airflow starts no task for which there are not enough slots, on
whichever machine. So the pool's size is the quota: 50 slots are 5 requests a second.
"""

from __future__ import annotations

from typing import Any, Final

from airflow.sdk import get_current_context

from include.custom_labels.quotas import REQUESTS_PER_SECOND

POOL: Final = "custom_labels_rekognition"
SLOTS_PER_REQUEST_S: Final = 10

REQUESTS_PER_S: Final = float(REQUESTS_PER_SECOND.value)
"""Of each operation used here, in an account and Region."""

POOL_SLOTS: Final = int(REQUESTS_PER_S * SLOTS_PER_REQUEST_S)
POOL_DESCRIPTION: Final = "Requests a second to Amazon Rekognition, times ten (docs/deploy/README.md)"

WAITING_SLOTS: Final = 2
"""One request in five seconds: tasks that start an operation and wait, deferred ones included."""
CALLING_SLOTS: Final = 10
"""One request a second: tasks that ask for a few facts, and seldom for more."""
LISTING_SLOTS: Final = 20
"""Two requests a second: tasks that list a dataset's entries."""


def in_pool(slots: int) -> dict[str, Any]:
    """The arguments of an operator, or of `task`, that put a task into the pool."""
    return {"pool": POOL, "pool_slots": slots}


def requests_per_s() -> float:
    """What the process may send: the share of the running task, or the whole quota outside of the pool."""
    try:
        task = get_current_context().get("task")
    except RuntimeError:
        # No task is running: a shell, or a test.
        return REQUESTS_PER_S
    if task is None or task.pool != POOL:
        return REQUESTS_PER_S
    return float(task.pool_slots / SLOTS_PER_REQUEST_S)
