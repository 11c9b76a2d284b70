from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from botocore.config import Config

from bench.stub import SEVERED, Stub
from include.custom_labels.errors import AccessError
from include.custom_labels.locations import S3Uri
from include.object_store import streams
from include.object_store.session import S3Session
from include.object_store.streams import (
    ObjectWriter,
    object_head,
    put_json,
    read_bytes,
    read_chunks,
    read_json,
    read_lines,
)
from tests.object_store.conftest import BUCKET, client_of, session_of, write_and_fail, write_whole

Serve = Callable[[Sequence[str]], Stub]
URI = S3Uri(BUCKET, "out/images.manifest")


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PART_BYTES", 1000)


def content(size: int) -> bytes:
    return bytes(at * 7 % 251 for at in range(size))


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 3000, 12_345])
@pytest.mark.parametrize("piece", [1, 333, 1000, 5000])
def test_any_pieces_become_one_object(serve: Serve, size: int, piece: int) -> None:
    stub = serve([])
    data = content(size)
    with ObjectWriter(session_of(stub), URI, content_type="application/jsonlines") as writer:
        for start in range(0, size, piece):
            assert writer.write(data[start : start + piece]) == min(piece, size - start)
        assert writer.tell() == size
        assert URI.key not in stub.objects
    assert stub.objects[URI.key].data == data
    assert writer.stored is not None
    assert (writer.stored.size_bytes, writer.stored.sha256) == (size, hashlib.sha256(data).hexdigest())
    assert writer.stored.etag == stub.objects[URI.key].etag
    assert not stub.uploads


@pytest.mark.parametrize("written", [10, 5_500], ids=["in one request", "in parts"])
def test_an_error_leaves_nothing_behind(serve: Serve, written: int) -> None:
    stub = serve([])
    writer = ObjectWriter(session_of(stub), URI)
    with pytest.raises(ZeroDivisionError):
        write_and_fail(writer, content(written))
    assert not stub.objects
    assert not stub.uploads
    assert writer.stored is None
    with pytest.raises(ValueError, match="closed"):
        writer.write(b"more")


