"""What a run asks the services for, and what it spares them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from include.custom_labels.images import unread
from include.object_store.registration_journal import Journal
from include.pipelines import inspection
from tests.fixtures.places import end_of_second
from tests.refreshes.imports import FOLDER, Imports
from tests.refreshes.people import People

pytestmark = pytest.mark.integration

WRITES = {"CreateProject", "CreateDataset", "DeleteDataset", "UpdateDatasetEntries", "DistributeDatasetEntries"}

Asking = Callable[[], Any]


@pytest.fixture
def asking(clients: tuple[Callable[..., Any], Callable[..., Any]], imports: Imports) -> Asking:
    """Operations of Rekognition that tasks ask for in a block: ``with asking() as operations: …``."""
    client = clients[1]("aws_default").conn

    @contextmanager
    def asked() -> Iterator[set[str]]:
        operations: set[str] = set()

        def note(event_name: str, **_: Any) -> None:
            operations.add(event_name.rpartition(".")[2])

        client.meta.events.register_first("before-send.rekognition", note)
        try:
            yield operations
        finally:
            client.meta.events.unregister("before-send.rekognition", note)

    return asked


@pytest.fixture
def images_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Images whose first bytes were read, by their keys below the folder."""
    found: list[str] = []

    def counted(page: Any) -> list[bool]:
        wanted = unread(page)
        found.extend(
            key.removeprefix(FOLDER) for key, is_wanted in zip(page.objects.keys, wanted, strict=True) if is_wanted
        )
        return wanted

    monkeypatch.setattr(inspection, "unread", counted)
    return found


@pytest.mark.parametrize("case", ["create", "update", "replace"])
def test_one_task_writes_to_rekognition(imports: Imports, people: People, asking: Asking, case: str) -> None:
    people.put("echo/0.png", "echo/1.png", "dot/0.png")
    if case != "create":
        imports.run()
        people.put("dot/new.png")
    if case == "replace":
        people.delete("dot/0.png")
    with asking() as before:
        run = imports.begin().plan_it()
    with asking() as meanwhile:
        run.register()
    with asking() as after:
        run.publish().summarize()
    assert (run.action, (before | after) & WRITES) == (case, set())
    assert (
        meanwhile & WRITES
        == {
            "create": {"CreateProject", "CreateDataset"},
            "update": {"UpdateDatasetEntries"},
            "replace": {"DeleteDataset", "CreateDataset"},
        }[case]
    )


def test_a_dataset_that_was_just_created_is_verified_by_its_counts_and_others_by_their_entries(
    imports: Imports, people: People, asking: Asking
) -> None:
    people.put("echo/0.png", "echo/1.png", "dot/0.png")
    created = imports.begin().plan_it()
    with asking() as asked_of_a_new_one:
        created.register()
    assert "ListDatasetEntries" not in asked_of_a_new_one
    assert created.publish().summarize().states == {"registered": 3}
    people.put("dot/new.png")
    updated = imports.begin().plan_it()
    with asking() as asked_of_an_old_one:
        updated.register()
    assert "ListDatasetEntries" in asked_of_an_old_one


def test_where_nothing_has_changed_no_image_and_no_entry_is_read_and_nobody_is_told(
    registered: Imports, asking: Asking, images_read: list[str]
) -> None:
    before = registered.run().current
    with asking() as asked:
        done = registered.run()
    assert asked == {"DescribeProjects", "DescribeDataset"}
    assert images_read == []
    assert (done.changed, done.events, done.journal) == (False, [], Journal())
    # Its snapshot says so.
    assert done.summary()["details"]["registration"]["action"] == "unchanged"
    assert done.summary()["details"]["states"] == {"registered": 8}
    assert before
    assert before.dataset_arn == done.summary()["details"]["dataset_arn"]


def test_entries_are_read_where_somebody_has_changed_the_dataset(
    registered: Imports, people: People, asking: Asking, images_read: list[str]
) -> None:
    people.label("echo/0.png", "speaker")
    with asking() as asked:
        done = registered.run()
    assert (done.action, "ListDatasetEntries" in asked, images_read) == ("unchanged", True, [])


def test_only_images_that_the_last_ledger_does_not_know_are_read(
    registered: Imports, people: People, images_read: list[str]
) -> None:
    people.put("echo/new.png", "dot/0.png")
    people.copy("echo/0.png", "echo/copy.png")
    # The last ledger is one of an earlier second: no snapshot has the second of another.
    end_of_second()
    registered.run()
    assert sorted(images_read) == ["dot/0.png", "echo/copy.png", "echo/new.png"]
    images_read.clear()
    end_of_second()
    registered.run(label_aliases={"echo": "Echo"})
    assert images_read == []
