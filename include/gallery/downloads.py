"""Files of a snapshot to take home: its manifest, its ledger, and COCO; all of them are streams."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Final

from include.custom_labels.coco_export import ExportedImage, coco_chunks
from include.custom_labels.ledger import LedgerRow, ledger_rows
from include.custom_labels.line_contents import LineContents
from include.gallery.messages import DownloadKind
from include.object_store.session import S3Session
from include.object_store.snapshots import SnapshotFolder
from include.object_store.streams import read_chunks, read_lines
from include.object_store.tables import PARQUET, read_ledger

MEDIA_TYPES: Final[dict[DownloadKind, str]] = {
    "manifest": "application/jsonlines",
    "ledger.parquet": PARQUET,
    "ledger.csv": "text/csv; charset=utf-8",
    "coco.json": "application/json",
}

_CSV_COLUMNS: Final = (
    "key", "state", "reason", "label", "detail", "width", "height", "size_bytes", "etag", "last_modified", "place",
)  # fmt: skip
# What spreadsheets take for the beginning of a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_CHUNK_BYTES: Final = 1 << 16


def read_download(session: S3Session, snapshot: SnapshotFolder, kind: DownloadKind, bucket: str) -> Iterator[bytes]:
    """The file in pieces.

    :param bucket: of the ledger's keys
    :raises AccessError: what S3 answers, with the first piece or with any other
    """
    match kind:
        case "manifest":
            return read_chunks(session, snapshot.manifest)
        case "ledger.parquet":
            return read_chunks(session, snapshot.ledger)
        case "ledger.csv":
            return _gathered(_csv(session, snapshot))
        case "coco.json":
            return _gathered(coco_chunks(lambda: _images(session, snapshot, bucket)))


def _rows(session: S3Session, snapshot: SnapshotFolder) -> Iterator[LedgerRow]:
    for page in read_ledger(session, snapshot.ledger):
        yield from ledger_rows(page)


def _csv(session: S3Session, snapshot: SnapshotFolder) -> Iterator[bytes]:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(_CSV_COLUMNS)
    for row in _rows(session, snapshot):
        writer.writerow([_cell(getattr(row, column)) for column in _CSV_COLUMNS])
        if file.tell() > _CHUNK_BYTES:
            yield file.getvalue().encode()
            file.seek(0)
            file.truncate()
    yield file.getvalue().encode()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _images(session: S3Session, snapshot: SnapshotFolder, bucket: str) -> Iterator[ExportedImage]:
    """The manifest's lines with the sizes that the ledger has; both are sorted by image."""
    rows = _rows(session, snapshot)
    row = next(rows, None)
    contents = LineContents()
    for line in read_lines(session, snapshot.manifest):
        name, _ = contents.read(line)
        while row is not None and f"s3://{bucket}/{row.key}" < name:
            row = next(rows, None)
        is_same = row is not None and f"s3://{bucket}/{row.key}" == name
        yield ExportedImage(
            line=line,
            width=row.width if row is not None and is_same else 0,
            height=row.height if row is not None and is_same else 0,
        )


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in larger pieces: each one is handed to another thread."""
    parts: list[bytes] = []
    size = 0
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size >= _CHUNK_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)
