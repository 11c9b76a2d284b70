"""What a person did stays a person's, whether the dataset holds it, waits to lose it, or has lost it."""

from __future__ import annotations

import pytest

from include.custom_labels.risks import Risk
from tests.refreshes.imports import FOLDER, Import, Imports, edited_before_verification, refused
from tests.refreshes.people import People

pytestmark = pytest.mark.integration

IMAGE = "echo/0.png"
KEY = FOLDER + IMAGE


@pytest.mark.parametrize("replaces_between", [False, True])
def test_a_box_on_a_held_image_is_still_there_when_the_image_comes_back(
    registered: Imports, people: People, replaces_between: bool
) -> None:
    people.draw(IMAGE, "echo", left=7)
    body = people.body(IMAGE)
    people.delete(IMAGE)
    held = registered.run(removals="hold")
    assert held.reasons[KEY] == "held HELD_UNTIL_REPLACED"
    if replaces_between:
        replaced = registered.run()
        assert replaced.action == "replace"
        assert replaced.risks[Risk.WORK_REMOVED] == 1
        assert replaced.rows[KEY].entry
    people.put_body(IMAGE, body)
    back = registered.run(removals="hold")
    assert people.boxes(IMAGE) == [7]
    assert back.reasons[KEY] == "registered KEPT_DATASET_ENTRY"


def test_a_box_that_was_drawn_while_the_image_was_held_counts_as_work(registered: Imports, people: People) -> None:
    exclude = [IMAGE]
    registered.run(removals="hold", exclude=exclude)
    people.draw(IMAGE, "echo", left=7)
    with refused("RISKS_FOUND") as caught:
        registered.run(approval="never", max_removed_percent=50, exclude=exclude)
    assert caught.value.details["risks"] == [Risk.WORK_REMOVED]


def test_a_label_that_a_person_removed_stays_removed_when_the_image_comes_back(
    registered: Imports, people: People
) -> None:
    people.label(IMAGE)
    body = people.body(IMAGE)
    people.delete(IMAGE)
    assert registered.run().risks[Risk.WORK_REMOVED] == 1
    people.put_body(IMAGE, body)
    registered.run()
    assert people.said()[IMAGE] == set()


def test_an_edit_that_once_equals_the_source_stays_a_persons(registered: Imports, people: People) -> None:
    people.label(IMAGE, "speaker")
    registered.run()
    registered.run(label_aliases={"echo": "speaker"})
    assert set(map(frozenset, people.said().values())) == {frozenset({"speaker"}), frozenset({"dot"})}
    done = registered.run()
    assert people.said()[IMAGE] == {"speaker"}
    assert done.reasons[KEY] == "registered KEPT_DATASET_ENTRY"


def test_boxes_that_do_not_fit_come_back_with_the_old_picture(registered: Imports, people: People) -> None:
    people.draw(IMAGE, "echo", left=7)
    registered.run()
    body = people.body(IMAGE)
    people.put(IMAGE, size=(80, 80))
    misfit = registered.run()
    assert misfit.reasons[KEY] == "quarantined BOXES_DO_NOT_FIT"
    registered.run(register=False)
    people.put_body(IMAGE, body)
    registered.run()
    assert people.boxes(IMAGE) == [7]


def test_removed_images_are_counted_without_those_that_were_removed_earlier(
    registered: Imports, people: People
) -> None:
    people.draw("echo/0.png", "echo")
    people.draw("echo/1.png", "echo")
    people.delete("echo/0.png", "echo/1.png")
    assert registered.run().states["removed"] == 2
    people.delete("dot/0.png", "dot/1.png", "dot/2.png")
    done = registered.run()
    assert done.screen["departures"] == {"removed": 3, "moved": 0, "kept_aside": 2, "gave_way": 0}
    assert {row.key for row in done.rows.values() if row.entry} == {f"{FOLDER}echo/0.png", f"{FOLDER}echo/1.png"}


def test_work_kept_aside_outlives_imports_of_other_folders(registered: Imports, people: People) -> None:
    people.draw(IMAGE, "echo", left=7)
    body = people.body(IMAGE)
    people.delete(IMAGE)
    registered.run()
    people.place.put("elsewhere/other/a.png")
    registered.run(s3_folder=f"s3://{people.place.images}/elsewhere")
    people.put_body(IMAGE, body)
    registered.run()
    assert people.boxes(IMAGE) == [7]


