"""What people's entries become that give way to the source, as `human_edits: overwrite` asks for."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from include.custom_labels.risks import Risk
from include.object_store.registration_journal import Journal
from tests.fixtures.existing_datasets import labels_of
from tests.refreshes.imports import FOLDER, Import, Imports, refused
from tests.refreshes.people import People

pytestmark = pytest.mark.integration

IMAGE = f"{FOLDER}echo/0.png"


def overwritten(done: Import, people: People) -> None:
    """Ledger and snapshot have the entry that gave way."""
    row = done.rows[IMAGE]
    assert (row.reason, labels_of(json.loads(row.entry or b"{}"))) == ("OVERWRITTEN_DATASET_ENTRY", {"dot"})
    said = {entry["source-ref"]: labels_of(entry) for entry in map(json.loads, done.entries_before.splitlines())}
    assert said[people.ref("echo/0.png")] == {"dot"}
    assert people.said()["echo/0.png"] == {"echo"}


def test_an_overwritten_entry_is_in_ledger_and_snapshot(registered: Imports, people: People) -> None:
    people.label("echo/0.png", "dot")
    done = registered.run(human_edits="overwrite")
    assert done.risks == {Risk.WORK_OVERWRITTEN: 1}
    overwritten(done, people)


@pytest.mark.parametrize("policy", ["overwrite", "keep"])
def test_what_a_dead_run_has_overwritten_is_told_of_by_the_next_one(
    registered: Imports, people: People, policy: str
) -> None:
    people.label("echo/0.png", "dot")
    run = registered.begin(human_edits="overwrite").plan_it()
    run.register_and_die(people.place)
    run.end("failed")
    overwritten(registered.run(human_edits=policy), people)
    again = registered.run(human_edits=policy)
    assert (again.action, again.risks) == ("unchanged", {})


def test_what_a_run_has_overwritten_is_in_its_snapshot_although_it_planned_again(
    registered: Imports, people: People
) -> None:
    people.label("echo/0.png", "dot")
    run = registered.begin(human_edits="overwrite").plan_it()
    run.register_and_die(people.place)
    people.label("dot/0.png", "dot")
    overwritten(run.finish(), people)


def test_nobody_agreed_to_overwrite_what_came_after_the_plan(registered: Imports, people: People) -> None:
    people.label("echo/0.png", "dot")
    run = registered.begin(human_edits="overwrite").plan_it()
    people.label("echo/1.png", "dot")
    with refused("OVERWRITES_CHANGED"):
        run.register()
    assert people.said()["echo/1.png"] == {"dot"}
    run.end("failed")
    assert registered.run(human_edits="overwrite").risks == {Risk.WORK_OVERWRITTEN: 2}


def test_who_accepts_the_risk_accepts_what_comes_after_the_plan(registered: Imports, people: People) -> None:
    people.label("echo/0.png", "dot")
    run = registered.begin(human_edits="overwrite", accept_risks=["WORK_OVERWRITTEN"]).plan_it()
    people.label("echo/1.png", "dot")
    done = run.finish()
    assert done.merged.totals["overwritten"] == 2
    assert people.said()["echo/1.png"] == {"echo"}


def box_overwritten(registered: Imports, people: People) -> None:
    """A run has overwritten a box and has died."""
    people.draw("echo/0.png", "echo", left=7)
    run = registered.begin(human_edits="overwrite").plan_it()
    run.register_and_die(people.place)
    run.end("failed")
    assert people.boxes("echo/0.png") == []


def told_of(done: Import) -> bytes:
    """All entries that ledger and snapshot have."""
    assert done.journal == Journal()
    return done.entries_before + b"".join(row.entry for row in done.rows.values() if row.entry)


def damage(people: People) -> None:
    people.put_body("echo/0.png", b"no picture")


def move(people: People) -> None:
    people.move({"echo/0.png": "echo/moved.png"})


@pytest.mark.parametrize("removals", ["replace", "hold"])
@pytest.mark.parametrize(
    "act",
    [
        lambda people: people.draw("echo/0.png", "echo", left=9),
        damage,
        lambda people: people.delete("echo/0.png"),
        move,
        People.delete_dataset,
    ],
    ids=["edited", "damaged", "gone", "moved", "dataset deleted"],
)
def test_what_a_dead_run_has_overwritten_is_told_of_whatever_becomes_of_the_image(
    registered: Imports, people: People, act: Callable[[People], None], removals: str
) -> None:
    box_overwritten(registered, people)
    act(people)
    assert b'"left":7' in told_of(registered.run(removals=removals))


def test_what_one_run_overwrites_twice_is_told_of_twice(registered: Imports, people: People) -> None:
    people.draw("echo/0.png", "echo", left=7)
    run = registered.begin(human_edits="overwrite", accept_risks=["WORK_OVERWRITTEN"]).plan_it()
    run.register_and_die(people.place)
    people.draw("echo/0.png", "echo", left=9)
    told = told_of(run.finish())
    assert b'"left":7' in told
    assert b'"left":9' in told


def test_what_two_dead_runs_have_overwritten_is_told_of_by_the_third(registered: Imports, people: People) -> None:
    box_overwritten(registered, people)
    people.draw("echo/0.png", "echo", left=9)
    run = registered.begin(human_edits="overwrite").plan_it()
    run.register_and_die(people.place)
    run.end("failed")
    told = told_of(registered.run())
    assert b'"left":7' in told
    assert b'"left":9' in told


@pytest.mark.parametrize("is_replaced", [True, False])
def test_what_a_dead_run_has_overwritten_is_counted_where_a_person_has_edited_since(
    registered: Imports, people: People, is_replaced: bool
) -> None:
    box_overwritten(registered, people)
    people.draw("echo/0.png", "echo", left=9)
    if is_replaced:
        people.delete("dot/0.png")
    done = registered.run()
    assert (done.action == "replace") == is_replaced
    # Who let the dead run overwrite was asked then.
    assert (done.merged.gave_way, Risk.WORK_OVERWRITTEN in done.risks) == (1, False)
    told = told_of(done)
    assert b'"left":7' in told
    assert b'"left":9' in told
    assert people.boxes("echo/0.png") == [9]
    again = registered.run(human_edits="overwrite")
    assert again.merged.work_overwritten.count == 1, "the edit, and not what was told of"


def test_what_two_dead_runs_have_overwritten_is_told_of_by_a_replacement_after_another_edit(
    registered: Imports, people: People
) -> None:
    for left in (7, 9):
        people.draw("echo/0.png", "echo", left=left)
        run = registered.begin(human_edits="overwrite").plan_it()
        run.register_and_die(people.place)
        run.end("failed")
    people.draw("echo/0.png", "echo", left=11)
    people.delete("dot/0.png")
    done = registered.run()
    told = told_of(done)
    assert done.merged.gave_way == 2
    assert [left for left in (7, 9, 11) if f'"left":{left}'.encode() in told] == [7, 9, 11]


def test_a_dataset_is_restored_with_the_edit_and_what_it_took_the_place_of_is_told_of_later(
    registered: Imports, people: People
) -> None:
    """The export has one entry for each image, of which a dataset can be created."""
    box_overwritten(registered, people)
    people.draw("echo/0.png", "echo", left=9)
    people.delete("dot/0.png")
    people.place.aws.faults("CreateDataset", "fail", message="Too many labels.", code="CLIENT_ERROR")
    run = registered.begin().plan_it()
    with refused("REPLACEMENT_FAILED"):
        run.register()
    run.end("failed")
    assert people.boxes("echo/0.png") == [9]
    assert b'"left":7' in told_of(registered.run())
    assert people.boxes("echo/0.png") == [9]
