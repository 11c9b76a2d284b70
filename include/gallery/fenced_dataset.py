"""A dataset as a save has looked at it: it takes batches as long as nobody else changes it.

Right before each batch, the save's lease is renewed, and the dataset has to be the one that was looked at: the same ARN
and the same time of last change, the save's own batches apart. That time says nothing of an operation of somebody else
that begins and ends between two looks, so the entries themselves are looked at as well, once before they are sent and
once after, where that takes few requests (`LOOKS`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from include.custom_labels.dataset_entries import read_entry
from include.custom_labels.errors import AccessError
from include.gallery.catalog import seen_of
from include.gallery.edits import ChangedEntry
from include.gallery.live_entries import KnownEntries
from include.gallery.save_lease import SaveLease
from include.gallery.save_plan import ChangedEntries
from include.gallery.services import DatasetService, DatasetState

LOOKS: Final = 50
"""Requests that may be spent on looking at entries: ten seconds at Rekognition's pace."""

POLL_S: Final = 1.0
"""Between two looks at an operation that is under way."""

_PAGE_ENTRIES: Final = 100
# After that, an operation is taken to be over although the service has never said that it began.
_UNSEEN_S: Final = 10.0


class Applied(NamedTuple):
    """A batch that the dataset has.

    :ivar since: the dataset's last change before, as ISO 8601
    :ivar until: its last change afterwards
    :ivar is_alone: whether no operation of somebody else was seen
    """

    since: str
    until: str
    is_alone: bool


class FencedDataset:
    """The dataset whose entries were planned with.

    :param known: what is known of its entries
    :param images: how many entries it has, about
    :param live_on: called now and then while a batch is applied
    """

    def __init__(
        self,
        service: DatasetService,
        known: KnownEntries,
        lease: SaveLease,
        *,
        images: int,
        live_on: Callable[[], None],
    ) -> None:
        self._service = service
        self._arn = known.dataset_arn
        self._updated_at = known.updated_at
        self._lease = lease
        self._images = images
        self._live_on = live_on

    def is_as_planned(self, plan: ChangedEntries) -> bool:
        """Whether its entries say what they were planned to say before, where few requests tell.

        :raises AccessError: what Rekognition answers
        """
        if plan.total <= LOOKS:
            found: Iterable[bytes] = self.entries_of(entry.before for entry in plan)
        elif self._images <= LOOKS * _PAGE_ENTRIES:
            found = (line.encode() for line in self._service.entries(self._arn))
        else:
            return True
        said = {read_entry(line)[0]: seen_of(line) for line in found}
        return all(said.get(read_entry(entry.before)[0]) == seen_of(entry.before) for entry in plan)

    def entries_of(self, lines: Iterable[bytes]) -> list[bytes]:
        """The entries that the dataset has in place of these, one request each.

        :raises AccessError: what Rekognition answers
        """
        refs = (read_entry(line)[0] for line in lines)
        return [found.encode() for ref in refs for found in self._service.find_entries(self._arn, ref)]

    def send(self, batch: Iterable[ChangedEntry]) -> Applied | None:
        """Send a batch and wait until the dataset has it; None where it is not the dataset that was looked at.

        :raises DatasetConflictError: LEASE_LOST
        :raises AccessError: REKOGNITION_DATASET_FAILED, or what Rekognition answers
        """
        before = self._looked_at()
        if before is None:
            return None
        # Asking takes a moment, in which the process may have been stopped.
        self._lease.check()
        self._service.update(self._arn, b"".join(entry.after + b"\n" for entry in batch))
        after, is_alone = self._ended(before)
        applied = Applied(self._updated_at, after.updated_at.isoformat(), is_alone)
        self._updated_at = applied.until
        return applied

    def _looked_at(self) -> DatasetState | None:
        self._lease.renew()
        try:
            state = self._service.describe(self._arn)
        except AccessError as error:
            if error.code != "REKOGNITION_RESOURCE_NOT_FOUND":
                raise
            return None
        return None if state.is_busy or state.updated_at.isoformat() != self._updated_at else state

    def _ended(self, before: DatasetState) -> tuple[DatasetState, bool]:
        """The dataset once it has the batch, and whether nobody else's operation was seen."""
        sent_at = time.monotonic()
        has_begun, is_alone = False, True
        while True:
            state = self._service.describe(self._arn)
            is_changed = state.updated_at != before.updated_at
            if state.is_busy:
                # While our own operation is under way, the last one that has ended is the one before it.
                has_begun, is_alone = True, is_alone and not is_changed
            elif has_begun or is_changed or time.monotonic() - sent_at > _UNSEEN_S:
                break
            self._live_on()
            threading.Event().wait(POLL_S)
        if state.status.endswith("_FAILED"):
            explanation = state.status_message or "AWS gave no explanation."
            raise AccessError(
                "REKOGNITION_DATASET_FAILED",
                f"The dataset ended in {state.status}: {explanation}",
                "Correct the edits as the explanation says, then save again. The dataset has nothing of this batch.",
                dataset_arn=self._arn,
            )
        return state, is_alone
