"""How much work a mapped task gets: about as long as makes its start worth while, whatever the work is.

A task costs Airflow about half a second of CPU and a second of waiting, so that shards of 30 to 60 seconds are run in
parallel by several machines and lose little to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from airflow.sdk import Variable

from include.custom_labels.errors import RequestError

SHARD_SECONDS_VARIABLE: Final = "custom_labels_shard_seconds"
SECONDS_PER_SHARD: Final = 40.0

MAX_SHARDS: Final = 1000
"""Airflow maps over 1,024 items (``[core] max_map_length``), and fails the task that returns more."""

# Images a second of one task, at answers of S3 after 80 ms (docs/performance.md).
INSPECTED_PER_S: Final = 500.0
COPIED_PER_S: Final = 150.0
SENT_PER_S: Final = 50.0
SENT_BYTES_PER_S: Final = 50e6
KNOWN_PER_S: Final = 20_000.0
"""Rows whose images are not read again, because the last snapshot knows them."""


def seconds_per_shard() -> float:
    """What the Airflow Variable says.

    :raises RequestError: INVALID_SHARD_SECONDS
    """
    text = Variable.get(SHARD_SECONDS_VARIABLE, default=None)
    if text is None:
        return SECONDS_PER_SHARD
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (seconds > 0 and math.isfinite(seconds)):
        raise RequestError(
            "INVALID_SHARD_SECONDS",
            f"The Airflow Variable {SHARD_SECONDS_VARIABLE!r} is {text!r}, and not a number of seconds.",
            f"Set it to a number above 0, or delete it: the default is {SECONDS_PER_SHARD:.0f}.",
        )
    return seconds


def cut(works_s: Iterable[float], shard_s: float) -> list[tuple[int, int]]:
    """Where to cut a sequence, as start and stop of each shard; one shard where there is nothing.

    :param works_s: how long each item takes
    :param shard_s: how long a shard takes at the least, unless it is the last; more where there would be too many
    """
    works = list(works_s)
    shard_s = max(shard_s, sum(works) / (MAX_SHARDS - 1))
    starts, taken_s = [0], 0.0
    for at, work_s in enumerate(works):
        if taken_s >= shard_s:
            starts.append(at)
            taken_s = 0.0
        taken_s += work_s
    return list(zip(starts, [*starts[1:], len(works)], strict=True))
