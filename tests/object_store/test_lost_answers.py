"""A conditional write whose answer is lost is looked up: what holds our bytes is our success, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from include.custom_labels.errors import AccessError, DatasetConflictError
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.object_store import conditional_writes, streams
from include.object_store.conditional_writes import happened
from include.object_store.copies import DONE, copy_images
from include.object_store.registration_journal import HeldJournal, Holder, Journal, read_journal
from include.object_store.session import S3Session
from include.object_store.snapshots import (
    CurrentSnapshot,
    DatasetFolder,
    Workspace,
    publish_snapshot,
    read_current,
    write_current,
)
from include.object_store.streams import PART_BYTES, ObjectWriter, put_bytes, put_json, read_bytes, stored_of
from include.object_store.uploads import FolderUpload, LocalFolder
from tests.fixtures.local_aws import LocalAws
from tests.fixtures.lost_answers import lost_answers
from tests.fixtures.places import Place, picture

NOW = datetime(2026, 11, 22, 20, tzinfo=UTC)
ONE, TWO = Holder("refresh_example", "one"), Holder("import_s3_folder", "two")

IN_PARTS = PART_BYTES + 10
ONCE, ALWAYS = 1, 1_000
"""How often an answer is lost: the client repeats its request, or gives up in the end."""


@pytest.fixture
def session(place: Place) -> S3Session:
    return S3Session(place.s3)


@pytest.fixture
def dataset(place: Place) -> DatasetFolder:
    return Workspace.parse(f"s3://{place.workspace}/x").dataset("example-project", "train")


class Numbered(msgspec.Struct):
    at: int


@pytest.mark.integration
@pytest.mark.parametrize("times", [ONCE, ALWAYS])
def test_small_documents(session: S3Session, place: Place, times: int) -> None:
    uri = S3Uri(place.workspace, "document.json")
    with lost_answers(session.client, "PutObject", times) as lost:
        first = put_json(session, uri, Numbered(1), if_absent=True)
        assert first is not None
        second = put_json(session, uri, Numbered(2), if_match=first)
    assert lost.count
    found = read_bytes(session, uri)
    assert found is not None
    assert b'"at": 2' in found[0]
    assert found[1] == second != first


@pytest.mark.integration
def test_the_same_value_of_another_writer_is_not_ours(session: S3Session, place: Place) -> None:
    uri = S3Uri(place.workspace, "document.json")
    assert put_json(session, uri, Numbered(1), if_absent=True)
    assert put_json(session, uri, Numbered(1), if_absent=True) is None


@pytest.mark.integration
@pytest.mark.parametrize("times", [ONCE, ALWAYS])
@pytest.mark.parametrize(
    ("operation", "size", "if_absent"),
    [
        ("PutObject", 10, True),
        ("CompleteMultipartUpload", IN_PARTS, True),
        ("CompleteMultipartUpload", IN_PARTS, False),
    ],
    ids=["in one request", "in parts", "in parts, without a condition"],
)
def test_streams(session: S3Session, place: Place, operation: str, size: int, if_absent: bool, times: int) -> None:
    uri = S3Uri(place.workspace, "stream.manifest")
    with (
        lost_answers(session.client, operation, times) as lost,
        ObjectWriter(session, uri, if_absent=if_absent) as writer,
    ):
        writer.write(b"x" * size)
    assert lost.count
    head = streams.object_head(session, uri)
    assert (head.size_bytes, head.etag) == (size, stored_of(writer).etag)
    assert session.client.list_multipart_uploads(Bucket=place.workspace).get("Uploads", []) == []


@pytest.mark.integration
@pytest.mark.parametrize("size", [10, IN_PARTS], ids=["in one request", "in parts"])
def test_the_stream_of_another_writer_is_not_ours(session: S3Session, place: Place, size: int) -> None:
    uri = S3Uri(place.workspace, "stream.manifest")
    put_bytes(session, uri, b"y" * size)
    writer = ObjectWriter(session, uri, if_absent=True)
    writer.write(b"x" * size)
    with pytest.raises(AccessError, match="OBJECT_EXISTS"):
        writer.close()
    assert read_bytes(session, uri) == (b"y" * size, streams.object_head(session, uri).etag)


@pytest.mark.integration
def test_every_write_of_the_journal(session: S3Session, dataset: DatasetFolder) -> None:
    def lost(write: Callable[[], Any]) -> Any:
        with lost_answers(session.client, "PutObject") as answers:
            result = write()
        assert answers.count == 1
        return result

    def take() -> HeldJournal:
        return HeldJournal.take(session, dataset, ONE, now=NOW, has_ended=lambda _: False)

    held = lost(take)
    lost(lambda: held.write(replacement=None))
    lost(lambda: held.renew(NOW, timedelta(hours=1)))
    lost(held.release)
    assert read_journal(session, dataset) == Journal()
    held = lost(take)
    lost(lambda: held.commit("s3://example-images/alexa-devices/"))
    assert read_journal(session, dataset) == Journal()


@pytest.mark.integration
@pytest.mark.parametrize(
    "end",
    [lambda held: held.commit("s3://example-images/alexa-devices/"), HeldJournal.release],
    ids=["commit", "release"],
)
def test_a_run_that_has_lost_its_lease_notices_although_the_other_one_wrote_the_same(
    session: S3Session, dataset: DatasetFolder, end: Callable[[HeldJournal], None]
) -> None:
    old = HeldJournal.take(session, dataset, ONE, now=NOW, has_ended=lambda _: False)
    new = HeldJournal.take(session, dataset, TWO, now=NOW, has_ended=lambda _: True)
    end(new)
    with pytest.raises(DatasetConflictError, match="LEASE_LOST"):
        end(old)


@pytest.mark.integration
def test_snapshots_and_the_current_one(session: S3Session, dataset: DatasetFolder, place: Place) -> None:
    staged = []
    for name in ("m.manifest", "l.parquet"):
        with ObjectWriter(session, S3Uri(place.workspace, name)) as writer:
            writer.write(name.encode())
        staged.append(stored_of(writer))
    with lost_answers(session.client, "PutObject") as lost:
        summary = publish_snapshot(session, dataset, as_of=NOW, manifest=staged[0], ledger=staged[1], images=1)
    assert lost.count == 1
    etag = None
    for day in (1, 2):
        current = CurrentSnapshot(
            snapshot_id=summary.snapshot_id,
            manifest_sha256=summary.manifest_sha256,
            dataset_arn="arn",
            registered_at=NOW + timedelta(days=day),
        )
        with lost_answers(session.client, "PutObject") as lost:
            etag = write_current(session, dataset, current, expected_etag=etag)
        assert lost.count == 1
        assert read_current(session, dataset) == (current, etag)
    with pytest.raises(DatasetConflictError, match="CURRENT_CHANGED"):
        write_current(session, dataset, current, expected_etag="0" * 32)


@pytest.mark.integration
@pytest.mark.parametrize("times", [ONCE, ALWAYS])
def test_uploads(session: S3Session, place: Place, tmp_path: Path, times: int) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    destination = S3FolderLocation(place.images, "images/")
    with ExitStack() as stack:
        folder = stack.enter_context(LocalFolder(str(tmp_path)))
        files = folder.staged(destination.prefix)
        upload = stack.enter_context(FolderUpload(session, folder, destination, files))
        lost = stack.enter_context(lost_answers(session.client, "PutObject", times))
        (sent,) = upload.send(files)
    assert lost.count
    assert sent.reason is None
    assert sent.etag == streams.object_head(session, destination.uri("a.png")).etag


@pytest.mark.integration
@pytest.mark.parametrize("times", [ONCE, ALWAYS])
@pytest.mark.parametrize("operation", ["CopyObject", "PutObject"], ids=["within S3", "through here"])
def test_copies(
    session: S3Session, place: Place, local_aws: LocalAws, other_aws: LocalAws, operation: str, times: int
) -> None:
    image = picture()
    source_aws = local_aws if operation == "CopyObject" else other_aws
    source = S3Session(source_aws.client("s3"))
    if source_aws is other_aws:
        other_aws.create_buckets(place.images)
    source.client.put_object(Bucket=place.images, Key="a.png", Body=image)
    target = S3Uri(place.workspace, "copies/a.png")
    with lost_answers(session.client, operation, times) as lost:
        (outcome,) = copy_images(source, session, [(S3Uri(place.images, "a.png"), target)])
    assert lost.count
    assert outcome.state in DONE
    assert outcome.etag == streams.object_head(session, target).etag
    assert read_bytes(session, target) == (image, outcome.etag)


def refusal(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


def test_a_write_that_met_another_one_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be an earlier request of our own, whose connection ended while S3 still worked on it."""
    pauses: list[float] = []
    monkeypatch.setattr(conditional_writes.time, "sleep", pauses.append)
    answers: list[ClientError | str] = [refusal("ConditionalRequestConflict", 409)] * 2
    answers.append(refusal("PreconditionFailed", 412))

    def write() -> str:
        answer = answers.pop(0)
        if isinstance(answer, ClientError):
            raise answer
        return answer

    assert happened(write, lambda: "ours") == "ours"
    assert pauses == [0.1, 0.4]
    answers.extend([refusal("ConditionalRequestConflict", 409)] * 5)
    with pytest.raises(ClientError, match="ConditionalRequestConflict"):
        happened(write, lambda: None)
    assert len(answers) == 1


def test_a_refusal_for_another_reason_is_not_looked_up() -> None:
    def write() -> str:
        raise refusal("AccessDenied", 403)

    def find() -> str:
        raise AssertionError

    with pytest.raises(ClientError, match="AccessDenied"):
        happened(write, find)
