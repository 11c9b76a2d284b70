"""What every task of an import does around its work: end for good on an error that a retry cannot mend, keep time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from functools import wraps
from typing import ParamSpec, TypeVar

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowFailException

from include.custom_labels.errors import CustomLabelsError

SECONDS_KEY = "seconds"
"""XCom key under which each step leaves how long it took."""

# The service or the way to it may be better in a minute; everything else stays wrong until a person acts.
RETRIED_CODES = frozenset({"S3_UNAVAILABLE", "S3_UNREACHABLE", "OBJECT_CHANGED"})

_PROGRESS_INTERVAL_S = 5.0

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


def step(work: Callable[P, R]) -> Callable[P, R]:
    """Make a task's function of ours fail at once, with its code, on an error that only a person can mend."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        started = time.monotonic()
        try:
            result = work(*args, **kwargs)
        except CustomLabelsError as error:
            if error.code in RETRIED_CODES:
                raise
            raise AirflowFailException(str(error)) from error
        seconds = round(time.monotonic() - started, 2)
        get_current_context()["ti"].xcom_push(key=SECONDS_KEY, value=seconds)
        return result

    return run


def seconds_of(task_ids: Iterable[str]) -> dict[str, float]:
    """Seconds of each step of this run that has ended; the sum over shards where a step is mapped."""
    instance = get_current_context()["ti"]
    found: dict[str, float] = {}
    for task_id in task_ids:
        pulled = instance.xcom_pull(task_ids=task_id, key=SECONDS_KEY)
        values = pulled if isinstance(pulled, Iterable) else [pulled]
        seconds = [value for value in values if value is not None]
        if seconds:
            found[task_id] = round(sum(seconds), 2)
    return found


class Progress:
    """Counts in the task's log, every few seconds.

    :param what: what is counted, in the plural
    :param total: how many there will be, 0 where that is not known
    """

    def __init__(self, what: str, total: int = 0) -> None:
        self._what = what
        self._total = total
        self._started = self._logged = time.monotonic()

    def __call__(self, count: int) -> None:
        now = time.monotonic()
        if now - self._logged < _PROGRESS_INTERVAL_S and count != self._total:
            return
        self._logged = now
        share = f" of {self._total:,} ({count / self._total:.0%})" if self._total else ""
        rate = count / max(now - self._started, 1e-9)
        log.info("%s%s %s, %s a second", f"{count:,}", share, self._what, f"{rate:,.0f}")
