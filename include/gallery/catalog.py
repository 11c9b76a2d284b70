"""One dataset's images as the gallery shows them, in a SQLite file: what its snapshot says, overlaid with its entries.

`include.gallery.catalog_building` makes the file, `include.gallery.views` looks for images in it. The file changes
afterwards only where entries are put into it that were saved since; each time, its revision goes up by one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import IntFlag
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from include.custom_labels.history import image_digest
from include.custom_labels.ledger import State
from include.custom_labels.line_contents import Content, LineContents
from include.custom_labels.manifest import split_source_ref
from include.custom_labels.reasons import Reason
from include.gallery.messages import ImageRow

BUSY_S: Final = 10.0
"""How long a reader waits for another process that is putting entries into the file."""

_IDS_AT_ONCE: Final = 500

SCHEMA: Final = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE images (
  n INTEGER PRIMARY KEY, id INTEGER NOT NULL, bucket TEXT NOT NULL, key TEXT NOT NULL, folded TEXT, source_ref TEXT,
  place TEXT, labels TEXT NOT NULL, box_labels TEXT NOT NULL, boxes INTEGER NOT NULL, labelled INTEGER NOT NULL,
  in_dataset INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL, errors TEXT NOT NULL,
  changes INTEGER NOT NULL, version TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL, last_modified TEXT NOT NULL
);
CREATE TABLE lines (n INTEGER PRIMARY KEY, line BLOB NOT NULL);
CREATE TABLE asides (n INTEGER PRIMARY KEY, line BLOB NOT NULL);
CREATE TABLE befores (n INTEGER PRIMARY KEY, labels TEXT NOT NULL);
CREATE TABLE labels (label INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE image_labels (
  label INTEGER NOT NULL, n INTEGER NOT NULL, boxed INTEGER NOT NULL, PRIMARY KEY (label, n)
) WITHOUT ROWID;
CREATE TABLE groups (
  in_dataset INTEGER, labelled INTEGER, boxed INTEGER, state TEXT, reason TEXT, changes INTEGER, has_errors INTEGER,
  images INTEGER NOT NULL, PRIMARY KEY (in_dataset, labelled, boxed, state, reason, changes, has_errors)
) WITHOUT ROWID;
CREATE TABLE label_counts (label INTEGER PRIMARY KEY, images INTEGER NOT NULL, boxed INTEGER NOT NULL);
CREATE TABLE image_errors (code TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (code, n)) WITHOUT ROWID;
"""
INDEXES: Final = ("CREATE INDEX images_by_id ON images (id)", "CREATE INDEX images_by_key ON images (in_dataset, key)")

_COLUMNS: Final = (
    "n, id, bucket, key, source_ref, place, labels, box_labels, boxes, in_dataset, state, reason, detail, errors, "
    "changes, version, width, height, size_bytes, last_modified"
)

_NAMES: Final = msgspec.json.Decoder(list[str])


class Changes(IntFlag):
    """What became of an image since the snapshot before."""

    ADDED = 1
    REMOVED = 2
    CHANGED = 4
    RELABELLED = 8


CHANGE_NAMES: Final = {
    "added": Changes.ADDED,
    "removed": Changes.REMOVED,
    "changed": Changes.CHANGED,
    "relabelled": Changes.RELABELLED,
}


