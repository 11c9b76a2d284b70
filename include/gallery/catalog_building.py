"""Makes the file of a `include.gallery.catalog.Catalog`: a merge of sorted streams, one image at a time in memory."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from heapq import merge as merge_sorted
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import msgspec

from include.custom_labels.codes import Code
from include.custom_labels.dataset_entries import read_entry
from include.custom_labels.history import HISTORY_FOLDER
from include.custom_labels.ledger import IN_MANIFEST, LABEL_SEPARATOR, LedgerRow, State
from include.custom_labels.line_contents import Content, LineContents
from include.custom_labels.outcomes import aside_of_row
from include.custom_labels.reasons import Reason
from include.gallery.cache import Progress
from include.gallery.catalog import (
    INDEXES,
    SCHEMA,
    Changes,
    Facts,
    LabelIds,
    folded_key,
    label_rows,
    names_text,
    set_fact,
    stored_digest,
)

_ROWS_AT_ONCE: Final = 5_000
_HISTORY: Final = HISTORY_FOLDER.encode()
_CODE: Final = re.compile(r"\b(?:ERROR|WARNING)_[A-Z_]+\b")
_CODES: Final = frozenset(Code)
# Whose detail has codes of the entry itself, which the entry tells better where it is known.
_ENTRY_REASONS: Final = frozenset({Reason.ENTRY_ERROR, Reason.ERRORS_AT_SOURCE})
_CODE_REASONS: Final = _ENTRY_REASONS | {Reason.UNUSABLE_ANNOTATION, Reason.UNUSABLE_ENTRY}
_NOTHING: Final = Content(b"", ())
# Work that remains once all rows are written: indexes.
_SHARE_OF_ROWS: Final = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChange:
    """What became of one image since the snapshot before.

    :ivar before: labels that it had, where they were others; None where they were the same, or there was no image
    """

    identity: str
    changes: Changes
    before: tuple[str, ...] | None = None
    version: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What a catalog is made from; each stream is sorted by the images' identity.

    :ivar bucket: of the ledger's keys
    :ivar manifest: lines of the snapshot, without their line ends
    :ivar entries: of the dataset, without their line ends; None where they are not known, or are those of `manifest`
    :ivar are_entries_of_manifest: whether the dataset's entries are those of `manifest`
    :ivar changes: images that differ from the snapshot before; None where there is none before
    :ivar expected_images: for the progress
    """

    bucket: str = ""
    ledger: Iterable[LedgerRow] = ()
    manifest: Iterable[bytes] = ()
    entries: Iterable[bytes] | None = None
    are_entries_of_manifest: bool = False
    changes: Iterable[ImageChange] | None = None
    expected_images: int = 0


