"""Runs that wake, are cleared or are repeated after others have worked: they overwrite nothing, and say so."""

from __future__ import annotations

import pytest

from include.object_store.registration_journal import Journal
from tests.fixtures.places import end_of_second
from tests.refreshes.imports import FOLDER, Imports, before_a_write, refused, right_before
from tests.refreshes.people import People

pytestmark = pytest.mark.integration

IMAGE = "echo/0.png"


def test_an_older_run_that_is_cleared_from_its_write_overwrites_nothing(registered: Imports, people: People) -> None:
    old = registered.run(label_aliases={"echo": "Echo"})
    people.draw(IMAGE, "echo", left=7)
    registered.run(label_aliases={"echo": "ECHO"})
    before = people.entries()
    with refused("RUN_OUTDATED") as caught:
        old.register()
    assert "validate_request" in caught.value.next_step
    assert people.entries() == before
    assert registered.run(label_aliases={"echo": "ECHO"}).action == "unchanged"


def test_the_newest_run_that_is_cleared_keeps_what_a_person_did_since(registered: Imports, people: People) -> None:
    done = registered.run(label_aliases={"echo": "Echo"})
    people.draw(IMAGE, "echo", left=7)
    done.register().publish().summarize()
    assert people.boxes(IMAGE) == [7]
    assert done.current
    assert done.journal == Journal()


def test_a_run_that_is_cleared_from_its_snapshot_on_does_not_go_back(registered: Imports, people: People) -> None:
    old = registered.run(label_aliases={"echo": "Echo"})
    new = registered.run(label_aliases={"echo": "ECHO"})
    with refused("LEASE_LOST"):
        old.publish()
    assert old.current == new.current


def test_a_run_that_sleeps_before_its_write_finds_that_another_has_taken_over(
    registered: Imports, people: People
) -> None:
    asleep = registered.begin(label_aliases={"echo": "Echo"}).plan_it()

    def others() -> None:
        asleep.end("failed")
        registered.run(label_aliases={"echo": "ECHO"})
        people.draw(IMAGE, "echo", left=7)

    with before_a_write(others), refused("LEASE_LOST"):
        asleep.register()
    assert people.boxes(IMAGE) == [7]
    assert people.said()["echo/1.png"] == {"ECHO"}
    assert registered.run(label_aliases={"echo": "ECHO"}).action == "unchanged"


def test_a_run_that_sleeps_before_its_deletion_finds_that_another_has_taken_over(
    registered: Imports, people: People
) -> None:
    people.delete("dot/0.png")
    asleep = registered.begin().plan_it()

    def others() -> None:
        asleep.end("failed")
        registered.run()
        people.draw(IMAGE, "echo", left=7)

    with before_a_write(others), refused("LEASE_LOST"):
        asleep.register()
    assert people.boxes(IMAGE) == [7]
    assert len(people.said()) == 7


def test_a_run_that_sleeps_before_its_snapshot_names_no_other_ones_dataset(registered: Imports, people: People) -> None:
    asleep = registered.begin(label_aliases={"echo": "Echo"}).plan_it().register().end("failed")
    new = registered.run(label_aliases={"echo": "ECHO"})
    with refused("LEASE_LOST"):
        asleep.publish()
    assert asleep.current == new.current
    assert people.said()[IMAGE] == {"ECHO"}


def test_removals_that_a_person_has_approved_are_asked_for_again_when_they_become_others(
    registered: Imports, people: People
) -> None:
    people.delete("dot/0.png")
    asked = registered.begin().plan_it()
    people.place.put("elsewhere/other.png")
    people.send({"source-ref": people.ref("dot/1.png")})
    people.delete("dot/1.png")
    registered.run()
    with refused("RUN_OUTDATED"):
        asked.register()
    assert len(people.said()) == 6


@pytest.mark.parametrize("removals", ["replace", "hold"])
def test_an_older_run_that_is_cleared_from_its_plan_asks_for_nothing_and_changes_nothing(
    registered: Imports, people: People, removals: str
) -> None:
    """What a newer run has brought is not proposed for removal by an older one."""
    old = registered.run(approval="never", removals=removals)
    people.put("echo/new.png")
    new = registered.run(removals=removals)
    people.draw("echo/new.png", "echo", left=7)
    with refused("RUN_OUTDATED"):
        old.plan_it()
    assert people.boxes("echo/new.png") == [7]
    assert old.current == new.current


def test_an_outdated_run_that_is_cleared_from_its_first_task_removes_nothing_that_is_newer(
    registered: Imports, people: People
) -> None:
    """It has the time that it has always had, and what was written since is at the source all the same."""
    end_of_second()
    old = registered.run()
    end_of_second()
    people.put("echo/new.png")
    registered.run()
    people.draw("echo/new.png", "echo", left=7)
    done = registered.begin(tick=old.run.as_of).finish()
    assert people.boxes("echo/new.png") == [7]
    assert done.reasons[f"{FOLDER}echo/new.png"] == "skipped NEWER_THAN_AS_OF"


def test_a_run_that_another_overtakes_while_it_plans_is_outdated(registered: Imports, people: People) -> None:
    """It would have taken the other one's entries for a person's, and ended green over them."""
    run = registered.begin(removals="hold")

    def overtake() -> None:
        registered.run(removals="hold", automatic_labeling=False)

    with right_before(run.run.rekognition.conn, "DescribeProjects", overtake), refused("RUN_OUTDATED"):
        run.plan_it()
    assert people.said()[IMAGE] == set()


def test_what_a_run_sends_and_dies_while_another_one_plans_is_no_persons_work(
    registered: Imports, people: People
) -> None:
    run = registered.begin()

    def send_and_die() -> None:
        other = registered.begin(label_aliases={"echo": "Echo"}).plan_it()
        other.register_and_die(people.place)
        other.end("failed")

    with right_before(run.run.rekognition.conn, "DescribeProjects", send_and_die):
        run.plan_it()
    done = run.finish()
    assert done.merged.totals == {"changed": 4, "same": 4}
    assert people.said()[IMAGE] == {"echo"}
    assert done.journal == Journal()
