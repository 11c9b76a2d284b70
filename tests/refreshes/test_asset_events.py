"""An asset event starts what costs money: it is sent when the dataset's content is not that of the last event."""

from __future__ import annotations

import pytest

from tests.fixtures.places import picture
from tests.refreshes.imports import FOLDER, Imports
from tests.refreshes.people import People

pytestmark = pytest.mark.integration


def test_an_event_tells_of_content_that_differs_from_that_of_the_last_event(
    registered: Imports, people: People
) -> None:
    assert not registered.run().changed
    people.label("echo/0.png", "speaker")
    edited = registered.run()
    assert (edited.action, edited.changed, len(edited.events)) == ("unchanged", True, 1)
    assert not registered.run().changed
    overwritten = registered.run(human_edits="overwrite")
    assert (overwritten.action, overwritten.changed) == ("update", True)
    people.put("echo/0.png")
    new_bytes = registered.run()
    assert (new_bytes.action, new_bytes.changed) == ("unchanged", True)
    assert not registered.run().changed


def test_an_edit_that_is_taken_back_is_no_new_content(registered: Imports, people: People) -> None:
    people.label("echo/0.png", "speaker")
    people.label("echo/0.png", "echo")
    done = registered.run()
    assert (done.changed, done.events) == (False, [])


def test_a_file_that_is_no_image_starts_nothing(registered: Imports, people: People) -> None:
    people.put_body("echo/notes.txt", b"notes")
    assert not registered.run().changed


def test_the_event_counts_the_datasets_labels(registered: Imports, people: People) -> None:
    for number in range(4):
        people.label(f"echo/{number}.png", "speaker")
    done = registered.run(label_aliases={"echo": "Echo"})
    assert done.summary()["details"]["images_per_label"] == {"dot": 4, "speaker": 4}
    assert done.summary()["details"]["images_per_label_of_source"] == {"Echo": 4, "dot": 4}
    assert done.events[0]["labels"] == 2


def test_a_dataset_that_was_replaced_without_a_difference_is_told_of_by_its_new_address(
    registered: Imports, people: People
) -> None:
    before = people.place.dataset_arn()
    people.delete_dataset()
    done = registered.run()
    assert done.events[0]["dataset_arn"] == people.place.dataset_arn() != before


def test_content_that_was_overwritten_with_the_same_picture_starts_nothing(registered: Imports, people: People) -> None:
    people.put_body("echo/0.png", people.body("echo/0.png"))
    assert not registered.run().changed
    people.place.put(f"{FOLDER}echo/new.png", body=picture())
    assert registered.run().changed