def change_name(changes: int) -> str:
    """The change of a row; of an image that is another one with other labels, that it is another one."""
    return next((name for name, flag in CHANGE_NAMES.items() if changes & flag), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogImage:
    """An image of the catalog with its entry.

    :ivar source_ref: of its entry
    :ivar place: ``s3://`` address of its bytes now; the same as `source_ref` unless they are elsewhere
    :ivar line: the dataset's entry where it is known, else the snapshot's line; None where there is neither
    :ivar version: of the bytes: their ETag, empty where it is not known
    :ivar width: stored pixels, 0 where they are not known
    """

    id: str
    key: str
    source_ref: str
    place: str
    line: bytes | None
    is_in_dataset: bool
    width: int
    height: int
    version: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a catalog was made from.

    :ivar base_snapshot_id: that changes are against; empty where the snapshot is the first
    :ivar entries_origin: of `include.gallery.live_entries.KnownEntries`; empty where no entries were known
    """

    snapshot_id: str = ""
    base_snapshot_id: str = ""
    entries_origin: str = ""


class Aside(NamedTuple):
    """What is kept about one image beside its row."""

    line: bytes | None
    aside: bytes | None
    before: list[str] | None


def number_of(id: str) -> int:
    """The id as SQLite stores it."""
    return int.from_bytes(bytes.fromhex(id), "big", signed=True)


def stored_digest(identity: str) -> int:
    """The same of an image's identity."""
    return int.from_bytes(image_digest(identity), "big", signed=True)


def id_of(number: int) -> str:
    """The id of a stored number."""
    return f"{number & 0xFFFF_FFFF_FFFF_FFFF:016x}"


@lru_cache(10_000)
def names_text(names: tuple[str, ...]) -> str:
    """Labels or codes as they are stored: a label of a faulty line may hold any character."""
    return msgspec.json.encode(names).decode()


def seen_of(line: bytes | None) -> str:
    """Names what an entry says, so that it can be told whether it still says so."""
    return LineContents().read(line)[1].digest.hex() if line is not None else ""


def folded_key(key: str) -> str | None:
    """The key to look for text in, whatever its case; None where that is the key itself."""
    folded = key.casefold()
    return folded if folded != key else None


class Catalog:
    """The images of one dataset, safe to share between threads and processes.

    :param path: of a file that `include.gallery.catalog_building` made
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.connection() as connection:
            self.facts = msgspec.json.decode(_fact(connection, "facts"), type=Facts)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection for the block; opening one takes a fraction of a millisecond."""
        with closing(sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)) as connection:
            yield connection

    @property
    def revision(self) -> int:
        """Counts how often entries were put into the file."""
        with self.connection() as connection:
            return int(_fact(connection, "revision"))

    def find(self, ids: Sequence[str]) -> list[CatalogImage]:
        """Images by their ids, in this order; ids that no image has are left out.

        :param ids: 16 hex digits each
        """
        found: dict[str, CatalogImage] = {}
        with self.connection() as connection:
            for at in range(0, len(ids), _IDS_AT_ONCE):
                numbers = [number_of(id) for id in ids[at : at + _IDS_AT_ONCE]]
                for row in connection.execute(
                    "SELECT id, bucket, key, source_ref, place, in_dataset, width, height, version, line "
                    f"FROM images LEFT JOIN lines USING (n) WHERE id IN ({','.join('?' * len(numbers))})",
                    numbers,
                ):
                    image = _catalog_image(*row)
                    found[image.id] = image
        return [found[id] for id in ids if id in found]

    def with_label(self, label: str) -> list[str]:
        """Ids of all images of the dataset with that label, on the image or on a box."""
        with self.connection() as connection:
            rows = connection.execute(
                "SELECT id FROM images JOIN image_labels USING (n) JOIN labels USING (label) WHERE name = ? "
                "AND in_dataset ORDER BY key",
                (label,),
            )
            return [id_of(number) for (number,) in rows]

    def rows(self, numbers: Sequence[int]) -> list[ImageRow]:
        """Rows of images by the numbers that views give, in this order."""
        with self.connection() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM images WHERE n IN ({','.join('?' * len(numbers))})",
                numbers,
            )
            found = {row[0]: _image_row(row) for row in rows}
        return [found[number] for number in numbers if number in found]

    def number(self, id: str) -> int | None:
        """The number by which views know the image; None where there is no such image."""
        with self.connection() as connection:
            row = connection.execute("SELECT n FROM images WHERE id = ?", (number_of(id),)).fetchone()
        return row[0] if row else None

    def beside(self, number: int) -> Aside:
        """What is kept about one image beside its row."""
        with self.connection() as connection:
            line, aside, before, labels, box_labels, changes = connection.execute(
                "SELECT lines.line, asides.line, befores.labels, images.labels, images.box_labels, changes FROM images "
                "LEFT JOIN lines USING (n) LEFT JOIN asides USING (n) LEFT JOIN befores USING (n) WHERE n = ?",
                (number,),
            ).fetchone()
        if changes & Changes.ADDED:
            return Aside(line, aside, None)
        if before is not None:
            return Aside(line, aside, _NAMES.decode(before))
        return Aside(line, aside, sorted({*_NAMES.decode(labels), *_NAMES.decode(box_labels)}))

    def entries_revision(self) -> int:
        """Up to which revision of the dataset's known entries they were put into the file."""
        with self.connection() as connection:
            return int(_fact(connection, "entries_revision"))

    def put(self, lines: Iterable[bytes], entries_revision: int) -> None:
        """Let the catalog say what these entries of the dataset say; nothing where somebody has done so already."""
        contents = LineContents()
        with self.connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            if int(_fact(connection, "entries_revision")) >= entries_revision:
                connection.execute("ROLLBACK")
                return
            label_ids = LabelIds(connection)
            for line in lines:
                _put(connection, label_ids, line, *contents.read(line.rstrip(b"\n")))
            set_fact(connection, "entries_revision", str(entries_revision))
            set_fact(connection, "revision", str(int(_fact(connection, "revision")) + 1))
            connection.execute("COMMIT")


