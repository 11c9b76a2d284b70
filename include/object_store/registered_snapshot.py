"""A snapshot as a run may build on it: every object of it is what was written, or an error says which is not.

What `current.json` names has the digest of `summary.json`, and that has the digests of manifest and ledger. An object
is brought to this machine as a whole and compared before its first row is used, so that nothing is decided by the
first half of a ledger whose second half is damaged. A ledger of 250,000 rows has some 20 MB.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import BinaryIO, Final

from include.custom_labels.diff import Snapshot
from include.custom_labels.errors import DocumentError
from include.custom_labels.ledger import LedgerPage, LedgerRow, ledger_rows
from include.object_store.documents import damaged, missing
from include.object_store.session import S3Session
from include.object_store.snapshots import (
    Base,
    CurrentSnapshot,
    DatasetFolder,
    SnapshotFolder,
    SnapshotSummary,
    snapshots_near,
)
from include.object_store.streams import object_head, read_json
from include.object_store.tables import ledger_objects, ledger_of
from include.object_store.verified_copies import named, verified_copy

_READ_BYTES: Final = 1 << 18

log = logging.getLogger(__name__)


def read_registered(
    session: S3Session, dataset: DatasetFolder, current: CurrentSnapshot, base: Base | None = None
) -> RegisteredSnapshot:
    """A snapshot that `current.json` names.

    :param base: of one of the dataset's imports; None for the snapshot that was registered last
    :raises DocumentError: an object of it is missing or cut off, or `summary.json` is damaged, or of another snapshot
    :raises AccessError: what else S3 answers
    """
    wanted = base or Base(snapshot_id=current.snapshot_id, summary_sha256=current.summary_sha256)
    found = find_snapshot(session, dataset, wanted.snapshot_id, summary_sha256=wanted.summary_sha256)
    if found is None:
        raise missing(dataset.snapshot(wanted.snapshot_id).summary, dataset.current)
    if wanted.snapshot_id == current.snapshot_id and found.summary.manifest_sha256 != current.manifest_sha256:
        raise damaged(dataset.current, f"it contradicts {found.folder.summary}")
    return found


def find_snapshot(
    session: S3Session, dataset: DatasetFolder, snapshot_id: str, *, summary_sha256: str = ""
) -> RegisteredSnapshot | None:
    """A snapshot by its id; None where it has no summary, which is written last.

    :param summary_sha256: what the digest of its summary has to be, in hex; empty where that is not known
    :raises DocumentError: an object of it is missing or cut off, or `summary.json` is damaged
    :raises AccessError: what else S3 answers
    """
    folder = dataset.snapshot(snapshot_id)
    found = read_json(session, folder.summary, SnapshotSummary, sha256=summary_sha256)
    if found is None:
        return None
    if found[0].snapshot_id != snapshot_id:
        raise damaged(folder.summary, f"it is that of {found[0].snapshot_id}")
    return _opened(session, folder, found[0])


def whole_snapshot(session: S3Session, dataset: DatasetFolder, snapshot_id: str) -> RegisteredSnapshot:
    """The same of a snapshot that was there before.

    :raises DocumentError: it is gone, or an object of it is missing or damaged
    :raises AccessError: what else S3 answers
    """
    found = find_snapshot(session, dataset, snapshot_id)
    if found is None:
        raise missing(dataset.snapshot(snapshot_id).summary, dataset.folder)
    return found


def nearest_whole_snapshot(
    session: S3Session, dataset: DatasetFolder, as_of: datetime, *, is_registered: bool = False
) -> RegisteredSnapshot | None:
    """The whole snapshot that is as of the latest time before ``as_of``.

    :param is_registered: leave out those of runs that registered nothing

    :raises AccessError: what S3 answers
    """
    found = nearest_ledger(session, dataset, as_of, is_registered=is_registered)
    return found[0] if found else None


def nearest_ledger(
    session: S3Session, dataset: DatasetFolder, as_of: datetime, *, or_later: bool = False, is_registered: bool = False
) -> tuple[RegisteredSnapshot, Iterator[LedgerPage]] | None:
    """The same and its ledger.

    One that is damaged is passed over: where the base of a registration is damaged, planning it says so, and otherwise
    a damaged snapshot would be in the way of every later run, and for good.

    :param or_later: take the first one after it where there is none
    :raises AccessError: what S3 answers
    """
    for snapshot_id in snapshots_near(session, dataset, as_of, or_later=or_later):
        try:
            snapshot = find_snapshot(session, dataset, snapshot_id)
            if snapshot is None or (is_registered and not snapshot.summary.details.get("dataset_arn")):
                continue
            pages = snapshot.ledger_pages()
            # Before it gives the first one, the ledger is compared with its digest.
            first = list(islice(pages, 1))
        except DocumentError as error:
            log.warning("A damaged snapshot is passed over: %s", error)
            continue
        return snapshot, chain(first, pages)
    return None


def _opened(session: S3Session, folder: SnapshotFolder, summary: SnapshotSummary) -> RegisteredSnapshot:
    # What only a later task reads in full is looked at now, as far as one request can tell.
    with named(folder.manifest, folder.summary):
        size_bytes = object_head(session, folder.manifest).size_bytes
    if size_bytes != summary.manifest_size_bytes:
        raise damaged(folder.manifest, f"it has {size_bytes:,} bytes of {summary.manifest_size_bytes:,}")
    return RegisteredSnapshot(session, folder, summary)


@dataclass(frozen=True, slots=True)
class RegisteredSnapshot:
    """A snapshot, registered or not; of an earlier release's, objects without a digest are taken as they are.

    Everything that reads raises `DocumentError` before the first row where an object is missing, damaged or of another
    format, and `AccessError` for what else S3 answers.
    """

    session: S3Session
    folder: SnapshotFolder
    summary: SnapshotSummary

    def ledger_pages(self) -> Iterator[LedgerPage]:
        """The ledger."""
        with self._ledger() as file:
            yield from ledger_of(file, self.folder.ledger)

    def ledger_rows(self) -> Iterator[LedgerRow]:
        """The ledger, row by row."""
        for page in self.ledger_pages():
            yield from ledger_rows(page)

    def manifest_lines(self) -> Iterator[bytes]:
        r"""The lines of the manifest, without their ``\n``."""
        with self._manifest() as file:
            for line in file:
                yield line.removesuffix(b"\n")

    def contents(self) -> Snapshot:
        """What there is to compare with another snapshot, read as it is used."""
        return Snapshot(manifest=self._manifest_chunks(), objects=self._ledger_objects())

    def verify(self) -> None:
        """Read all of it once."""
        with self._manifest():
            pass
        for _ in self.ledger_pages():
            pass

    def _manifest(self) -> AbstractContextManager[BinaryIO]:
        return verified_copy(
            self.session, self.folder.manifest, self.folder.summary, sha256=self.summary.manifest_sha256
        )

    def _ledger(self) -> AbstractContextManager[BinaryIO]:
        return verified_copy(self.session, self.folder.ledger, self.folder.summary, sha256=self.summary.ledger_sha256)

    def _manifest_chunks(self) -> Iterator[bytes]:
        with self._manifest() as file:
            while chunk := file.read(_READ_BYTES):
                yield chunk

    def _ledger_objects(self) -> Iterator[tuple[str, str, int]]:
        with self._ledger() as file:
            yield from ledger_objects(file, self.folder.ledger)
