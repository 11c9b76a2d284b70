from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from bench.stub import Stub
from include.custom_labels.errors import DatasetConflictError, RequestError
from include.object_store.holders import Holder
from include.object_store.session import S3Session
from include.object_store.snapshots import (
    Base,
    CurrentSnapshot,
    SnapshotSummary,
    Workspace,
    publish_snapshot,
    read_current,
    read_summary,
    snapshot_id,
    summary_sha256,
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


def publish(session: S3Session, manifest: bytes = b"line\n", as_of: datetime = AS_OF, **more: Any) -> SnapshotSummary:
    entries = more.get("entries")
    return publish_snapshot(
        session,
        DATASET,
        as_of=as_of,
        manifest=staged(session, "images.manifest", manifest),
        ledger=staged(session, "ledger.parquet", more.get("ledger", b"ledger")),
        images=1,
        entries=staged(session, "entries.manifest", entries) if entries is not None else None,
        details=more.get("details", {"labels": {"echo": 1}}),
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


def test_ids_hold_utc_and_a_digest_of_everything() -> None:
    id = snapshot_id(AS_OF, "0a1b2c3d" * 8, "ledger")
    time, _, digest = id.partition("-")
    assert time == "20261122T200000Z"
    assert re.fullmatch("[0-9a-f]{8}", digest)
    assert snapshot_id(AS_OF.astimezone(timezone(timedelta(hours=9))), "0a1b2c3d" * 8, "ledger") == id
    assert snapshot_id(AS_OF, "0a1b2c3d" * 8, "another") != id
    assert snapshot_id(AS_OF, "0a1b2c3d" * 8 + "ledger", "") != id
    with pytest.raises(ValueError, match="time zone"):
        snapshot_id(datetime(2026, 11, 22, 20), "0a1b2c3d" * 8)  # noqa: DTZ001


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


@pytest.mark.parametrize(
    "other",
    [
        {"manifest": b"two\n"},
        {"as_of": AS_OF + timedelta(days=1)},
        {"ledger": b"what became of the images"},
        {"entries": b"entries before\n"},
        {"details": {"labels": {"echo": 1}, "request": {"removals": "hold"}}},
    ],
)
def test_whatever_differs_makes_another_snapshot(serve: Serve, other: dict[str, Any]) -> None:
    stub = serve([])
    session = session_of(stub)
    first, second = publish(session), publish(session, **other)
    assert first.snapshot_id != second.snapshot_id
    kept = stub.objects.get(DATASET.snapshot(second.snapshot_id).entries.key)
    assert (kept.data if kept else None) == other.get("entries")
    assert stub.objects[DATASET.snapshot(second.snapshot_id).ledger.key].data == other.get("ledger", b"ledger")


def test_the_run_and_its_timings_make_no_other_snapshot(serve: Serve) -> None:
    session = session_of(serve([]))
    details = {"labels": {"echo": 1}, "run": {"run_id": "one"}, "timings": {"register": 1.5}}
    first = publish(session, details=details)
    again = publish(session, details={**details, "run": {"run_id": "two"}, "timings": {"register": 2.5}})
    assert again == first


def test_a_summary_has_the_digest_of_each_object(serve: Serve) -> None:
    stub = serve([])
    session = session_of(stub)
    summary = publish(session, entries=b"before\n")
    snapshot = DATASET.snapshot(summary.snapshot_id)
    for uri, digest in (
        (snapshot.manifest, summary.manifest_sha256),
        (snapshot.ledger, summary.ledger_sha256),
        (snapshot.entries, summary.entries_sha256),
        (snapshot.summary, summary_sha256(session, DATASET, summary.snapshot_id)),
    ):
        assert hashlib.sha256(stub.objects[uri.key].data).hexdigest() == digest


def test_a_snapshot_is_never_changed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two snapshots whose digests begin alike, which eight hex digits do not rule out."""
    stub = serve([])
    session = session_of(stub)
    monkeypatch.setattr("include.object_store.snapshots.snapshot_id", lambda *_: "20261122T200000Z-00000000")
    publish(session, b"one\n")
    for other in ({"manifest": b"two\n"}, {"manifest": b"one\n", "ledger": b"another"}):
        with pytest.raises(DatasetConflictError) as caught:
            publish(session, **other)
        assert caught.value.code == "SNAPSHOT_CONFLICT"
    assert stub.objects[DATASET.snapshot("20261122T200000Z-00000000").manifest.key].data == b"one\n"


def test_a_snapshot_without_a_summary_is_none(serve: Serve) -> None:
    assert read_summary(session_of(serve([])), DATASET, "20261122T200000Z-00000000") is None


def test_the_current_snapshot_changes_under_a_condition(serve: Serve) -> None:
    session = session_of(serve([]))
    base = Base(snapshot_id="20261122T200000Z-00000000", summary_sha256="1" * 64, begun_at=AS_OF)
    current = CurrentSnapshot(
        snapshot_id="20261122T200000Z-00000000",
        manifest_sha256="0" * 64,
        dataset_arn=ARN,
        registered_at=AS_OF,
        run=Holder("refresh_example", "one", "an Airflow"),
        origin="s3://example-images/x/",
        bases={"s3://example-images/x/": base},
        entries=3,
        labelled=2,
        content_sha256="2" * 64,
    )
    assert current.as_of == AS_OF
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


def test_an_event_tells_of_content_and_of_where_it_is() -> None:
    current = CurrentSnapshot(
        snapshot_id="20261122T200000Z-00000000",
        manifest_sha256="0" * 64,
        dataset_arn=ARN,
        registered_at=AS_OF,
        content_sha256="2" * 64,
    )
    for changes in ({"content_sha256": "3" * 64}, {"dataset_arn": f"{ARN}1"}):
        assert msgspec.structs.replace(current, **changes).announcement != current.announcement
    later = msgspec.structs.replace(current, snapshot_id="20261123T200000Z-00000000", manifest_sha256="1" * 64)
    assert later.announcement == current.announcement
