"""People's work follows the picture, wherever it lies."""

from __future__ import annotations

import pytest

from include.custom_labels.risks import Risk
from tests.refreshes.imports import FOLDER, Imports, refused
from tests.refreshes.people import People

pytestmark = pytest.mark.integration

ECHOS = {f"echo/{number}.png": f"echos/{number}.png" for number in range(4)}


def test_a_renamed_folder_takes_peoples_work_along(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "speaker")
    people.label("echo/1.png", "echo plus")
    people.move(ECHOS)
    done = registered.run()
    assert people.said() == {
        "echos/0.png": {"speaker"},
        "echos/1.png": {"echo plus"},
        "echos/2.png": {"echos"},
        "echos/3.png": {"echos"},
        **{f"dot/{number}.png": {"dot"} for number in range(4)},
    }
    assert people.boxes("echos/0.png") == [1]
    assert (done.merged.moved, done.merged.removed.count, done.merged.work_removed.count) == (4, 0, 0)
    assert done.risks == {Risk.NEW_LABELS: 1, Risk.VANISHED_LABELS: 1}


def test_one_moved_image_takes_a_persons_box_along_and_nobody_is_asked(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "echo", left=7)
    people.move({"echo/0.png": "echo/renamed.png"})
    registered.run(approval="never")
    assert people.boxes("echo/renamed.png") == [7]
    assert "echo/0.png" not in people.said()


def test_work_on_an_image_whose_copies_lie_at_two_places_is_a_risk(registered: Imports, people: People) -> None:
    """Nobody can tell which of the two is the one that the person worked on."""
    people.draw("echo/0.png", "echo")
    before = people.entries()
    people.copy("echo/0.png", "echo/a.png")
    people.move({"echo/0.png": "echo/b.png"})
    with refused("RISKS_FOUND") as caught:
        registered.run(approval="never", max_removed_percent=50)
    assert caught.value.details["risks"] == [Risk.WORK_REMOVED]
    assert people.entries() == before
    done = registered.run()
    assert done.risks == {Risk.REMOVED_SHARE: 1, Risk.WORK_REMOVED: 1}
    assert done.rows[f"{FOLDER}echo/0.png"].entry is not None


def test_work_that_was_kept_aside_comes_back_at_another_place(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "echo", left=7)
    body = people.body("echo/0.png")
    people.delete("echo/0.png")
    registered.run()
    people.put_body("dot/found again.png", body)
    done = registered.run()
    assert people.boxes("dot/found again.png") == [7]
    assert done.reasons[f"{FOLDER}dot/found again.png"] == "registered KEPT_DATASET_ENTRY"


def test_two_images_that_swap_their_names_are_a_risk(registered: Imports, people: People) -> None:
    """Both keys are still there: what changed is what lies under them."""
    people.draw("echo/0.png", "echo", left=7)
    people.draw("echo/1.png", "echo", left=9)
    people.move({"echo/0.png": "swap.png", "echo/1.png": "echo/0.png"})
    people.move({"swap.png": "echo/1.png"})
    done = registered.run()
    assert done.risks == {Risk.BOXES_ON_NEW_CONTENT: 2}


def test_an_image_that_moves_while_entries_are_held_is_held_at_its_old_place(
    registered: Imports, people: People
) -> None:
    people.draw("echo/0.png", "echo", left=7)
    people.move({"echo/0.png": "echo/renamed.png"})
    registered.run(removals="hold")
    assert people.boxes("echo/renamed.png") == [7]
    assert "echo/0.png" in people.said()
    people.draw("echo/renamed.png", "echo", left=9)
    registered.run()
    assert people.boxes("echo/renamed.png") == [9]
    assert "echo/0.png" not in people.said()


def test_an_image_that_is_renamed_twice_while_entries_are_held_keeps_its_box(
    registered: Imports, people: People
) -> None:
    people.draw("echo/0.png", "echo", left=7)
    people.move({"echo/0.png": "echo/second.png"})
    registered.run(removals="hold")
    people.move({"echo/second.png": "echo/third.png"})
    registered.run(removals="hold")
    assert people.boxes("echo/third.png") == [7]
