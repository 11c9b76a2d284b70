from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
import pytest

from bench.stub import Stub
from include.custom_labels.errors import AccessError
from include.custom_labels.labelling import FolderLabelling
from include.custom_labels.ledger import LedgerPage, State, ledger_rows
from include.custom_labels.locations import S3Uri
from include.custom_labels.objects import ObjectPage
from include.custom_labels.reasons import Reason
from include.custom_labels.versions import ObjectsAsOf
from include.object_store import tables
from include.object_store.tables import (
    LEDGER_SCHEMA,
    TableWriter,
    read_ledger,
    read_pages,
    read_version_ids,
    write_ledger,
    write_pages,
    write_pages_as_of,
)
from tests.object_store.conftest import BUCKET, HOSTILE_NAMES, session_of

Serve = Callable[[Sequence[str]], Stub]
URI = S3Uri(BUCKET, "staging/table.parquet")


def page(*keys: str) -> ObjectPage:
    return ObjectPage(
        list(keys),
        [2**40 + at for at in range(len(keys))],
        [f"etag{at}" for at in range(len(keys))],
        ["2026-11-22T20:00:00"] * len(keys),
    )


def rows(pages: Iterator[ObjectPage]) -> list[tuple[str, int, str, str]]:
    return [row for each in pages for row in zip(each.keys, each.sizes, each.etags, each.last_modified, strict=True)]


@pytest.mark.parametrize(
    "pages",
    [
        [],
        [page()],
        [page("a"), page(), page("b", "c")],
        [page(*sorted(HOSTILE_NAMES))],
        [page(*(f"{start}-{at:04d}" for at in range(900))) for start in range(9)],
    ],
    ids=["nothing", "empty page", "small", "hostile", "several row groups"],
)
def test_listings_come_back_in_order(serve: Serve, monkeypatch: pytest.MonkeyPatch, pages: list[ObjectPage]) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP_ROWS", 2_000)
    session = session_of(serve([]))
    written = write_pages(session, URI, pages)
    assert written.uri == URI
    assert rows(read_pages(session, URI)) == rows(iter(pages))
    assert all(len(each) <= tables.PAGE_ROWS for each in read_pages(session, URI))


def test_ledgers_come_back_as_they_were(serve: Serve) -> None:
    session = session_of(serve([]))
    ledger = FolderLabelling("p/").open_ledger(page("p/", "p/a.png", "p/b/c.png", "p/b/d.txt"))
    ledger.widths[1], ledger.heights[1], ledger.details[1] = 640, 480, "odd"
    quarantined = LedgerPage(page("p/z.png"), [State.QUARANTINED], [None], [Reason.VANISHED], ["NoSuchKey"], [0], [0])
    write_ledger(session, URI, [ledger, quarantined])
    (found,) = read_ledger(session, URI)
    assert found.states == ledger.states + quarantined.states
    assert all(isinstance(state, State) for state in found.states)
    assert found.reasons == ledger.reasons + quarantined.reasons
    assert found.reasons[0].explanation == ledger.reasons[0].explanation
    assert found.labels == [None, None, "b", None, None]
    assert found.details == ["", "odd", "", "", "NoSuchKey"]
    assert (found.widths, found.heights) == ([0, 640, 0, 0, 0], [0, 480, 0, 0, 0])
    assert found.objects.keys == ledger.objects.keys + quarantined.objects.keys


def test_a_listing_keeps_the_versions_to_bring(serve: Serve) -> None:
    session = session_of(serve([]))
    write_pages_as_of(session, URI, [ObjectsAsOf(page("a", "b"), [None, "v1"]), ObjectsAsOf(page("c"), ["null"])])
    assert list(read_version_ids(session, URI)) == [None, "v1", "null"]
    assert [key for each in read_pages(session, URI) for key in each.keys] == ["a", "b", "c"]
    write_pages(session, URI, [page("a", "b")])
    assert list(read_version_ids(session, URI)) == [None, None]


def test_ledgers_say_where_bytes_are_and_those_of_before_are_read(serve: Serve) -> None:
    session = session_of(serve([]))
    ledger = FolderLabelling("p/").open_ledger(page("p/b/a.png", "p/b/c.png"))
    moved = replace(ledger, objects=replace(ledger.objects, places=[None, "h/p/b/c.png"]))
    write_ledger(session, URI, [moved])
    assert list(read_ledger(session, URI)) == [moved]

    later = ("place", "sent", "drawn_on")
    before = pa.schema([each for each in LEDGER_SCHEMA if each.name not in later])
    with TableWriter(session, URI, before) as table:
        table.append(*(column for name, column in columns_of(ledger).items() if name not in later))
    assert list(read_ledger(session, URI)) == [ledger]


def test_closed_ledgers_say_what_was_sent_and_whose_work_is_where(serve: Serve) -> None:
    session = session_of(serve([]))
    ledger = FolderLabelling("p/").open_ledger(page("p/b/a.png", "p/b/c.png"))
    closed = replace(ledger, entries=[None, b"{}"], sent=[b"0123456789abcdef", None], drawn_on=[None, "e 9"])
    write_ledger(session, URI, [closed])
    assert list(read_ledger(session, URI)) == [closed]


def columns_of(ledger: LedgerPage) -> dict[str, list[object]]:
    rows = list(ledger_rows(ledger))
    return dict(zip(LEDGER_SCHEMA.names, map(list, zip(*rows, strict=True)), strict=True))


def test_the_same_rows_are_the_same_bytes(serve: Serve) -> None:
    session = session_of(serve([]))
    first = write_pages(session, URI, [page("a", "b")])
    assert write_pages(session, URI, [page("a"), page("b")]).size_bytes == first.size_bytes
    assert write_pages(session, URI, [page("a", "b")]).sha256 == first.sha256


def test_a_failing_source_leaves_no_table(serve: Serve) -> None:
    stub = serve([])

    def pages() -> Iterator[ObjectPage]:
        yield page("a")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_pages(session_of(stub), URI, pages())
    assert not stub.objects


def test_a_missing_table_is_an_error_of_access(serve: Serve) -> None:
    with pytest.raises(AccessError) as caught:
        next(read_pages(session_of(serve([])), URI))
    assert caught.value.code == "OBJECT_NOT_FOUND"
