"""A registered dataset that somebody deleted by hand: what people did to it is in the ledger."""

from __future__ import annotations

import pytest

from include.custom_labels.risks import Risk
from tests.fixtures.existing_datasets import image_level
from tests.refreshes.imports import FOLDER, Imports, refused
from tests.refreshes.people import People

pytestmark = pytest.mark.integration


def test_a_kept_edit_comes_back_with_the_dataset_and_somebody_is_asked(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "echo", left=7)
    registered.run()
    people.delete_dataset()
    with refused("RISKS_FOUND") as caught:
        registered.run(approval="never")
    assert caught.value.details["risks"] == [Risk.REGISTERED_DATASET_GONE]
    done = registered.run()
    assert (done.action, done.risks) == ("create", {Risk.REGISTERED_DATASET_GONE: 1})
    assert people.boxes("echo/0.png") == [7]
    assert len(people.said()) == 8


def test_work_on_an_image_that_went_with_the_dataset_is_kept_aside(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "echo", left=7)
    registered.run()
    body = people.body("echo/0.png")
    people.delete("echo/0.png")
    people.delete_dataset()
    gone = registered.run()
    assert gone.rows[f"{FOLDER}echo/0.png"].entry
    people.put_body("echo/0.png", body)
    registered.run()
    assert people.boxes("echo/0.png") == [7]


def test_kept_edits_come_back_to_a_dataset_that_somebody_made_anew(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "echo", left=7)
    registered.run()
    people.delete_dataset()
    people.create_dataset(image_level(people.ref("dot/0.png"), "polka dot"))
    registered.run()
    assert people.boxes("echo/0.png") == [7]
    assert people.said()["dot/0.png"] == {"polka dot"}
    assert len(people.said()) == 8


def test_a_dataset_whose_creation_once_failed_is_made_again_with_kept_edits(
    registered: Imports, people: People
) -> None:
    people.draw("echo/0.png", "echo", left=7)
    registered.run()
    people.delete_dataset()
    people.place.aws.faults("CreateDataset", "fail", message="Try again.", code="SERVICE_ERROR")
    with pytest.raises(Exception, match=r"Try again"):
        registered.run()
    registered.run()
    assert people.boxes("echo/0.png") == [7]


def test_a_dataset_that_is_deleted_after_the_plan_is_not_made_anew_unasked(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "echo", left=7)
    registered.run()
    run = registered.begin(label_aliases={"dot": "Dot"}).plan_it()
    people.delete_dataset()
    with refused("DATASET_VANISHED"):
        run.register()
    assert people.place.dataset_arn() is None
    run.end("failed")
    assert Risk.REGISTERED_DATASET_GONE in registered.run().risks
    assert people.boxes("echo/0.png") == [7]
