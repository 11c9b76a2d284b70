"""A dataset's entries as they are in Rekognition, kept on local disk and read again once they have changed.

Rekognition lists 100 entries a request and takes five requests a second, so that 250,000 entries take eight minutes.
Two things spare that. As long as the service says that the dataset was last changed when a run registered it, the
entries are the lines of that run's manifest, where its ledger and the service's count say so. And what the gallery
itself saves is put into what is known: where the save saw nobody else's operation, the time of the dataset's last
change is taken to be that of the save; else the entries are read again (`include.gallery.save_work`).

Known entries are in a SQLite file, which the processes of one API server share.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import uuid4

import msgspec

from include.custom_labels.dataset_entries import read_entry
from include.custom_labels.errors import AccessError, CustomLabelsError, DatasetConflictError
from include.custom_labels.history import identity
from include.custom_labels.line_contents import LineContents
from include.gallery.cache import Cache
from include.gallery.catalog import BUSY_S
from include.gallery.messages import Freshness, Problem
from include.gallery.services import DatasetState, Services
from include.gallery.snapshots import DatasetName, SnapshotReader
from include.object_store.snapshots import CurrentSnapshot, read_current

CHECK_S: Final = 5.0
"""How long an answer of DescribeDataset counts; every page that is open asks for it."""

REREAD_S: Final = 60.0
"""Longest pause after a reading of all entries, which takes up what Rekognition answers to anybody."""

# A dataset that somebody works on all the time is read for a tenth of the time.
_PAUSE_PER_READING: Final = 10
_POLL_S: Final = 0.5
_ENTRIES_AT_ONCE: Final = 1_000

_SCHEMA: Final = """
CREATE TABLE facts (facts TEXT NOT NULL);
CREATE TABLE entries (source_ref TEXT PRIMARY KEY, image TEXT NOT NULL, line BLOB NOT NULL, revision INTEGER NOT NULL);
"""


class KnownEntries(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a dataset's entries.

    :ivar origin: differs for each time that entries were read anew
    :ivar revision: counts the saves that were put into them since
    :ivar snapshot_id: whose manifest has the entries, apart from those that were saved since; empty where all of them
        are in the file
    :ivar updated_at: the dataset's last change that they include, as ISO 8601
    :ivar read_at: when they were read or put last
    :ivar is_doubted: whether an entry turned out to be another one, although the dataset had not changed since: all of
        them are read again
    """

    origin: str
    dataset_arn: str
    updated_at: str
    read_at: datetime
    revision: int = 0
    snapshot_id: str = ""
    is_doubted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    """What Rekognition and the workspace said at a moment.

    :ivar state: None where there is no such dataset, or it could not be asked
    """

    at: float
    checked_at: datetime
    dataset_arn: str = ""
    state: DatasetState | None = None
    current: CurrentSnapshot | None = None
    error: CustomLabelsError | None = None


