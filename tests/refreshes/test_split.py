"""Both datasets of a project from one import: work stays with its image on the side where that is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.custom_labels.reasons import Reason
from include.custom_labels.risks import Risk
from tests.refreshes.imports import FOLDER, DeathError, Imports, before_a_write, die, refused
from tests.refreshes.people import People

pytestmark = pytest.mark.integration

NAMES = [f"{label}/{number}.png" for label in ("echo", "dot") for number in range(4)]


@pytest.fixture
def folder(imports: Imports, people: People) -> Imports:
    people.put(*NAMES)
    return imports


def test_why_a_test_dataset_gets_no_image_is_said_where_people_look(folder: Imports, people: People) -> None:
    """All images are known as training images, and none of them ever changes sides."""
    folder.run()
    done = folder.split()
    assert done.keys() == {"train"}
    assert people.place.dataset_arn("TEST") is None
    assert (
        "all 8 images were in the training dataset before"
        in people.place.read(done["train"].published["report_uri"]).decode()
    )
    assert done["train"].screen["findings"] == {"WARNING_EMPTY_SIDE": 1}


def test_sides_stay_where_a_run_is_repeated_for_its_time(folder: Imports, people: People) -> None:
    """As after *clear*: its first try has registered both datasets."""
    tick = datetime.now(UTC).replace(microsecond=0)
    folder.split(tick=tick, test_share=0.5)
    tested = people.said("test").keys()
    done = folder.split(tick=tick)
    assert people.said("test").keys() == tested
    assert {each.action for each in done.values()} == {"unchanged"}


def test_sides_stay_after_another_folder_was_split(folder: Imports, people: People) -> None:
    folder.split()
    tested = people.said("test").keys()
    people.place.put(*(f"birds/{label}/{number}.png" for label in ("kite", "owl") for number in range(2)))
    folder.split(s3_folder=f"s3://{people.place.images}/birds")
    people.put(*(f"{label}/more-{number}.png" for label in ("echo", "dot") for number in range(8)))
    done = folder.split()
    assert tested <= people.said("test").keys()
    assert done["test"].merged.removed.count == done["train"].merged.removed.count == 0


def test_a_dry_run_with_another_share_binds_nobody(folder: Imports, people: People) -> None:
    tick = datetime.now(UTC).replace(microsecond=0)
    folder.split(register=False, test_share=0.5, tick=tick)
    folder.split(test_share=0.25, tick=tick + timedelta(seconds=10))
    assert len(people.said("test")) == 2


def test_a_renamed_test_image_keeps_a_persons_box(folder: Imports, people: People) -> None:
    folder.split()
    (tested, *_) = sorted(people.said("test"))
    people.label(tested, "speaker", dataset_type="test")
    people.move({tested: "echo/renamed.png"})
    done = folder.split()
    assert people.said("test")["echo/renamed.png"] == {"speaker"}
    assert tested not in people.said("test")
    assert (done["test"].merged.moved, done["test"].merged.work_removed.count) == (1, 0)
    assert done["train"].action == "unchanged"


@pytest.mark.parametrize("case", ["gone", "excluded"])
def test_all_test_images_leave_a_split_and_people_are_asked(folder: Imports, people: People, case: str) -> None:
    folder.split()
    tested = sorted(people.said("test"))
    people.label(tested[0], "speaker", dataset_type="test")
    body = people.body(tested[0])
    before = people.entries("test")
    leave = {"exclude": tested} if case == "excluded" else {}
    if case == "gone":
        people.delete(*tested)
    with refused("RISKS_FOUND"):
        folder.split(approval="never", **leave)
    assert people.entries("test") == before
    done = folder.split(**leave)
    assert people.said("test") == {}
    assert {Risk.REMOVED_SHARE, Risk.WORK_REMOVED} <= done["test"].risks.keys()
    assert (done["train"].action, done["test"].action) == ("unchanged", "replace")
    assert [each.screen["findings"] for each in done.values()] == [{"WARNING_EMPTY_SIDE": 1}] * 2
    row = done["test"].rows[FOLDER + tested[0]]
    assert "speaker" in (row.entry or b"").decode()
    assert case == "excluded" or row.reason is Reason.REMOVED_AT_SOURCE
    assert {each.action for each in folder.split(**leave).values()} == {"unchanged"}
    people.put_body(tested[0], body)
    folder.split()
    assert (people.said() | people.said("test"))[tested[0]] == {"speaker"}


def test_test_images_that_have_all_left_are_held_until_a_run_may_replace_the_dataset(
    folder: Imports, people: People
) -> None:
    folder.split()
    before = people.entries("test")
    people.delete(*before)
    held = folder.split(removals="hold", approval="never")["test"]
    assert (held.action, held.states["held"]) == ("unchanged", len(before))
    assert people.entries("test") == before
    assert folder.split()["test"].states["removed"] == len(before)
    assert people.said("test") == {}


@pytest.mark.parametrize("case", ["held", "damaged"])
def test_test_images_whose_entries_stay_while_they_are_away_come_back_as_test_images(
    folder: Imports, people: People, case: str
) -> None:
    """In the meantime, new images have come to both datasets."""
    people.put(*(f"echo/more-{number}.png" for number in range(8)))
    folder.split()
    before = people.entries("test")
    bodies = {name: people.body(name) for name in before}
    for name in before:
        if case == "held":
            people.delete(name)
        else:
            people.put_body(name, b"no picture")
    folder.split(removals="hold")
    people.put(*(f"{label}/new-{number}.png" for label in ("echo", "dot") for number in range(6)))
    folder.split(removals="hold")
    for name, body in bodies.items():
        people.put_body(name, body)
    folder.split(removals="hold")
    assert before.keys() <= people.said("test").keys()
    assert not before.keys() & people.said().keys()


def test_all_training_images_leave_a_split(folder: Imports, people: People) -> None:
    folder.split()
    tested, trained = people.said("test"), people.said()
    people.delete(*trained)
    done = folder.split()
    assert (people.said(), people.said("test")) == ({}, tested)
    assert done["train"].risks[Risk.REMOVED_SHARE] == len(trained)
    people.put("echo/new.png", "echo/newer.png", "dot/new.png")
    folder.split()
    assert people.said("test").keys() >= tested.keys()
    assert people.said()


def test_a_frozen_test_dataset_whose_images_have_all_left_is_asked_about(folder: Imports, people: People) -> None:
    folder.split()
    people.delete(*people.said("test"))
    done = folder.split(freeze_test=True)["test"]
    assert done.risks[Risk.REMOVED_SHARE] == done.states["removed"]
    assert people.said("test") == {}


def test_test_images_that_are_all_damaged_stay(folder: Imports, people: People) -> None:
    people.put(*(f"echo/more-{number}.png" for number in range(8)))
    folder.split()
    before = people.entries("test")
    for name in before:
        people.put_body(name, b"no picture")
    assert folder.split(approval="never")["test"].action == "unchanged"
    assert people.entries("test") == before


def test_a_test_dataset_that_people_deleted_is_not_made_again_without_images(folder: Imports, people: People) -> None:
    folder.split()
    people.delete(*people.said("test"))
    people.delete_dataset("test")
    assert folder.split().keys() == {"train"}
    assert people.place.dataset_arn("TEST") is None


def test_a_worker_that_dies_while_a_test_dataset_is_emptied_loses_no_work(folder: Imports, people: People) -> None:
    folder.split()
    (tested, *_) = people.said("test")
    people.label(tested, "speaker", dataset_type="test")
    people.delete(*people.said("test"))
    with before_a_write(die, "create"), pytest.raises(DeathError):
        folder.split()
    assert people.place.dataset_arn("TEST") is None
    done = folder.split()["test"]
    assert people.said("test") == {}
    assert "speaker" in (done.rows[FOLDER + tested].entry or b"").decode()


def test_work_on_a_test_image_that_cannot_be_read_stays_in_the_test_dataset_alone(
    folder: Imports, people: People
) -> None:
    folder.split()
    (tested, *_) = sorted(people.said("test"))
    people.label(tested, "speaker", dataset_type="test")
    people.place.s3.put_object(Bucket=people.place.images, Key=FOLDER + tested, Body=b"no image")
    folder.split(accept_risks=[risk.value for risk in Risk])
    assert people.said("test")[tested] == {"speaker"}
    assert tested not in people.said()


def test_work_on_entries_that_rekognition_has_distributed_stays(folder: Imports, people: People) -> None:
    folder.split(distribution="rekognition")
    tested = people.said("test")
    assert tested
    for name in NAMES:
        people.label(name, f"a person's {name}", dataset_type="test" if name in tested else "train")
    done = folder.split(distribution="rekognition")
    assert people.said() | people.said("test") == {name: {f"a person's {name}"} for name in NAMES}
    assert people.said("test").keys() == tested.keys()
    assert done["train"].merged.totals.get("removed", 0) == 0


def test_an_older_run_that_is_cleared_from_its_distribution_moves_nothing(folder: Imports, people: People) -> None:
    old = folder.split(distribution="rekognition", test_share=0.5)["train"]
    folder.split()
    people.delete_dataset("test")
    before = people.entries()
    assert old.distribute() == 0
    assert people.entries() == before
    assert people.place.dataset_arn("TEST") is None


def test_a_distribution_waits_for_who_works_on_the_dataset(folder: Imports, people: People) -> None:
    done = folder.split(distribution="rekognition", max_wait_minutes=0)["train"]
    other = folder.begin(label_aliases={"echo": "Echo"}).plan_it()
    people.delete_dataset("test")
    with before_a_write(die), pytest.raises(DeathError):
        other.register()
    with refused("DATASET_LEASED"):
        done.distribute()
    assert people.place.dataset_arn("TEST") is None
    other.end("failed")
    assert done.distribute() > 0
