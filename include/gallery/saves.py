"""Saves: edits of people, sent to Rekognition as one batch after the other.

Before anything is sent, the entries that will be changed are written to the workspace as they are, and the dataset is
taken under its lease, so that no run of a Dag works on it meanwhile. A save's lease is short and renewed as the save
goes on: if the server dies, the dataset is free again after `LEASE` (docs/adr/0014-lease-of-a-save.md).

A save is carried out by a thread of the process that was asked for it. What becomes of it is written beside the
entries, where the other processes of the API server, and people, find it.
"""

from __future__ import annotations

import logging
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import IO, Final

import msgspec

from include.custom_labels.errors import CustomLabelsError, DatasetConflictError, RequestError
from include.custom_labels.quotas import SAFE_UPDATE_BYTES
from include.gallery.catalog import Catalog
from include.gallery.datasets import Datasets
from include.gallery.edits import ChangedEntry, Edits
from include.gallery.live_entries import not_in_rekognition
from include.gallery.messages import MAX_REFUSALS, Conflict, Problem, Refusal, Save, SaveDemand, View
from include.gallery.services import Services
from include.gallery.snapshots import DatasetName
from include.gallery.statistics import read_statistics
from include.object_store.holders import Holder
from include.object_store.registration_journal import HeldJournal
from include.object_store.streams import ObjectWriter, put_json, read_json

HOLDER: Final = "custom_labels_gallery"
"""Stands for a Dag's id in the lease of a save."""

LEASE: Final = timedelta(minutes=15)
"""How long a save holds a dataset without a sign of life; Rekognition takes a batch within seconds to minutes."""

SAVES_AT_ONCE: Final = 4
"""By one process: more would wait for each other at Rekognition."""

_READING_S: Final = 3600.0
_REPORT_S: Final = 2.0
_POLL_S: Final = 0.5
_IN_MEMORY_BYTES: Final = 8 * 1024 * 1024
_PART_BYTES: Final = 1024 * 1024
_KEPT: Final = 100

log = logging.getLogger(__name__)


class SaveRecord(msgspec.Struct, frozen=True, kw_only=True):
    """``edits/<save id>.json``.

    :ivar user: who saved
    """

    save: Save
    user: str
    begun_at: datetime
    updated_at: datetime


