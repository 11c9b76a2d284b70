"""Asynchronous operations: one thread each, begun again after a restart, their outcome written in one transaction."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from typing import Any, Final

import msgspec

from include.local_aws.configuration import ImageChecks, Settings
from include.local_aws.manifest import Drop, Entry, read_line, split_lines
from include.local_aws.object_reader import ObjectForbiddenError, ObjectMissingError, ObjectReader
from include.local_aws.quotas import BAD_LINES_MAX_SHARE, LABELS_MAX, MANIFEST_MAX_BYTES, TEST_SHARE, images_max
from include.local_aws.store import Store

_log = logging.getLogger(__name__)
_BATCH_LINES: Final = 1000

# Developer Guide, "Debugging terminal dataset errors"; SEVERAL_BUCKETS is from the guide's training errors, because
# AWS's own sample of a failed update carries it; SERVICE_TROUBLE and the words of success are ours.
UNREADABLE_MANIFEST: Final = "The manifest file extension or contents are invalid."
MANIFEST_TOO_LARGE: Final = "The manifest file size exceeds the maximum supported size."
TOO_MANY_ROWS: Final = "The manifest file has too many rows."
MANIFEST_FORBIDDEN: Final = "The S3 bucket permissions are incorrect."
TOO_MANY_BAD_LINES: Final = "The manifest file has too many terminal errors."
TOO_MANY_LABELS: Final = "The manifest file has too many labels."
TOO_FEW_TO_DISTRIBUTE: Final = "The manifest file doesn't have enough labeled images to distribute the dataset."
SEVERAL_BUCKETS: Final = "The manifest file contains images from multiple S3 buckets."
SERVICE_TROUBLE: Final = "The service could not finish the operation. Try again."

_INSERT_STAGED: Final = "INSERT INTO staged VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_MERGE_ENTRIES: Final = """
INSERT INTO entries (dataset_id, position, source_ref, bucket, line, labeled, has_errors)
SELECT :dataset, :base + position, source_ref, bucket, line, labeled, has_errors
FROM staged WHERE job_id = :job ORDER BY position
ON CONFLICT (dataset_id, source_ref)
DO UPDATE SET line = excluded.line, labeled = excluded.labeled, has_errors = excluded.has_errors
"""
_DROP_REPLACED_LABELS: Final = """
DELETE FROM labels WHERE dataset_id = :dataset AND position IN (
    SELECT entries.position FROM staged JOIN entries USING (source_ref)
    WHERE staged.job_id = :job AND entries.dataset_id = :dataset)
"""
_MERGE_LABELS: Final = """
INSERT INTO labels (dataset_id, name, position, boxed)
SELECT :dataset, json_extract(label.value, '$[0]'), entries.position, json_extract(label.value, '$[1]')
FROM staged JOIN entries USING (source_ref), json_each(staged.labels) AS label
WHERE staged.job_id = :job AND entries.dataset_id = :dataset
"""
_COUNT: Final = """
UPDATE datasets SET
    total_entries = (SELECT count(*) FROM entries WHERE dataset_id = :dataset),
    labeled_entries = (SELECT count(*) FROM entries WHERE dataset_id = :dataset AND labeled),
    error_entries = (SELECT count(*) FROM entries WHERE dataset_id = :dataset AND has_errors),
    total_labels = (SELECT count(DISTINCT name) FROM labels WHERE dataset_id = :dataset)
