"""A document of the workspace is damaged: the next run writes nothing, and after `rebuild-base` nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from include.custom_labels.errors import DocumentError
from include.custom_labels.locations import S3Uri
from include.object_store.registration_journal import read_journal
from include.object_store.snapshots import read_current
from include.object_store.streams import put_bytes, read_bytes
from include.pipelines.base_rebuild import BaseRebuild, RebuildOptions
from include.pipelines.boto_datasets import BotoDataset
from tests.fixtures.existing_datasets import boxed
from tests.fixtures.places import Place, end_of_second
from tests.refreshes.imports import FOLDER, Import, Imports, before_a_write
from tests.refreshes.people import People
from tests.refreshes.test_overwriting import box_overwritten, told_of

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


def lose(done: Import, uri: S3Uri | str) -> None:
    """A document is gone, and the next run says so."""
    uri = S3Uri.parse(str(uri))
    done.run.s3.client.delete_object(Bucket=uri.bucket, Key=uri.key)


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


BIRDS = "birds/kite/1.png"


def of_birds(people: People) -> str:
    """The source of another import into the same dataset."""
    return f"s3://{people.place.images}/birds"


@pytest.mark.parametrize("name", ["ledger", "summary", "manifest"])
def test_work_that_one_import_kept_aside_outlives_a_damage_after_another_import(
    registered: Imports, people: People, place: Place, name: str
) -> None:
    place.put(BIRDS)
    people.draw("echo/0.png", "echo", left=7)
    body = people.body("echo/0.png")
    people.delete("echo/0.png")
    end_of_second()
    lost = registered.run()
    end_of_second()
    registered.run(s3_folder=of_birds(people))
    lose(lost, lost.published[f"{name}_uri"])
    with pytest.raises(DocumentError):
        registered.run()
    rebuild(lost)
    people.put_body("echo/0.png", body)
    registered.run()
    assert people.boxes("echo/0.png") == [7]
    assert registered.run(s3_folder=of_birds(people)).states == {"registered": 1}


def test_work_that_both_imports_kept_aside_comes_back_to_the_import_that_brings_the_image(
    registered: Imports, people: People, place: Place
) -> None:
    """The ledgers of both are gone, and all that was kept aside is in exports."""
    place.put(BIRDS, "birds/kite/2.png")
    registered.run(s3_folder=of_birds(people))
    people.draw("echo/0.png", "echo", left=7)
    people.send(boxed(f"s3://{place.images}/{BIRDS}", "kite", left=8))
    bodies = people.body("echo/0.png"), place.read(f"s3://{place.images}/{BIRDS}")
    people.delete("echo/0.png")
    place.s3.delete_object(Bucket=place.images, Key=BIRDS)
    end_of_second()
    lost = [registered.run(), registered.run(s3_folder=of_birds(people), max_removed_percent=100)]
    for done in lost:
        lose(done, done.published["ledger_uri"])
    rebuild(lost[0])
    people.put_body("echo/0.png", bodies[0])
    place.s3.put_object(Bucket=place.images, Key=BIRDS, Body=bodies[1])
    back = registered.run(), registered.run(s3_folder=of_birds(people))
    assert people.boxes("echo/0.png") == [7]
    assert people.boxes(f"s3://{place.images}/{BIRDS}") == [8]
    for done, keys in zip(back, ([f"{FOLDER}echo/0.png"], [BIRDS]), strict=True):
        assert [key for key, row in done.rows.items() if row.entry] == keys


def test_what_a_dead_run_had_sent_is_not_kept_aside_as_a_persons(registered: Imports, people: People) -> None:
    """The run that removed the image has exported the dead run's line, and its ledger is gone."""
    body = people.body("echo/0.png")
    end_of_second()
    run = registered.begin(label_aliases={"echo": "Echo"}).plan_it()
    run.register_and_die(people.place)
    run.end("failed")
    assert people.said()["echo/0.png"] == {"Echo"}
    people.draw("echo/1.png", "Echo", left=7)
    people.delete("echo/0.png", "echo/1.png")
    end_of_second()
    lost = registered.run(label_aliases={"echo": "Echo"})
    assert lost.action == "replace"
    lose(lost, lost.published["ledger_uri"])
    said = rebuild(lost)
    assert any(line.startswith("kept aside: 1 entries") for line in said), said
    people.put_body("echo/0.png", body)
    registered.run()
    assert people.said()["echo/0.png"] == {"echo"}