def test_a_part_that_cannot_be_sent_fails_the_writer(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = serve([])
    session = session_of(stub)
    original = session.client.upload_part

    def upload_part(*, PartNumber: int, **arguments: Any) -> Any:  # noqa: N803
        bucket = "example-missing" if PartNumber == 2 else BUCKET
        return original(**(arguments | {"PartNumber": PartNumber, "Bucket": bucket}))

    monkeypatch.setattr(session.client, "upload_part", upload_part)
    with pytest.raises(AccessError) as caught:
        write_whole(ObjectWriter(session, URI), content(20_000))
    assert caught.value.code == "BUCKET_NOT_FOUND"
    assert not stub.objects
    assert not stub.uploads


def test_parts_on_their_way_are_bounded(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = serve([])
    session = session_of(stub)
    flying, most, lock, gate = 0, 0, threading.Lock(), threading.Event()
    original = session.client.upload_part

    def upload_part(**arguments: object) -> object:
        nonlocal flying, most
        with lock:
            flying += 1
            most = max(most, flying)
            if flying == streams.PARTS_IN_FLIGHT:
                gate.set()
        # Held until as many fly as may: the writer must go on by itself, and no further.
        gate.wait(20)
        answer = original(**arguments)
        with lock:
            flying -= 1
        return answer

    monkeypatch.setattr(session.client, "upload_part", upload_part)
    with ObjectWriter(session, URI) as writer:
        writer.write(content(30_000))
    assert most == streams.PARTS_IN_FLIGHT
    assert stub.objects[URI.key].data == content(30_000)


@pytest.mark.parametrize("size", [10, 5_500], ids=["in one request", "in parts"])
def test_an_object_is_not_replaced_where_it_may_not_be(serve: Serve, size: int) -> None:
    stub = serve([])
    session = session_of(stub)
    with ObjectWriter(session, URI, if_absent=True) as writer:
        writer.write(content(size))
    with pytest.raises(AccessError) as caught:
        write_whole(ObjectWriter(session, URI, if_absent=True), b"x" * size)
    assert caught.value.code == "OBJECT_EXISTS"
    assert stub.objects[URI.key].data == content(size)


@pytest.mark.parametrize("part_bytes", [1, 2, 5, 1000])
@pytest.mark.parametrize(
    ("text", "lines"),
    [(b"", []), (b"a\nbb\n", [b"a", b"bb"]), (b"a\n\nb", [b"a", b"", b"b"]), ("é\n".encode(), ["é".encode()])],
)
def test_lines_do_not_depend_on_where_parts_end(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, part_bytes: int, text: bytes, lines: list[bytes]
) -> None:
    session = session_of(serve([]))
    with ObjectWriter(session, URI) as writer:
        writer.write(text)
    original = streams.read_parts
    monkeypatch.setattr(streams, "read_parts", lambda *at, **about: original(*at, **about, part_bytes=part_bytes))
    assert list(read_lines(session, URI)) == lines


def test_an_object_that_changes_while_it_is_read_is_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = serve([])
    session = session_of(stub)
    with ObjectWriter(session, URI) as writer:
        writer.write(content(50))
    original = streams.read_parts
    monkeypatch.setattr(streams, "read_parts", lambda *at, **about: original(*at, **about, part_bytes=10))
    chunks = read_chunks(session, URI)
    next(chunks)
    stub.objects[URI.key].etag = "another"
    with pytest.raises(AccessError) as caught:
        next(chunks)
    assert caught.value.code == "OBJECT_CHANGED"


@pytest.mark.parametrize("faults", [[503], [0], [SEVERED], [503, SEVERED, 0]], ids=str)
def test_busy_answers_and_broken_connections_are_repeated(serve: Serve, faults: list[int]) -> None:
    stub = serve([])
    session = S3Session(client_of(stub, config=Config(proxies={})))
    data = content(2_500)
    for work in (
        lambda: write_whole(ObjectWriter(session, URI), data),
        lambda: b"".join(read_chunks(session, URI)) == data,
        lambda: read_bytes(session, URI) == (data, stub.objects[URI.key].etag),
    ):
        stub.faults.extend(faults)
        assert work() in (None, True)
        assert not stub.faults
    assert stub.objects[URI.key].data == data


class Document(msgspec.Struct):
    name: str


def test_documents_are_written_under_a_condition(serve: Serve) -> None:
    session = session_of(serve([]))
    assert read_json(session, URI, Document) is None
    first = put_json(session, URI, Document("one"), if_absent=True)
    assert first is not None
    assert put_json(session, URI, Document("two"), if_absent=True) is None
    assert read_json(session, URI, Document) == (Document("one"), first)
    second = put_json(session, URI, Document("three"), if_match=first)
    assert put_json(session, URI, Document("four"), if_match=first) is None
    assert read_json(session, URI, Document) == (Document("three"), second)
    assert put_json(session, S3Uri(BUCKET, "none"), Document("five"), if_match=first) is None


def test_a_document_that_is_none_is_an_error(serve: Serve) -> None:
    session = session_of(serve([]))
    with ObjectWriter(session, URI) as writer:
        writer.write(b'{"name": 1, "format": 2}')
    with pytest.raises(AccessError, match="name") as caught:
        read_json(session, URI, Document)
    assert caught.value.code == "DOCUMENT_UNREADABLE"


def test_missing_objects(serve: Serve) -> None:
    session = session_of(serve([]))
    assert read_bytes(session, URI) is None
    for read in (lambda: object_head(session, URI), lambda: next(read_chunks(session, URI))):
        with pytest.raises(AccessError) as caught:
            read()
        assert caught.value.code == "OBJECT_NOT_FOUND"


def test_a_missing_bucket_is_not_a_missing_object(serve: Serve) -> None:
    with pytest.raises(AccessError) as caught:
        read_bytes(session_of(serve([])), S3Uri("example-missing", "a"))
    assert caught.value.code == "BUCKET_NOT_FOUND"