WHERE id = :dataset
"""


class OperationFailedError(Exception):
    """An operation that ends in ``*_FAILED``, with what DescribeDataset then says."""

    def __init__(self, message: str, code: str = "CLIENT_ERROR") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Lifecycle:
    """Runs the jobs of the store. ``start`` takes up what an earlier process left."""

    def __init__(self, store: Store, reader: ObjectReader, settings: Settings) -> None:
        self._store = store
        self._reader = reader
        self._settings = settings
        self._stopping = threading.Event()
        self._threads: set[threading.Thread] = set()

    def start(self) -> None:
        with self._store.reading() as db:
            left = [row["id"] for row in db.execute("SELECT id FROM jobs ORDER BY id")]
        for job_id in left:
            self.run(job_id)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Leave what is under way for the next start."""
        self._stopping.set()
        deadline = time.monotonic() + timeout_s
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    def run(self, job_id: int) -> None:
        """Take up a job whose row has been committed."""
        thread = threading.Thread(target=self._finish, args=(job_id,), name=f"job-{job_id}", daemon=True)
        self._threads = {other for other in self._threads if other.is_alive()} | {thread}
        thread.start()

    def _finish(self, job_id: int) -> None:
        with self._store.reading() as db:
            job = db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        failure: OperationFailedError | None = None
        try:
            if job["failure_message"] is not None:
                raise OperationFailedError(job["failure_message"], job["failure_code"])
            self._stage(job)
        except OperationFailedError as error:
            failure = error
        except Exception:
            # Whatever it was: a dataset left in progress for ever would be worse than one that says it failed.
            _log.exception("Job %s failed.", job_id)
            failure = OperationFailedError(SERVICE_TROUBLE, "SERVICE_ERROR")
        if self._stopping.wait(max(0.0, job["due_ms"] / 1000 - time.time())):
            return
        if failure is None:
            try:
                self._write(job, None)
            except OperationFailedError as error:
                failure = error
            except sqlite3.Error:
                _log.exception("Job %s could not be written.", job_id)
                failure = OperationFailedError(SERVICE_TROUBLE, "SERVICE_ERROR")
        if failure is not None:
            self._write(job, failure)

    # Reading and judging lines, before the operation is due.

    def _stage(self, job: sqlite3.Row) -> None:
        with self._store.writing() as db:
            db.execute("DELETE FROM staged WHERE job_id = ?", (job["id"],))
        if job["changes"] is not None:
            self._stage_lines(job, split_lines([job["changes"]]))
        elif job["object_key"] is not None:
            if "." not in job["object_key"].rpartition("/")[2]:
                raise OperationFailedError(UNREADABLE_MANIFEST)
            try:
                with self._reader.open_object(job["bucket"], job["object_key"], job["version"]) as manifest:
                    if manifest.size_bytes > MANIFEST_MAX_BYTES:
                        raise OperationFailedError(MANIFEST_TOO_LARGE)
                    self._stage_lines(job, split_lines(manifest.chunks))
            except ObjectForbiddenError:
                raise OperationFailedError(MANIFEST_FORBIDDEN) from None
            except ObjectMissingError:
                raise OperationFailedError(UNREADABLE_MANIFEST) from None

    def _stage_lines(self, job: sqlite3.Row, lines: Iterable[bytes]) -> None:
        region, dataset_type = self._place(job)
        tally = _Tally(rows_max=images_max(region, dataset_type))
        unseen = self._settings.image_checks is ImageChecks.NONE
        for batch in _batches(enumerate(lines), _BATCH_LINES):
            entries = [(number, entry) for number, line in batch if (entry := tally.admit(read_line(line))) is not None]
            for _, entry in entries:
                if unseen and entry.image_is_of_interest:
                    entry.judge_declared_sizes()
            with self._store.writing() as db:
                inserted = db.executemany(_INSERT_STAGED, [_row(job["id"], *numbered) for numbered in entries])
                # What was not inserted repeats a source-ref, and is dropped like the other four kinds.
                tally.dropped += len(entries) - inserted.rowcount
            if self._stopping.is_set():
                return
        if tally.rows == 0 or tally.unreadable == tally.rows:
            raise OperationFailedError(UNREADABLE_MANIFEST)
        self._refuse_too_many_bad_lines(job, tally)
        if not unseen:
            self._judge_images(job)
            self._refuse_too_many_bad_lines(job, tally)

    def _place(self, job: sqlite3.Row) -> tuple[str, str]:
        with self._store.reading() as db:
            row = db.execute(
                "SELECT region, type FROM datasets JOIN projects ON projects.id = project_id WHERE datasets.id = ?",
                (job["dataset_id"],),
            ).fetchone()
        return row["region"], row["type"]

    def _refuse_too_many_bad_lines(self, job: sqlite3.Row, tally: _Tally) -> None:
        with self._store.reading() as db:
            bad = db.execute("SELECT count(*) FROM staged WHERE job_id = ? AND bad", (job["id"],)).fetchone()[0]
        if bad + tally.dropped > BAD_LINES_MAX_SHARE * tally.rows:
            raise OperationFailedError(TOO_MANY_BAD_LINES)

    def _judge_images(self, job: sqlite3.Row) -> None:
        header = self._settings.image_checks is ImageChecks.HEADER
        last = -1
        while not self._stopping.is_set():
            with self._store.reading() as db:
                rows = db.execute(
                    "SELECT position, line FROM staged WHERE job_id = ? AND position > ? ORDER BY position LIMIT ?",
                    (job["id"], last, _BATCH_LINES),
                ).fetchall()
            if not rows:
                return
            last = rows[-1]["position"]
            entries = [(row["position"], _entry(read_line(row["line"].encode()))) for row in rows]
            entries = [(number, entry) for number, entry in entries if entry.image_is_of_interest]
            images = [(entry.bucket, entry.key) for _, entry in entries]
            changed = []
            for (number, entry), facts in zip(entries, self._reader.image_facts(images, header=header), strict=True):
                entry.judge_image(facts, limits=header)
                if entry.findings.bad:
                    changed.append((entry.text(), job["id"], number))
            with self._store.writing() as db:
                db.executemany(
                    "UPDATE staged SET line = ?, has_errors = 1, bad = 1 WHERE job_id = ? AND position = ?", changed
                )

    # Writing the outcome, once the operation is due.

    def _write(self, job: sqlite3.Row, failure: OperationFailedError | None) -> None:
        _OUTCOMES[job["kind"]](self, job, failure)

    def _write_create(self, job: sqlite3.Row, failure: OperationFailedError | None) -> None:
        with self._store.writing() as db:
            if failure is None:
                self._merge(db, job)
            else:
                # A copy's entries are there from the start; a failed dataset holds none.
                _remove_entries(db, job["dataset_id"])
            self._conclude(db, job, job["dataset_id"], "CREATE", failure)

    def _write_update(self, job: sqlite3.Row, failure: OperationFailedError | None) -> None:
        with self._store.writing() as db:
            if failure is None:
                self._merge(db, job)
            self._conclude(db, job, job["dataset_id"], "UPDATE", failure)

    def _write_distribute(self, job: sqlite3.Row, failure: OperationFailedError | None) -> None:
        train, test = job["dataset_id"], job["other_dataset_id"]
        with self._store.writing() as db:
            if failure is None:
                moved = [(test, train, position) for position in positions_to_distribute(db, train)]
                for table in ("entries", "labels"):
                    db.executemany(
                        f"UPDATE {table} SET dataset_id = ? WHERE dataset_id = ? AND position = ?",  # noqa: S608
                        moved,
                    )
            for dataset in (train, test):
                self._conclude(db, job, dataset, "UPDATE", failure)

    def _write_delete_dataset(self, job: sqlite3.Row, _: OperationFailedError | None) -> None:
        with self._store.writing() as db:
            _remove_entries(db, job["dataset_id"])
            db.execute("DELETE FROM datasets WHERE id = ?", (job["dataset_id"],))
            db.execute("DELETE FROM jobs WHERE id = ?", (job["id"],))

    def _write_delete_project(self, job: sqlite3.Row, _: OperationFailedError | None) -> None:
        with self._store.writing() as db:
            db.execute("DELETE FROM projects WHERE id = ?", (job["project_id"],))
            db.execute("DELETE FROM jobs WHERE id = ?", (job["id"],))

    def _merge(self, db: sqlite3.Connection, job: sqlite3.Row) -> None:
        dataset = job["dataset_id"]
        base = db.execute("SELECT coalesce(max(position) + 1, 0) FROM entries WHERE dataset_id = ?", (dataset,))
        names = {"job": job["id"], "dataset": dataset, "base": base.fetchone()[0]}
        for statement in (_MERGE_ENTRIES, _DROP_REPLACED_LABELS, _MERGE_LABELS):
            db.execute(statement, names)
        region, dataset_type = self._place(job)
        totals = db.execute(
            "SELECT (SELECT count(*) FROM entries WHERE dataset_id = :dataset),"
            " (SELECT count(DISTINCT bucket) FROM entries WHERE dataset_id = :dataset),"
            " (SELECT count(DISTINCT name) FROM labels WHERE dataset_id = :dataset)",
            names,
        ).fetchone()
        if totals[0] > images_max(region, dataset_type):
            raise OperationFailedError(TOO_MANY_ROWS)
        if totals[1] > 1:
            raise OperationFailedError(SEVERAL_BUCKETS)
        if totals[2] > LABELS_MAX:
            raise OperationFailedError(TOO_MANY_LABELS)

    def _conclude(
        self, db: sqlite3.Connection, job: sqlite3.Row, dataset: int, verb: str, failure: OperationFailedError | None
    ) -> None:
        db.execute(_COUNT, {"dataset": dataset})
        db.execute(
            "UPDATE datasets SET status = ?, message = ?, code = ?, updated_ms = ? WHERE id = ?",
            (
                f"{verb}_{'COMPLETE' if failure is None else 'FAILED'}",
                f"The dataset was {verb.lower()}d successfully." if failure is None else failure.message,
                "SUCCESS" if failure is None else failure.code,
                self._store.now_ms(),
                dataset,
            ),
        )
        db.execute("DELETE FROM staged WHERE job_id = ?", (job["id"],))
        db.execute("DELETE FROM jobs WHERE id = ?", (job["id"],))


