"""A snapshot as a run may build on it: every object of it is what was written, or an error says which is not.

What `current.json` names has the digest of `summary.json`, and that has the digests of manifest and ledger. An object
is brought to this machine as a whole and compared before its first row is used, so that nothing is decided by the
first half of a ledger whose second half is damaged. A ledger of 250,000 rows has some 20 MB.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final

from include.custom_labels.diff import Snapshot
from include.custom_labels.errors import AccessError
from include.custom_labels.ledger import LedgerPage, LedgerRow, ledger_rows
from include.custom_labels.locations import S3Uri
from include.object_store.documents import damaged, missing
from include.object_store.session import S3Session
from include.object_store.snapshots import Base, CurrentSnapshot, DatasetFolder, SnapshotFolder, SnapshotSummary
from include.object_store.streams import read_chunks, read_json
from include.object_store.tables import ledger_objects, ledger_of

_READ_BYTES: Final = 1 << 18


def read_registered(
    session: S3Session, dataset: DatasetFolder, current: CurrentSnapshot, base: Base | None = None
) -> RegisteredSnapshot:
    """A snapshot that `current.json` names.

    :param base: of one of the dataset's imports; None for the snapshot that was registered last
    :raises DocumentError: `summary.json` is missing, damaged, of another format, or not that of this snapshot
    :raises AccessError: what else S3 answers
    """
    named = base or Base(snapshot_id=current.snapshot_id, summary_sha256=current.summary_sha256)
    folder = dataset.snapshot(named.snapshot_id)
    found = read_json(session, folder.summary, SnapshotSummary, sha256=named.summary_sha256)
    if found is None:
        raise missing(folder.summary, dataset.current)
    summary = found[0]
    is_last = named.snapshot_id == current.snapshot_id
    if summary.snapshot_id != named.snapshot_id or (is_last and summary.manifest_sha256 != current.manifest_sha256):
        raise damaged(dataset.current, f"it contradicts {folder.summary}")
    return RegisteredSnapshot(session, folder, summary)


@dataclass(frozen=True, slots=True)
class RegisteredSnapshot:
    """A whole snapshot; of an earlier release's, objects without a digest are taken as they are.

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
        return _verified(self.session, self.folder.manifest, self.summary.manifest_sha256, self.folder.summary)

    def _ledger(self) -> AbstractContextManager[BinaryIO]:
        return _verified(self.session, self.folder.ledger, self.summary.ledger_sha256, self.folder.summary)

    def _manifest_chunks(self) -> Iterator[bytes]:
        with self._manifest() as file:
            while chunk := file.read(_READ_BYTES):
                yield chunk

    def _ledger_objects(self) -> Iterator[tuple[str, str, int]]:
        with self._ledger() as file:
            yield from ledger_objects(file, self.folder.ledger)


@contextmanager
def _verified(session: S3Session, uri: S3Uri, sha256: str, named_by: S3Uri) -> Iterator[BinaryIO]:
    """A copy of the object on this machine, at its start.

    :param sha256: of the object, in hex; empty where that is not known
    """
    digest = hashlib.sha256()
    with tempfile.TemporaryFile() as file:
        try:
            for chunk in read_chunks(session, uri):
                digest.update(chunk)
                file.write(chunk)
        except AccessError as error:
            if error.code != "OBJECT_NOT_FOUND":
                raise
            raise missing(uri, named_by) from error
        if sha256 and digest.hexdigest() != sha256:
            raise damaged(uri, f"{named_by} has another digest of it")
        file.seek(0)
        yield file
