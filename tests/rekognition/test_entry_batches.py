from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from include.rekognition.entry_batches import (
    MAX_BATCH_SIZE_BYTES,
    EntrySource,
    InlineEntries,
    S3Manifest,
    entry_batches,
    split_s3_uri,
)
from include.rekognition.errors import (
    RekognitionCredentialsExpiredError,
    RekognitionEntryTooLargeError,
    RekognitionManifestChangedError,
    RekognitionS3ObjectError,
)
from tests.rekognition.stored_objects import StoredObjects

URI = "s3://example-bucket/manifests/a.manifest"
lines = st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=40)


def in_memory(content: bytes) -> EntrySource:
    return InlineEntries(content)


def in_s3(content: bytes) -> EntrySource:
    objects = StoredObjects()
    objects.put("example-bucket", "manifests/a.manifest", content)
    return S3Manifest(objects, URI)


@pytest.mark.parametrize("source", [in_memory, in_s3])
@given(lines=lines, ending=st.sampled_from([b"", b"\n", b"\r\n"]), size=st.integers(14, 60))
def test_batches_are_the_source_cut_between_lines(source, lines: list[bytes], ending: bytes, size: int) -> None:
    content = b"\n".join(lines) + ending
    batches = list(entry_batches(source(content), max_batch_size_bytes=size))
    position = 0
    for batch in batches:
        skipped = content[position : batch.end - len(batch.body)]
        assert not skipped.strip()
        assert content[batch.end - len(batch.body) : batch.end] == batch.body
        assert len(batch.body) <= size
        assert batch.end == len(content) or batch.body.endswith(b"\n")
        position = batch.end
    assert not content[position:].strip()
    assert sum(batch.lines for batch in batches) == sum(1 for line in content.split(b"\n") if line.strip())
    assert all(batch.lines for batch in batches)


@given(lines=lines.filter(bool), size=st.integers(14, 60))
def test_batching_continues_where_it_was_left(lines: list[bytes], size: int) -> None:
    source = InlineEntries(lines)
    batches = list(entry_batches(source, max_batch_size_bytes=size))
    for position, batch in enumerate(batches):
        rest = list(entry_batches(source, start=batch.end, max_batch_size_bytes=size))
        assert rest == batches[position + 1 :]


@given(lines=lines.filter(bool), size=st.integers(14, 60), data=st.data())
def test_batches_end_where_they_are_told_to(lines: list[bytes], size: int, data: st.DataObject) -> None:
    content = b"".join(line + b"\n" for line in lines)
    line_ends = list(accumulate(len(line) + 1 for line in lines))
    ends = sorted(data.draw(st.sets(st.sampled_from(line_ends))))
    batches = list(entry_batches(InlineEntries(content), max_batch_size_bytes=size, ends=ends))
    assert all(len(batch.body) <= size for batch in batches)
    assert b"".join(batch.body for batch in batches).replace(b"\n", b"") == b"".join(lines)
    assert not any(batch.end - len(batch.body) < end < batch.end for batch in batches for end in ends)
    for position, batch in enumerate(batches):
        rest = list(entry_batches(InlineEntries(content), start=batch.end, max_batch_size_bytes=size, ends=ends))
        assert rest == batches[position + 1 :]


def test_line_that_fits_into_no_batch() -> None:
    batches = entry_batches(InlineEntries(["short", "x" * 20, "short"]), max_batch_size_bytes=20)
    assert next(batches).body == b"short\n"
    with pytest.raises(RekognitionEntryTooLargeError, match="starts at byte 6 of the given entries has more than 20"):
        next(batches)


def test_last_line_may_fill_the_batch() -> None:
    assert [b.body for b in entry_batches(InlineEntries("x" * 20), max_batch_size_bytes=20)] == [b"x" * 20]


def test_default_size_stays_below_the_limit_also_in_base64() -> None:
    assert MAX_BATCH_SIZE_BYTES * 4 / 3 < 5_242_880


@pytest.mark.parametrize(
    "entries", [b"\xc3\xa9\nb", "é\nb", ["é", b"b"], iter(["é", "b"])], ids=["bytes", "text", "list", "iterator"]
)
def test_forms_of_inline_entries(entries) -> None:
    source = InlineEntries(entries)
    assert source.read(0, 100) == b"\xc3\xa9\nb"
    assert source.size_bytes == 4
    assert source.version == InlineEntries(b"\xc3\xa9\nb").version != InlineEntries(b"other").version


def test_manifest_is_read_in_ranges() -> None:
    objects = StoredObjects()
    objects.put("example-bucket", "manifests/a.manifest", b"12345678\n" * 4)
    batches = list(entry_batches(S3Manifest(objects, URI), max_batch_size_bytes=20))
    assert [batch.end for batch in batches] == [18, 36]
    assert objects.ranges == ["bytes=0-19", "bytes=18-35"]


def test_manifest_version() -> None:
    objects = StoredObjects()
    objects.put("example-bucket", "manifests/a.manifest", b"new\n")
    objects.put("example-bucket", "manifests/a.manifest", b"old\n", version_id="v1")
    manifest = S3Manifest(objects, URI, version_id="v1")
    assert manifest.read(0, 10) == b"old\n"
    assert manifest.version != S3Manifest(objects, URI).version


def test_manifest_that_is_replaced_while_it_is_read() -> None:
    objects = StoredObjects()
    objects.put("example-bucket", "manifests/a.manifest", b"12345678\n" * 4)
    batches = entry_batches(S3Manifest(objects, URI), max_batch_size_bytes=20)
    next(batches)
    objects.put("example-bucket", "manifests/a.manifest", b"87654321\n" * 4)
    with pytest.raises(RekognitionManifestChangedError, match="PreconditionFailed"):
        next(batches)


def test_a_head_without_a_reason_is_asked_again_for_it() -> None:
    class Expired(StoredObjects):
        def head_object(self, **_: Any) -> dict[str, Any]:
            raise ClientError({"Error": {"Code": "400", "Message": "Bad Request"}}, "HeadObject")

        def get_object(self, **_: Any) -> dict[str, Any]:
            raise ClientError({"Error": {"Code": "ExpiredToken", "Message": "expired"}}, "GetObject")

    with pytest.raises(RekognitionCredentialsExpiredError, match="CREDENTIALS_EXPIRED"):
        S3Manifest(Expired(), URI)


def test_manifest_that_is_not_there() -> None:
    with pytest.raises(RekognitionS3ObjectError, match=f"HeadObject of {re.escape(URI)}"):
        S3Manifest(StoredObjects(), URI)


@pytest.mark.parametrize(
    "key",
    ["a", "a/b.manifest", "a//b", "/a", "a b", "a%20b", "a+b", "a#b", "a?b=c", "\u202eabc", "caf\u00e9", "cafe\u0301"],
)
def test_keys_are_taken_raw(key: str) -> None:
    assert split_s3_uri(f"s3://example-bucket/{key}") == ("example-bucket", key)


@pytest.mark.parametrize(
    "uri", ["", "a", "s3://", "s3://example-bucket", "s3://example-bucket/", "s3:///a", "https://e.com/a", "S3://b/a"]
)
def test_not_an_s3_uri(uri: str) -> None:
    with pytest.raises(ValueError, match="is not of the form s3://bucket/key"):
        split_s3_uri(uri)
