"""JSON documents have a format, and say what is wrong with them and what the way out is."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from bench.stub import Stub
from include.custom_labels.errors import AccessError, DocumentError
from include.custom_labels.locations import S3Uri
from include.gallery.messages import Save
from include.gallery.save_work import SaveRecord
from include.object_store.documents import (
    FORMAT,
    damaged,
    decode_document,
    encode_document,
    missing,
    of_another_format,
    rebuild_command,
    unreadable,
)
from include.object_store.registration_journal import Holder, Journal, Lease, Replacement, read_journal
from include.object_store.session import S3Session
from include.object_store.snapshots import CurrentSnapshot, SnapshotSummary, Workspace, read_current, read_summary
from include.object_store.streams import put_bytes, read_json
from tests.object_store.conftest import session_of

Serve = Callable[[Sequence[str]], Stub]
DATASET = Workspace.parse("s3://example-workspace/custom labels").dataset("example-project", "test")
COMMAND = (
    "python -m include.custom_labels rebuild-base 's3://example-workspace/custom labels/' "
    "--project example-project --type test"
)
NOW = datetime(2026, 11, 22, 20, tzinfo=UTC)
ID = "20261122T200000Z-0a1b2c3d"

# The documents of a dataset, and how each is read.
SUMMARY = SnapshotSummary(
    snapshot_id=ID,
    as_of=NOW,
    manifest="s3://example-workspace/m.manifest",
    manifest_sha256="0" * 64,
    manifest_size_bytes=1,
    ledger="s3://example-workspace/ledger.parquet",
    images=1,
)
CURRENT = CurrentSnapshot(snapshot_id=ID, manifest_sha256="0" * 64, dataset_arn="arn", registered_at=NOW)
JOURNAL = Journal(
    lease=Lease(holder=Holder("import_s3_folder", "one"), expires_at=NOW),
    replacement=Replacement(dataset_arn="arn", entries="s3://example-workspace/e.manifest", count=1),
)
SAVE = SaveRecord(save=Save(save_id="save", state="saved"), user="example-user", begun_at=NOW, updated_at=NOW)
DOCUMENTS: dict[str, tuple[Any, S3Uri, Callable[[S3Session], object]]] = {
    "current.json": (CURRENT, DATASET.current, lambda session: read_current(session, DATASET)),
    "registration.json": (JOURNAL, DATASET.registration, lambda session: read_journal(session, DATASET)),
    "summary.json": (SUMMARY, DATASET.snapshot(ID).summary, lambda session: read_summary(session, DATASET, ID)),
    "edits": (SAVE, DATASET.save("save"), lambda session: read_json(session, DATASET.save("save"), SaveRecord)),
}


def damage(name: str, data: bytes, kind: str) -> bytes:
    members = json.loads(data)
    match kind:
        case "empty":
            return b""
        case "cut off":
            return data[: len(data) // 2]
        case "not text":
            return data.replace(b"example", b"ex\xff\xfele").replace(b"arn", b"\xff\xfe")
        case "not an object":
            return b"[]"
        case "a mistyped name":
            return json.dumps(members | {"replacment": None}).encode()
        case "another type":
            return json.dumps({key: [1] for key in members} | {"format": FORMAT}).encode()
        case "no time zone":
            return data.replace(b"20:00:00Z", b"20:00:00")
        case "a later format":
            return json.dumps(members | {"format": FORMAT + 1}).encode()
        case "an odd format":
            return json.dumps(members | {"format": "two"}).encode()
        case "an earlier form":
            return json.dumps({key: [1] for key in members.keys() - {"format"}}).encode()
    raise ValueError(kind)


DAMAGES = {
    "empty": "DOCUMENT_UNREADABLE",
    "cut off": "DOCUMENT_UNREADABLE",
    "not text": "DOCUMENT_UNREADABLE",
    "not an object": "DOCUMENT_UNREADABLE",
    "a mistyped name": "DOCUMENT_UNREADABLE",
    "another type": "DOCUMENT_UNREADABLE",
    "no time zone": "DOCUMENT_UNREADABLE",
    "a later format": "DOCUMENT_FORMAT",
    "an odd format": "DOCUMENT_FORMAT",
    "an earlier form": "DOCUMENT_FORMAT",
}


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("kind", DAMAGES)
def test_each_damage_of_each_document_has_a_code_and_a_way_out(kind: str, name: str, serve: Serve) -> None:
    document, uri, read = DOCUMENTS[name]
    stub = serve([])
    stub.bucket = uri.bucket
    session = session_of(stub)
    data = encode_document(document)
    put_bytes(session, uri, damage(name, data, kind))
    with pytest.raises(DocumentError) as caught:
        read(session)
    assert caught.value.code == DAMAGES[kind]
    # No run builds on the record of a save.
    assert (COMMAND in caught.value.next_step) == (name != "edits")
    assert "Restore the object's previous version" in caught.value.next_step
    assert caught.value.details["location"] == str(uri)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_without_a_format_are_read(name: str, serve: Serve) -> None:
    document, uri, read = DOCUMENTS[name]
    stub = serve([])
    stub.bucket = uri.bucket
    session = session_of(stub)
    put_bytes(session, uri, msgspec.json.encode(document))
    found = read(session)
    assert (found[0] if isinstance(found, tuple) else found) == document


def test_the_format_is_written_and_read(serve: Serve) -> None:
    data = encode_document(CURRENT)
    assert json.loads(data)["format"] == FORMAT
    assert decode_document("place", data, CurrentSnapshot) == CURRENT
    assert encode_document(CURRENT) == data


@pytest.mark.parametrize("snapshot_id", ["", "latest", "20261322T200000Z-0a1b2c3d"])
def test_a_snapshot_id_without_a_time_is_refused(snapshot_id: str) -> None:
    data = encode_document(CURRENT).replace(ID.encode(), snapshot_id.encode())
    with pytest.raises(DocumentError, match="DOCUMENT_UNREADABLE"):
        decode_document(DATASET.current, data, CurrentSnapshot)


def test_an_address_that_is_none_is_refused() -> None:
    data = encode_document(JOURNAL).replace(b"s3://example-workspace/e.manifest", b"e.manifest")
    with pytest.raises(DocumentError, match="DOCUMENT_UNREADABLE"):
        decode_document(DATASET.registration, data, Journal)


@pytest.mark.parametrize(
    ("place", "command"),
    [
        (DATASET.current, COMMAND),
        (DATASET.snapshot(ID).ledger, COMMAND),
        ("s3://w/datasets/a/train/current.json", "rebuild-base s3://w/ --project a --type train"),
        ("s3://w/datasets/a/train/datasets/b/test/current.json", "s3://w/datasets/a/train/ --project b --type test"),
        ("s3://w/staging/run/current.json", ""),
        (DATASET.save("save"), ""),
        ("/data/datasets/a/train/summary.json", ""),
    ],
)
def test_the_command_of_a_place(place: object, command: str) -> None:
    assert rebuild_command(place).endswith(command)
    assert bool(rebuild_command(place)) == bool(command)


@pytest.mark.parametrize("place", [DATASET.current, "/data/summary.json"])
def test_no_way_out_deletes_a_document(place: object) -> None:
    errors = [unreadable(place, "x"), damaged(place, "x"), missing(place, "y"), of_another_format(place, 3)]
    assert {error.code for error in errors} == {
        "DOCUMENT_UNREADABLE",
        "DOCUMENT_DAMAGED",
        "DOCUMENT_MISSING",
        "DOCUMENT_FORMAT",
    }
    for error in errors:
        assert isinstance(error, AccessError)
        assert "remove" not in error.next_step.lower()
        assert "delete" not in error.next_step.lower().replace("delete nothing", "")
