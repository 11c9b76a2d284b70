"""When a dataset is refreshed: the schedule of its file, and the runs that wait besides a run.

A run is for one tick of its schedule: its logical date and both ends of its data interval are the tick
(`CronTriggerTimetable`), whatever ``[scheduler] create_cron_data_intervals`` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow.sdk import CronTriggerTimetable, timezone
from airflow.sdk.exceptions import AirflowTimetableInvalid
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable as SchedulersTimetable
from airflow.utils.dates import cron_presets
from croniter import CroniterBadDateError, croniter

PRESETS = tuple(cron_presets)
"""``@daily`` and its like."""
WAITING = ("queued", "running")
"""States of a run that has yet to end."""
DATES_PER_REQUEST = 100
"""Logical dates that are asked about at once; they go into the address of a request."""

# Any moment does: an expression fires after it, or never.
_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)
# Jenkins's random and hashed fields, which croniter knows: a schedule would be another at every parse.
_RANDOM_FIELD = re.compile(r"[HR](\(.*)?(/.*)?", re.IGNORECASE)


@cache
def check_schedule(schedule: str) -> None:
    """Whether Airflow's scheduler can work with a cron expression or a preset.

    :raises ValueError: with the reason
    """
    if schedule.startswith("@"):
        if schedule not in PRESETS:
            raise ValueError(f"{schedule!r} is none of the presets {', '.join(PRESETS)}")
        return
    fields = schedule.split()
    if len(fields) not in (5, 6):
        raise ValueError(f"{schedule!r} has {len(fields)} fields in place of five, or six with seconds as the last")
    if any(_RANDOM_FIELD.fullmatch(field) for field in fields):
        raise ValueError(f"{schedule!r} has a random field, which would be another at every parse")
    try:
        CronTriggerTimetable(schedule, timezone="UTC").validate()
        croniter(schedule, _SOME_DAY).get_next()
    except AirflowTimetableInvalid as error:
        raise ValueError(f"{schedule!r} is no cron expression: {error}") from error
    except CroniterBadDateError as error:
        raise ValueError(f"{schedule!r} never comes") from error


@cache
def check_timezone(name: str) -> None:
    """Whether there is a time zone of that name.

    :raises ValueError: with the reason
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone {name!r}") from error


def ticks_after(schedule: str, timezone_name: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """The ticks of a schedule, in their order: later than ``after``, at ``until`` at the latest.

    :param schedule: cron expression or preset, read in the time zone as Airflow's scheduler reads it, which is the
        one that computes them here too
    """
    timetable = SchedulersTimetable(schedule, timezone=timezone_name)
    restriction = TimeRestriction(earliest=None, latest=timezone.coerce_datetime(until), catchup=True)
    last = DataInterval.exact(timezone.coerce_datetime(after))
    while info := timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction):
        last = DataInterval.exact(info.run_after)
        yield info.run_after


class RunCounter(Protocol):
    """What a task instance in its context can tell of the runs of a Dag."""

    @staticmethod
    def get_dr_count(
        dag_id: str,
        logical_dates: list[datetime] | None = None,
        run_ids: list[str] | None = None,
        states: list[str] | None = None,
    ) -> int: ...


def is_newest_waiting_run(context: Mapping[str, Any], *, now: datetime, states: Sequence[str] = WAITING) -> bool:
    """Whether no run of the same Dag for a later tick is in one of the states.

    A backfill runs ten of its runs at the same time unless it is told otherwise, and may run them backwards: their
    logical dates tell which is the newest, and neither their number nor the order in which they start.

    :param context: of a task; a run without a logical date, or of a Dag without a schedule, is the newest
    :param now: no run is for a later tick
    """
    timetable, logical_date = context["dag"].timetable, context.get("logical_date")
    if logical_date is None or not isinstance(timetable, CronTriggerTimetable):
        return True
    counter: RunCounter = context["ti"]
    dag_id = context["dag"].dag_id
    if counter.get_dr_count(dag_id=dag_id, states=list(states)) <= 1:
        # No more than this run itself.
        return True
    ticks = ticks_after(timetable.expression, str(timetable.timezone), logical_date, now)
    while dates := list(islice(ticks, DATES_PER_REQUEST)):
        if counter.get_dr_count(dag_id=dag_id, logical_dates=dates, states=list(states)):
            return False
    return True
