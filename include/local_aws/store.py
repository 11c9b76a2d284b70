"""State of the dataset service in SQLite, so that a restart loses nothing."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

_BUSY_TIMEOUT_S: Final = 60.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS projects (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    feature TEXT NOT NULL,
    auto_update TEXT,
    deleting INTEGER NOT NULL DEFAULT 0,
    UNIQUE (account, region, name)
);
CREATE TABLE IF NOT EXISTS datasets (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects (id),
    type TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    status TEXT NOT NULL,
    message TEXT,
    code TEXT,
    total_entries INTEGER NOT NULL DEFAULT 0,
    labeled_entries INTEGER NOT NULL DEFAULT 0,
    error_entries INTEGER NOT NULL DEFAULT 0,
    total_labels INTEGER NOT NULL DEFAULT 0,
    UNIQUE (project_id, type)
);
CREATE TABLE IF NOT EXISTS entries (
    dataset_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    source_ref TEXT NOT NULL,
    bucket TEXT NOT NULL,
    line TEXT NOT NULL,
    labeled INTEGER NOT NULL,
    has_errors INTEGER NOT NULL,
    PRIMARY KEY (dataset_id, position),
    UNIQUE (dataset_id, source_ref)
);
CREATE TABLE IF NOT EXISTS labels (
    dataset_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    boxed INTEGER NOT NULL,
    PRIMARY KEY (dataset_id, name, position)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS labels_of_an_entry ON labels (dataset_id, position);
-- An asynchronous operation under way; a row lives until its outcome is written.
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    project_id INTEGER NOT NULL,
    dataset_id INTEGER,
    other_dataset_id INTEGER,
    due_ms INTEGER NOT NULL,
    bucket TEXT,
    object_key TEXT,
    version TEXT,
    changes BLOB,
    failure_message TEXT,
    failure_code TEXT
);
-- Lines of a job, read and judged, on their way into entries.
CREATE TABLE IF NOT EXISTS staged (
    job_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    source_ref TEXT NOT NULL,
    bucket TEXT NOT NULL,
    line TEXT NOT NULL,
    labeled INTEGER NOT NULL,
    has_errors INTEGER NOT NULL,
    bad INTEGER NOT NULL,
    labels TEXT NOT NULL,
    PRIMARY KEY (job_id, position),
    UNIQUE (job_id, source_ref)
);
CREATE TABLE IF NOT EXISTS tags (
    arn TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (arn, name)
) WITHOUT ROWID;
"""


class Store:
    """Hands out connections, one for each piece of work; usable from any thread."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._clock_lock = threading.Lock()
        self._last_ms = 0
        # Kept open so that closing the others does not fold up the write-ahead log every time.
        self._anchor = self._connect()
        self._anchor.execute("PRAGMA journal_mode = WAL")
        self._anchor.executescript(_SCHEMA)

    def close(self) -> None:
        self._anchor.close()

    def now_ms(self) -> int:
        """Epoch milliseconds, never the same twice: ARNs end in them."""
        with self._clock_lock:
            self._last_ms = max(self._last_ms + 1, time.time_ns() // 1_000_000)
            return self._last_ms

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection on which everything is seen as of one moment."""
        with closing(self._connect()) as connection:
            connection.execute("BEGIN")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it or, when the block raises, nothing."""
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._database, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection
