"""The base of a dataset's refreshes, rebuilt where a document of the workspace is damaged or gone.

What an import last sent is known from its newest whole snapshot; entries of the dataset that say so are that import's,
and everything else is a person's and stays. Nothing is deleted, and no work that was kept aside is lost:

- rows with a person's entry are taken from the whole snapshot of each import, and from later ones whose ledger can be
  read;
- the journal goes on naming the export of a replacement that did not end, and what unfinished runs may have sent; where
  the journal itself cannot be read, it names the exports that were written since the newest whole snapshot, and of each
  import the document in `sent/` that no registered snapshot has closed (`include.object_store.sent_history`);
- the dataset's entries as they are become the new snapshot's `entries.manifest`.

This is for a program that people start: it uses neither Airflow nor the project's hooks.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import merge as merge_sorted
from operator import attrgetter
from typing import Final

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from include.custom_labels.dataset_entries import read_entry
from include.custom_labels.errors import AccessError, DatasetConflictError
from include.custom_labels.history import identity
from include.custom_labels.ledger import LedgerRow, State, ledger_pages
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.custom_labels.manifest import submission_line
from include.object_store.dataset_survey import DatasetSurvey
from include.object_store.exports import exports_since, readable_lines
from include.object_store.holders import Holder
from include.object_store.registered_snapshot import RegisteredSnapshot
from include.object_store.registration_journal import HeldJournal, Journal, Lease, Replacement
from include.object_store.sent_digests import read_sent
from include.object_store.sent_history import SentHistory
from include.object_store.session import S3Session
from include.object_store.snapshots import (
    Base,
    CurrentSnapshot,
    DatasetType,
    SnapshotSummary,
    Workspace,
    publish_snapshot,
    summary_sha256,
    time_of,
    write_current,
)
from include.object_store.streams import ObjectWriter, StoredObject, object_head, stored_of
from include.object_store.tables import write_ledger
from include.pipelines.boto_datasets import BotoDataset
from include.pipelines.work_aside import WorkAside, bucket_of

HOLDER: Final = "rebuild-base"
"""Stands for the Dag in a lease that a rebuilding holds."""

LEASE: Final = timedelta(minutes=15)
"""How long it holds the dataset without a sign of life."""

_JSON_LINES: Final = "application/jsonlines"
# Of a summary's details, those that are about the import and not about the run that left them.
_KEPT_DETAILS: Final = ("request", "origin", "bucket", "states", "reasons", "images_per_label", "provenance")


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildOptions:
    """What somebody has decided.

    :ivar is_dry: nothing is written
    :ivar takes_lease: the run or save that holds the lease has ended
    :ivar gives_up_export: an export that is gone does not come back
    """

    is_dry: bool = False
    takes_lease: bool = False
    gives_up_export: bool = False


def rebuild(
    workspace: S3FolderLocation,
    project: str,
    dataset_type: DatasetType,
    options: RebuildOptions,
    *,
    say: Callable[[str], None],
    profile: str | None = None,
    region: str | None = None,
) -> bool:
    """`BaseRebuild.run` with clients as boto3 makes them: of a profile and a Region, else as the environment says.

    :raises CustomLabelsError: as `BaseRebuild.run` does, and where there are no clients
    """
    try:
        aws = boto3.Session(profile_name=profile, region_name=region)
        # Every operation of the service is allowed five times a second.
        patient = Config(retries={"mode": "adaptive", "max_attempts": 10})
        session, rekognition = S3Session(aws.client("s3")), aws.client("rekognition", config=patient)
    except BotoCoreError as error:
        raise AccessError(
            "NO_CREDENTIALS",
            f"There are no AWS clients to work with: {error}",
            "Name a profile and a Region, or set AWS_PROFILE and AWS_REGION.",
        ) from error
    dataset = BotoDataset(rekognition, project, dataset_type)
    return BaseRebuild(session, dataset, Workspace(workspace), project, dataset_type, options, say=say).run()


class BaseRebuild:
    """The rebuilding of one dataset's documents.

    :param entries: the dataset in Rekognition
    :param say: takes what is found and done, line by line
    :param now: the time in UTC
    """

    def __init__(
        self,
        session: S3Session,
        entries: BotoDataset,
        workspace: Workspace,
        project: str,
        dataset_type: DatasetType,
        options: RebuildOptions,
        *,
        say: Callable[[str], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._session = session
        self._entries = entries
        self._dataset = workspace.dataset(project, dataset_type)
        self._options = options
        self._say = say
        self._now = now
        self._holder = Holder(HOLDER, f"{now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}")
        self._staging = workspace.staging(f"{HOLDER}.{self._holder.run_id}")
        self._survey = DatasetSurvey(session, self._dataset)
        self._history = SentHistory(session, self._dataset, [], {})
        self._held: HeldJournal | None = None
        self._renewed_at = now()

    def run(self) -> bool:
        """Look at all documents, and rebuild what is damaged; whether anything is.

        :raises AccessError: NOTHING_IN_WORKSPACE, or what S3 and Rekognition answer
        :raises DatasetConflictError: DATASET_LEASED, DATASET_BUSY, EXPORT_MISSING, LEASE_LOST, or CURRENT_CHANGED
        """
        survey = self._survey
        survey.look()
        self._history = SentHistory(self._session, self._dataset, survey.snapshots, survey.named_bases)
        if survey.journal_etag is None and survey.current_etag is None and not survey.snapshots:
            raise AccessError(
                "NOTHING_IN_WORKSPACE",
                f"The workspace has nothing of this dataset: {self._dataset.folder} is empty.",
                "Check the workspace, the project's name and --type.",
                location=str(self._dataset.folder),
            )
        for damage in survey.damages:
            self._say(f"damaged: {damage.code}: {damage.message}")
        if not survey.damages:
            self._say("All documents that a run would use are whole.")
            return False
        try:
            self._repair()
        finally:
            if self._held is not None:
                self._held.release()
        return True

    def _repair(self) -> None:
        survey, options = self._survey, self._options
        arn = self._entries.find()
        if survey.journal is not None and not options.is_dry:
            self._held = self._take(survey.journal)
        replacement = self._replacement()
        sent = self._sent()
        if replacement is not None:
            self._say(f"export: {replacement.entries} stays named, with {replacement.count:,} entries")
        if not options.is_dry:
            if self._held is None:
                self._held = self._begin_journal(sent, replacement)
            elif (self._held.journal.sent, self._held.journal.replacement) != (sent, replacement):
                self._held.write(sent=sent, replacement=replacement)
            self._say(f"written: {self._dataset.registration}")
        if not survey.has_whole_bases and (survey.current_etag is not None or survey.newest_whole):
            self._rebuild_base(arn, sent)
        if options.is_dry:
            self._say("Nothing was written.")

    # The journal.

    def _take(self, seen: Journal) -> HeldJournal:
        try:
            held = HeldJournal.take(
                self._session,
                self._dataset,
                self._holder,
                now=self._now(),
                has_ended=lambda _: self._options.takes_lease,
                lease=LEASE,
            )
        except DatasetConflictError as error:
            if error.code != "DATASET_LEASED":
                raise
            raise DatasetConflictError(
                "DATASET_LEASED",
                error.message,
                "Wait until it has ended, then run again. If you know that it has, add --take-lease.",
                **error.details,
            ) from error
        if msgspec.structs.replace(held.journal, lease=None) != msgspec.structs.replace(seen, lease=None):
            held.release()
            raise DatasetConflictError(
                "LEASE_LOST",
                f"{self._dataset.registration} was changed while it was looked at.",
                "Run again.",
                location=str(self._dataset.registration),
            )
        return held

    def _sent(self) -> dict[str, str]:
        """The documents of what unfinished runs may have sent, by origin, that the journal has to name."""
        journal = self._survey.journal
        whole = dict(self._survey.whole_sent)
        if journal is not None and whole.keys() == journal.sent.keys():
            return whole
        for origin, uri in self._history.unfinished().items():
            # A journal that can be read says of which imports there are such runs.
            if journal is None or (origin in journal.sent and origin not in whole):
                whole[origin] = str(uri)
                self._say(f"sent: {uri} is named, which unfinished runs of {origin!r} have left")
        for origin in sorted(journal.sent.keys() - whole.keys()) if journal is not None else ():
            self._say(f"sent: what unfinished runs of {origin!r} may have sent counts as a person's work, and stays")
        return whole

    def _begin_journal(self, sent: dict[str, str], replacement: Replacement | None) -> HeldJournal:
        """A journal in place of the one that cannot be read, whose lease nobody knows; its holder finds out."""
        journal = Journal(sent=sent, replacement=replacement)
        held = HeldJournal(self._session, self._dataset, journal, self._survey.journal_etag)
        held.write(lease=Lease(holder=self._holder, expires_at=self._now() + LEASE))
        return held

    def _replacement(self) -> Replacement | None:
        """The export that the journal has to name."""
        journal = self._survey.journal
        if journal is None:
            newest = next(iter(self._survey.newest_whole.values()), None)
            exports = exports_since(self._session, self._dataset, self._survey.written_at(newest))
            return self._readable(list(exports), "", None) if exports else None
        replacement = journal.replacement
        if replacement is None or self._survey.has_whole_export:
            return replacement
        export = S3Uri.parse(replacement.entries)
        try:
            return self._readable([export], replacement.dataset_arn, replacement.count)
        except AccessError as error:
            if error.code != "OBJECT_NOT_FOUND":
                raise
        if not self._options.gives_up_export:
            raise DatasetConflictError(
                "EXPORT_MISSING",
                f"{export} is gone, which had the {replacement.count:,} entries of a dataset that was being replaced.",
                "Restore the object's previous version and run again. If it cannot be restored, --without-export goes "
                "on with the entries that the dataset has.",
                location=str(export),
            )
        self._say(f"export: {export} is gone and is no longer named; the dataset keeps the entries that it has")
        return None

    def _readable(self, exports: list[S3Uri], dataset_arn: str, count: int | None) -> Replacement:
        """One whole export as it is; of several, or one that is cut off, the lines that can be read as a new one.

        :param exports: from the oldest on; of an image that several have, the last one is taken
        :param count: of entries that were exported, where that is known
        """
        size_bytes = sum(object_head(self._session, export).size_bytes for export in exports)
        lines = {
            read_entry(line)[0]: line + b"\n" for export in exports for line in readable_lines(self._session, export)
        }
        if count not in (None, len(lines)):
            self._say(f"export: {len(lines):,} of {count:,} entries of {exports[0]} can be read")
        export = exports[0]
        if len(exports) > 1 or sum(map(len, lines.values())) != size_bytes:
            export = self._dataset.export(f"{HOLDER}.{self._holder.run_id}")
            if not self._options.is_dry:
                self._write(export, iter(lines.values()))
        digest = hashlib.sha256(b"".join(lines.values())).hexdigest()
        return Replacement(dataset_arn=dataset_arn, entries=str(export), count=len(lines), sha256=digest)

    def _write(self, uri: S3Uri, lines: Iterator[bytes]) -> StoredObject:
        with ObjectWriter(self._session, uri, content_type=_JSON_LINES, if_absent=True) as writer:
            for line in lines:
                writer.write(line)
        return stored_of(writer)

    # The base.

    def _rebuild_base(self, arn: str | None, sent: dict[str, str]) -> None:
        survey = self._survey
        before = survey.current
        whole = {**survey.newest_whole, **survey.bases}
        named = survey.named_bases
        for origin in sorted(named.keys() - whole.keys()):
            self._say(f"base: no whole snapshot of {origin!r} is left; what it sent counts as a person's work")
        if before is not None:
            whole = {origin: snapshot for origin, snapshot in whole.items() if origin in named}
        for origin, snapshot in whole.items():
            self._say(f"base: {snapshot.summary.snapshot_id} of {origin!r}")
        last = before.origin if before else next(iter(whole), "")
        read = self._read_entries(arn, self._sent_by(whole.values(), sent))
        work = WorkAside(self._session, self._dataset, survey, self._history, live_on=self._live_on)
        aside = work.rows({origin: whole.get(origin) for origin in [last, *named, *whole]}, read.present)
        self._say(
            f"dataset: {read.total:,} entries; {read.ours:,} are as they were last sent, and "
            f"{read.total - read.ours:,} are a person's and stay"
        )
        for origin, rows in aside.items():
            self._say(f"kept aside: {len(rows):,} entries that the dataset does not hold, since the base of {origin!r}")
        if self._options.is_dry:
            return
        bases = {name: self._base(snapshot.summary.snapshot_id, named.get(name)) for name, snapshot in whole.items()}
        for origin in sorted(aside.keys() - {last}):
            beside = self._publish(whole.get(origin), origin, aside[origin], _Entries(arn=arn, total=read.total))
            bases[origin] = self._base(beside.snapshot_id, named.get(origin))
        summary = self._publish(whole.get(last), last, aside.get(last, {}), read)
        bases[last] = self._base(summary.snapshot_id, named.get(last))
        if self._held is not None:
            # Of somebody who has taken the lease meanwhile, the base is not overwritten.
            self._held.renew(self._now(), LEASE)
        current = CurrentSnapshot(
            snapshot_id=summary.snapshot_id,
            manifest_sha256=summary.manifest_sha256,
            dataset_arn=summary.details["dataset_arn"],
            registered_at=self._now(),
            is_holding=bool(summary.details["states"].get(State.HELD)),
            run=self._holder,
            origin=last,
            bases=bases,
            announced=before.announced if before else "",
            summary_sha256=bases[last].summary_sha256,
        )
        write_current(self._session, self._dataset, current, expected_etag=survey.current_etag)
        for origin in [last, *sorted(aside.keys() - {last})]:
            self._say(f"written: {self._dataset.snapshot(bases[origin].snapshot_id).folder}")
        self._say(f"written: {self._dataset.current}")

    def _base(self, snapshot_id: str, before: Base | None) -> Base:
        return Base(
            snapshot_id=snapshot_id,
            summary_sha256=summary_sha256(self._session, self._dataset, snapshot_id),
            begun_at=before.begun_at if before else None,
        )

    def _read_entries(self, arn: str | None, sent: set[tuple[str, bytes]]) -> _Entries:
        """The dataset's entries; they are kept as the snapshot's, as people may have lost something already."""
        read = _Entries(arn=arn)
        with ExitStack() as stack:
            writer = None
            if arn is not None and not self._options.is_dry:
                uri = self._staging.uri("entries.manifest")
                writer = stack.enter_context(ObjectWriter(self._session, uri, content_type=_JSON_LINES))
            for line in self._entries.entries(arn) if arn is not None else ():
                source_ref, entry = read_entry(line)
                name = identity(source_ref)
                read.present.add(name)
                read.total += 1
                read.ours += (name, entry.content) in sent
                if writer is not None:
                    writer.write(submission_line(line))
                self._live_on()
        read.stored = stored_of(writer) if writer is not None else None
        return read

    def _sent_by(self, bases: Iterable[RegisteredSnapshot], sent: dict[str, str]) -> set[tuple[str, bytes]]:
        """Identities, and digests of what was last sent for them, or may have been."""
        pairs = {
            (f"s3://{base.summary.details.get('bucket', '')}/{row.key}", row.sent)
            for base in bases
            for row in base.ledger_rows()
            if row.sent is not None
        }
        for uri in sent.values():
            pairs.update(read_sent(self._session, S3Uri.parse(uri)))
        return pairs

    def _publish(
        self, base: RegisteredSnapshot | None, origin: str, aside: dict[str, LedgerRow], read: _Entries
    ) -> SnapshotSummary:
        """The new snapshot of an import: that of its base, with the work kept aside since."""
        told = base.summary.details if base else {}
        states: Counter[str] = Counter()

        def rows() -> Iterator[LedgerRow]:
            before = (row for row in base.ledger_rows() if row.key not in aside) if base else iter(())
            later = (aside[key] for key in sorted(aside))
            for row in merge_sorted(before, later, key=attrgetter("key")):
                states[row.state] += 1
                self._live_on()
                yield row

        if base is not None:
            manifest = StoredObject(
                uri=base.folder.manifest,
                size_bytes=base.summary.manifest_size_bytes,
                etag="",
                version_id=None,
                sha256=base.summary.manifest_sha256,
            )
        else:
            manifest = self._write(self._staging.uri("empty.manifest"), iter(()))
        ledger = write_ledger(self._session, self._staging.uri("ledger.parquet"), ledger_pages(rows()))
        return publish_snapshot(
            self._session,
            self._dataset,
            as_of=self._as_of(origin, base),
            manifest=manifest,
            ledger=ledger,
            images=base.summary.images if base else 0,
            entries=read.stored,
            details={
                **{name: told[name] for name in _KEPT_DETAILS if name in told},
                "origin": origin,
                "bucket": told.get("bucket") or self._history.bucket_of(origin) or bucket_of(aside),
                "states": dict(states),
                "registration": {"action": "rebuild"},
                # Of a dataset that is gone, it says that one was registered.
                "dataset_arn": read.arn or told.get("dataset_arn") or "gone",
                "dataset_stats": {"TotalEntries": read.total},
                "rebuilt": {
                    "by": self._holder.run_id,
                    "from": base.summary.snapshot_id if base else "",
                    "damages": [f"{damage.code}: {damage.message}" for damage in self._survey.damages],
                },
            },
        )

    def _as_of(self, origin: str, base: RegisteredSnapshot | None) -> datetime:
        """The time that was registered last, as far as it is known, so that no run goes back behind it."""
        if (named := self._survey.named_bases.get(origin)) is not None:
            return named.as_of
        times = [base.summary.as_of] if base else []
        for found in self._survey.after(base):
            if self._history.may_be_of(found, origin):
                with suppress(ValueError):
                    times.append(time_of(found.snapshot_id))
        return max(times, default=self._now())

    def _live_on(self) -> None:
        """Keep the lease while something takes long."""
        if self._held is not None and self._now() - self._renewed_at > LEASE / 3:
            self._held.renew(self._now(), LEASE)
            self._renewed_at = self._now()


@dataclass(slots=True, kw_only=True)
class _Entries:
    """What there is in Rekognition.

    :ivar arn: of the dataset; None where it does not exist
    :ivar present: identities
    :ivar ours: entries that are as an import last sent them
    :ivar stored: all of them; None where they were not kept
    """

    arn: str | None
    present: set[str] = field(default_factory=set)
    total: int = 0
    ours: int = 0
    stored: StoredObject | None = None
