"""A registered snapshot is read only where each of its objects is what was written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from bench.stub import Stub
from include.custom_labels.diff import diff_snapshots
from include.custom_labels.errors import DocumentError
from include.custom_labels.labelling import FolderLabelling
from include.custom_labels.locations import S3Uri
from include.custom_labels.objects import ObjectPage
from include.object_store.exports import read_export
from include.object_store.folder_manifest import write_manifest
from include.object_store.registered_snapshot import (
    RegisteredSnapshot,
    find_snapshot,
    nearest_ledger,
    nearest_whole_snapshot,
    read_registered,
)
from include.object_store.registration_journal import Replacement
from include.object_store.session import S3Session
from include.object_store.snapshots import Base, CurrentSnapshot, Workspace, publish_snapshot, summary_sha256
from include.object_store.streams import put_bytes, put_json
from tests.object_store.conftest import BUCKET, session_of

Serve = Callable[[Sequence[str]], Stub]
WORKSPACE = Workspace.parse(f"s3://{BUCKET}/labels")
DATASET = WORKSPACE.dataset("alexa", "train")
NOW = datetime(2026, 11, 22, 20, tzinfo=UTC)
KEYS = [f"a/echo/{at:03}.png" for at in range(300)]


@pytest.fixture
def stub(serve: Serve) -> Stub:
    return serve([])


@pytest.fixture
def session(stub: Stub) -> S3Session:
    return session_of(stub)


@pytest.fixture
def current(session: S3Session) -> CurrentSnapshot:
    page = ObjectPage(KEYS, [100] * 300, [f"{at:032x}" for at in range(300)], ["2026-11-22T20:00:00"] * 300)
    staging = WORKSPACE.staging("run")
    pages = [FolderLabelling("a/").open_ledger(page)]
    written = write_manifest(session, staging.uri("m.manifest"), BUCKET, pages, ledger=staging.uri("l.parquet"))
    assert written.ledger is not None
    summary = publish_snapshot(
        session, DATASET, as_of=NOW, manifest=written.manifest, ledger=written.ledger, images=300
    )
    return CurrentSnapshot(
        snapshot_id=summary.snapshot_id,
        manifest_sha256=summary.manifest_sha256,
        dataset_arn="arn",
        registered_at=NOW,
        summary_sha256=summary_sha256(session, DATASET, summary.snapshot_id),
    )


def read_first(session: S3Session, current: CurrentSnapshot, name: str) -> object:
    """The first row or line of an object of the snapshot."""
    snapshot = read_registered(session, DATASET, current)
    return next(snapshot.manifest_lines() if name == "manifest" else snapshot.ledger_rows())


def read_all(snapshot: RegisteredSnapshot) -> tuple[list[str], list[bytes]]:
    return [row.key for row in snapshot.ledger_rows()], list(snapshot.manifest_lines())


def test_a_whole_one_is_read(session: S3Session, stub: Stub, current: CurrentSnapshot) -> None:
    snapshot = read_registered(session, DATASET, current)
    keys, lines = read_all(snapshot)
    assert keys == KEYS
    assert b"\n".join(lines) + b"\n" == stub.objects[snapshot.folder.manifest.key].data
    assert diff_snapshots(snapshot.contents(), snapshot.contents()).is_empty
    snapshot.verify()


def places(current: CurrentSnapshot) -> dict[str, S3Uri]:
    folder = DATASET.snapshot(current.snapshot_id)
    return {"summary": folder.summary, "manifest": folder.manifest, "ledger": folder.ledger}


@pytest.mark.parametrize("name", ["summary", "manifest", "ledger"])
@pytest.mark.parametrize("damage", ["empty", "cut off", "a byte", "missing", "one line less", "appended"])
def test_each_damage_of_each_object_is_refused_before_its_first_row(
    session: S3Session, stub: Stub, current: CurrentSnapshot, name: str, damage: str
) -> None:
    uri = places(current)[name]
    data = stub.objects[uri.key].data
    if damage == "missing":
        del stub.objects[uri.key]
    else:
        last = len(data.rstrip(b"\n")) - 1
        put_bytes(
            session,
            uri,
            {
                "empty": b"",
                "cut off": data[: len(data) // 2],
                "a byte": data[:last] + bytes([data[last] ^ 1]) + data[last + 1 :],
                "one line less": data.partition(b"\n")[2],
                "appended": data + b"\n",
            }[damage],
        )
    with pytest.raises(DocumentError) as caught:
        read_first(session, current, name)
    expected = {"DOCUMENT_MISSING"} if damage == "missing" else {"DOCUMENT_DAMAGED", "DOCUMENT_UNREADABLE"}
    assert caught.value.code in expected
    assert caught.value.details["location"] == str(uri)
    assert "rebuild-base s3://example-images/labels/ --project alexa --type train" in caught.value.next_step


def test_an_empty_manifest_does_not_pass_where_nothing_reads_its_end(
    session: S3Session, current: CurrentSnapshot
) -> None:
    put_bytes(session, places(current)["manifest"], b"")
    with pytest.raises(DocumentError, match="DOCUMENT_DAMAGED"):
        read_registered(session, DATASET, current).verify()


def test_a_summary_that_was_edited_is_refused(session: S3Session, current: CurrentSnapshot) -> None:
    summary = read_registered(session, DATASET, current).summary
    put_json(session, places(current)["summary"], msgspec.structs.replace(summary, details={"bucket": "example-other"}))
    with pytest.raises(DocumentError, match="DOCUMENT_DAMAGED"):
        read_registered(session, DATASET, current)


def test_a_current_document_that_contradicts_its_snapshot_is_refused(
    session: S3Session, current: CurrentSnapshot
) -> None:
    with pytest.raises(DocumentError, match="DOCUMENT_DAMAGED") as caught:
        read_registered(session, DATASET, msgspec.structs.replace(current, manifest_sha256="0" * 64))
    assert caught.value.details["location"] == str(DATASET.current)


def test_a_snapshot_of_an_earlier_release_is_read(session: S3Session, stub: Stub, current: CurrentSnapshot) -> None:
    """Without the digest of the summary, and without that of the ledger."""
    summary = read_registered(session, DATASET, current).summary
    earlier = msgspec.to_builtins(summary)
    for name in ("ledger_sha256", "entries_sha256"):
        del earlier[name]
    put_bytes(session, places(current)["summary"], msgspec.json.encode(earlier))
    snapshot = read_registered(session, DATASET, msgspec.structs.replace(current, summary_sha256=""))
    assert read_all(snapshot)[0] == KEYS
    put_bytes(session, places(current)["ledger"], b"PAR1 no more")
    with pytest.raises(DocumentError, match="DOCUMENT_UNREADABLE"):
        snapshot.verify()


def test_another_snapshot_that_is_named_is_read_by_its_own_digests(
    session: S3Session, stub: Stub, current: CurrentSnapshot
) -> None:
    newer = msgspec.structs.replace(current, snapshot_id="20261123T200000Z-00000000", summary_sha256="0" * 64)
    assert read_all(read_registered(session, DATASET, newer, Base(snapshot_id=current.snapshot_id)))[0] == KEYS
    with pytest.raises(DocumentError, match="DOCUMENT_MISSING"):
        read_registered(session, DATASET, newer)
    with pytest.raises(DocumentError, match="DOCUMENT_MISSING"):
        read_registered(session, DATASET, current, Base(snapshot_id="20261121T200000Z-00000000"))


def test_a_summary_in_the_folder_of_another_snapshot_is_refused(
    session: S3Session, stub: Stub, current: CurrentSnapshot
) -> None:
    other = "20261123T200000Z-00000000"
    summary = stub.objects[places(current)["summary"].key].data
    put_bytes(session, DATASET.snapshot(other).summary, summary)
    with pytest.raises(DocumentError, match="DOCUMENT_DAMAGED"):
        find_snapshot(session, DATASET, other)
    assert find_snapshot(session, DATASET, "20261124T200000Z-00000000") is None


@pytest.mark.parametrize("damage", [b"", b"{}\n", None], ids=["empty", "cut off", "missing"])
def test_a_manifest_that_is_gone_or_cut_off_is_noticed_before_anything_is_read(
    session: S3Session, stub: Stub, current: CurrentSnapshot, damage: bytes | None
) -> None:
    uri = places(current)["manifest"]
    if damage is None:
        del stub.objects[uri.key]
    else:
        put_bytes(session, uri, damage)
    with pytest.raises(DocumentError) as caught:
        read_registered(session, DATASET, current)
    assert caught.value.code == ("DOCUMENT_MISSING" if damage is None else "DOCUMENT_DAMAGED")


def test_the_nearest_snapshot(session: S3Session, stub: Stub, current: CurrentSnapshot) -> None:
    stub.keys = sorted(stub.objects)
    assert nearest_whole_snapshot(session, DATASET, NOW) is None
    found = nearest_ledger(session, DATASET, NOW, or_later=True)
    assert found is not None
    assert [key for page in found[1] for key in page.objects.keys] == KEYS
    found = nearest_ledger(session, DATASET, NOW + timedelta(days=1))
    assert found is not None
    assert found[0].summary.snapshot_id == current.snapshot_id


@pytest.mark.parametrize("name", ["summary", "manifest", "ledger"])
def test_the_nearest_snapshot_is_a_whole_one(
    session: S3Session, stub: Stub, current: CurrentSnapshot, name: str
) -> None:
    later = DATASET.snapshot("20261123T200000Z-00000000")
    for part, uri in places(current).items():
        data = stub.objects[uri.key].data.replace(current.snapshot_id.encode(), b"20261123T200000Z-00000000")
        target = {"summary": later.summary, "manifest": later.manifest, "ledger": later.ledger}[part]
        put_bytes(session, target, b"" if part == name else data)
    stub.keys = sorted(stub.objects)
    found = nearest_whole_snapshot(session, DATASET, NOW + timedelta(days=2))
    assert found is not None
    assert found.summary.snapshot_id == current.snapshot_id


EXPORT = Replacement(dataset_arn="arn", entries=str(DATASET.export("run-1")), count=2)


def test_an_export_is_read(session: S3Session) -> None:
    put_bytes(session, DATASET.export("run-1"), b"one\ntwo\n")
    assert list(read_export(session, DATASET, EXPORT)) == [b"one", b"two"]


@pytest.mark.parametrize("data", [None, b"", b"one\n", b"one\ntw", b"one\ntwo\nthree\n"], ids=str)
def test_each_damage_of_an_export_is_refused_before_its_first_line(session: S3Session, data: bytes | None) -> None:
    if data is not None:
        put_bytes(session, DATASET.export("run-1"), data)
    with pytest.raises(DocumentError) as caught:
        next(read_export(session, DATASET, EXPORT))
    assert caught.value.code == ("DOCUMENT_MISSING" if data is None else "DOCUMENT_DAMAGED")
    assert caught.value.details["location"] == EXPORT.entries
