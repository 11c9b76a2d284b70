"""A registered dataset that somebody deleted by hand: what people did to it is in the ledger."""

from __future__ import annotations

import pytest

from include.custom_labels.risks import Risk
from tests.fixtures.existing_datasets import image_level
from tests.refreshes.imports import FOLDER, DeathError, Import, Imports, before_a_write, die, refused, right_after
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


def departures(done: Import) -> tuple[int, int, int, int]:
    """Images that left the dataset: as the ledger, the summary and the risks about shares and about work say."""
    told = done.screen["departures"]["removed"]
    return done.states.get("removed", 0), told, done.merged.removed.count, done.risks.get(Risk.WORK_REMOVED, 0)


def test_what_left_with_a_dataset_that_a_dead_run_deleted_is_told_of(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "echo", left=7)
    people.delete("dot/0.png")
    run = registered.begin().plan_it()
    with before_a_write(die, "create"), pytest.raises(DeathError):
        run.register()
    run.end("failed")
    people.delete("echo/0.png")
    done = registered.run()
    assert departures(done) == (2, 2, 2, 1)
    assert done.risks == {Risk.REGISTERED_DATASET_GONE: 1, Risk.REMOVED_SHARE: 2, Risk.WORK_REMOVED: 1}
    assert b'"left":7' in done.entries_before


def test_what_left_with_a_dataset_that_was_deleted_by_hand_is_told_of_once(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "echo", left=7)
    registered.run()
    people.delete("echo/0.png", "dot/0.png")
    people.delete_dataset()
    done = registered.run()
    assert departures(done) == (2, 2, 2, 1)
    assert done.reasons[f"{FOLDER}echo/0.png"] == done.reasons[f"{FOLDER}dot/0.png"] == "removed REMOVED_AT_SOURCE"
    people.delete_dataset()
    again = registered.run()
    assert departures(again) == (0, 0, 0, 0)
    assert (again.states, again.screen["departures"]["kept_aside"]) == ({"registered": 6, "aside": 1}, 1)


def test_boxes_that_do_not_fit_are_asked_about_when_the_dataset_is_created_anew(
    registered: Imports, people: People
) -> None:
    people.draw("echo/0.png", "echo", left=7)
    registered.run()
    people.put("echo/0.png", size=(80, 80))
    people.delete_dataset()
    done = registered.run()
    assert done.reasons[f"{FOLDER}echo/0.png"] == "quarantined BOXES_DO_NOT_FIT"
    assert (done.merged.removed.count, done.risks[Risk.WORK_REMOVED]) == (1, 1)
    assert Risk.WORK_REMOVED not in registered.run().risks


def test_work_that_gives_way_in_a_dataset_that_is_created_anew_is_in_the_snapshot(
    registered: Imports, people: People
) -> None:
    people.draw("echo/0.png", "echo", left=7)
    registered.run()
    people.delete_dataset()
    done = registered.run(human_edits="overwrite")
    assert (done.action, done.risks[Risk.WORK_OVERWRITTEN], people.boxes("echo/0.png")) == ("create", 1, [])
    assert done.reasons[f"{FOLDER}echo/0.png"] == "registered OVERWRITTEN_DATASET_ENTRY"
    assert b'"left":7' in done.entries_before


def test_work_kept_aside_that_gives_way_to_the_source_is_in_the_snapshot(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "echo", left=7)
    body = people.body("echo/0.png")
    people.delete("echo/0.png")
    registered.run()
    people.put_body("echo/0.png", body)
    done = registered.run(human_edits="overwrite")
    assert (done.action, done.risks[Risk.WORK_OVERWRITTEN], people.boxes("echo/0.png")) == ("update", 1, [])
    assert b'"left":7' in done.entries_before


def test_what_was_held_in_a_deleted_dataset_counts_as_removed(registered: Imports, people: People) -> None:
    people.delete("dot/0.png", "dot/1.png", "dot/2.png")
    registered.run(removals="hold")
    people.delete_dataset()
    done = registered.run()
    assert (done.merged.removed.count, done.states["removed"], done.risks[Risk.REMOVED_SHARE]) == (3, 3, 3)


def test_what_was_damaged_in_a_deleted_dataset_counts_as_removed_once_it_is_gone(
    registered: Imports, people: People
) -> None:
    people.put_body("dot/0.png", b"no picture")
    registered.run()
    people.delete("dot/0.png")
    people.delete_dataset()
    assert registered.run().merged.removed.count == 1


def test_work_on_an_image_at_fault_is_aside_until_it_can_be_sent(registered: Imports, people: People) -> None:
    """Rekognition would refuse the whole update, again and again."""
    people.draw("echo/0.png", "echo", left=7)
    body = people.body("echo/0.png")
    people.delete("dot/0.png")
    run = registered.begin(max_removed_percent=100).plan_it()
    with right_after(run.run.rekognition.conn, "CreateDataset", die), pytest.raises(DeathError):
        run.register()
    run.end("failed")
    people.place.wait_until_ready(str(people.place.dataset_arn()))
    people.delete_dataset()
    people.create_dataset(*(image_level(people.ref(f"echo/{number}.png"), "echo") for number in (1, 2, 3)))
    people.put_body("echo/0.png", b"no picture")
    done = registered.run(max_removed_percent=100)
    assert b'"left":7' in (done.rows[f"{FOLDER}echo/0.png"].entry or b"")
    people.put_body("echo/0.png", body)
    registered.run()
    assert people.boxes("echo/0.png") == [7]