class _Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How far a reading is, for the other processes."""

    read: int
    total: int


class FindArn(Protocol):
    """Finds a dataset by its name."""

    def __call__(self, name: DatasetName, *, anew: bool = False) -> str:
        """The dataset's ARN; empty where Rekognition has none.

        :param anew: ask Rekognition, whatever it answered a moment ago
        """


class LiveEntries:
    """The entries of one dataset."""

    def __init__(
        self,
        name: DatasetName,
        services: Services,
        cache: Cache,
        snapshots: SnapshotReader,
        find_arn: FindArn,
        *,
        slug: str,
    ) -> None:
        self.name = name
        self._services = services
        self._cache = cache
        self._snapshots = snapshots
        self._find_arn = find_arn
        self._file = f"{slug}-entries.sqlite"
        self._path = cache.folder / self._file
        self._progress_path = cache.folder / f"{slug}-entries.json"
        self._lock = threading.Lock()
        self._check_lock = threading.Lock()
        self._check: _Check | None = None
        self._thread: threading.Thread | None = None
        self._failure: CustomLabelsError | None = None
        self._pause_until = 0.0

    # What is known

    def known(self) -> KnownEntries | None:
        """What is known of the entries, current or not; None where nothing is."""
        try:
            with self._connection() as connection:
                return _facts(connection)
        except FileNotFoundError:
            return None

    def lines(self) -> Iterator[bytes]:
        """The lines in the file, without line ends, sorted by the images' identity; see `KnownEntries.snapshot_id`."""
        with self._connection() as connection:
            for (line,) in connection.execute("SELECT line FROM entries ORDER BY image"):
                yield line

    def lines_since(self, revision: int) -> list[bytes]:
        """The lines that were put after that revision."""
        with self._connection() as connection:
            return [line for (line,) in connection.execute("SELECT line FROM entries WHERE revision > ?", (revision,))]

    def state(self) -> DatasetState | None:
        """The dataset as Rekognition described it a moment ago; None where it has none, or could not be asked."""
        return self._checked().state

    def current(self) -> CurrentSnapshot | None:
        """The registered snapshot.

        :raises AccessError: it cannot be read
        """
        return self._checked().current

    def arn(self) -> str:
        """The dataset's ARN; empty where Rekognition has none, or could not be asked."""
        return self._checked().dataset_arn

    def freshness(self) -> Freshness:
        """How well the entries are known; begins to read them where they have changed."""
        check = self._checked()
        known = self._usable(check)
        if known is not None and known.read_at > check.checked_at:
            # Saved since, maybe by another process.
            check = self._ask()
        if check.error is None and check.state is not None and not self._is_current(self._usable(check), check):
            self._begin(check)
        known = self._usable(check)
        entries_at = known.read_at if known else None
        if self._is_current(known, check):
            return Freshness(state="current", checked_at=check.checked_at, entries_at=entries_at)
        reading = self._read_progress()
        if check.state is not None and reading is not None:
            return Freshness(
                state="reading",
                checked_at=check.checked_at,
                entries_at=entries_at,
                read=reading.read,
                total=reading.total,
            )
        error = check.error or self._failure
        if check.error is None and check.state is None:
            error = not_in_rekognition(self.name)
        return Freshness(
            state="behind" if known else "unknown",
            checked_at=check.checked_at,
            entries_at=entries_at,
            problem=Problem.of(error) if error else None,
        )

    def usable(self) -> KnownEntries | None:
        """What is known, unless a run has registered the dataset since: then its snapshot tells more."""
        return self._usable(self._checked())

    # Making it current

    def ensure_current(self, deadline_s: float, on_progress: Callable[[int, int], None] | None = None) -> KnownEntries:
        """Wait until the entries are those of the dataset now, which are read where they have changed.

        :param deadline_s: how long to wait
        :param on_progress: called now and then with the entries read and their number
        :raises DatasetConflictError: DATASET_BUSY, where an operation is under way: `details` have its ``status``
        :raises CustomLabelsError: ENTRIES_NOT_CURRENT, or why they cannot be read
        """
        give_up = time.monotonic() + deadline_s
        check = self._ask(anew=True)
        while True:
            if check.error is not None:
                raise check.error
            if check.state is None:
                raise not_in_rekognition(self.name)
            if check.state.is_busy:
                raise _busy(self.name, check.state)
            known = self._usable(check)
            if known is not None and self._is_current(known, check):
                return known
            thread = self._begin(check, at_once=True)
            remaining = give_up - time.monotonic()
            if remaining <= 0:
                raise DatasetConflictError(
                    "ENTRIES_NOT_CURRENT",
                    f"The entries of {self.name} have changed in Rekognition, and are still being read.",
                    "Wait until the gallery says that it has read them, then try again.",
                )
            if thread is not None:
                thread.join(min(_POLL_S, remaining))
            if on_progress and (reading := self._read_progress()):
                on_progress(reading.read, reading.total)
            if thread is None or not thread.is_alive():
                if self._failure is not None:
                    raise self._failure
                check = self._ask()
                if not self._is_current(self._usable(check), check):
                    # Another process reads them.
                    threading.Event().wait(min(_POLL_S, remaining))

    def put(self, lines: Iterable[bytes], *, since: str, until: str) -> None:
        """Take in entries that the gallery has just saved, so that they are shown at once.

        :param lines: one each, as they are in the dataset
        :param since: the dataset's last change before the save, as ISO 8601
        :param until: its last change after the save, as ISO 8601; empty where somebody else may have changed it as well
        """
        with self._changing() as connection:
            if connection is None:
                # Nothing is known that they could be put into; they are read with all others.
                return
            facts = _facts(connection)
            revision = facts.revision + 1
            connection.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", _rows(lines, revision))
            # What is known lacks somebody else's changes as long as it does not say the dataset's time.
            updated_at = until if until and facts.updated_at == since else facts.updated_at
            _write_facts(
                connection, msgspec.structs.replace(facts, revision=revision, updated_at=updated_at, read_at=_now())
            )

    def doubt(self) -> None:
        """Have all entries read again, although the dataset does not say that it was changed."""
        with self._changing() as connection:
            if connection is not None:
                _write_facts(connection, msgspec.structs.replace(_facts(connection), is_doubted=True))

    # How it is done

    def _checked(self) -> _Check:
        # Many pages that are open ask once.
        with self._check_lock:
            check = self._check
            return check if check is not None and time.monotonic() - check.at < CHECK_S else self._ask()

    def _ask(self, *, anew: bool = False) -> _Check:
        """Ask Rekognition and the workspace.

        :param anew: find the dataset again as well: a run may have made another one of the same name
        """
        at, checked_at = time.monotonic(), _now()
        error, arn, state = None, "", None
        found = read_current(self._services.s3(), self.name.folder(self._services.workspace()))
        current = found[0] if found else None
        try:
            arn = self._find_arn(self.name, anew=anew)
            state = self._services.datasets().describe(arn) if arn else None
        except CustomLabelsError as failure:
            error = failure
        self._check = _Check(at=at, checked_at=checked_at, dataset_arn=arn, state=state, current=current, error=error)
        return self._check

    def _usable(self, check: _Check) -> KnownEntries | None:
        known = self.known()
        if known is None or (check.dataset_arn and known.dataset_arn != check.dataset_arn):
            return None
        current = check.current
        if current is None or known.snapshot_id == current.snapshot_id:
            return known
        return known if not known.snapshot_id and known.read_at >= current.registered_at else None

    @staticmethod
    def _is_current(known: KnownEntries | None, check: _Check) -> bool:
        return (
            known is not None
            and not known.is_doubted
            and check.state is not None
            and known.dataset_arn == check.dataset_arn
            and known.updated_at == check.state.updated_at.isoformat()
        )

    def _begin(self, check: _Check, *, at_once: bool = False) -> threading.Thread | None:
        """Have the entries read in a thread; None where they cannot be read now, or somebody else reads them."""
        if check.state is None or check.state.is_busy:
            self._failure = _busy(self.name, check.state) if check.state else None
            return None
        if self._adopt_snapshot(check):
            self._failure = None
            return None
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return self._thread
            if not at_once and time.monotonic() < self._pause_until:
                return None
            self._thread = threading.Thread(
                target=self._read, args=(check, check.state), name=f"gallery entries {self.name}", daemon=True
            )
            self._thread.start()
            return self._thread

    def _adopt_snapshot(self, check: _Check) -> bool:
        """Take the registered snapshot's manifest for the entries, where it is known to be the same."""
        current, state = check.current, check.state
        if (
            current is None
            or state is None
            or (current.dataset_arn, current.dataset_updated_at) != (check.dataset_arn, state.updated_at.isoformat())
        ):
            return False
        before = self.known()
        if before is not None and before.is_doubted and before.updated_at == current.dataset_updated_at:
            return False
        dataset = self.name.folder(self._services.workspace())
        facts = self._snapshots.read(self._services.s3(), dataset, current.snapshot_id)
        if facts is None or not facts.is_whole_dataset(current, state.images):
            return False
        known = KnownEntries(
            origin=f"snapshot {current.snapshot_id} {current.dataset_updated_at}",
            dataset_arn=current.dataset_arn,
            updated_at=current.dataset_updated_at,
            read_at=current.registered_at,
            snapshot_id=current.snapshot_id,
        )
        with self._cache.lock(self._file, wait=False) as is_ours:
            if is_ours:
                self._replace(known, ())
        return True

    def _read(self, check: _Check, state: DatasetState) -> None:
        """Read all entries from Rekognition."""
        failure: CustomLabelsError | None = None
        started = time.monotonic()
        try:
            with self._cache.lock(self._file, wait=False) as is_ours:
                if is_ours:
                    self._read_all(check, state)
                    self._progress_path.unlink(missing_ok=True)
        except CustomLabelsError as error:
            failure = error
        except BaseException:
            # It goes on to the log; who waits for the entries must not try at once again.
            failure = _unreadable(self.name)
            raise
        finally:
            if failure is not None:
                self._progress_path.unlink(missing_ok=True)
            now = time.monotonic()
            pause_s = REREAD_S if failure else min(REREAD_S, _PAUSE_PER_READING * (now - started))
            self._failure, self._pause_until = failure, now + pause_s

    def _read_all(self, check: _Check, state: DatasetState) -> None:
        before = self.known()
        started_at = _now()
        self._report(0, state.images)

        def reported() -> Iterator[bytes]:
            for count, entry in enumerate(self._services.datasets().entries(check.dataset_arn), start=1):
                yield entry.encode()
                if count % _ENTRIES_AT_ONCE == 0:
                    self._report(count, max(state.images, count))

        known = KnownEntries(
            origin=f"listing {uuid4().hex}",
            dataset_arn=check.dataset_arn,
            updated_at=state.updated_at.isoformat(),
            read_at=started_at,
        )
        self._replace(known, reported(), saved_after=before)
        self._check = None

    def _replace(self, known: KnownEntries, lines: Iterable[bytes], *, saved_after: KnownEntries | None = None) -> None:
        """Write a new file, and keep what was saved while it was written."""
        part = self._path.with_suffix(f".{os.getpid()}.{threading.get_ident()}.part")
        part.unlink(missing_ok=True)
        try:
            with closing(sqlite3.connect(part, isolation_level=None)) as connection:
                connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
                connection.executescript(_SCHEMA)
                connection.execute("BEGIN")
                connection.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", _rows(lines, 0))
                connection.execute("CREATE INDEX entries_by_image ON entries (image)")
                _write_facts(connection, known)
                connection.execute("COMMIT")
                connection.execute("PRAGMA journal_mode = DELETE")
                with self._cache.lock(f"{self._file}.put"):
                    if saved_after is not None:
                        self._keep_saves(connection, known, saved_after)
                    part.rename(self._path)
        finally:
            part.unlink(missing_ok=True)

    def _keep_saves(self, connection: sqlite3.Connection, known: KnownEntries, before: KnownEntries) -> None:
        """Saves of this gallery while the entries were listed: the listing may have passed their places before."""
        now = self.known()
        if now is None or now.origin != before.origin or now.revision == before.revision:
            return
        with connection:
            connection.executemany(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", _rows(self.lines_since(before.revision), 0)
            )
            if before.updated_at == known.updated_at:
                # Nobody else has changed the dataset since, as far as that can be known.
                known = msgspec.structs.replace(known, updated_at=now.updated_at, read_at=now.read_at)
            _write_facts(connection, known)

    def _report(self, read: int, total: int) -> None:
        part = self._progress_path.with_suffix(f".{os.getpid()}.json")
        part.write_bytes(msgspec.json.encode(_Reading(read=read, total=total)))
        part.rename(self._progress_path)

    def _read_progress(self) -> _Reading | None:
        """How far the reading is, of this process or of another one; None where nobody reads."""
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            # Whoever was killed reports no more.
            if time.time() - self._progress_path.stat().st_mtime < REREAD_S:
                return msgspec.json.decode(self._progress_path.read_bytes(), type=_Reading)
        thread = self._thread
        return _Reading(read=0, total=0) if thread is not None and thread.is_alive() else None

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection | None]:
        """A transaction over what is known, which is not replaced meanwhile; None where nothing is known."""
        with self._cache.lock(f"{self._file}.put"):
            if self._cache.find(self._file) is None:
                yield None
                return
            with self._connection() as connection:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """:raises FileNotFoundError: nothing is known"""
        if self._cache.find(self._file) is None:
            raise FileNotFoundError(self._path)
        with closing(sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)) as connection:
            yield connection


