"""Several runs of one time: what a snapshot says is true of the run that made it, and dry runs are nobody's base."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.refreshes.imports import FOLDER, Import, Imports
from tests.refreshes.people import People

pytestmark = pytest.mark.integration


@pytest.fixture
def tick(registered: Imports) -> datetime:
    """A time for several runs, after the images were written."""
    return datetime.now(UTC).replace(microsecond=0)


def assert_true_of(done: Import) -> None:
    """The snapshot that is registered is the run's own, and says what the run did."""
    assert done.current
    assert done.current.snapshot_id == done.published["snapshot_id"]
    details: dict[str, Any] = done.summary()["details"]
    assert details["run"]["run_id"] == done.run.holder.run_id
    assert details["states"] == done.states
    assert {state: sum(row.state == state for row in done.rows.values()) for state in done.states} == done.states


def test_a_run_after_a_dry_run_of_the_same_time_has_a_ledger_of_its_own(
    registered: Imports, people: People, tick: datetime
) -> None:
    people.draw("echo/0.png", "echo")
    dry = registered.run(tick=tick, register=False, label_aliases={"dot": "Dot"})
    assert dry.action == "build_only"
    done = registered.run(tick=tick, label_aliases={"dot": "Dot"})
    assert_true_of(done)
    assert done.published["snapshot_id"] != dry.published["snapshot_id"]
    assert done.reasons[f"{FOLDER}echo/0.png"] == "registered KEPT_DATASET_ENTRY"
    assert people.boxes("echo/0.png") == [1]


def test_a_replacement_after_a_run_that_held_of_the_same_time_names_what_it_removed(
    registered: Imports, people: People, tick: datetime
) -> None:
    people.draw("echo/0.png", "echo")
    people.delete("echo/0.png")
    registered.run(tick=tick, removals="hold")
    done = registered.run(tick=tick)
    assert_true_of(done)
    assert done.reasons[f"{FOLDER}echo/0.png"] == "removed REMOVED_AT_SOURCE"
    folder = done.run.dataset.snapshot(done.published["snapshot_id"])
    assert b"echo/0.png" in people.place.read(str(folder.entries))


def test_overwriting_after_a_run_that_kept_of_the_same_time_keeps_what_gave_way(
    registered: Imports, people: People, tick: datetime
) -> None:
    people.draw("echo/0.png", "echo", left=7)
    registered.run(tick=tick)
    done = registered.run(tick=tick, human_edits="overwrite")
    assert_true_of(done)
    assert done.reasons[f"{FOLDER}echo/0.png"] == "registered OVERWRITTEN_DATASET_ENTRY"
    folder = done.run.dataset.snapshot(done.published["snapshot_id"])
    assert b'"left":7' in people.place.read(str(folder.entries))


def test_a_dry_run_is_not_what_the_next_run_compares_with(registered: Imports, people: People) -> None:
    people.label("echo/0.png", "speaker")
    registered.run(register=False, label_aliases={"echo": "speaker"})
    done = registered.run(label_aliases={"dot": "Dot"})
    assert done.reasons[f"{FOLDER}echo/0.png"] == "registered KEPT_DATASET_ENTRY"
    assert people.said()["echo/0.png"] == {"speaker"}


def test_a_superseded_run_changes_nothing_and_is_nobodys_base(registered: Imports, people: People) -> None:
    people.label("echo/0.png", "speaker")
    late = registered.run(run_type="scheduled", tick=datetime.now(UTC) - timedelta(hours=1))
    assert (late.action, late.changed) == ("superseded", False)
    people.put("echo/new.png")
    done = registered.run(label_aliases={"dot": "Dot"})
    assert (done.merged.totals["kept"], done.merged.totals["new"], done.merged.totals["changed"]) == (1, 1, 4)


def test_both_datasets_of_a_split_register_twice_at_one_time(imports: Imports, people: People) -> None:
    people.put(*(f"{label}/{number}.png" for label in ("echo", "dot") for number in range(4)))
    tick = datetime.now(UTC).replace(microsecond=0)
    first = imports.split(tick=tick)
    tested = sorted(people.said("test"))
    people.label(tested[0], "speaker", dataset_type="test")
    people.label(min(people.said()), "speaker")
    second = imports.split(tick=tick, label_aliases={"echo": "Echo"})
    for done in second.values():
        assert_true_of(done)
        assert done.published["snapshot_id"] != first[done.run.request.dataset_type].published["snapshot_id"]
        assert done.merged.totals["kept"] == 1
    assert people.said("test")[tested[0]] == {"speaker"}
