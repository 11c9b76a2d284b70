"""Who works on a dataset: a run waits for others, and not for those that have ended."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from include.object_store.registration_journal import Journal
from include.pipelines import waiting
from tests.refreshes.imports import DeathError, Import, Imports, before_a_write, die, refused
from tests.refreshes.people import People

pytestmark = pytest.mark.integration


@pytest.fixture
def killed(registered: Imports, people: People) -> Import:
    """A run that holds the lease, and whose worker has died before its deletion of the dataset."""
    people.draw("echo/0.png", "echo", left=7)
    people.delete("dot/0.png")
    run = registered.begin().plan_it()
    with before_a_write(die), pytest.raises(DeathError):
        run.register()
    assert run.journal.lease
    return run


def test_a_run_that_was_deleted_in_airflow_has_ended(registered: Imports, people: People, killed: Import) -> None:
    del registered.airflow.states[killed.run.holder.run_id]
    done = registered.run(max_wait_minutes=0)
    assert done.journal == Journal()
    assert people.boxes("echo/0.png") == [7]
    assert len(people.said()) == 7


def test_a_run_of_another_airflow_is_waited_for(
    registered: Imports, killed: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    del registered.airflow.states[killed.run.holder.run_id]
    monkeypatch.setenv("AIRFLOW_VAR_CUSTOM_LABELS_AIRFLOW_ID", "another-airflow")
    with refused("DATASET_LEASED") as caught:
        registered.run(max_wait_minutes=0)
    assert caught.value.details["holder"]["run_id"] == killed.run.holder.run_id


def test_a_run_that_still_runs_is_waited_for(registered: Imports, people: People, killed: Import) -> None:
    with refused("DATASET_LEASED"):
        registered.run(max_wait_minutes=0)
    assert len(people.said()) == 8
    # Airflow tries the killed task again.
    killed.register().publish().summarize()
    assert len(people.said()) == 7
    assert registered.run().action == "unchanged"


def test_a_run_that_waited_plans_again_with_what_was_done_meanwhile(
    registered: Imports, people: People, killed: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end_of_the_wait(_: Any) -> None:
        killed.register().publish().summarize()
        people.label("echo/1.png", "speaker")

    monkeypatch.setattr(waiting, "time", SimpleNamespace(sleep=end_of_the_wait, monotonic=time.monotonic))
    waited = registered.run(label_aliases={"dot": "Dot"})
    assert people.said()["echo/1.png"] == {"speaker"}
    assert people.said()["dot/1.png"] == {"Dot"}
    assert people.boxes("echo/0.png") == [7]
    assert waited.journal == Journal()


def test_a_run_that_fails_for_good_leaves_the_lease_to_others(registered: Imports, people: People) -> None:
    people.place.aws.faults("UpdateDatasetEntries", "fail", message="The label is refused.", code="CLIENT_ERROR")
    run = registered.begin(label_aliases={"echo": "Echo"}).plan_it()
    with pytest.raises(Exception, match=r"The label is refused"):
        run.register()
    assert run.journal.lease is None
    done = registered.run(max_wait_minutes=0)
    assert people.said()["echo/0.png"] == {"echo"}
    assert done.journal == Journal()
