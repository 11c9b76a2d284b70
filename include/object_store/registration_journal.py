"""``registration.json``: the journal and the lease of what is being done to one dataset.

Rekognition has no transactions. Before a run does anything that a killed worker could leave half done, it writes here
what it is about to do, under the condition that nobody wrote since it looked. The next try of the run continues where
the journal says; the next run knows which entries may be from an unfinished one, and where the entries of a dataset
that was being replaced are.

The lease says who works on the dataset. It ends when that run commits, when the run that holds it has ended in any
other way, or by the time it names: a run of another Airflow cannot be asked.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Self

import msgspec

from include.custom_labels.errors import DatasetConflictError
from include.object_store.documents import Instant, S3Address
from include.object_store.holders import Holder
from include.object_store.session import S3Session
from include.object_store.snapshots import DatasetFolder
from include.object_store.streams import put_json, read_json

LEASE: Final = timedelta(hours=24)
"""How long a run may take to create a dataset of any size; only a run of another Airflow has to wait for it."""

_CONTENDERS: Final = 10
"""How often a lease that is free is tried to be taken, each time behind somebody who was faster and gave it back."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    holder: Holder
    expires_at: Instant


class Replacement(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset that is deleted and created again.

    :ivar dataset_arn: of the dataset that is deleted
    :ivar entries: ``s3://`` address of all its entries, as they may be sent again
    :ivar count: how many
    :ivar sha256: digest of the object, in hex; empty where nobody knows it
    :ivar is_remainder: a run has verified a dataset since; these are entries that are for other imports to bring back
        or to remove, because their images do not exist
    """

    dataset_arn: str
    entries: S3Address
    count: int
    sha256: str = ""
    is_remainder: bool = False


Step = Literal["delete", "create_project", "create", "restore", "update", "verify", "done"]
"""What a registration does next, in the order in which it is done; a plan needs some of them."""


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run has come with changing the dataset; written before and after each step.

    :ivar holder: the run
    :ivar plan: ``s3://`` address of the plan that is carried out
    :ivar dataset_arn: of the dataset that is written; empty until it is created
    :ivar dataset_updated_at: the dataset's last change that the run knows of, its own writes included; the next write
        needs it to be the last
    :ivar sent_bytes: how much of the changes was sent, and applied
    :ivar sending_bytes: the same once the batch that is being sent was applied; 0 between batches
    :ivar is_accepted: whether the service is known to have accepted that batch
    :ivar is_created: whether this run has created the dataset
    :ivar failure: why the creation failed, while the dataset is restored, as an event of the error
    :ivar restored_arn: of the dataset that is created again from the export
    """

    holder: Holder
    plan: S3Address
    step: Step
    dataset_arn: str = ""
    dataset_updated_at: str = ""
    sent_bytes: int = 0
    sending_bytes: int = 0
    is_accepted: bool = False
    is_created: bool = False
    failure: dict[str, Any] | None = None
    restored_arn: str = ""


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``registration.json``.

    :ivar sent: by the origin of an import, the ``s3://`` address of the digests that runs of it which did not end well
        may have sent (`include.object_store.sent_digests`)
    :ivar replacement: named until a run has verified the dataset that took the place of the one that was deleted
    """

    lease: Lease | None = None
    sent: dict[str, S3Address] = {}
    replacement: Replacement | None = None
    registration: Registration | None = None

    def is_open_for(self, origin: str) -> bool:
        """Whether a run of this import has something to close, even if it finds nothing to change."""
        return origin in self.sent or self.is_replacing

    @property
    def is_replacing(self) -> bool:
        """Whether a dataset was deleted, and nobody has verified yet what took its place."""
        return self.replacement is not None and not self.replacement.is_remainder


def read_journal(session: S3Session, dataset: DatasetFolder) -> Journal:
    """What is under way; an empty journal where nothing ever was.

    :raises DocumentError: it is damaged, or of another format
    :raises AccessError: what else S3 answers
    """
    return find_journal(session, dataset) or Journal()


def find_journal(session: S3Session, dataset: DatasetFolder) -> Journal | None:
    """The journal; None where there is no such document.

    :raises DocumentError: it is damaged, or of another format
    :raises AccessError: what else S3 answers
    """
    found = read_json(session, dataset.registration, Journal)
    return found[0] if found else None


class HeldJournal:
    """The journal in the hands of the run that holds the lease.

    :ivar journal: as it was last read or written
    """

    def __init__(self, session: S3Session, dataset: DatasetFolder, journal: Journal, etag: str | None) -> None:
        self.journal = journal
        self._session = session
        self._dataset = dataset
        self._etag = etag

    @classmethod
    def take(
        cls,
        session: S3Session,
        dataset: DatasetFolder,
        holder: Holder,
        *,
        now: datetime,
        has_ended: Callable[[Holder], bool],
        lease: timedelta = LEASE,
    ) -> Self:
        """Take the lease, or renew one's own.

        :param has_ended: whether another holder's run is known to have ended
        :param lease: how long it lasts, unless it is renewed
        :raises DatasetConflictError: DATASET_LEASED, where another run works on the dataset: `details` have its
            ``holder`` and when its lease ends, ``expires_at``
        :raises AccessError: what S3 answers
        """
        for _ in range(_CONTENDERS):
            found = read_json(session, dataset.registration, Journal)
            journal, etag = found or (Journal(), None)
            other = journal.lease
            if other and other.holder != holder and other.expires_at > now and not has_ended(other.holder):
                raise DatasetConflictError(
                    "DATASET_LEASED",
                    f"The run {other.holder.run_id} of {other.holder.dag_id} works on this dataset.",
                    "Wait until it has ended, then run again; if no such run exists, the lease ends at "
                    f"{other.expires_at.isoformat(timespec='seconds')}.",
                    holder=msgspec.to_builtins(other.holder),
                    expires_at=other.expires_at.isoformat(),
                )
            held = cls(session, dataset, journal, etag)
            # Somebody else may have been faster: what they wrote says whether they hold the lease now.
            with suppress(_LeaseLostError):
                held.write(lease=Lease(holder=holder, expires_at=now + lease))
                return held
        raise _lost(dataset)

    @classmethod
    def resume(cls, session: S3Session, dataset: DatasetFolder, holder: Holder) -> Self:
        """The journal of a lease that an earlier task of the same run took.

        :raises DatasetConflictError: LEASE_LOST
        """
        found = read_json(session, dataset.registration, Journal)
        if found is None or found[0].lease is None or found[0].lease.holder != holder:
            raise _lost(dataset)
        return cls(session, dataset, *found)

    def write(self, **changes: object) -> None:
        """Change members of the journal.

        :raises DatasetConflictError: LEASE_LOST, where somebody else wrote it in the meantime
        """
        changed: Journal = msgspec.structs.replace(self.journal, **changes)
        etag = put_json(
            self._session,
            self._dataset.registration,
            changed,
            if_absent=self._etag is None,
            if_match=self._etag,
        )
        if etag is None:
            raise _lost(self._dataset)
        self.journal, self._etag = changed, etag

    def renew(self, now: datetime, lease: timedelta) -> None:
        """Let the lease last for so long from now on.

        :raises DatasetConflictError: LEASE_LOST
        """
        if self.journal.lease is None:
            raise _lost(self._dataset)
        self.write(lease=msgspec.structs.replace(self.journal.lease, expires_at=now + lease))

    def release(self) -> None:
        """Nobody works on the dataset any more; what a run left under way is left to the next run.

        :raises DatasetConflictError: LEASE_LOST
        """
        self.write(lease=None)

    def commit(self, origin: str, remainder: Replacement | None = None) -> None:
        """Nothing of this import is under way any more, and nobody works on the dataset.

        What unfinished runs of other imports may have sent is still theirs to tell.

        :param remainder: what is still named of the export
        """
        others = {name: sent for name, sent in self.journal.sent.items() if name != origin}
        self.write(lease=None, sent=others, replacement=remainder, registration=None)


class _LeaseLostError(DatasetConflictError):
    """Somebody else wrote the journal."""


def _lost(dataset: DatasetFolder) -> _LeaseLostError:
    return _LeaseLostError(
        "LEASE_LOST",
        f"Another run has taken over the work on this dataset: {dataset.registration} was changed.",
        "Look at what the other run did, then run again.",
        location=str(dataset.registration),
    )
