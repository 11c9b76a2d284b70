"""Schedules that Airflow can work with, their ticks, and which of the waiting runs is the newest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import CronTriggerTimetable
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from include.pipelines.schedules import check_schedule, check_timezone, is_newest_waiting_run, ticks_after


@pytest.mark.parametrize(
    "schedule", ["0 3 * * *", "*/15 8-17 * * mon-fri", "0 0 29 2 *", "0 0 L * *", "* * * * * */10", "@daily", "@yearly"]
)
def test_schedules(schedule: str) -> None:
    check_schedule(schedule)


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ("", "0 fields"),
        ("0 3 * *", "4 fields"),
        ("0 3 * * * 0 2027", "7 fields"),
        ("60 * * * *", "is no cron expression"),
        ("0 3 * 13 *", "is no cron expression"),
        ("a b c d e", "is no cron expression"),
        ("0 0 30 2 *", "never comes"),
        ("H 3 * * *", "has a random field"),
        ("R(0-5) 3 * * *", "has a random field"),
        ("@once", "is none of the presets @hourly, @daily"),
        ("@continuous", "is none of the presets"),
        ("@midnight", "is none of the presets"),
    ],
)
def test_what_is_no_schedule(schedule: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_schedule(schedule)


def test_time_zones() -> None:
    check_timezone("Europe/Berlin")
    for name in ("", "Europe", "Europe/Berln", "../etc/passwd", "/etc/passwd"):
        with pytest.raises(ValueError, match="there is no time zone"):
            check_timezone(name)


def utc(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("schedule", "timezone", "after", "until", "ticks"),
    [
        ("0 3 * * *", "UTC", (2026, 11, 1, 3), (2026, 11, 3, 3), [(2026, 11, 2, 3), (2026, 11, 3, 3)]),
        ("0 3 * * *", "UTC", (2026, 11, 1, 2, 59), (2026, 11, 2, 2, 59), [(2026, 11, 1, 3)]),
        ("@daily", "UTC", (2026, 11, 1), (2026, 11, 2), [(2026, 11, 2)]),
        ("@daily", "UTC", (2026, 11, 2), (2026, 11, 1), []),
        ("0 3 * * * */30", "UTC", (2026, 11, 1, 3), (2026, 11, 1, 4), [(2026, 11, 1, 3, 0, 30)]),
        # Berlin's clocks go back on 25 October 2026: the same hour of the day is another hour in UTC.
        ("0 3 * * *", "Europe/Berlin", (2026, 10, 24), (2026, 10, 26), [(2026, 10, 24, 1), (2026, 10, 25, 2)]),
        # What runs every hour runs in both of the hours from 2 to 3.
        ("0 * * * *", "Europe/Berlin", (2026, 10, 24, 23), (2026, 10, 25, 1), [(2026, 10, 25), (2026, 10, 25, 1)]),
    ],
)
def test_ticks(
    schedule: str, timezone: str, after: tuple[int, ...], until: tuple[int, ...], ticks: list[tuple[int, ...]]
) -> None:
    assert list(ticks_after(schedule, timezone, utc(*after), utc(*until))) == [utc(*tick) for tick in ticks]


class Runs:
    """The runs of a Dag, asked as a task asks; Airflow's own signature is checked below."""

    def __init__(self, *waiting: datetime | None) -> None:
        self._waiting = waiting
        self.asked: list[list[datetime] | None] = []

    def get_dr_count(
        self,
        dag_id: str,
        logical_dates: list[datetime] | None = None,
        run_ids: list[str] | None = None,
        states: list[str] | None = None,
    ) -> int:
        assert (dag_id, run_ids, states) == ("refresh_example", None, ["queued", "running"])
        self.asked.append(logical_dates)
        return sum(logical_dates is None or date in logical_dates for date in self._waiting)


def newest(runs: Runs, logical_date: datetime | None, schedule: str | None = "0 3 * * *") -> bool:
    timetable = CronTriggerTimetable(schedule, timezone="UTC") if schedule else object()
    context: dict[str, Any] = {"ti": runs, "dag": SimpleNamespace(dag_id="refresh_example", timetable=timetable)}
    if logical_date:
        context["logical_date"] = logical_date
    return is_newest_waiting_run(context, now=utc(2026, 11, 24))


DAY = utc(2026, 1, 1, 3)


def test_the_signature_is_airflows() -> None:
    import inspect

    ours = inspect.signature(Runs().get_dr_count)
    assert [*ours.parameters] == [*inspect.signature(RuntimeTaskInstance.get_dr_count).parameters]


def test_a_run_that_waits_alone_is_the_newest_at_the_price_of_one_question() -> None:
    runs = Runs(DAY)
    assert newest(runs, DAY)
    assert runs.asked == [None]


def test_runs_for_earlier_ticks_do_not_count() -> None:
    runs = Runs(DAY, DAY - timedelta(days=1), DAY - timedelta(days=2))
    assert newest(runs, DAY)
    dates = [date for asked in runs.asked[1:] for date in asked or []]
    assert (dates[0], dates[-1]) == (DAY + timedelta(days=1), utc(2026, 11, 23, 3))
    assert [len(asked or []) for asked in runs.asked[1:]] == [100, 100, 100, 26]


@pytest.mark.parametrize(("days", "questions"), [(1, 2), (100, 2), (101, 3), (300, 4)])
def test_a_run_for_a_later_tick_ends_the_search(days: int, questions: int) -> None:
    runs = Runs(DAY, DAY + timedelta(days=days))
    assert not newest(runs, DAY)
    assert len(runs.asked) == questions


def test_runs_without_a_tick_are_the_newest() -> None:
    runs = Runs(None, None, DAY)
    assert newest(runs, None)
    assert newest(runs, DAY, schedule=None)
    assert runs.asked == []
