from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest

from bench.stub import Stub
from include.custom_labels.errors import DatasetConflictError, RequestError
from include.object_store.session import S3Session
from include.object_store.snapshots import (
    CurrentSnapshot,
    SnapshotSummary,
    Workspace,
    publish_snapshot,
    read_current,
    read_summary,
    snapshot_id,
    write_current,
)
from include.object_store.streams import ObjectWriter, StoredObject
from tests.object_store.conftest import session_of

Serve = Callable[[Sequence[str]], Stub]
WORKSPACE = Workspace.parse("s3://example-images/labels")
DATASET = WORKSPACE.dataset("alexa", "train")
AS_OF = datetime(2026, 11, 22, 20, tzinfo=UTC)
ARN = "arn:aws:rekognition:us-east-1:111122223333:project/alexa/dataset/train/1795384943582"


def staged(session: S3Session, name: str, data: bytes) -> StoredObject:
    with ObjectWriter(session, WORKSPACE.staging("run-1").uri(name)) as writer:
        writer.write(data)
    assert writer.stored is not None
    return writer.stored


def publish(session: S3Session, manifest: bytes, as_of: datetime = AS_OF) -> SnapshotSummary:
    return publish_snapshot(
        session,
        DATASET,
        as_of=as_of,
        manifest=staged(session, "images.manifest", manifest),
        ledger=staged(session, "ledger.parquet", b"ledger"),
        images=1,
        details={"labels": {"echo": 1}},
    )


def test_the_layout() -> None:
    snapshot = DATASET.snapshot("20261122T200000Z-0a1b2c3d")
    folder = "s3://example-images/labels/datasets/alexa/train/"
    assert str(DATASET.current) == f"{folder}current.json"
    assert str(DATASET.registration) == f"{folder}registration.json"
    assert str(snapshot.manifest) == f"{folder}snapshots/20261122T200000Z-0a1b2c3d/alexa-train.manifest"
    assert str(snapshot.ledger) == f"{folder}snapshots/20261122T200000Z-0a1b2c3d/ledger.parquet"
    assert str(snapshot.summary) == f"{folder}snapshots/20261122T200000Z-0a1b2c3d/summary.json"
    assert str(snapshot.report) == f"{folder}snapshots/20261122T200000Z-0a1b2c3d/report.html"
    assert str(WORKSPACE.staging("run-1")) == "s3://example-images/labels/staging/run-1/"
    assert str(WORKSPACE.uploads("u1")) == "s3://example-images/labels/uploads/u1/"
    with pytest.raises(RequestError):
        Workspace.parse("labels")


def test_ids_hold_utc_and_a_digest_of_all_contents() -> None:
    made = snapshot_id(AS_OF, "manifest", "ledger")
    assert made.startswith("20261122T200000Z-")
    assert len(made) == len("20261122T200000Z-0a1b2c3d")
    assert snapshot_id(AS_OF.astimezone(timezone(timedelta(hours=9))), "manifest", "ledger") == made
    assert snapshot_id(AS_OF, "manifest", "another ledger") != made
    with pytest.raises(ValueError, match="time zone"):
        snapshot_id(datetime(2026, 11, 22, 20), "manifest")  # noqa: DTZ001


def test_a_snapshot_is_published_once(serve: Serve) -> None:
    stub = serve([])
    session = session_of(stub)
    summary = publish(session, b"line\n")
    snapshot = DATASET.snapshot(summary.snapshot_id)
    assert stub.objects[snapshot.manifest.key].data == b"line\n"
    assert stub.objects[snapshot.ledger.key].data == b"ledger"
    assert read_summary(session, DATASET, summary.snapshot_id) == summary
    objects = set(stub.objects)
    assert publish(session, b"line\n") == summary
    assert set(stub.objects) == objects


def test_another_manifest_is_another_snapshot(serve: Serve) -> None:
    session = session_of(serve([]))
    assert publish(session, b"one\n").snapshot_id != publish(session, b"two\n").snapshot_id
    later = publish(session, b"one\n", AS_OF + timedelta(days=1))
    assert later.snapshot_id.startswith("20261123T200000Z-")


def test_a_snapshot_is_never_changed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two manifests whose digests begin alike, which eight hex digits do not rule out."""
    stub = serve([])
    session = session_of(stub)
    monkeypatch.setattr("include.object_store.snapshots.snapshot_id", lambda *_: "20261122T200000Z-00000000")
    publish(session, b"one\n")
    with pytest.raises(DatasetConflictError) as caught:
        publish(session, b"two\n")
    assert caught.value.code == "SNAPSHOT_CONFLICT"
    assert stub.objects[DATASET.snapshot("20261122T200000Z-00000000").manifest.key].data == b"one\n"


def test_a_snapshot_without_a_summary_is_none(serve: Serve) -> None:
    assert read_summary(session_of(serve([])), DATASET, "20261122T200000Z-00000000") is None


def test_the_current_snapshot_changes_under_a_condition(serve: Serve) -> None:
    session = session_of(serve([]))
    current = CurrentSnapshot(
        snapshot_id="20261122T200000Z-00000000", manifest_sha256="0" * 64, dataset_arn=ARN, registered_at=AS_OF
    )
    assert read_current(session, DATASET) is None
    etag = write_current(session, DATASET, current, expected_etag=None)
    assert read_current(session, DATASET) == (current, etag)
    with pytest.raises(DatasetConflictError):
        write_current(session, DATASET, current, expected_etag=None)
    second = CurrentSnapshot(
        snapshot_id="20261123T200000Z-00000000", manifest_sha256="0" * 64, dataset_arn=ARN, registered_at=AS_OF
    )
    write_current(session, DATASET, second, expected_etag=etag)
    with pytest.raises(DatasetConflictError) as caught:
        write_current(session, DATASET, current, expected_etag=etag)
    assert caught.value.code == "CURRENT_CHANGED"
    found = read_current(session, DATASET)
    assert found is not None
    assert found[0] == second
