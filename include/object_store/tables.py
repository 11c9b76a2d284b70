"""Parquet in S3, written and read row group by row group: listings and ledgers between the tasks of a Dag."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, BinaryIO, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from include.custom_labels.dataset_entries import DIGEST_BYTES
from include.custom_labels.ledger import LedgerPage, State
from include.custom_labels.locations import S3Uri
from include.custom_labels.objects import ObjectPage
from include.custom_labels.reasons import Reason
from include.custom_labels.versions import ObjectsAsOf
from include.object_store.documents import unreadable
from include.object_store.ranged_reads import read_range
from include.object_store.session import S3Session
from include.object_store.streams import ObjectWriter, StoredObject, object_head, stored_of

Member = TypeVar("Member", bound=StrEnum)

PARQUET = "application/vnd.apache.parquet"
ROW_GROUP_ROWS = 50_000
PAGE_ROWS = 1_000
_BATCH_ROWS = 10 * PAGE_ROWS
"""Decoded at once: to decode pages one by one takes twice as long."""
_READ_AHEAD_BYTES = 1024 * 1024

_OBJECT_FIELDS: list[pa.Field[Any]] = [
    pa.field("key", pa.string(), nullable=False),
    pa.field("size_bytes", pa.int64(), nullable=False),
    pa.field("etag", pa.string(), nullable=False),
    pa.field("last_modified", pa.string(), nullable=False),
]
_OBJECT_NAMES = [each.name for each in _OBJECT_FIELDS]
LISTING_SCHEMA = pa.schema([*_OBJECT_FIELDS, pa.field("version_id", pa.string())])
LEDGER_SCHEMA = pa.schema(
    [
        *_OBJECT_FIELDS,
        pa.field("state", pa.string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("entry", pa.binary()),
        pa.field("place", pa.string()),
        pa.field("sent", pa.binary(DIGEST_BYTES)),
        pa.field("drawn_on", pa.string()),
    ]
)
# Dictionaries pay where values repeat; every key and ETag is another one.
_REPEATED = ["last_modified", "state", "label", "reason", "detail"]
# Columns of which whole pages often have one value, which is faster to count than to convert.
_ALIKE = frozenset({"state", "label", "reason", "detail", "entry", "place", "version_id", "sent", "drawn_on"})


class TableWriter:
    """Columns appended to a Parquet object that appears when the ``with`` block ends without an error.

    :ivar stored: what was written, once the block has ended
    """

    def __init__(self, session: S3Session, uri: S3Uri, schema: pa.Schema) -> None:
        self._object = ObjectWriter(session, uri, content_type=PARQUET)
        self._schema = schema
        repeated = [name for name in _REPEATED if name in schema.names]
        self._parquet = pq.ParquetWriter(
            self._object,  # type: ignore[arg-type]
            schema,
            compression="zstd",
            # Compressed data can be damaged and still be unpacked.
            write_page_checksum=True,
            use_dictionary=repeated,  # type: ignore[arg-type]
        )
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0

    @property
    def stored(self) -> StoredObject | None:
        return self._object.stored

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, *failure: object) -> None:
        if failure[0] is None:
            try:
                self._write_row_group()
                self._parquet.close()
                self._object.close()
            finally:
                self._object.abort()
        else:
            self._object.abort()
            # Its footer goes nowhere; left open, the writer would complain when it is collected.
            self._parquet.is_open = False

    def append(self, *columns: Sequence[object]) -> None:
        """Add rows as columns in the order of the schema."""
        batch = pa.record_batch(list(map(_array, columns, self._schema)), schema=self._schema)
        self._batches.append(batch)
        self._rows += batch.num_rows
        if self._rows >= ROW_GROUP_ROWS:
            self._write_row_group()

    def _write_row_group(self) -> None:
        if self._rows:
            self._parquet.write_table(pa.Table.from_batches(self._batches, self._schema))
            self._batches, self._rows = [], 0


def _array(column: Sequence[object], field: pa.Field[Any]) -> pa.Array[Any]:
    is_alike = field.name in _ALIKE and len(column) > 0 and column.count(column[0]) == len(column)
    array: pa.Array[Any] = (
        pa.repeat(pa.scalar(column[0], field.type), len(column)) if is_alike else pa.array(column, field.type)
    )
    return array


class _RangedFile(io.RawIOBase):
    """An object as a file to seek in, for the Parquet reader."""

    def __init__(self, session: S3Session, uri: S3Uri) -> None:
        self._session = session
        self._uri = uri
        self._head = object_head(session, uri)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._head.size_bytes}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        stop = min(self._at + len(buffer), self._head.size_bytes)
        if self._at >= stop:
            return 0
        data = read_range(self._session, self._uri, self._at, stop, etag=self._head.etag)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def read_columns(session: S3Session, uri: S3Uri, schema: pa.Schema, names: Sequence[str]) -> Iterator[list[list[Any]]]:
    """Columns of a table in the order of their names, `PAGE_ROWS` rows each.

    Of None where the table was written before there was such a column, and the schema lets it be None.

    :raises AccessError: OBJECT_NOT_FOUND, DOCUMENT_UNREADABLE, or what else S3 answers
    """
    with io.BufferedReader(_RangedFile(session, uri), _READ_AHEAD_BYTES) as file:
        yield from columns_of(file, uri, schema, names)


def columns_of(file: BinaryIO, place: object, schema: pa.Schema, names: Sequence[str]) -> Iterator[list[list[Any]]]:
    """The same of an open file.

    :param place: what an error calls it
    :raises DocumentError: DOCUMENT_UNREADABLE
    """
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as table:
            there = _columns_there(place, table.schema_arrow, schema, names)
            for batch in table.iter_batches(_BATCH_ROWS, columns=[name for name in names if name in there]):
                for start in range(0, batch.num_rows, PAGE_ROWS):
                    page = batch.slice(start, PAGE_ROWS)
                    yield [page.column(name).to_pylist() if name in there else [None] * len(page) for name in names]
    # pyarrow raises an OSError where a page is not what its checksum says, or cannot be unpacked.
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise unreadable(place, error) from error


def read_metadata(session: S3Session, uri: S3Uri) -> dict[str, str]:
    """What the schema says of the whole table, by name; its rows are not read.

    :raises AccessError: OBJECT_NOT_FOUND, DOCUMENT_UNREADABLE, or what else S3 answers
    """
    try:
        with (
            io.BufferedReader(_RangedFile(session, uri), _READ_AHEAD_BYTES) as file,
            pq.ParquetFile(file) as table,
        ):
            found = table.schema_arrow.metadata or {}
            return {name.decode(): value.decode() for name, value in found.items()}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise unreadable(uri, error) from error


def _columns_there(place: object, found: pa.Schema, schema: pa.Schema, names: Sequence[str]) -> set[str]:
    there = set(found.names)
    for field in map(schema.field, names):
        if field.name not in there:
            if not field.nullable:
                raise unreadable(place, f"it has no column {field.name}")
        elif not found.field(field.name).equals(field):
            raise unreadable(place, f"its column {found.field(field.name)} is to be {field}")
    return there


def read_ledger_objects(session: S3Session, uri: S3Uri) -> Iterator[tuple[str, str, int]]:
    """Key, ETag and size of each row of a ledger, in its order; the other columns are not read.

    :raises AccessError: OBJECT_NOT_FOUND, DOCUMENT_UNREADABLE, or what else S3 answers
    """
    with io.BufferedReader(_RangedFile(session, uri), _READ_AHEAD_BYTES) as file:
        yield from ledger_objects(file, uri)


def ledger_objects(file: BinaryIO, place: object) -> Iterator[tuple[str, str, int]]:
    """The same of an open file.

    :param place: what an error calls it
    :raises DocumentError: DOCUMENT_UNREADABLE
    """
    for columns in columns_of(file, place, LEDGER_SCHEMA, ["key", "etag", "size_bytes"]):
        yield from zip(*columns, strict=True)


def write_pages(session: S3Session, uri: S3Uri, pages: Iterable[ObjectPage]) -> StoredObject:
    """A listing as Parquet, with as much in memory as a row group.

    :raises AccessError: what S3 answers; the object is not there then
    """
    return write_pages_as_of(session, uri, (ObjectsAsOf(page, [None] * len(page)) for page in pages))


def write_pages_as_of(session: S3Session, uri: S3Uri, pages: Iterable[ObjectsAsOf]) -> StoredObject:
    """The same with the versions that bytes have to be brought from, which `read_version_ids` reads.

    :raises AccessError: what S3 answers; the object is not there then
    """
    with TableWriter(session, uri, LISTING_SCHEMA) as table:
        for page, version_ids in pages:
            table.append(page.keys, page.sizes, page.etags, page.last_modified, version_ids)
    return stored_of(table)


def read_pages(session: S3Session, uri: S3Uri) -> Iterator[ObjectPage]:
    """The pages of a listing, `PAGE_ROWS` rows each whatever they were before.

    :raises AccessError: OBJECT_NOT_FOUND, or what else S3 answers
    """
    for columns in read_columns(session, uri, LISTING_SCHEMA, _OBJECT_NAMES):
        yield ObjectPage(*columns)


def read_version_ids(session: S3Session, uri: S3Uri) -> Iterator[str | None]:
    """For each object of a listing the version to bring its bytes from, or None where its own key has them.

    :raises AccessError: OBJECT_NOT_FOUND, or what else S3 answers
    """
    for (version_ids,) in read_columns(session, uri, LISTING_SCHEMA, ["version_id"]):
        yield from version_ids


def append_ledger_page(table: TableWriter, page: LedgerPage) -> None:
    """Add a page to a table of `LEDGER_SCHEMA`."""
    objects = page.objects
    table.append(
        objects.keys,
        objects.sizes,
        objects.etags,
        objects.last_modified,
        page.states,
        page.labels,
        page.reasons,
        page.details,
        page.widths,
        page.heights,
        page.entries or [None] * len(page),
        objects.places or [None] * len(page),
        page.sent or [None] * len(page),
        page.drawn_on or [None] * len(page),
    )


def write_ledger(session: S3Session, uri: S3Uri, pages: Iterable[LedgerPage]) -> StoredObject:
    """A ledger as Parquet, with as much in memory as a row group.

    :raises AccessError: what S3 answers; the object is not there then
    """
    with TableWriter(session, uri, LEDGER_SCHEMA) as table:
        for page in pages:
            append_ledger_page(table, page)
    return stored_of(table)


def read_ledger(session: S3Session, uri: S3Uri) -> Iterator[LedgerPage]:
    """The pages of a ledger, `PAGE_ROWS` rows each whatever they were before; of an earlier release's, too.

    :raises AccessError: OBJECT_NOT_FOUND, or what else S3 answers
    """
    return _ledger_pages(read_columns(session, uri, LEDGER_SCHEMA, LEDGER_SCHEMA.names), uri)


def ledger_of(file: BinaryIO, place: object) -> Iterator[LedgerPage]:
    """The same of an open file.

    :param place: what an error calls it
    :raises DocumentError: DOCUMENT_UNREADABLE
    """
    return _ledger_pages(columns_of(file, place, LEDGER_SCHEMA, LEDGER_SCHEMA.names), place)


def _ledger_pages(columns: Iterable[list[list[Any]]], place: object) -> Iterator[LedgerPage]:
    for keys, sizes, etags, times, *rest in columns:
        states, labels, reasons, details, widths, heights, entries, places, sent, drawn_on = rest
        yield LedgerPage(
            ObjectPage(keys, sizes, etags, times, places if any(places) else None),
            _members(State, states, place),
            labels,
            _members(Reason, reasons, place),
            details,
            widths,
            heights,
            entries if any(entries) else None,
            sent if any(sent) else None,
            drawn_on if any(drawn_on) else None,
        )


def _members(kind: type[Member], values: list[str], place: object) -> list[Member]:
    """Members of an enumeration by their values, each of which is looked up once."""
    try:
        members = {value: kind(value) for value in set(values)}
    except ValueError as error:
        raise unreadable(place, error) from error
    return [members[value] for value in values]
