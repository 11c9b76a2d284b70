"""A person works on the dataset while a run registers it: nothing of theirs is overwritten unseen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from include.custom_labels.update_batches import plan_batches
from include.object_store.registration_journal import Journal, Registration
from include.pipelines import registration, registration_work
from include.pipelines.registration import Plan
from include.pipelines.registration_work import RegistrationWork
from include.pipelines.runs import ImportRun
from include.pipelines.verification import Verified, verify
from tests.fixtures.existing_datasets import boxed
from tests.refreshes.imports import (
    FOLDER,
    DeathError,
    Import,
    Imports,
    before_a_write,
    die,
    edited_before_verification,
    refused,
    right_before,
)
from tests.refreshes.people import People
from tests.rekognition.scripted_service import Refusal

pytestmark = pytest.mark.integration

IMAGE = "echo/0.png"
ALIAS = {"echo": "Echo"}


def assert_kept(done: Import, people: People) -> None:
    """The person's box is in the dataset, the ledger says whose it is, and the next run agrees."""
    assert people.boxes(IMAGE) == [7]
    assert done.reasons[f"{FOLDER}{IMAGE}"] == "registered KEPT_DATASET_ENTRY"
    assert done.journal == Journal()


@pytest.mark.parametrize("case", ["update", "replace"])
def test_an_edit_after_the_plan_and_before_the_first_write_stays(
    registered: Imports, people: People, case: str
) -> None:
    if case == "replace":
        people.delete("dot/0.png")
    with before_a_write(lambda: people.draw(IMAGE, "echo", left=7)):
        done = registered.run(label_aliases=ALIAS)
    assert done.action == case
    assert_kept(done, people)
    assert people.said()["echo/1.png"] == {"Echo"}
    assert_kept(registered.run(label_aliases=ALIAS), people)


def test_an_edit_between_two_batches_stays(
    registered: Imports, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "plan_batches", partial(plan_batches, max_batch_bytes=700))
    done = registered.begin(label_aliases={"dot": "Dot", "echo": "Echo"}).plan_it()
    assert len(done.plan.batch_ends) > 2
    with before_a_write(lambda: people.draw(IMAGE, "echo", left=7), skip=1):
        done.finish()
    assert people.boxes(IMAGE) == [7]
    assert people.said()["dot/0.png"] == {"Dot"}


