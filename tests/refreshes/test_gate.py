"""The gate before the first write: what is risky fails or waits for a person, as `approval` says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.standard.exceptions import HITLTimeoutError
from airflow.sdk import TriggerRule

from include.custom_labels.risks import Risk
from include.object_store.registration_journal import Journal
from include.pipelines.gates import asks
from tests.refreshes.imports import Import, Imports, refused
from tests.refreshes.people import People

pytestmark = pytest.mark.integration


def waits(run: Import) -> bool:
    """Whether the run waits for a person, now that it is planned."""
    return asks(run.run, run.plan, run.gate)


@pytest.mark.parametrize(
    ("approval", "nothing", "no_risk", "risks"),
    [("on_risk", False, False, True), ("always", False, True, True)],
)
def test_who_waits_for_a_person(
    registered: Imports, people: People, approval: str, nothing: bool, no_risk: bool, risks: bool
) -> None:
    assert waits(registered.begin(approval=approval).plan_it()) == nothing
    people.put("echo/new.png")
    assert waits(registered.begin(approval=approval).plan_it()) == no_risk
    people.put("spot/new.png")
    run = registered.begin(approval=approval).plan_it()
    assert (run.risks, waits(run)) == ({Risk.NEW_LABELS: 1}, risks)


def test_a_run_that_may_ask_nobody_goes_on_or_fails_before_any_write(registered: Imports, people: People) -> None:
    people.put("echo/new.png")
    assert registered.run(approval="never").action == "update"
    people.put("spot/new.png")
    run = registered.begin(approval="never")
    before = people.place.workspace_keys(), people.entries()
    with refused("RISKS_FOUND") as caught:
        run.plan_it()
    assert caught.value.details["risks"] == [Risk.NEW_LABELS]
    written = {key for key in people.place.workspace_keys() if "/staging/" not in key}
    assert (written, people.entries()) == ({key for key in before[0] if "/staging/" not in key}, before[1])
    assert run.journal == Journal()
    assert registered.run(approval="never", accept_risks=["NEW_LABELS"]).action == "update"


def test_a_run_that_waits_for_a_person_holds_no_lease(registered: Imports, people: People) -> None:
    people.put("spot/new.png")
    waiting = registered.begin().plan_it()
    assert waits(waiting)
    assert waiting.journal == Journal()
    # Others go on meanwhile, and none of them waits for the person.
    people.delete("spot/new.png")
    people.put("echo/new.png")
    assert registered.run(max_wait_minutes=0).action == "update"


def test_what_would_be_removed_may_not_differ_from_what_was_approved(registered: Imports, people: People) -> None:
    people.delete("dot/0.png")
    registered.run(max_removed_percent=100)
    people.delete("dot/1.png")
    approved = registered.begin(max_removed_percent=100).plan_it()
    # Somebody brings back an image with its entry, and takes the image away again.
    people.put("dot/0.png")
    people.label("dot/0.png", "dot")
    people.delete("dot/0.png")
    before = people.entries()
    with refused("REMOVALS_CHANGED") as caught:
        approved.register()
    assert "plan_registration" in caught.value.next_step
    assert (people.entries(), approved.journal.lease) == (before, None)


@pytest.fixture
def question(airflow_database: None) -> Any:
    """The task that asks."""
    from airflow.dag_processing.dagbag import DagBag

    from tests.fixtures.airflow_database import DAGS

    (dag,) = DagBag(str(DAGS / "import_s3_folder.py")).dags.values()
    return dag.get_task("train.approve")


def test_nobody_answers_within_seven_days(question: Any) -> None:
    assert question.response_timeout == timedelta(days=7)
    assert question.defaults is None
    with pytest.raises(HITLTimeoutError):
        question.execute_complete({}, {"error": "Nobody has answered.", "error_type": "timeout"})
    # What comes after it needs that nothing before has failed.
    registering = question.dag.get_task("train.register")
    assert registering.task_id in question.downstream_task_ids
    assert registering.trigger_rule == TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS
