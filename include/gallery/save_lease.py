"""The lease of a save: short, renewed as the save goes on, and lost by a save that stood still for too long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Self

from include.custom_labels.errors import DatasetConflictError
from include.object_store.holders import Holder
from include.object_store.registration_journal import HeldJournal
from include.object_store.session import S3Session
from include.object_store.snapshots import DatasetFolder

HOLDER: Final = "custom_labels_gallery"
"""Stands for a Dag's id in the lease of a save."""

LEASE: Final = timedelta(minutes=15)
"""How long a save holds a dataset without a sign of life; Rekognition takes a batch within seconds to minutes."""


class SaveLease:
    """The dataset's journal in the hands of a save.

    :param now: the time in UTC
    """

    def __init__(self, held: HeldJournal, now: Callable[[], datetime], renewed_at: datetime) -> None:
        self._held = held
        self._now = now
        self._renewed_at = renewed_at

    @classmethod
    def take(
        cls,
        session: S3Session,
        dataset: DatasetFolder,
        save_id: str,
        *,
        now: Callable[[], datetime],
        has_ended: Callable[[Holder], bool],
    ) -> Self:
        """Take the lease.

        :param has_ended: whether another holder's run is known to have ended
        :raises DatasetConflictError: DATASET_LEASED, where a run or another save works on the dataset
        :raises AccessError: what S3 answers
        """
        # The lease counts from before it was written.
        taken_at = now()
        held = HeldJournal.take(
            session, dataset, Holder(HOLDER, save_id), now=taken_at, has_ended=has_ended, lease=LEASE
        )
        return cls(held, now, taken_at)

    def check(self) -> None:
        """Make sure that the lease has not run out: a process that was stopped does not notice how long.

        :raises DatasetConflictError: LEASE_LOST
        """
        if self._now() - self._renewed_at >= LEASE:
            raise stood_still()

    def renew(self) -> None:
        """Let it last for `LEASE` from now on, provided that it is still this save's.

        :raises DatasetConflictError: LEASE_LOST
        :raises AccessError: what S3 answers
        """
        self.check()
        renewed_at = self._now()
        self._held.renew(renewed_at, LEASE)
        self._renewed_at = renewed_at

    def keep(self) -> None:
        """Renew it where a third of it is over; called now and then by what takes long.

        :raises DatasetConflictError: LEASE_LOST
        :raises AccessError: what S3 answers
        """
        if self._now() - self._renewed_at > LEASE / 3:
            self.renew()

    def release(self) -> None:
        """Give it back; what a killed run left in the journal is left to the next run.

        :raises DatasetConflictError: LEASE_LOST
        :raises AccessError: what S3 answers
        """
        self._held.release()


def stood_still() -> DatasetConflictError:
    """The error of a save that gave no sign of life for longer than `LEASE`."""
    return DatasetConflictError(
        "LEASE_LOST",
        f"The save stood still for longer than its lease of {LEASE // timedelta(minutes=1)} minutes, "
        "and others may have worked on the dataset since.",
        "Save again: your edits are kept on the page, and what was sent already is not sent twice.",
    )
