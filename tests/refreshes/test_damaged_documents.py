"""A document of the workspace is damaged: the next run writes nothing, and after `rebuild-base` nothing is lost."""

from __future__ import annotations

import pytest

from include.custom_labels.errors import DocumentError
from include.custom_labels.locations import S3Uri
from include.object_store.registration_journal import read_journal
from include.object_store.snapshots import read_current
from include.object_store.streams import put_bytes, read_bytes
from include.pipelines.base_rebuild import BaseRebuild, RebuildOptions
from include.pipelines.boto_datasets import BotoDataset
from tests.fixtures.places import Place
from tests.refreshes.imports import FOLDER, Import, Imports, before_a_write
from tests.refreshes.people import People

pytestmark = pytest.mark.integration


class KilledError(BaseException):
    """The worker's process ends."""


def kill() -> None:
    raise KilledError


def rebuild(done: Import, *, takes_lease: bool = False) -> list[str]:
    """What the command says."""
    said: list[str] = []
    run = done.run
    rebuilding = BaseRebuild(
        run.s3,
        BotoDataset(run.rekognition.conn, run.request.project, "train"),
        run.workspace,
        run.request.project,
        "train",
        RebuildOptions(takes_lease=takes_lease),
        say=said.append,
    )
    assert rebuilding.run()
    return said


def address(done: Import, name: str) -> S3Uri:
    dataset = done.run.dataset
    found = read_current(done.run.s3, dataset)
    assert found is not None
    snapshot = dataset.snapshot(found[0].snapshot_id)
    return {
        "current.json": dataset.current,
        "registration.json": dataset.registration,
        "summary.json": snapshot.summary,
        "ledger.parquet": snapshot.ledger,
        "manifest": snapshot.manifest,
    }[name]


@pytest.mark.parametrize("name", ["current.json", "registration.json", "summary.json", "ledger.parquet", "manifest"])
@pytest.mark.parametrize("is_gone", [True, False], ids=["missing", "cut off"])
def test_work_outlives_a_damaged_document(
    registered: Imports, people: People, place: Place, name: str, is_gone: bool
) -> None:
    people.draw("echo/0.png", "echo", left=7)
    people.label("echo/1.png", "echo plus")
    body = people.body("echo/0.png")
    people.delete("echo/0.png")
    # Replaces the dataset: the box is kept aside.
    done = registered.run()
    assert "echo/0.png" not in people.said()
    people.label("dot/0.png", "dot plus")
    said = people.said()
    uri = address(done, name)
    if is_gone:
        place.s3.delete_object(Bucket=uri.bucket, Key=uri.key)
    else:
        found = read_bytes(done.run.s3, uri)
        assert found is not None
        put_bytes(done.run.s3, uri, found[0][: len(found[0]) // 2])

    people.put("dot/new.png")
    with pytest.raises(DocumentError) as caught:
        registered.run()
    assert caught.value.code in ("DOCUMENT_MISSING", "DOCUMENT_DAMAGED", "DOCUMENT_UNREADABLE")
    assert people.said() == said

    rebuild(done)
    registered.run()
    assert people.said() == said | {"dot/new.png": {"dot"}}
    people.put_body("echo/0.png", body)
    registered.run()
    assert people.boxes("echo/0.png") == [7]
    assert people.said()["dot/0.png"] == {"dot plus"}


@pytest.mark.parametrize("is_gone", [True, False], ids=["missing", "empty"])
def test_a_journal_that_is_lost_in_the_middle_of_a_replacement(
    registered: Imports, people: People, place: Place, is_gone: bool
) -> None:
    """The dataset is deleted, and its entries are in an export that nothing names any more."""
    people.draw("echo/0.png", "echo", left=7)
    people.label("echo/1.png", "echo plus")
    said = people.said()
    people.delete("dot/0.png")
    begun = registered.begin().plan_it()
    with pytest.raises(KilledError), before_a_write(kill, "create"):
        begun.register()
    begun.end("failed")
    assert place.dataset_arn() is None
    uri = begun.run.dataset.registration
    if is_gone:
        place.s3.delete_object(Bucket=uri.bucket, Key=uri.key)
    else:
        put_bytes(begun.run.s3, uri, b"")
    with pytest.raises(DocumentError):
        registered.run()
    rebuild(begun)
    journal = read_journal(begun.run.s3, begun.run.dataset)
    assert journal.replacement is not None
    assert journal.replacement.count == 8
    done = registered.run()
    assert people.said() == {name: labels for name, labels in said.items() if name != "dot/0.png"}
    assert people.boxes("echo/0.png") == [7]
    assert f"{FOLDER}dot/0.png" in done.rows
    assert done.journal.replacement is None
