"""One save: edits of people, sent to Rekognition as one batch after the other, and to nobody's harm.

A save waits until nobody else works on the dataset, reads the entries as they are now, and plans: what becomes of each
image that is edited. What it is going to change it writes to the workspace first, as it is. Then it sends, and where
somebody has changed the dataset before a batch (`include.gallery.fenced_dataset`), it reads the entries again and plans
again what is left.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

import msgspec

from include.custom_labels.errors import AccessError, CustomLabelsError, DatasetConflictError
from include.gallery.catalog import Catalog
from include.gallery.datasets import Datasets
from include.gallery.edits import ChangedEntry, Edits
from include.gallery.fenced_dataset import LOOKS, Applied, FencedDataset
from include.gallery.live_entries import KnownEntries
from include.gallery.messages import MAX_REFUSALS, Conflict, Problem, Refusal, RunLink, Save, SaveDemand, View, Waiting
from include.gallery.save_lease import HOLDER, LEASE, SaveLease, stood_still
from include.gallery.save_plan import ChangedEntries
from include.gallery.services import Services
from include.gallery.snapshots import DatasetName
from include.gallery.statistics import read_statistics
from include.object_store.documents import Instant
from include.object_store.holders import Holder
from include.object_store.streams import ObjectWriter, put_json, read_json

MAX_WAIT: Final = timedelta(hours=1)
"""How long a save waits for others, or plans again because of them, without getting on; then it fails."""

POLL_S: Final = 1.0
"""Between two looks at what a save waits for."""

_READING_POLL_S: Final = 0.5
_REPORT: Final = timedelta(seconds=2)
_SIGN_OF_LIFE: Final = timedelta(minutes=1)
# Rekognition takes no entries now, and will.
_BUSY_CODES: Final = frozenset({"DATASET_BUSY", "REKOGNITION_RESOURCE_IN_USE", "REKOGNITION_RESOURCE_NOT_READY"})

INTERRUPTED: Final = Problem(
    code="SAVE_INTERRUPTED",
    message="The server ended while it saved, so some of the edits may not be in the dataset.",
    next_step="Reload the page and make the edits that are missing again; the entries before the save are kept.",
)

log = logging.getLogger(__name__)


class SaveRecord(msgspec.Struct, frozen=True, kw_only=True):
    """``edits/<save id>.json``.

    :ivar user: the person who saved
    """

    save: Save
    user: str
    begun_at: Instant
    updated_at: Instant


class SaveWork:
    """One save, which a thread of its own carries out.

    :param now: the time in UTC
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
        self._live = datasets.live(name)
        self._services: Services = datasets.services
        self._demand = demand
        self._user = user
        self._now = now
        self._begun_at = now()
        self._give_up_at = self._begun_at + MAX_WAIT
        self._folder = name.folder(self._services.workspace())
        self._reported_at = self._begun_at
        self._recorded = 0
        self._saved: set[str] = set()

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for others."""
        return self.save.state == "waiting"

    def begin(self) -> None:
        """Write down that there is this save, and go on in a thread.

        :raises AccessError: what S3 answers
        """
        try:
            self._report()
        except CustomLabelsError:
            self.is_over = True
            raise
        thread = threading.Thread(target=self._run, name=f"gallery save {self.save.save_id}", daemon=True)
        thread.start()

    def _run(self) -> None:
        outcome: dict[str, object] = {"state": "failed", "problem": INTERRUPTED}
        try:
            lease = self._take_lease()
            try:
                self._report()
                self._carry_out(lease)
            finally:
                # First of all: anyone who sees that the save is over may save again.
                self._try(lease.release)
            outcome = {"state": "saved"}
        except CustomLabelsError as error:
            log.warning("The save %s of %s failed: %s", self.save.save_id, self.name, error)
            outcome = {"state": "failed", "problem": Problem.of(error)}
        finally:
            self._change(waiting=None, **outcome)
            self.is_over = True
            self._try(self._report)

    def _try(self, last_act: Callable[[], None]) -> None:
        """Do what is left undone where S3 does not take it: a lease and a record that is not renewed end by time."""
        try:
            last_act()
        except CustomLabelsError as error:
            log.warning("At the end of the save %s of %s: %s", self.save.save_id, self.name, error)

    # Waiting for others

    def _take_lease(self) -> SaveLease:
        while True:
            try:
                return SaveLease.take(
                    self._services.s3(),
                    self._folder,
                    self.save.save_id,
                    now=self._now,
                    has_ended=self._services.runs().has_ended,
                )
            except DatasetConflictError as error:
                if error.code != "DATASET_LEASED":
                    raise
                holder = msgspec.convert(error.details["holder"], Holder)
                if self._now() >= self._give_up_at:
                    raise self._still_leased(holder) from error
                self._wait_for_holder(holder, datetime.fromisoformat(str(error.details["expires_at"])))

    def _wait_for_holder(self, holder: Holder, lease_until: datetime) -> None:
        is_run = holder.dag_id != HOLDER
        run = RunLink(dag_id=holder.dag_id, run_id=holder.run_id) if is_run else None
        known = self.save.waiting
        if known is not None and known.cause != "operation" and known.run == run:
            working_since = known.working_since
        elif is_run:
            working_since = self._services.runs().started_at(holder)
        else:
            record = read_json(self._services.s3(), self._folder.save(holder.run_id), SaveRecord)
            working_since = record[0].begun_at if record else None
        self._wait(
            Waiting(
                cause="run" if is_run else "save",
                run=run,
                working_since=working_since,
                lease_until=lease_until,
                since=self._now(),
                until=self._give_up_at,
            )
        )

    def _wait_for_operation(self, lease: SaveLease, status: str) -> None:
        lease.keep()
        self._wait(Waiting(cause="operation", status=status, since=self._now(), until=self._give_up_at))

    def _wait(self, waiting: Waiting) -> None:
        """Wait for a moment, and say what for."""
        known = self.save.waiting
        if known is not None and (known.cause, known.run) == (waiting.cause, waiting.run):
            waiting = msgspec.structs.replace(waiting, since=known.since)
        self._change(state="waiting", waiting=waiting)
        if waiting != known or self._now() - self._reported_at > _SIGN_OF_LIFE:
            self._report()
        threading.Event().wait(POLL_S)

    def _still_leased(self, holder: Holder) -> DatasetConflictError:
        other = f"The run {holder.run_id} of {holder.dag_id}" if holder.dag_id != HOLDER else "Another save"
        return DatasetConflictError(
            "DATASET_LEASED",
            f"{other} has worked on {self.name} for longer than a save waits: {_minutes(MAX_WAIT)}.",
            "Save again once it has ended; your edits are kept on the page.",
            holder=msgspec.to_builtins(holder),
        )

    def _still_busy(self) -> DatasetConflictError:
        status = self.save.waiting.status if self.save.waiting else ""
        return DatasetConflictError(
            "DATASET_BUSY",
            f"Others have worked on {self.name} in Rekognition for longer than a save waits: {_minutes(MAX_WAIT)}"
            f"{f'; it is in {status}' if status else ''}.",
            "Save again once they have finished; your edits are kept on the page.",
        )

    # Planning and sending

    def _carry_out(self, lease: SaveLease) -> None:
        with ChangedEntries() as sent:
            while not self._tried(lease, sent):
                if self._now() >= self._give_up_at:
                    raise self._still_busy()
            if self._recorded != sent.total:
                # Somebody else has dealt with the rest: to go back must not undo that.
                self._record(sent)

    def _tried(self, lease: SaveLease, sent: ChangedEntries) -> bool:
        """Whether everything is sent that is left to do; waits for a moment where Rekognition takes nothing now."""
        try:
            return self._plan_and_send(lease, sent)
        except CustomLabelsError as error:
            if error.code not in _BUSY_CODES:
                raise
            self._wait_for_operation(lease, str(error.details.get("status", "")))
            return False

    def _plan_and_send(self, lease: SaveLease, sent: ChangedEntries) -> bool:
        """Plan what is left to do and send it; False where somebody has changed the dataset before all of it was sent.

        :param sent: takes what was sent
        """
        known, catalog = self._look(lease)
        if catalog is None:
            return False
        names = {each.label for each in read_statistics(catalog, View()).labels}
        edits = Edits(self._demand.edits, catalog, names, self._saved)
        with ChangedEntries() as plan:
            plan.add(self._planned(lease, edits))
            self._change(state="sending", total=sent.total + plan.total)
            if not plan.total:
                return True
            state = self._live.state()
            dataset = FencedDataset(
                self._services.datasets(),
                known,
                lease,
                images=state.images if state is not None else 0,
                live_on=lambda: self._live_on(lease),
            )
            if not dataset.is_as_planned(plan):
                self._live.doubt()
                return False
            self._record(chain(sent, plan))
            return self._send(dataset, plan, sent)

    def _look(self, lease: SaveLease) -> tuple[KnownEntries, Catalog | None]:
        """The entries of the dataset as it is now, and the catalog that has them; None where there are newer ones.

        :raises DatasetConflictError: DATASET_BUSY, or ENTRIES_NOT_CURRENT
        """

        def goes_on() -> None:
            if self.save.state != "reading":
                self._change(state="reading", waiting=None)
            self._live_on(lease)

        known = self._live.ensure_current(
            (self._give_up_at - self._now()).total_seconds(), lambda _read, _total: goes_on()
        )
        goes_on()
        return known, self._catalog(lease, known)

    def _catalog(self, lease: SaveLease, known: KnownEntries) -> Catalog | None:
        """The catalog with these entries; None where there are newer ones by now."""
        while True:
            try:
                shown = self._datasets.shown(self.name)
            except DatasetConflictError as error:
                if error.code != "DATASET_INDEXING":
                    raise
            else:
                if not shown.is_outdated:
                    return shown.catalog if shown.catalog.facts.entries_origin == known.origin else None
            self._live_on(lease)
            if self._now() >= self._give_up_at:
                raise DatasetConflictError(
                    "ENTRIES_NOT_CURRENT",
                    f"The entries of {self.name} are still being read.",
                    "Wait until the gallery says that it has read them, then try again.",
                )
            threading.Event().wait(_READING_POLL_S)

    def _planned(self, lease: SaveLease, edits: Edits) -> Iterator[ChangedEntry]:
        """What becomes of each entry; conflicts and refusals are those of the last plan."""
        conflicts: list[Conflict] = []
        refusals: list[Refusal] = []
        refused = 0
        for outcome in edits.outcomes(self._services.s3(), f"{self._begun_at:%Y-%m-%dT%H:%M:%S}"):
            match outcome:
                case ChangedEntry():
                    yield outcome
                case Conflict():
                    conflicts.append(outcome)
                case Refusal():
                    refused += 1
                    if len(refusals) < MAX_REFUSALS:
                        refusals.append(outcome)
            self._live_on(lease)
        self._change(conflicts=conflicts, refusals=refusals, refused=refused)

    def _record(self, entries: Iterable[ChangedEntry]) -> None:
        """Write down the entries that will be changed as they are, and before them those that were."""
        record = self._folder.edited_entries(self.save.save_id)
        self._recorded = 0
        with ObjectWriter(self._services.s3(), record, content_type="application/jsonlines") as writer:
            for entry in entries:
                writer.write(entry.before + b"\n")
                self._recorded += 1
        self._change(record=str(record) if self._recorded else "")
        self._report()

    def _send(self, dataset: FencedDataset, plan: ChangedEntries, sent: ChangedEntries) -> bool:
        """Send the batches; False where somebody has changed the dataset before the last one."""
        for batch in plan.batches():
            applied = dataset.send(batch)
            if applied is None:
                return False
            sent.add(batch)
            self._saved.update(entry.id for entry in batch)
            self._give_up_at = self._now() + MAX_WAIT
            self._change(sent=sent.total)
            self._report()
            self._show(dataset, batch, applied)
            if not applied.is_alone and sent.total < self.save.total:
                return False
        return True

    def _show(self, dataset: FencedDataset, batch: list[ChangedEntry], applied: Applied) -> None:
        """Let the gallery show what the dataset has now: few entries are looked at, more are those that were sent."""
        lines = [entry.after for entry in batch]
        until = applied.until if applied.is_alone else ""
        if len(batch) <= LOOKS:
            try:
                lines = dataset.entries_of(lines)
            except AccessError as error:
                # They are saved; what the dataset has is read again later.
                log.warning("Entries that were saved in %s could not be looked at: %s", self.name, error)
                until = ""
        self._live.put(lines, since=applied.since, until=until)

    # Saying how it goes

    def _live_on(self, lease: SaveLease) -> None:
        """Keep the lease, and say now and then that the save goes on."""
        lease.keep()
        if self._now() - self._reported_at > _REPORT:
            self._report()

    def _change(self, **members: object) -> None:
        self.save = msgspec.structs.replace(self.save, **members)

    def _report(self) -> None:
        """Write the save's record, for other processes and for people.

        :raises DatasetConflictError: LEASE_LOST, where they take the save for ended already
        :raises AccessError: what S3 answers
        """
        now = self._now()
        if not self.is_over and now - self._reported_at > LEASE:
            raise stood_still()
        record = SaveRecord(save=self.save, user=self._user, begun_at=self._begun_at, updated_at=now)
        put_json(self._services.s3(), self._folder.save(self.save.save_id), record)
        self._reported_at = now


def _minutes(time: timedelta) -> str:
    return f"{time // timedelta(minutes=1)} minutes"