def _rows(lines: Iterable[bytes], revision: int) -> Iterator[tuple[str, str, bytes, int]]:
    contents = LineContents()
    for line in lines:
        bare = line.rstrip(b"\n")
        image, _ = contents.read(bare)
        source_ref, _ = (image, None) if b"custom-labels-history" not in bare else read_entry(bare)
        if image:
            yield source_ref, identity(image), bare, revision


def _facts(connection: sqlite3.Connection) -> KnownEntries:
    (facts,) = connection.execute("SELECT facts FROM facts").fetchone()
    return msgspec.json.decode(facts, type=KnownEntries)


def _write_facts(connection: sqlite3.Connection, known: KnownEntries) -> None:
    connection.execute("DELETE FROM facts")
    connection.execute("INSERT INTO facts VALUES (?)", (msgspec.json.encode(known).decode(),))


def _now() -> datetime:
    return datetime.now(UTC)


def _busy(name: DatasetName, state: DatasetState) -> DatasetConflictError:
    """The error for a dataset with an operation under way."""
    return DatasetConflictError(
        "DATASET_BUSY",
        f"The dataset {name} is in {state.status}.",
        "Wait until the operation has ended, then try again.",
        status=state.status,
    )


def _unreadable(name: DatasetName) -> AccessError:
    return AccessError(
        "ENTRIES_UNREADABLE",
        f"The entries of {name} could not be read because of a fault in the gallery.",
        "Look into the API server's log; the gallery tries again later.",
    )


def not_in_rekognition(name: DatasetName) -> AccessError:
    """The error for a dataset that only the workspace has."""
    return AccessError(
        "DATASET_NOT_IN_REKOGNITION",
        f"Rekognition has no dataset {name}.",
        "Import images with `register` to create it; until then, the gallery shows its snapshots.",
    )