def test_a_label_that_a_person_puts_back_on_an_image_that_was_damaged_stays(
    registered: Imports, people: People
) -> None:
    """While the image was damaged, its entry was in the dataset, and nothing was kept aside."""
    people.label("echo/0.png", "speaker")
    body = people.body("echo/0.png")
    people.put_body("echo/0.png", b"no picture")
    registered.run()
    people.put_body("echo/0.png", body)
    people.label("echo/0.png", "echo")
    registered.run()
    assert people.said()["echo/0.png"] == {"echo"}


def test_boxes_that_do_not_fit_and_were_held_go_with_a_run_that_replaces(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "echo", left=7)
    registered.run()
    people.put("echo/0.png", size=(80, 80))
    registered.run(removals="hold")
    assert people.boxes("echo/0.png") == [7]
    done = registered.run()
    assert (done.action, people.boxes("echo/0.png")) == ("replace", [])
    assert b'"left":7' in (done.rows[f"{FOLDER}echo/0.png"].entry or b"")


def test_a_held_entry_that_is_edited_while_a_run_registers_is_held(
    registered: Imports, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {"exclude": ["echo/0.png"], "label_aliases": {"dot": "Dot"}}
    registered.run(removals="hold", exclude=["echo/0.png"])
    run = registered.begin(removals="hold", **chosen).plan_it()
    with edited_before_verification(monkeypatch, lambda: people.draw("echo/0.png", "echo", left=7)):
        run.finish()
    row = run.rows[f"{FOLDER}echo/0.png"]
    assert (row.state, row.reason) == ("held", "HELD_UNTIL_REPLACED")
    assert b'"left":7' in (row.entry or b"")
    registered.run(**chosen)
    assert "echo/0.png" not in people.said()


def gave_way(done: Import) -> None:
    """The box at 7 is in the snapshot, which says so."""
    row = done.rows[KEY]
    assert row.detail.endswith("earlier, it had 1 box: see entries.manifest")
    assert b'"left":7' not in (row.entry or b"")
    assert b'"left":7' in done.entries_before
    assert done.screen["departures"]["gave_way"] == 1


def test_work_kept_aside_gives_way_to_what_a_person_says_of_the_image_since(
    registered: Imports, people: People
) -> None:
    people.draw(IMAGE, "echo", left=7)
    body = people.body(IMAGE)
    people.delete(IMAGE)
    registered.run()
    people.put_body(IMAGE, body)
    people.label(IMAGE, "speaker")
    done = registered.run()
    assert (people.said()[IMAGE], people.boxes(IMAGE)) == ({"speaker"}, [])
    assert done.reasons[KEY] == "registered KEPT_DATASET_ENTRY"
    gave_way(done)
    again = registered.run(label_aliases={"dot": "Dot"})
    assert (again.entries_before, again.screen["departures"]["gave_way"]) == (b"", 0)


def test_boxes_that_do_not_fit_give_way_to_a_label_that_a_person_puts_on_the_new_picture(
    registered: Imports, people: People
) -> None:
    people.draw(IMAGE, "echo", left=7)
    registered.run()
    people.put(IMAGE, size=(80, 80))
    registered.run(removals="hold")
    people.label(IMAGE, "speaker")
    done = registered.run(removals="hold")
    assert (people.said()[IMAGE], people.boxes(IMAGE)) == ({"speaker"}, [])
    gave_way(done)


def test_work_kept_aside_gives_way_while_the_image_cannot_be_read(registered: Imports, people: People) -> None:
    people.draw(IMAGE, "echo", left=7)
    body = people.body(IMAGE)
    people.delete(IMAGE)
    registered.run()
    people.put_body(IMAGE, body)
    people.label(IMAGE, "speaker")
    people.put_body(IMAGE, b"no picture")
    gave_way(registered.run())
    people.put_body(IMAGE, body)
    registered.run()
    assert people.said()[IMAGE] == {"speaker"}


@pytest.mark.parametrize("fault", ["left out", "damaged"])
def test_work_kept_aside_outlives_what_another_import_says_of_an_image_that_this_one_does_not_take(
    registered: Imports, people: People, fault: str
) -> None:
    people.draw(IMAGE, "echo", left=7)
    body = people.body(IMAGE)
    people.delete(IMAGE)
    registered.run()
    people.put_body(IMAGE, body)
    registered.run(s3_folder=f"s3://{people.place.images}")
    if fault == "damaged":
        people.put_body(IMAGE, b"no picture")
    registered.run(exclude=[IMAGE] if fault == "left out" else [])
    people.put_body(IMAGE, body)
    registered.run()
    assert people.boxes(IMAGE) == [7]