class Saves:
    """The saves of all datasets, as one process of the API server carries them out.

    :param now: the time in UTC
    """

    def __init__(self, datasets: Datasets, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._datasets = datasets
        self._now = now
        self._lock = threading.Lock()
        self._under_way: dict[str, _Work] = {}

    def begin(self, name: DatasetName, demand: SaveDemand, user: str) -> Save:
        """Take the dataset's lease, and begin to save.

        :raises DatasetConflictError: DATASET_LEASED, where a run or another save works on the dataset
        :raises RequestError: SAVES_BUSY
        :raises AccessError: DATASET_NOT_IN_REKOGNITION, or what S3 answers
        """
        if not self._datasets.arn(name):
            raise not_in_rekognition(name)
        now = self._now()
        save_id = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}"
        work = _Work(self._datasets, name, demand, save_id, user, self._now)
        with self._lock:
            self._forget()
            if sum(not each.is_over for each in self._under_way.values()) >= SAVES_AT_ONCE:
                raise RequestError(
                    "SAVES_BUSY",
                    "Other saves are still being sent.",
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
        if save.state in ("reading", "sending") and self._now() - updated_at > LEASE:
            return msgspec.structs.replace(save, state="failed", problem=INTERRUPTED)
        return save

    def _forget(self) -> None:
        """Saves that ended long ago are found in the workspace."""
        over = [save_id for save_id, work in self._under_way.items() if work.is_over]
        for save_id in over[:-_KEPT]:
            del self._under_way[save_id]


INTERRUPTED: Final = Problem(
    code="SAVE_INTERRUPTED",
    message="The server ended while it saved, so that some of the edits may not be in the dataset.",
    next_step="Reload the page and make the edits that are missing again; the entries before the save are kept.",
)


class _Work:
    """One save.

    :ivar save: how far it is
    :ivar is_over: whether nothing happens to it any more
    """

    def __init__(
        self,
        datasets: Datasets,
        name: DatasetName,
        demand: SaveDemand,
        save_id: str,
        user: str,
        now: Callable[[], datetime],
    ) -> None:
        self.name = name
        self.save = Save(save_id=save_id, state="reading")
        self.is_over = False
        self._datasets = datasets
        self._services: Services = datasets.services
        self._demand = demand
        self._user = user
        self._now = now
        self._begun_at = now()
        self._folder = name.folder(self._services.workspace())
        self._reported_at = 0.0
        self._renewed_at = self._begun_at

    def begin(self) -> None:
        """Take the lease, and go on in a thread."""
        try:
            held = HeldJournal.take(
                self._services.s3(),
                self._folder,
                Holder(HOLDER, self.save.save_id),
                now=self._now(),
                has_ended=self._services.runs().has_ended,
                lease=LEASE,
            )
            self._report()
        except CustomLabelsError:
            self.is_over = True
            raise
        thread = threading.Thread(target=self._run, args=(held,), name=f"gallery save {self.save.save_id}", daemon=True)
        thread.start()

    def _run(self, held: HeldJournal) -> None:
        outcome: dict[str, object] = {"state": "failed", "problem": INTERRUPTED}
        try:
            self._carry_out(held)
            outcome = {"state": "saved"}
        except CustomLabelsError as error:
            log.warning("The save %s of %s failed: %s", self.save.save_id, self.name, error)
            outcome = {"state": "failed", "problem": Problem.of(error)}
        finally:
            # First of all: whoever sees that the save is over may save again.
            self._try(held.release)
            self._change(**outcome)
            self.is_over = True
            self._try(self._report)

    def _try(self, last_act: Callable[[], None]) -> None:
        """Do what is left undone where S3 does not take it: a lease and a record that is not renewed end by time."""
        try:
            last_act()
        except CustomLabelsError as error:
            log.warning("At the end of the save %s of %s: %s", self.save.save_id, self.name, error)

    def _carry_out(self, held: HeldJournal) -> None:
        catalog = self._current_catalog(held)
        names = {each.label for each in read_statistics(catalog, View()).labels}
        edits = Edits(self._demand.edits, catalog, names)
        with (
            tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as before,
            tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as after,
        ):
            self._plan(held, edits, before, after)
            if self.save.total:
                self._record(before)
                # Whoever changed an entry since it was read is not overwritten.
                self._datasets.live(self.name).ensure_current(0.0)
                self._send(held, after)

    def _current_catalog(self, held: HeldJournal) -> Catalog:
        """The catalog with the dataset's entries as they are now."""
        give_up = time.monotonic() + _READING_S
        self._datasets.live(self.name).ensure_current(_READING_S, lambda _read, _total: self._live_on(held))
        while True:
            with suppress(DatasetConflictError):
                shown = self._datasets.shown(self.name)
                if not shown.is_outdated:
                    return shown.catalog
            self._live_on(held)
            if time.monotonic() > give_up:
                raise DatasetConflictError(
                    "ENTRIES_NOT_CURRENT",
                    f"The entries of {self.name} are still being read.",
                    "Wait until the gallery says that it has read them, then try again. Nothing was changed.",
                )
            threading.Event().wait(_POLL_S)

    def _plan(self, held: HeldJournal, edits: Edits, before: IO[bytes], after: IO[bytes]) -> None:
        """Decide what becomes of each entry."""
        conflicts: list[Conflict] = []
        refusals: list[Refusal] = []
        total = refused = 0
        for outcome in edits.outcomes(self._services.s3(), f"{self._begun_at:%Y-%m-%dT%H:%M:%S}"):
            match outcome:
                case ChangedEntry():
                    before.write(outcome.before + b"\n")
                    after.write(outcome.after + b"\n")
                    total += 1
                case Conflict():
                    conflicts.append(outcome)
                case Refusal():
                    refused += 1
                    if len(refusals) < MAX_REFUSALS:
                        refusals.append(outcome)
            self._live_on(held)
        self._change(state="sending", total=total, conflicts=conflicts, refusals=refusals, refused=refused)

    def _record(self, before: IO[bytes]) -> None:
        """Write down the entries that will be changed, as they are."""
        record = self._folder.edited_entries(self.save.save_id)
        before.seek(0)
        with ObjectWriter(self._services.s3(), record, content_type="application/jsonlines", if_absent=True) as writer:
            while part := before.read(_PART_BYTES):
                writer.write(part)
        self._change(record=str(record))
        self._report()

    def _send(self, held: HeldJournal, changes: IO[bytes]) -> None:
        live = self._datasets.live(self.name)
        arn = live.arn()
        for batch, lines in _batches(changes):
            held.renew(self._now(), LEASE)
            self._renewed_at = self._now()
            self._services.datasets().update(arn, batch)
            self._change(sent=self.save.sent + lines)
            self._report()
        changes.seek(0)
        live.put(line.rstrip(b"\n") for line in changes)

    def _live_on(self, held: HeldJournal) -> None:
        """Keep the lease, and say now and then that the save goes on."""
        if self._now() - self._renewed_at > LEASE / 3:
            held.renew(self._now(), LEASE)
            self._renewed_at = self._now()
        if time.monotonic() - self._reported_at > _REPORT_S:
            self._report()

    def _change(self, **members: object) -> None:
        self.save = msgspec.structs.replace(self.save, **members)

    def _report(self) -> None:
        record = SaveRecord(save=self.save, user=self._user, begun_at=self._begun_at, updated_at=self._now())
        put_json(self._services.s3(), self._folder.save(self.save.save_id), record)
        self._reported_at = time.monotonic()


def _batches(changes: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Whole lines that fit into one request, and how many."""
    changes.seek(0)
    lines: list[bytes] = []
    size_bytes = 0
    for line in changes:
        if lines and size_bytes + len(line) > SAFE_UPDATE_BYTES:
            yield b"".join(lines), len(lines)
            lines, size_bytes = [], 0
        lines.append(line)
        size_bytes += len(line)
    if lines:
        yield b"".join(lines), len(lines)
