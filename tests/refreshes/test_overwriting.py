"""What people's entries become that give way to the source, as `human_edits: overwrite` asks for."""

from __future__ import annotations

import json

import pytest

from include.custom_labels.risks import Risk
from tests.fixtures.existing_datasets import labels_of
from tests.refreshes.imports import FOLDER, Import, Imports, refused
from tests.refreshes.people import People

pytestmark = pytest.mark.integration

IMAGE = f"{FOLDER}echo/0.png"


def overwritten(done: Import, people: People) -> None:
    """Ledger and snapshot have the entry that gave way."""
    row = done.rows[IMAGE]
    assert (row.reason, labels_of(json.loads(row.entry or b"{}"))) == ("OVERWRITTEN_DATASET_ENTRY", {"dot"})
    before = people.place.read(done.published["summary_uri"].replace("summary.json", "entries.manifest"))
    said = {entry["source-ref"]: labels_of(entry) for entry in map(json.loads, before.splitlines())}
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