_OUTCOMES: Final[dict[str, Callable[[Lifecycle, sqlite3.Row, OperationFailedError | None], None]]] = {
    "create": Lifecycle._write_create,
    "update": Lifecycle._write_update,
    "distribute": Lifecycle._write_distribute,
    "delete_dataset": Lifecycle._write_delete_dataset,
    "delete_project": Lifecycle._write_delete_project,
}


class _Tally:
    """Counts lines as they are read, and stops at the first limit that no later line can heal."""

    def __init__(self, *, rows_max: int) -> None:
        self._rows_max = rows_max
        self._buckets: set[str] = set()
        self._labels: set[str] = set()
        self.rows = 0
        self.dropped = 0
        self.unreadable = 0

    def admit(self, read: Entry | Drop) -> Entry | None:
        self.rows += 1
        if self.rows > self._rows_max:
            raise OperationFailedError(TOO_MANY_ROWS)
        if isinstance(read, Drop):
            self.dropped += 1
            self.unreadable += read is Drop.INVALID_CONTENTS
            return None
        self._buckets.add(read.bucket)
        if len(self._buckets) > 1:
            raise OperationFailedError(SEVERAL_BUCKETS)
        self._labels.update(read.findings.labels)
        if len(self._labels) > LABELS_MAX:
            raise OperationFailedError(TOO_MANY_LABELS)
        return read


