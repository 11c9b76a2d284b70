"""Digests of what may have been sent come back as they were, or say what is wrong with them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pyarrow as pa
import pytest

from bench.stub import Stub
from include.custom_labels.errors import DocumentError
from include.object_store import tables
from include.object_store.sent_digests import SENT_SCHEMA, read_origin, read_overwritten, read_sent, write_sent
from include.object_store.snapshots import Workspace
from include.object_store.streams import put_bytes
from include.object_store.tables import TableWriter
from tests.object_store.conftest import HOSTILE_NAMES, session_of

Serve = Callable[[Sequence[str]], Stub]
URI = Workspace.parse("s3://example-images/labels").dataset("alexa", "train").sent("import_s3_folder.run-1")


def digest(at: int) -> bytes:
    return at.to_bytes(16, "big")


def test_the_place() -> None:
    assert str(URI) == "s3://example-images/labels/datasets/alexa/train/sent/import_s3_folder.run-1.parquet"


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [(f"s3://example-images/{name}", digest(at)) for at, name in enumerate(HOSTILE_NAMES)],
        [(f"s3://example-images/{at % 3_000:05}.png", digest(at)) for at in range(5_000)],
    ],
    ids=["nothing", "hostile", "several row groups"],
)
def test_pairs_come_back_sorted_and_once(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, pairs: list[tuple[str, bytes]]
) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP_ROWS", 2_000)
    session = session_of(serve([]))
    given = pairs + pairs[::2]
    random.Random(1).shuffle(given)
    stored = write_sent(session, URI, given)
    assert stored.uri == URI
    assert list(read_sent(session, URI)) == sorted(pairs)


def test_what_a_line_took_the_place_of_is_remembered_with_it(serve: Serve) -> None:
    session = session_of(serve([]))
    kept, sent = ("s3://example-images/a.png", digest(1)), ("s3://example-images/b.png", digest(2))
    write_sent(session, URI, [sent, kept], {sent: [b"a person's", b"another"]})
    assert list(read_overwritten(session, URI)) == [(sent, [b"a person's", b"another"])]
    assert list(read_sent(session, URI)) == [kept, sent]


def test_one_that_is_missing_is_said_to_be(serve: Serve) -> None:
    with pytest.raises(DocumentError, match="rebuild-base s3://example-images/labels/ --project alexa") as caught:
        list(read_sent(session_of(serve([])), URI))
    assert caught.value.code == "DOCUMENT_MISSING"


@pytest.mark.parametrize("damage", ["empty", "cut off", "a byte", "another schema", "not sorted"])
def test_a_damaged_one_is_refused(serve: Serve, damage: str) -> None:
    stub = serve([])
    session = session_of(stub)
    write_sent(session, URI, [(f"s3://example-images/{at}.png", digest(at)) for at in range(100)])
    data = stub.objects[URI.key].data
    if damage in ("another schema", "not sorted"):
        columns = [["b", "a"], [digest(1), digest(2)], [None, None]]
        schema = SENT_SCHEMA if damage == "not sorted" else pa.schema([pa.field("identity", pa.string())])
        with TableWriter(session, URI, schema) as table:
            table.append(*columns[: len(schema.names)])
    else:
        middle = data[:200] + bytes([data[200] ^ 1]) + data[201:]
        put_bytes(session, URI, {"empty": b"", "cut off": data[: len(data) // 2], "a byte": middle}[damage])
    with pytest.raises(DocumentError) as caught:
        list(read_sent(session, URI))
    assert caught.value.code == "DOCUMENT_UNREADABLE"
    assert caught.value.details["location"] == str(URI)


@pytest.mark.parametrize("origin", ["", "s3://example-images/łódź/"])
def test_a_document_tells_whose_it_is(serve: Serve, origin: str) -> None:
    session = session_of(serve([]))
    write_sent(session, URI, [("s3://example-images/0.png", digest(0))], origin=origin)
    assert read_origin(session, URI) == origin
    put_bytes(session, URI, b"PAR1")
    with pytest.raises(DocumentError, match="DOCUMENT_UNREADABLE"):
        read_origin(session, URI)
