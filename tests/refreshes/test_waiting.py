"""A run that has to wait takes no worker for it, looks again, and gives up when its time is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk.exceptions import TaskDeferred

from include.gallery.save_lease import HOLDER, LEASE
from include.object_store.holders import Holder
from include.object_store.registration_journal import HeldJournal, Journal
from include.pipelines import waiting
from include.pipelines.registration_tasks import PlanRegistrationOperator, RegisterDatasetOperator
from include.rekognition.triggers import RekognitionDatasetUpdatedTrigger
from tests.refreshes.imports import DeathError, Import, Imports, before_a_write, die, refused
from tests.refreshes.people import People

pytestmark = pytest.mark.integration


class Clock:
    """Time that passes while tasks wait, a minute at each wait.

    :ivar waits: what happens at the end of each wait, in their order; nothing once they are over
    """

    def __init__(self) -> None:
        self.minutes = 0
        self.waits: list[Callable[[], object]] = []
        self._started = datetime.now(UTC)

    def sleep(self, _: float) -> None:
        self.minutes += 1
        if self.waits:
            self.waits.pop(0)()

    def now(self) -> datetime:
        return self._started + timedelta(minutes=self.minutes)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(waiting, "time", SimpleNamespace(sleep=clock.sleep, monotonic=time.monotonic))
    monkeypatch.setattr(waiting, "utc_now", clock.now)
    return clock


@pytest.fixture
def held(registered: Imports, people: People) -> Import:
    """A run that holds the lease, and has not written anything yet."""
    people.put("dot/held.png")
    run = registered.begin().plan_it()
    with before_a_write(die), pytest.raises(DeathError):
        run.register()
    assert run.journal.lease
    return run


def test_a_run_waits_for_as_long_as_it_may(registered: Imports, people: People, held: Import, clock: Clock) -> None:
    with refused("DATASET_LEASED"):
        registered.run(max_wait_minutes=7)
    assert clock.minutes == 7
    assert "dot/held.png" not in people.said()


def test_a_run_goes_on_once_the_other_has_ended(
    registered: Imports, people: People, held: Import, clock: Clock
) -> None:
    clock.waits = [lambda: None, lambda: held.end("failed")]
    done = registered.run(max_wait_minutes=7)
    assert (clock.minutes, done.journal) == (2, Journal())
    assert people.said()["dot/held.png"] == {"dot"}


def test_a_run_waits_for_a_save_of_the_gallery(registered: Imports, people: People, clock: Clock) -> None:
    """A save holds the same lease as a run, for a shorter time."""
    people.put("dot/new.png")
    run = registered.begin(max_wait_minutes=7).plan_it()
    save = HeldJournal.take(
        run.run.s3,
        run.run.dataset,
        Holder(HOLDER, "20261124T180000Z-0123456789abcdef"),
        now=datetime.now(UTC),
        has_ended=lambda _: False,
        lease=LEASE,
    )

    def saves() -> None:
        people.draw("echo/0.png", "echo", left=7)
        save.release()

    clock.waits = [saves]
    run.finish()
    assert clock.minutes == 1
    assert people.boxes("echo/0.png") == [7]
    assert people.said()["dot/new.png"] == {"dot"}


def deferred(run: Import, operator: Callable[..., Any], **inputs: Any) -> TaskDeferred:
    """How a task of the run waits in Airflow."""
    task = operator(
        task_id="task", run=run.run.to_json(), built=run.built, provenance=run.provenance, waiter_delay=1, **inputs
    )
    with run._context(), pytest.raises(TaskDeferred) as caught:
        task.execute(run.context)
    return caught.value


def test_a_run_that_waits_for_a_lease_takes_no_worker(registered: Imports, held: Import) -> None:
    run = registered.begin().plan_it()
    waits = deferred(run, RegisterDatasetOperator, plan=run.planned)
    assert isinstance(waits.trigger, TimeDeltaTrigger)
    # All that is handed on is since when it has waited.
    assert waits.kwargs is not None
    assert waits.kwargs.keys() == {"since"}


def test_a_run_that_waits_for_an_operation_takes_no_worker(
    registered: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_ON_THE_WORKER_S", 0)
    run = registered.begin()
    with under_way(run.run.rekognition.conn):
        waits = deferred(run, PlanRegistrationOperator)
    assert isinstance(waits.trigger, RekognitionDatasetUpdatedTrigger)


@contextmanager
def under_way(client: Any) -> Iterator[None]:
    """Rekognition says of each dataset that an update is under way; a real one may be over before it is looked at."""

    def say_so(parsed: dict[str, Any], **_: Any) -> None:
        listed = [each for project in parsed.get("ProjectDescriptions", ()) for each in project["Datasets"]]
        for dataset in (*listed, parsed.get("DatasetDescription", {})):
            dataset["Status"] = "UPDATE_IN_PROGRESS"

    client.meta.events.register("after-call.rekognition", say_so)
    try:
        yield
    finally:
        client.meta.events.unregister("after-call.rekognition", say_so)


def test_a_run_that_waits_for_people_who_go_on_editing_takes_no_worker(registered: Imports, people: People) -> None:
    people.put("dot/new.png")
    run = registered.begin().plan_it()
    with before_a_write(lambda: people.draw("echo/0.png", "echo", left=7)):
        waits = deferred(run, RegisterDatasetOperator, plan=run.planned)
    assert isinstance(waits.trigger, TimeDeltaTrigger)
    run.finish()
    assert people.boxes("echo/0.png") == [7]
    assert people.said()["dot/new.png"] == {"dot"}
