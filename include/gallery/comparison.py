"""The differences between two snapshots, image by image, in a SQLite file that never changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from include.custom_labels.diff import Difference as Kind
from include.custom_labels.diff import ImageDifference, Snapshot, SnapshotDiff, diff_snapshots
from include.custom_labels.line_contents import Content, LineContents
from include.gallery.cache import Progress
from include.gallery.catalog import CHANGE_NAMES, Changes, folded_key, id_of, names_text, stored_digest
from include.gallery.catalog_building import ImageChange
from include.gallery.messages import Change, Comparison, Difference, LabelChange

_ROWS_AT_ONCE: Final = 5_000

_SCHEMA: Final = """
CREATE TABLE diff (diff TEXT NOT NULL);
CREATE TABLE differences (
  n INTEGER PRIMARY KEY, id INTEGER NOT NULL, image TEXT NOT NULL, key TEXT NOT NULL, folded TEXT,
  changes INTEGER NOT NULL, before TEXT, after TEXT, before_boxes INTEGER NOT NULL, after_boxes INTEGER NOT NULL,
  before_version TEXT NOT NULL, after_version TEXT NOT NULL, before_size INTEGER NOT NULL, moved_to TEXT NOT NULL
);
"""
_NAMES: Final = msgspec.json.Decoder(list[str])
_MOVED: Final = "moved"


@dataclass(slots=True)
class _Row:
    """One image while its differences come in."""

    difference: ImageDifference
    changes: Changes


def build_comparison(path: Path, before: Snapshot, after: Snapshot, progress: Progress, *, expected: int) -> None:
    """Write the file.

    :param expected: differences, for the progress
    :raises CustomLabelsError: what reading the snapshots raises, and MANIFEST_NOT_SORTED
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        connection.executescript(_SCHEMA)
        connection.execute("BEGIN")
        writer = _Writer(connection, progress, expected)
        diff = diff_snapshots(before, after, samples_per_difference=0, on_difference=writer.take)
        writer.end()
        connection.execute("INSERT INTO diff VALUES (?)", (msgspec.json.encode(diff).decode(),))
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = DELETE")


class _Writer:
    def __init__(self, connection: sqlite3.Connection, progress: Progress, expected: int) -> None:
        self._connection = connection
        self._progress = progress
        self._expected = max(expected, 1)
        self._contents = LineContents()
        self._row: _Row | None = None
        self._rows: list[tuple[Any, ...]] = []
        self._moves: list[tuple[str, str]] = []
        self._written = 0

    def take(self, difference: ImageDifference) -> None:
        """Take the next difference, maybe of the same image as the one before."""
        if difference.difference == _MOVED:
            self._moves.append((difference.image.split("/", 3)[3], difference.moved_from))
            return
        flag = CHANGE_NAMES[difference.difference]
        if self._row is not None and self._row.difference.image == difference.image:
            self._row.changes |= flag
            return
        self._finish()
        self._row = _Row(difference, flag)

    def end(self) -> None:
        """Write the rest."""
        self._finish()
        self._flush()
        if self._moves:
            self._connection.execute("CREATE INDEX differences_by_image ON differences (image)")
            self._connection.executemany(
                f"UPDATE differences SET moved_to = ? WHERE image = ? AND changes = {Changes.REMOVED.value}",
                self._moves,
            )

    def _finish(self) -> None:
        if self._row is None:
            return
        found, changes = self._row.difference, self._row.changes
        before, after = self._content(found.before), self._content(found.after)
        key = found.image.split("/", 3)[3]
        self._rows.append(
            (
                stored_digest(found.image),
                found.image,
                key,
                folded_key(key),
                changes._value_,
                names_text(before.labels) if before else None,
                names_text(after.labels) if after else None,
                before.boxes if before else 0,
                after.boxes if after else 0,
                found.before_object[0] if found.before_object else "",
                found.after_object[0] if found.after_object else "",
                found.before_object[1] if found.before_object else 0,
                "",
            )
        )
        self._row = None
        if len(self._rows) == _ROWS_AT_ONCE:
            self._flush()

    def _content(self, line: bytes | None) -> Content | None:
        return self._contents.read(line)[1] if line is not None else None

    def _flush(self) -> None:
        names = (
            "id, image, key, folded, changes, before, after, before_boxes, after_boxes, before_version, after_version"
        )
        self._connection.executemany(
            f"INSERT INTO differences ({names}, before_size, moved_to) VALUES ({','.join('?' * 13)})", self._rows
        )
        self._written += len(self._rows)
        self._rows = []
        self._progress(min(self._written / self._expected, 1.0))


class ComparisonFile:
    """Reads a file of `build_comparison`; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            yield connection

    def changes(self) -> Iterator[ImageChange]:
        """Every image that differs, in the order of identities."""
        with self._connection() as connection:
            for image, changes, before, version, size_bytes in connection.execute(
                "SELECT image, changes, before, before_version, before_size FROM differences ORDER BY n"
            ):
                flags = Changes(changes)
                is_other = flags & (Changes.REMOVED | Changes.RELABELLED)
                yield ImageChange(
                    identity=image,
                    changes=flags,
                    before=tuple(_NAMES.decode(before)) if is_other and before is not None else None,
                    version=version,
                    size_bytes=size_bytes,
                )

    def page(self, before: str, after: str, *, change: list[Change], key: str, offset: int, limit: int) -> Comparison:
        """A page of the differences.

        :param change: only images with any of these; with none, all
        :param key: text in the key, whatever its case
        """
        flags = sum({int(CHANGE_NAMES[each]) for each in change}) or int(sum(Changes))
        condition = "changes & ? AND instr(coalesce(folded, key), ?)"
        parameters = (flags, key.casefold())
        with self._connection() as connection:
            (diff_text,) = connection.execute("SELECT diff FROM diff").fetchone()
            (total,) = connection.execute(f"SELECT count(*) FROM differences WHERE {condition}", parameters).fetchone()
            rows = connection.execute(
                "SELECT id, key, changes, before, after, before_boxes, after_boxes, before_version, after_version, "
                f"moved_to FROM differences WHERE {condition} ORDER BY n LIMIT ? OFFSET ?",
                (*parameters, limit, offset),
            )
            differences = [_difference(*row) for row in rows]
        diff = msgspec.json.decode(diff_text, type=SnapshotDiff)
        return Comparison(
            before=before,
            after=after,
            counts=_counts(diff),
            labels=[
                LabelChange(label=label, before=count.before, after=count.after) for label, count in diff.labels.items()
            ],
            total=total,
            offset=offset,
            differences=differences,
        )


def _counts(diff: SnapshotDiff) -> dict[str, int]:
    """By change; without those that are not known."""
    kinds: tuple[Kind, ...] = ("added", "removed", "changed", "relabelled", "moved")
    totals = {kind: cast(int | None, getattr(diff, kind)) for kind in kinds}
    return {kind: total for kind, total in totals.items() if total is not None}


def _difference(
    number: int,
    key: str,
    changes: int,
    before: str | None,
    after: str | None,
    before_boxes: int,
    after_boxes: int,
    before_version: str,
    after_version: str,
    moved_to: str,
) -> Difference:
    return Difference(
        id=id_of(number),
        key=key,
        changes=[cast(Change, name) for name, flag in CHANGE_NAMES.items() if changes & flag],
        before=_NAMES.decode(before) if before is not None else None,
        after=_NAMES.decode(after) if after is not None else None,
        before_boxes=before_boxes,
        after_boxes=after_boxes,
        before_version=before_version,
        after_version=after_version,
        moved_to=moved_to,
    )