class LabelIds:
    """Numbers of label names, which are made as they are needed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._numbers = {name: label for label, name in connection.execute("SELECT label, name FROM labels")}

    def __call__(self, name: str) -> int:
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._numbers) + 1
            self._connection.execute("INSERT INTO labels VALUES (?, ?)", (number, name))
        return number


def label_rows(content: Content, n: int, label_id: Callable[[str], int]) -> list[tuple[int, int, int]]:
    """Rows of ``image_labels`` for what a line says."""
    return [(label_id(label), n, 1 if label in content.box_labels else 0) for label in content.labels]


def set_fact(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Store a fact about the file."""
    connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))


def _fact(connection: sqlite3.Connection, name: str) -> str:
    row = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return row[0] if row else "0"


def _put(connection: sqlite3.Connection, label_id: LabelIds, line: bytes, image: str, content: Content) -> None:
    number = stored_digest(image)
    found = connection.execute("SELECT n FROM images WHERE id = ?", (number,)).fetchone()
    n = found[0] if found else _add(connection, number, image, content)
    if n is None:
        return
    _count(connection, n, -1)
    _forget(connection, n)
    connection.execute(
        "UPDATE images SET labels = ?, box_labels = ?, boxes = ?, labelled = ?, in_dataset = 1, errors = ? WHERE n = ?",
        (
            names_text(content.image_labels),
            names_text(content.box_labels),
            content.boxes,
            bool(content.image_labels or content.boxes),
            names_text(content.errors),
            n,
        ),
    )
    connection.executemany("INSERT INTO image_labels VALUES (?, ?, ?)", label_rows(content, n, label_id))
    connection.executemany("INSERT INTO image_errors VALUES (?, ?)", [(code, n) for code in content.errors])
    connection.execute("INSERT OR REPLACE INTO lines VALUES (?, ?)", (n, line.rstrip(b"\n")))
    _count(connection, n, 1)


def _count(connection: sqlite3.Connection, n: int, images: int) -> None:
    """Count an image in, or out again."""
    connection.execute(
        "INSERT INTO groups SELECT in_dataset, labelled, boxes > 0, state, reason, changes, errors <> '[]', ? "
        "FROM images WHERE n = ? ON CONFLICT DO UPDATE SET images = images + excluded.images",
        (images, n),
    )
    connection.execute(
        "INSERT INTO label_counts SELECT label, ?1, boxed * ?1 FROM image_labels WHERE label IN (SELECT label FROM "
        "labels WHERE name IN (SELECT value FROM images, json_each(images.labels) WHERE n = ?2 UNION "
        "SELECT value FROM images, json_each(images.box_labels) WHERE n = ?2)) AND n = ?2 "
        "AND (SELECT in_dataset FROM images WHERE n = ?2) "
        "ON CONFLICT DO UPDATE SET images = images + excluded.images, boxed = boxed + excluded.boxed",
        (images, n),
    )