@pytest.mark.parametrize("case", ["update", "replace"])
def test_an_edit_after_the_last_write_is_a_persons_for_this_run_and_the_next(
    registered: Imports, people: People, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    if case == "replace":
        people.delete("dot/0.png")

    def edit_and_verify(run: ImportRun, plan: Plan, arn: str, **more: Any) -> Verified:
        people.draw(IMAGE, "echo", left=7)
        return verify(run, plan, arn, **more)

    with monkeypatch.context() as patch:
        patch.setattr(registration_work, "verify", edit_and_verify)
        done = registered.run(label_aliases=ALIAS)
    assert_kept(done, people)
    assert_kept(registered.run(label_aliases={"echo": "ECHO"}), people)


def test_an_edit_that_gets_in_right_before_a_batch_is_not_taken_for_the_batch(
    registered: Imports, people: People
) -> None:
    """The service refuses our request, since theirs is under way; which is over by the time that it is looked at."""
    run = registered.begin(label_aliases=ALIAS).plan_it()

    def refuse() -> AWSResponse:
        people.draw(IMAGE, "echo", left=7)
        return Refusal("ResourceInUseException").response()

    with right_before(run.run.rekognition.conn, "UpdateDatasetEntries", refuse):
        run.finish()
    assert_kept(run, people)
    assert people.said()["echo/1.png"] == {"Echo"}
    assert run.merged.totals["kept"] == 1


def test_an_edit_after_a_worker_died_is_not_taken_for_the_batch_that_it_did_not_send(
    registered: Imports, people: People
) -> None:
    run = registered.begin(label_aliases=ALIAS).plan_it()
    with before_a_write(die), pytest.raises(DeathError):
        run.register()
    people.draw(IMAGE, "echo", left=7)
    run.finish()
    assert_kept(run, people)
    assert people.said()["echo/1.png"] == {"Echo"}
    assert run.states == {"registered": 8}
    assert run.merged.totals["kept"] == 1


def test_a_run_does_not_overwrite_somebody_who_edits_all_the_time(
    registered: Imports, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    fence = RegistrationWork._fence

    def edit_first(work: RegistrationWork, registration: Registration) -> None:
        people.label(IMAGE, "speaker")
        fence(work, registration)

    run = registered.begin(label_aliases=ALIAS, max_wait_minutes=0).plan_it()
    with monkeypatch.context() as patch, refused("DATASET_BUSY"):
        patch.setattr(RegistrationWork, "_fence", edit_first)
        run.register()
    assert people.said()[IMAGE] == {"speaker"}
    assert people.said()["echo/1.png"] == {"echo"}
    assert run.journal.lease is None


def test_a_run_waits_for_an_update_that_is_under_way(registered: Imports, people: People) -> None:
    run = registered.begin(label_aliases=ALIAS)
    theirs = boxed(people.ref(IMAGE), "echo", left=7)
    with right_before(run.run.rekognition.conn, "DescribeProjects", lambda: people.send(theirs, waits=False)):
        run.plan_it()
    assert run.plan.totals["kept"] == 1
    assert_kept(run.finish(), people)


def test_work_that_a_person_does_on_an_image_that_goes_is_kept_aside(registered: Imports, people: People) -> None:
    """What would be removed is the same as what was approved; the work on it is new."""
    exclude = ["echo/0.png"]
    with before_a_write(lambda: people.draw(IMAGE, "echo", left=7)):
        done = registered.run(exclude=exclude)
    assert b'"left":7' in (done.rows[f"{FOLDER}{IMAGE}"].entry or b"")
    registered.run()
    assert people.boxes(IMAGE) == [7]


def test_an_entry_that_a_person_sets_back_to_the_source_meanwhile_is_theirs(
    registered: Imports, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what was sent once, and this run has sent nothing for it."""
    people.label(IMAGE, "speaker")
    registered.run()
    people.put("echo/new.png")
    run = registered.begin().plan_it()
    with edited_before_verification(monkeypatch, lambda: people.label(IMAGE, "echo")):
        run.finish()
    assert people.said()[IMAGE] == {"echo"}
    assert run.reasons[f"{FOLDER}{IMAGE}"] == "registered KEPT_DATASET_ENTRY"


def repaired(people: People, body: bytes) -> Callable[[], None]:
    """Somebody puts the picture back, which may be as it was all the time, and labels it."""

    def act() -> None:
        people.put_body(IMAGE, body)
        people.label(IMAGE, "speaker")

    return act


def test_an_edit_of_an_image_at_fault_is_not_taken_for_work_aside(
    registered: Imports, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = people.body(IMAGE)
    people.put_body(IMAGE, b"no picture")
    people.put("echo/new.png")
    run = registered.begin().plan_it()
    with edited_before_verification(monkeypatch, repaired(people, body)):
        run.finish()
    people.label(IMAGE, "echo")
    registered.run()
    assert people.said()[IMAGE] == {"echo"}


@pytest.mark.parametrize("case", ["damaged", "excluded"])
def test_work_aside_outlives_an_edit_of_another_imports_entry_meanwhile(
    registered: Imports, people: People, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    people.draw(IMAGE, "echo", left=7)
    body = people.body(IMAGE)
    people.delete(IMAGE)
    registered.run()
    people.put_body(IMAGE, body)
    registered.run(s3_folder=f"s3://{people.place.images}/")
    if case == "damaged":
        people.put_body(IMAGE, b"no picture")
    people.put("echo/new.png")
    run = registered.begin(exclude=[IMAGE] if case == "excluded" else []).plan_it()
    with edited_before_verification(monkeypatch, repaired(people, body)):
        run.finish()
    assert b'"left":7' in (run.rows[f"{FOLDER}{IMAGE}"].entry or b"")
    later = registered.run()
    assert people.said()[IMAGE] == {"speaker"}
    assert b'"left":7' in later.entries_before