def _row(job_id: int, number: int, entry: Entry) -> tuple[Any, ...]:
    findings = entry.findings
    return (
        job_id,
        number,
        entry.source_ref,
        entry.bucket,
        entry.text(),
        findings.annotated,
        findings.has_errors,
        findings.bad,
        msgspec.json.encode(list(findings.labels.items())).decode(),
    )


def _entry(read: Entry | Drop) -> Entry:
    if isinstance(read, Drop):
        raise TypeError(f"A staged line can no longer be read: {read}")
    return read


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _remove_entries(db: sqlite3.Connection, dataset: int) -> None:
    db.execute("DELETE FROM entries WHERE dataset_id = ?", (dataset,))
    db.execute("DELETE FROM labels WHERE dataset_id = ?", (dataset,))


def positions_to_distribute(db: sqlite3.Connection, dataset: int) -> set[int]:
    """Positions of the entries that make the test dataset: a fifth of every label's images, and of the unlabelled.

    Every label keeps at least one image on the training side and gets at least one on the test side, where its
    images do not all carry other labels as well. The choice depends on the source-refs alone.

    Raises:
        OperationFailedError: a label has fewer than two images, or there is no label at all.
    """
    order = sorted(
        (blake2b(row["source_ref"].encode(), digest_size=8).digest(), row["position"])
        for row in db.execute("SELECT position, source_ref FROM entries WHERE dataset_id = ?", (dataset,))
    )
    names: dict[int, list[str]] = {position: [] for _, position in order}
    for row in db.execute("SELECT position, name FROM labels WHERE dataset_id = ?", (dataset,)):
        names[row["position"]].append(row["name"])
    members: dict[str, list[int]] = {}
    unlabelled = []
    for _, position in order:
        for name in names[position]:
            members.setdefault(name, []).append(position)
        if not names[position]:
            unlabelled.append(position)
    if not members or min(map(len, members.values())) < 2:
        raise OperationFailedError(TOO_FEW_TO_DISTRIBUTE)

    chosen = set(unlabelled[: _fifth(len(unlabelled))])
    left = {name: len(positions) for name, positions in members.items()}
    # Rare labels first: an image that serves two labels is best spent on the one with fewer to give.
    for name in sorted(members, key=lambda name: (len(members[name]), name)):
        wanted = max(1, _fifth(len(members[name]))) - sum(position in chosen for position in members[name])
        for position in members[name]:
            if wanted <= 0:
                break
            if position not in chosen and all(left[other] > 1 for other in names[position]):
                chosen.add(position)
                wanted -= 1
                for other in names[position]:
                    left[other] -= 1
    return chosen


def _fifth(count: int) -> int:
    return int(count * TEST_SHARE + 0.5)