def _forget(connection: sqlite3.Connection, n: int) -> None:
    """Take out what the image's row says so far, found by key; what it said in the snapshot is kept."""
    labels, box_labels = connection.execute("SELECT labels, box_labels FROM images WHERE n = ?", (n,)).fetchone()
    said = tuple(sorted({*_NAMES.decode(labels), *_NAMES.decode(box_labels)}))
    connection.execute("INSERT OR IGNORE INTO befores VALUES (?, ?)", (n, names_text(said)))
    connection.execute(
        "DELETE FROM image_labels WHERE n = ?1 AND label IN (SELECT label FROM labels WHERE name IN ("
        "SELECT value FROM images, json_each(images.labels) WHERE n = ?1 UNION "
        "SELECT value FROM images, json_each(images.box_labels) WHERE n = ?1))",
        (n,),
    )
    connection.execute(
        "DELETE FROM image_errors WHERE n = ?1 AND code IN "
        "(SELECT value FROM images, json_each(images.errors) WHERE n = ?1)",
        (n,),
    )


def _add(connection: sqlite3.Connection, number: int, image: str, content: Content) -> int | None:
    """An image that nobody knew; None where the entry names none."""
    place = split_source_ref(image)
    if place is None:
        return None
    bucket, key = place
    state = State.REGISTERED if content.image_labels or content.boxes else State.UNLABELLED
    columns: dict[str, Any] = {
        "id": number,
        "bucket": bucket,
        "key": key,
        "folded": folded_key(key),
        "labels": "[]",
        "box_labels": "[]",
        "boxes": 0,
        "labelled": 0,
        "in_dataset": 1,
        "state": state,
        "reason": Reason.ADDED_ELSEWHERE,
        "detail": "",
        "errors": "[]",
        # The snapshot before did not have it either.
        "changes": 0,
        "version": "",
        "width": content.size[0],
        "height": content.size[1],
        "size_bytes": 0,
        "last_modified": "",
    }
    marks = ",".join("?" * len(columns))
    added = connection.execute(
        f"INSERT INTO images ({','.join(columns)}) VALUES ({marks})",
        tuple(columns.values()),
    )
    return added.lastrowid


def _address(bucket: str, key: str) -> str:
    return f"s3://{bucket}/{key}"


def _catalog_image(
    number: int,
    bucket: str,
    key: str,
    source_ref: str | None,
    place: str | None,
    in_dataset: int,
    width: int,
    height: int,
    version: str,
    line: bytes | None,
) -> CatalogImage:
    source = source_ref or _address(bucket, place or key)
    return CatalogImage(
        id=id_of(number),
        key=key,
        source_ref=source,
        place=_address(bucket, place) if place else source,
        line=line,
        is_in_dataset=bool(in_dataset),
        width=width,
        height=height,
        version=version,
    )


def _image_row(row: tuple[Any, ...]) -> ImageRow:
    _, number, _, key, _, _, labels, box_labels, boxes, in_dataset, state, reason, detail, errors, changes, *rest = row
    version, width, height, size_bytes, last_modified = rest
    return ImageRow(
        id=id_of(number),
        key=key,
        labels=_NAMES.decode(labels),
        box_labels=_NAMES.decode(box_labels),
        boxes=boxes,
        is_in_dataset=bool(in_dataset),
        state=state,
        reason=reason,
        detail=detail,
        errors=_NAMES.decode(errors),
        change=change_name(changes),
        version=version,
        width=width,
        height=height,
        size_bytes=size_bytes,
        last_modified=last_modified,
    )