def build_catalog(path: Path, sources: Sources, facts: Facts, progress: Progress, *, entries_revision: int = 0) -> None:
    """Write the file.

    :raises CustomLabelsError: what reading the sources raises
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # A file that is not whole is thrown away.
        connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000;")
        connection.executescript(SCHEMA)
        connection.execute("BEGIN")
        writer = _Writer(connection, sources, progress)
        for name, parts in groupby(_streams(sources), key=itemgetter(0)):
            # Of several entries about one image, which has been at several places, the first one counts.
            writer.take(name, {kind: value for _, kind, value in reversed(list(parts))})
        writer.end()
        for statement in INDEXES:
            connection.execute(statement)
        set_fact(connection, "facts", msgspec.json.encode(facts).decode())
        set_fact(connection, "revision", "0")
        set_fact(connection, "entries_revision", str(entries_revision))
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = DELETE")


_LEDGER, _LINE, _ENTRY, _CHANGE = range(4)
_Part = tuple[str, int, Any]


def _streams(sources: Sources) -> Iterator[_Part]:
    """Everything that is known, image by image."""
    contents = LineContents()
    head = f"s3://{sources.bucket}/"
    streams: list[Iterable[_Part]] = [
        ((head + row.key, _LEDGER, row) for row in sources.ledger),
        _lines(contents, sources.manifest, _LINE),
    ]
    if sources.entries is not None:
        streams.append(_lines(contents, sources.entries, _ENTRY))
    if sources.changes is not None:
        streams.append((change.identity, _CHANGE, change) for change in sources.changes)
    return merge_sorted(*streams, key=itemgetter(0))


def _lines(contents: LineContents, lines: Iterable[bytes], kind: int) -> Iterator[_Part]:
    for line in lines:
        name, content = contents.read(line)
        # Without an address it is no image, and nothing can be shown of it.
        if name:
            yield name, kind, (line, content)


class _Writer:
    """Rows of the tables, written many at a time."""

    def __init__(self, connection: sqlite3.Connection, sources: Sources, progress: Progress) -> None:
        self._connection = connection
        self._label_ids = LabelIds(connection)
        self._knows_entries = sources.entries is not None or sources.are_entries_of_manifest
        self._manifest_is_entries = sources.are_entries_of_manifest
        self._all_are_new = sources.changes is None
        self._expected = max(sources.expected_images, 1)
        self._progress = progress
        self._n = 0
        self._groups: Counter[tuple[Any, ...]] = Counter()
        self._labels: Counter[int] = Counter()
        self._boxed_labels: Counter[int] = Counter()
        self._rows: dict[str, list[tuple[Any, ...]]] = {
            name: [] for name in ("images", "lines", "asides", "befores", "image_labels", "image_errors")
        }

    def take(self, name: str, parts: dict[int, Any]) -> None:
        """Write one image."""
        self._n = n = self._n + 1
        row: LedgerRow | None = parts.get(_LEDGER)
        change: ImageChange | None = parts.get(_CHANGE)
        manifest = parts.get(_LINE)
        entry = manifest if self._manifest_is_entries and _is_sent(row) else parts.get(_ENTRY)
        line, content = entry or _kept(row) or manifest or _held(row) or (None, _NOTHING)
        changes = _changes(change, is_new=self._all_are_new and manifest is not None)
        _, _, bucket, key = name.split("/", 3)
        is_labelled = bool(content.image_labels or content.boxes)
        if row is not None:
            state, reason, detail = row.state, row.reason, row.detail
            version, size_bytes, modified, place = row.etag, row.size_bytes, row.last_modified, row.place
            width, height = (row.width, row.height) if row.width else content.size
        else:
            state, reason, detail = _state_elsewhere(line, is_labelled), Reason.ADDED_ELSEWHERE, ""
            version, size_bytes, modified, place = "", 0, "", None
            width, height = content.size
            if line is None:
                # Only the snapshot before had it.
                reason = Reason.REMOVED_AT_SOURCE
                version, size_bytes = (change.version, change.size_bytes) if change else ("", 0)
        labels = content.image_labels
        if line is None and row is not None and row.label:
            labels = tuple(row.label.split(LABEL_SEPARATOR))
        is_in_dataset = entry is not None if self._knows_entries else _was_in_dataset(row, line)
        errors = _errors(content, row, is_known=entry is not None and self._knows_entries)
        # Of types that SQLite takes as they are: it asks for each other one how to adapt it.
        group = (
            1 if is_in_dataset else 0,
            1 if is_labelled else 0,
            1 if content.boxes else 0,
            state._value_,
            reason._value_,
            changes._value_,
            1 if errors else 0,
        )
        self._groups[group] += 1
        self._rows["images"].append(
            (
                n,
                stored_digest(name),
                bucket,
                key,
                folded_key(key),
                _source_ref(line, name),
                place,
                names_text(labels),
                names_text(content.box_labels),
                content.boxes,
                group[1],
                group[0],
                group[3],
                group[4],
                detail,
                names_text(errors),
                group[5],
                version,
                width,
                height,
                size_bytes,
                modified,
            )
        )
        if line is not None:
            self._rows["lines"].append((n, line))
            labelled = label_rows(content, n, self._label_ids)
            self._rows["image_labels"] += labelled
            if is_in_dataset:
                for label, _, is_boxed in labelled:
                    self._labels[label] += 1
                    self._boxed_labels[label] += is_boxed
        if errors:
            self._rows["image_errors"] += [(code, n) for code in errors]
        if row is not None and (aside := aside_of_row(row)) is not None:
            self._rows["asides"].append((n, aside))
        if change is not None and change.before is not None:
            self._rows["befores"].append((n, names_text(change.before)))
        elif manifest is not None and manifest[1].digest != content.digest:
            # Somebody has changed the entry, and not the snapshot.
            self._rows["befores"].append((n, names_text(manifest[1].labels)))
        if n % _ROWS_AT_ONCE == 0:
            self.flush()

    def end(self) -> None:
        """Write the rest, and the counts."""
        self.flush()
        self._connection.executemany(
            "INSERT INTO groups VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [(*group, n) for group, n in self._groups.items()]
        )
        self._connection.executemany(
            "INSERT INTO label_counts VALUES (?, ?, ?)",
            [(label, images, self._boxed_labels[label]) for label, images in self._labels.items()],
        )

    def flush(self) -> None:
        """Write what has come together."""
        for table, rows in self._rows.items():
            if rows:
                marks = ",".join("?" * len(rows[0]))
                # A label or a code that a line has twice counts once.
                self._connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)
                rows.clear()
        self._progress(min(self._n / self._expected, 1.0) * _SHARE_OF_ROWS)


def _is_sent(row: LedgerRow | None) -> bool:
    """Whether a line of the manifest is an entry of the dataset that was registered from it."""
    return row is None or row.state in IN_MANIFEST or row.reason is Reason.ENTRY_ERROR


def _was_in_dataset(row: LedgerRow | None, line: bytes | None) -> bool:
    """The same where the dataset's entries are not known."""
    if row is None:
        return line is not None
    return line is not None and (_is_sent(row) or row.state is State.HELD)


def _kept(row: LedgerRow | None) -> tuple[bytes, Content] | None:
    """A person's entry, which stayed in the dataset in place of the manifest's line."""
    return _entry_of(row) if row is not None and row.reason is Reason.KEPT_DATASET_ENTRY else None


def _held(row: LedgerRow | None) -> tuple[bytes, Content] | None:
    """The entry of an image that is gone from the source and still in the dataset."""
    return _entry_of(row) if row is not None and row.state is State.HELD else None


def _entry_of(row: LedgerRow) -> tuple[bytes, Content] | None:
    if row.entry is None:
        return None
    line = row.entry.rstrip(b"\n")
    return line, LineContents().read(line)[1]


def _changes(change: ImageChange | None, *, is_new: bool) -> Changes:
    if is_new:
        return Changes.ADDED
    return change.changes if change is not None else Changes(0)


def _state_elsewhere(line: bytes | None, is_labelled: bool) -> State:
    if line is None:
        return State.REMOVED
    return State.REGISTERED if is_labelled else State.UNLABELLED


def _errors(content: Content, row: LedgerRow | None, *, is_known: bool) -> tuple[str, ...]:
    if row is None or row.reason not in _CODE_REASONS or (is_known and row.reason in _ENTRY_REASONS):
        return content.errors
    found = [code for code in _CODE.findall(row.detail) if code in _CODES]
    return tuple(dict.fromkeys([*content.errors, *found]))


def _source_ref(line: bytes | None, name: str) -> str | None:
    """The entry's own address, where it is not the image's."""
    if line is None or _HISTORY not in line:
        return None
    source_ref, _ = read_entry(line)
    return source_ref if source_ref != name else None