def test_what_another_import_had_sent_and_removed_is_not_kept_aside_as_a_persons(
    registered: Imports, people: People, place: Place
) -> None:
    """Its last ledger no longer knows the image; the older base of the first import does not either."""
    place.put(BIRDS, "birds/kite/2.png", "birds/kite/3.png")
    end_of_second()
    registered.run(s3_folder=of_birds(people))
    people.send(boxed(f"s3://{place.images}/birds/kite/3.png", "kite", left=7))
    for name in (BIRDS, "birds/kite/3.png"):
        place.s3.delete_object(Bucket=place.images, Key=name)
    end_of_second()
    registered.run(s3_folder=of_birds(people), max_removed_percent=100)
    end_of_second()
    place.put("birds/kite/4.png")
    registered.run(s3_folder=of_birds(people))
    end_of_second()
    people.put("echo/new.png")
    lost = registered.run()
    lose(lost, lost.published["ledger_uri"])
    said = rebuild(lost)
    assert not any(BIRDS in (row.key) for row in registered.run().rows.values())
    assert all("kept aside: 1 entries" in line for line in said if line.startswith("kept aside")), said


@pytest.mark.parametrize("is_gone", [True, False], ids=["missing", "cut off"])
def test_what_a_dead_run_has_overwritten_is_told_of_once_although_the_journal_is_lost(
    registered: Imports, people: People, is_gone: bool
) -> None:
    end_of_second()
    box_overwritten(registered, people)
    # What closes a document is known to come after it by its second.
    end_of_second()
    uri = registered.begin().run.dataset.registration
    people.place.s3.delete_object(Bucket=uri.bucket, Key=uri.key)
    if not is_gone:
        people.place.s3.put_object(Bucket=uri.bucket, Key=uri.key, Body=b"{")
    begun = registered.begin()
    with pytest.raises(DocumentError):
        begun.plan_it()
    said = rebuild(begun)
    assert any(line.startswith("sent: ") and "is named" in line for line in said), said
    assert b'"left":7' in told_of(registered.run())
    end_of_second()
    # What was closed is not named again.
    people.place.s3.delete_object(Bucket=uri.bucket, Key=uri.key)
    rebuild(begun)
    assert read_journal(begun.run.s3, begun.run.dataset).sent == {}
    people.put("echo/new.png")
    assert b'"left":7' not in told_of(registered.run())


@pytest.mark.parametrize("has_summary", [True, False])
def test_a_persons_line_that_says_what_was_sent_once_stays_theirs_although_the_journal_is_lost(
    registered: Imports, people: People, has_summary: bool
) -> None:
    """A run that sent `Echo` died; the next one sent `echo` and ended well; then a person says `Echo`."""
    end_of_second()
    run = registered.begin(label_aliases={"echo": "Echo"}).plan_it()
    run.register_and_die(people.place)
    run.end("failed")
    end_of_second()
    done = registered.begin().plan_it()
    with before_a_write(end_of_second):
        done.finish()
    people.label("echo/0.png", "Echo")
    lose(done, done.run.dataset.registration)
    if not has_summary:
        lose(done, done.published["summary_uri"])
    rebuild(done)
    after = registered.run()
    assert people.said()["echo/0.png"] == {"Echo"}
    assert after.reasons[f"{FOLDER}echo/0.png"] == "registered KEPT_DATASET_ENTRY"


def test_what_dead_runs_of_two_imports_have_left_is_named_again(
    registered: Imports, people: People, place: Place
) -> None:
    place.put(BIRDS)
    registered.run(s3_folder=of_birds(people))
    end_of_second()
    box_overwritten(registered, people)
    people.send(boxed(f"s3://{place.images}/{BIRDS}", "kite", left=8))
    run = registered.begin(s3_folder=of_birds(people), human_edits="overwrite").plan_it()
    run.register_and_die(place)
    run.end("failed")
    before = run.journal.sent
    assert len(before) == 2
    lose(run, run.run.dataset.registration)
    rebuild(run)
    assert run.journal.sent == before
    assert b'"left":7' in told_of_one(registered.run(), people)
    assert b'"left":8' in told_of_one(registered.run(s3_folder=of_birds(people)), people)


def told_of_one(done: Import, people: People) -> bytes:
    """What the ledger has, while another import has something to close."""
    return b"".join(row.entry for row in done.rows.values() if row.entry)


def damage_newest(documents: list[S3Uri], run: Import) -> None:
    put_bytes(run.run.s3, documents[-1], b"PAR1")


def lose_newest(documents: list[S3Uri], run: Import) -> None:
    lose(run, documents[-1])


@pytest.mark.parametrize("act", [damage_newest, lose_newest], ids=["cut off", "missing"])
@pytest.mark.parametrize("has_journal", [True, False])
def test_of_two_dead_runs_the_older_document_is_named_where_the_newer_one_is_lost(
    registered: Imports, people: People, act: Callable[[list[S3Uri], Import], None], has_journal: bool
) -> None:
    documents = []
    for left in (7, 9):
        end_of_second()
        people.draw("echo/0.png", "echo", left=left)
        run = registered.begin(human_edits="overwrite").plan_it()
        run.register_and_die(people.place)
        run.end("failed")
        documents.append(run.run.dataset.sent(run.run.slug))
    act(documents, run)
    if not has_journal:
        lose(run, run.run.dataset.registration)
    rebuild(run, takes_lease=True)
    assert list(run.journal.sent.values()) == [str(documents[0])]
    assert b'"left":7' in told_of(registered.run())
