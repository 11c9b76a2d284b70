"""Saves: edits of people, as they are begun and followed.

A save is carried out by a thread of the process that was asked for it (`include.gallery.save_work`). What becomes of it
is written beside the entries in the workspace, where the other processes of the API server, and people, find it.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from include.custom_labels.errors import RequestError
from include.gallery.datasets import Datasets
from include.gallery.live_entries import not_in_rekognition
from include.gallery.messages import Save, SaveDemand
from include.gallery.save_lease import LEASE
from include.gallery.save_work import INTERRUPTED, SaveRecord, SaveWork
from include.gallery.snapshots import DatasetName
from include.object_store.registration_journal import read_journal
from include.object_store.streams import read_json

SAVES_AT_ONCE: Final = 4
"""That one process sends: more would wait for each other at Rekognition."""

SAVES_WAITING: Final = 20
"""That one process keeps in memory while others work on their datasets."""

_KEPT: Final = 100


class Saves:
    """The saves of all datasets, as one process of the API server carries them out.

    :param now: the time in UTC
    """

    def __init__(self, datasets: Datasets, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._datasets = datasets
        self._now = now
        self._lock = threading.Lock()
        self._under_way: dict[str, SaveWork] = {}

    def begin(self, name: DatasetName, demand: SaveDemand, user: str) -> Save:
        """Begin to save; where a run or another save works on the dataset, the save waits for it.

        :raises RequestError: SAVES_BUSY
        :raises AccessError: DATASET_NOT_IN_REKOGNITION, or what S3 answers
        """
        if not self._datasets.arn(name) and not self._is_leased(name):
            raise not_in_rekognition(name)
        now = self._now()
        save_id = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}"
        work = SaveWork(self._datasets, name, demand, save_id, user, self._now)
        with self._lock:
            self._forget()
            under_way = [each for each in self._under_way.values() if not each.is_over]
            waiting = sum(each.is_waiting for each in under_way)
            if waiting >= SAVES_WAITING or len(under_way) - waiting >= SAVES_AT_ONCE:
                raise RequestError(
                    "SAVES_BUSY",
                    "Other saves are still being sent, or wait for runs.",
                    "Wait until they have ended, then save again; your edits are kept on the page.",
                    retry_after_s=10.0,
                )
            self._under_way[save_id] = work
        work.begin()
        return work.save

    def get(self, name: DatasetName, save_id: str) -> Save:
        """What became of a save so far.

        :raises RequestError: SAVE_NOT_FOUND
        :raises AccessError: what S3 answers
        """
        work = self._under_way.get(save_id)
        if work is not None and work.name == name:
            return work.save
        services = self._datasets.services
        found = read_json(services.s3(), name.folder(services.workspace()).save(save_id), SaveRecord)
        if found is None:
            raise RequestError(
                "SAVE_NOT_FOUND", f"{name} has no save {save_id}.", "Look at the dataset's images for what was saved."
            )
        save, updated_at = found[0].save, found[0].updated_at
        if save.state not in ("saved", "failed") and self._now() - updated_at > LEASE:
            return msgspec.structs.replace(save, state="failed", waiting=None, problem=INTERRUPTED)
        return save

    def _is_leased(self, name: DatasetName) -> bool:
        """Whether somebody works on the dataset: a run that replaces it makes it again."""
        services = self._datasets.services
        lease = read_journal(services.s3(), name.folder(services.workspace())).lease
        return lease is not None and lease.expires_at > self._now() and not services.runs().has_ended(lease.holder)

    def _forget(self) -> None:
        """Saves that ended long ago are found in the workspace."""
        over = [save_id for save_id, work in self._under_way.items() if work.is_over]
        for save_id in over[:-_KEPT]:
            del self._under_way[save_id]
