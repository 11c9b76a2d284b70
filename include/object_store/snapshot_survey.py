"""What is left of a dataset's snapshots, whole or not, and in which order they were written."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

from include.custom_labels.errors import AccessError, DocumentError
from include.custom_labels.ledger import LedgerPage
from include.object_store.listing import list_objects
from include.object_store.registered_snapshot import RegisteredSnapshot, find_snapshot
from include.object_store.session import S3Session
from include.object_store.snapshots import DatasetFolder, SnapshotSummary, read_summary
from include.object_store.tables import read_ledger


@dataclass(frozen=True, slots=True)
class FoundSnapshot:
    """A snapshot's folder.

    :ivar begun_at: when its first object was written, as in a listing
    :ivar written_at: when its last object was written
    """

    session: S3Session
    dataset: DatasetFolder
    snapshot_id: str
    begun_at: str
    written_at: str

    def read(self) -> RegisteredSnapshot | None:
        """The snapshot; None where its summary, or a look at the manifest, says that it is not whole.

        :raises AccessError: what else S3 answers
        """
        try:
            return find_snapshot(self.session, self.dataset, self.snapshot_id)
        except DocumentError:
            return None

    def read_summary(self) -> SnapshotSummary | None:
        """Its summary; None where it is gone or damaged, whatever the other objects are.

        :raises AccessError: what else S3 answers
        """
        try:
            return read_summary(self.session, self.dataset, self.snapshot_id)
        except DocumentError:
            return None

    def readable_ledger(self) -> list[LedgerPage]:
        """The ledger of a snapshot that is not whole; its pages have checksums of their own. Empty where it is damaged.

        :raises AccessError: what else S3 answers
        """
        try:
            return list(read_ledger(self.session, self.dataset.snapshot(self.snapshot_id).ledger))
        except DocumentError:
            return []
        except AccessError as error:
            if error.code != "OBJECT_NOT_FOUND":
                raise
            return []


def survey_snapshots(session: S3Session, dataset: DatasetFolder) -> list[FoundSnapshot]:
    """The snapshots of a dataset, from the one that was written last on.

    :raises AccessError: what S3 answers
    """
    start = len(dataset.snapshots.prefix)
    written: dict[str, list[str]] = {}
    for page in list_objects(session, dataset.snapshots):
        for key, moment in zip(page.keys, page.last_modified, strict=True):
            written.setdefault(key[start:].partition("/")[0], []).append(moment)
    found = [
        FoundSnapshot(session, dataset, snapshot_id, min(moments), max(moments))
        for snapshot_id, moments in written.items()
    ]
    return sorted(found, key=attrgetter("written_at", "snapshot_id"), reverse=True)


def is_registered(summary: SnapshotSummary) -> bool:
    """Whether the run that left the snapshot has registered it; a dry run has not, and one that came too late."""
    return bool(summary.details.get("dataset_arn"))
