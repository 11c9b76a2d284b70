"""Runs of an earlier time than what is registered: a schedule never goes back, and a person may."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.places import Place, end_of_second
from tests.refreshes.imports import Imports
from tests.refreshes.people import People

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_a_run_of_a_schedule_never_goes_back(registered: Imports, people: People, run_type: str) -> None:
    earlier = end_of_second()
    people.put("echo/new.png")
    current, before = registered.run().current, people.entries()
    late = registered.run(run_type=run_type, tick=earlier, unversioned="accept", max_removed_percent=100)
    assert (late.action, late.changed, late.events) == ("superseded", False, [])
    assert (people.entries(), late.current) == (before, current)
    # It leaves a snapshot all the same.
    assert late.summary()["details"]["registration"]["action"] == "superseded"


def test_a_run_that_a_person_triggers_does_go_back(versioned: Place, imports: Imports, people: People) -> None:
    history = f"s3://{versioned.images}/history"
    people.put("echo/0.png", "echo/1.png", "dot/0.png")
    earlier = end_of_second()
    people.delete("echo/0.png")
    people.put("dot/1.png")
    imports.run(history_folder=history)
    assert people.said().keys() == {"echo/1.png", "dot/0.png", "dot/1.png"}
    done = imports.run(as_of=earlier.isoformat(), history_folder=history, max_removed_percent=100)
    assert done.action == "replace"
    assert sorted(labels for (labels,) in people.said().values()) == ["dot", "echo", "echo"]
    assert done.current
    assert done.current.as_of == earlier


def test_both_places_of_an_image_are_held_until_a_run_replaces(
    versioned: Place, imports: Imports, people: People
) -> None:
    """Going back names a copy of the old bytes, and the entry of the present ones stays beside it."""
    chosen: dict[str, Any] = {"history_folder": f"s3://{versioned.images}/history"}
    people.put("echo/0.png", "dot/0.png")
    imports.run(**chosen)
    earlier = end_of_second()
    people.put("echo/0.png")
    imports.run(**chosen)
    back = {**chosen, "as_of": earlier.isoformat()}
    imports.run(removals="hold", **back)
    done = imports.run(**back)
    assert (done.action, len(people.entries())) == ("replace", 2)
