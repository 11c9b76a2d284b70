"""Tasks that die after a write: the next try, or the next run, finds what was done and makes good what was not."""

from __future__ import annotations

from typing import Any

import pytest

from include.object_store.registration_journal import Journal
from include.pipelines import publication
from tests.fixtures.places import end_of_second
from tests.refreshes.imports import Imports
from tests.refreshes.people import People

pytestmark = pytest.mark.integration

ALIAS = {"echo": "Echo"}


class KilledError(Exception):
    """A worker dies."""


def killed(*_: Any) -> None:
    raise KilledError


@pytest.mark.parametrize("death", ["_release", "_send_event"])
def test_a_second_try_sends_the_event_that_the_first_could_not_send(
    registered: Imports, monkeypatch: pytest.MonkeyPatch, death: str
) -> None:
    run = registered.begin(label_aliases=ALIAS).plan_it().register()
    with monkeypatch.context() as patch:
        patch.setattr(publication, death, killed)
        with pytest.raises(KilledError):
            run.publish()
    assert not run.events
    run.publish().summarize()
    assert (run.changed, len(run.events)) == (True, 1)
    assert run.journal == Journal()
    assert not registered.run(label_aliases=ALIAS).changed


def test_the_next_run_sends_the_event_of_a_run_that_died(registered: Imports, monkeypatch: pytest.MonkeyPatch) -> None:
    run = registered.begin(label_aliases=ALIAS).plan_it().register()
    with monkeypatch.context() as patch:
        patch.setattr(publication, "_send_event", killed)
        with pytest.raises(KilledError):
            run.publish()
    run.end("failed")
    done = registered.run(label_aliases=ALIAS)
    assert (done.action, done.changed) == ("unchanged", True)
    assert not registered.run(label_aliases=ALIAS).changed


def test_an_event_that_may_have_been_sent_is_sent_once_more(registered: Imports) -> None:
    """The run dies before *summarize*: nobody knows whether Airflow has taken the event."""
    run = registered.begin(label_aliases=ALIAS).plan_it().register().publish().end("failed")
    assert run.changed
    assert registered.run(label_aliases=ALIAS).changed
    assert not registered.run(label_aliases=ALIAS).changed


def test_a_run_that_dies_before_its_snapshot_is_finished_by_the_next(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "echo", left=7)
    registered.begin(label_aliases=ALIAS).plan_it().register().end("failed")
    done = registered.run()
    assert people.boxes("echo/0.png") == [7]
    assert people.said()["echo/1.png"] == {"echo"}
    assert done.merged.totals == {"changed": 3, "kept": 1, "same": 4}
    assert done.journal == Journal()


def test_nothing_that_unfinished_runs_have_sent_is_forgotten(imports: Imports, people: People) -> None:
    people.put("echo/0.png", "echo/1.png")
    imports.run()
    people.draw("echo/1.png", "echo", left=7)
    for number in range(11):
        imports.begin(label_aliases={"echo": f"echo {number}"}).plan_it().register().end("failed")
    done = imports.run(label_aliases={"echo": "echo 0"})
    assert done.merged.totals == {"changed": 1, "kept": 1}
    assert people.said()["echo/0.png"] == {"echo 0"}
    assert people.boxes("echo/1.png") == [7]


def test_a_damaged_snapshot_that_no_registration_builds_on_is_passed_over(
    registered: Imports, people: People, caplog: pytest.LogCaptureFixture
) -> None:
    # The dry run's snapshot is the last one before the next run: neither has the second of another.
    end_of_second()
    dry = registered.run(register=False)
    end_of_second()
    folder = dry.run.dataset.snapshot(dry.published["snapshot_id"])
    people.place.s3.put_object(Bucket=folder.ledger.bucket, Key=folder.ledger.key, Body=b"PAR1")
    people.put("echo/new.png")
    done = registered.run()
    assert (done.action, len(people.said())) == ("update", 9)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any("passed over" in warning and str(folder.ledger) in warning for warning in warnings), warnings
