"""The data plane against SeaweedFS: what a stub of ours would only repeat of what we believe."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from bench.fixture import contents
from include.custom_labels.__main__ import app
from include.custom_labels.errors import AccessError
from include.custom_labels.labelling import FolderLabelling
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.custom_labels.objects import ObjectPage
from include.object_store import streams, version_listing
from include.object_store.folder_manifest import write_manifest
from include.object_store.listing import list_objects
from include.object_store.probing import probe_headers
from include.object_store.ranged_reads import read_range
from include.object_store.session import S3Session
from include.object_store.snapshots import Workspace, publish_snapshot
from include.object_store.streams import (
    ObjectWriter,
    copy_object,
    object_head,
    put_json,
    read_chunks,
    read_json,
)
from include.object_store.tables import read_pages, write_pages
from tests.fixtures.local_aws import LocalAws
from tests.object_store.conftest import HOSTILE_NAMES, write_and_fail, write_whole

pytestmark = pytest.mark.integration

# SeaweedFS is a file system: these it refuses, normalizes or keeps as folders (see docs/performance.md).
_FILE_NAMES = [name for name in HOSTILE_NAMES if "/" not in name and name not in (".", "..") and "\\" not in name]


@pytest.fixture
def bucket(local_aws: LocalAws) -> Iterator[str]:
    name = f"example-{uuid.uuid4().hex[:12]}"
    local_aws.create_buckets(name)
    yield name
    # One by one: hostile keys do not survive the XML of a request that deletes many.
    client = local_aws.client("s3")
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
        for entry in page.get("Contents", ()):
            client.delete_object(Bucket=name, Key=entry["Key"])


@pytest.fixture
def session(local_aws: LocalAws) -> S3Session:
    return S3Session(local_aws.client("s3"))


def put(session: S3Session, bucket: str, objects: dict[str, bytes]) -> None:
    for key, data in objects.items():
        session.client.put_object(Bucket=bucket, Key=key, Body=data)


def listed(session: S3Session, bucket: str, prefix: str) -> list[str]:
    return [key for page in list_objects(session, S3FolderLocation(bucket, prefix)) for key in page.keys]


def test_hostile_keys_are_listed_raw_and_read(session: S3Session, bucket: str) -> None:
    png = contents()[5]
    keys = [f"photos/{folder}{name}" for folder in ("", "echo/", "e+ö %/") for name in _FILE_NAMES]
    put(session, bucket, dict.fromkeys(keys, png.data))
    assert listed(session, bucket, "photos/") == sorted(keys, key=str.encode)
    (page, *more) = list_objects(session, S3FolderLocation(bucket, "photos/echo/"))
    assert not more
    assert probe_headers(session, bucket, page) == [png.header] * len(page)


def test_keys_come_in_byte_order_although_seaweedfs_has_another(session: S3Session, bucket: str) -> None:
    keys = ["p/a/x/1.png", "p/a/x-1.png", "p/a/x.png", "p/a b.png", "p/a-b/1.png", "p/a.png", "p/b/1.png"]
    put(session, bucket, dict.fromkeys(keys, b"x"))
    flat = [entry["Key"] for entry in session.client.list_objects_v2(Bucket=bucket, Prefix="p/")["Contents"]]
    assert flat != sorted(keys), "SeaweedFS lists in key order now: the sorting in listing.py can go"
    assert listed(session, bucket, "p/") == sorted(keys)


def test_no_version_is_lost_although_seaweedfs_loses_some(
    session: S3Session, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    versioning: Any = {"Status": "Enabled"}
    session.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=versioning)
    keys = ["p/a/x-1.png", *(f"p/a/x/{at}.png" for at in range(3)), "p/a/y.png", "p/b/1.png"]
    put(session, bucket, dict.fromkeys(keys, b"x"))
    session.client.delete_object(Bucket=bucket, Key="p/a/y.png")
    paginator = session.client.get_paginator("list_object_versions")
    pages = paginator.paginate(Bucket=bucket, Prefix="p/a/", MaxKeys=2)  # type: ignore[call-arg]
    flat = [entry["Key"] for page in pages for entry in page.get("Versions", ())]
    assert "p/a/x-1.png" not in flat, "SeaweedFS lists all versions now: the gathering in version_listing.py can go"

    small = replace(version_listing.VERSIONS, query={**version_listing.VERSIONS.query, "max-keys": "2"})
    monkeypatch.setattr(version_listing, "VERSIONS", small)
    pages_of_ours = list(version_listing.list_versions(session, S3FolderLocation(bucket, "p/")))
    found = [(key, size) for page in pages_of_ours for key, size in zip(page.keys, page.sizes, strict=True)]
    assert found == [*((key, 1) for key in keys[:4]), ("p/a/y.png", None), ("p/a/y.png", 1), ("p/b/1.png", 1)]


def test_a_location_and_its_neighbours(session: S3Session, bucket: str) -> None:
    put(session, bucket, dict.fromkeys(["alexa/a.png", "alexa2/a.png", "alexaX.png"], b"x"))
    assert listed(session, bucket, "alexa/") == ["alexa/a.png"]
    assert listed(session, bucket, "") == ["alexa/a.png", "alexa2/a.png", "alexaX.png"]
    assert listed(session, bucket, "none/") == []


def test_a_folder_marker_is_an_object(session: S3Session, bucket: str) -> None:
    put(session, bucket, {"photos/": b"", "photos/echo/": b"", "photos/echo/1.png": b"x"})
    assert listed(session, bucket, "photos/") == ["photos/", "photos/echo/", "photos/echo/1.png"]


def test_a_large_object_is_written_in_parts_and_read_back(session: S3Session, bucket: str) -> None:
    uri = S3Uri(bucket, "out/é +.manifest")
    line = os.urandom(100_000)
    with ObjectWriter(session, uri, content_type="application/jsonlines") as writer:
        for _ in range(400):
            writer.write(line)
    head = object_head(session, uri)
    assert writer.stored is not None
    assert (head.size_bytes, head.etag) == (40_000_000, writer.stored.etag)
    assert head.etag.endswith("-5")
    assert all(chunk == line * (len(chunk) // len(line)) for chunk in _whole_lines(read_chunks(session, uri), line))
    copy = S3Uri(bucket, "out/copy.manifest")
    copy_object(session, uri, copy)
    assert object_head(session, copy).size_bytes == 40_000_000


def _whole_lines(chunks: Iterator[bytes], line: bytes) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        whole = len(data) - len(data) % len(line)
        yield data[:whole]
        rest = data[whole:]
    assert not rest


@pytest.mark.parametrize("size", [10, 6_000_000], ids=["in one request", "in parts"])
def test_an_aborted_or_refused_object_leaves_nothing(
    session: S3Session, bucket: str, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(streams, "PART_BYTES", 5 * 1024 * 1024)
    uri = S3Uri(bucket, "out/m")
    with pytest.raises(ZeroDivisionError):
        write_and_fail(ObjectWriter(session, uri), bytes(size))
    with pytest.raises(AccessError):
        object_head(session, uri)
    write_whole(ObjectWriter(session, uri, if_absent=True), b"1" * size)
    with pytest.raises(AccessError) as caught:
        write_whole(ObjectWriter(session, uri, if_absent=True), b"2" * size)
    assert caught.value.code == "OBJECT_EXISTS"
    assert read_range(session, uri, 0, 3) == b"111"
    assert not session.client.list_multipart_uploads(Bucket=bucket).get("Uploads")


class Numbered(msgspec.Struct):
    at: int


def test_documents_are_written_under_a_condition(session: S3Session, bucket: str) -> None:
    uri = S3Uri(bucket, "current.json")
    first = put_json(session, uri, {"at": 1}, if_absent=True)
    assert first is not None
    assert put_json(session, uri, {"at": 2}, if_absent=True) is None
    second = put_json(session, uri, {"at": 3}, if_match=first)
    assert put_json(session, uri, {"at": 4}, if_match=first) is None
    assert read_json(session, uri, Numbered) == (Numbered(3), second)


def test_versions_are_told(session: S3Session, bucket: str) -> None:
    session.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    uri = S3Uri(bucket, "out/m")
    versions = []
    for data in (b"1", b"2"):
        with ObjectWriter(session, uri) as writer:
            writer.write(data)
        assert writer.stored is not None
        versions.append(writer.stored.version_id)
    assert len({*versions, None}) == 3
    assert object_head(session, uri).version_id == versions[1]


def test_an_object_that_changed_since_the_listing_is_an_outcome(session: S3Session, bucket: str) -> None:
    png = contents()[5]
    put(session, bucket, {"a.png": png.data, "b.png": png.data, "c.png": png.data})
    (page,) = list_objects(session, S3FolderLocation(bucket, ""))
    put(session, bucket, {"a.png": contents()[0].data})
    session.client.delete_object(Bucket=bucket, Key="b.png")
    outcomes = probe_headers(session, bucket, page)
    assert [getattr(outcome, "reason", outcome) for outcome in outcomes] == ["CHANGED", "VANISHED", png.header]


def test_a_listing_passes_through_a_table(session: S3Session, bucket: str) -> None:
    put(session, bucket, {f"photos/{at % 3}/{at}.png": b"x" for at in range(20)})
    pages = list(list_objects(session, S3FolderLocation(bucket, "photos/")))
    write_pages(session, S3Uri(bucket, "staging/listing.parquet"), pages)
    (found,) = read_pages(session, S3Uri(bucket, "staging/listing.parquet"))
    assert found == ObjectPage(
        *([value for page in pages for value in getattr(page, name)] for name in ObjectPage.__slots__[:4])
    )


def test_a_manifest_from_end_to_end(session: S3Session, bucket: str) -> None:
    put(session, bucket, {"photos/echo/1.png": b"x", "photos/loose.png": b"x", "photos/notes.txt": b"x"})
    pages = map(FolderLabelling("photos/").open_ledger, list_objects(session, S3FolderLocation(bucket, "photos/")))
    uri = S3Uri(bucket, "out/m")
    write_manifest(session, uri, bucket, pages, ledger=S3Uri(bucket, "out/l"))
    lines = b"".join(read_chunks(session, uri)).splitlines()
    assert [line.split(b'"')[3] for line in lines] == [
        f"s3://{bucket}/photos/echo/1.png".encode(),
        f"s3://{bucket}/photos/loose.png".encode(),
    ]


FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "missing bucket": ({}, "example-missing-bucket", "BUCKET_NOT_FOUND"),
    "unknown key": ({"aws_access_key_id": "nobody"}, "", "CREDENTIALS_REFUSED"),
    "wrong secret": ({"aws_secret_access_key": "wrong"}, "", "CREDENTIALS_REFUSED"),
}


@pytest.mark.parametrize(("overrides", "other", "code"), FAULTS.values(), ids=FAULTS)
def test_refusals(local_aws: LocalAws, bucket: str, overrides: dict[str, Any], other: str, code: str) -> None:
    session = S3Session(local_aws.client("s3", **overrides))
    with pytest.raises(AccessError) as listing_error:
        listed(session, other or bucket, "photos/")
    with pytest.raises(AccessError) as read_error:
        read_range(session, S3Uri(other or bucket, "a.png"), 0, 10)
    assert (listing_error.value.code, read_error.value.code) == (code, code)
    assert listing_error.value.details["request_id"]
    assert "wrong" not in str(listing_error.value.details) + str(read_error.value.details)


def test_the_command_line_compares_snapshots_of_two_states_of_a_folder(
    session: S3Session, bucket: str, local_aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in local_aws.env.items():
        monkeypatch.setenv(name, value)
    dataset = Workspace(S3FolderLocation(bucket, "labels/")).dataset("alexa", "train")
    staging = S3FolderLocation(bucket, "staging/")

    def publish(day: int) -> str:
        pages = map(FolderLabelling("photos/").open_ledger, list_objects(session, S3FolderLocation(bucket, "photos/")))
        written = write_manifest(
            session, staging.uri("a.manifest"), bucket, pages, ledger=staging.uri("ledger.parquet")
        )
        assert written.ledger is not None
        summary = publish_snapshot(
            session,
            dataset,
            as_of=datetime(2026, 11, day, tzinfo=UTC),
            manifest=written.manifest,
            ledger=written.ledger,
            images=3,
        )
        return str(dataset.snapshot(summary.snapshot_id).folder)

    put(session, bucket, {"photos/echo/é 1.png": b"one", "photos/echo/2.png": b"two", "photos/dot/3.png": b"three"})
    before = publish(21)
    put(session, bucket, {"photos/echo/é 1.png": b"another", "photos/dot/2.png": b"two"})
    session.client.delete_object(Bucket=bucket, Key="photos/echo/2.png")
    result = CliRunner().invoke(app, ["diff", before, publish(22), "--json"])
    assert result.exit_code == 1, result.output
    found = json.loads(result.stdout)
    assert {name: found[name] for name in ("added", "removed", "changed", "relabelled", "moved", "not_compared")} == {
        "added": 1,
        "removed": 1,
        "changed": 1,
        "relabelled": 0,
        "moved": 1,
        "not_compared": 0,
    }
    assert found["samples"]["moved"][0]["before"] == f"s3://{bucket}/photos/echo/2.png"
