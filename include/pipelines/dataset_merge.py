"""The three-way merge of a run, between S3 and Rekognition: streams in, what is to be sent and remarked out."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import msgspec

from include.custom_labels.dataset_entries import read_entry
from include.custom_labels.errors import AccessError
from include.custom_labels.history import identity
from include.custom_labels.ledger import IN_MANIFEST, LedgerRow, State, ledger_rows
from include.custom_labels.locations import S3Uri
from include.custom_labels.manifest import submission_line
from include.custom_labels.merge import BaseImage, MergePolicy, OurImage, Outcome, TheirEntry, merge
from include.custom_labels.outcomes import OutcomeRow, aside_of_row, outcome_of_image, outcome_of_row
from include.custom_labels.quotas import MAX_FINDING_SAMPLES
from include.object_store.registration_journal import Journal
from include.object_store.snapshots import CurrentSnapshot, read_summary
from include.object_store.streams import ObjectWriter, StoredObject, read_lines, stored_of
from include.object_store.tables import read_ledger
from include.pipelines.runs import ImportRun
from include.pipelines.steps import Progress

JSON_LINES = "application/jsonlines"

log = logging.getLogger(__name__)


class MergeResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a merge left in the run's staging folder, and its totals.

    :ivar manifest: ``s3://`` address of all lines that the dataset holds afterwards
    :ivar changes: ``s3://`` address of the lines to send to the dataset as it is
    :ivar sent: number of lines in `changes`
    :ivar outcomes: ``s3://`` address of the `OutcomeRow` lines
    :ivar totals: images by outcome
    :ivar removals: entries that are only got rid of by replacing the dataset
    :ivar removed: images that the dataset loses by that
    :ivar removed_samples: addresses of the first of them
    :ivar removed_digest: of the source-refs of these entries, for the approval
    :ivar entries: number of lines in `manifest`
    :ivar labelled: how many of them have a label or a box
    :ivar size_bytes: of `manifest`
    """

    manifest: str
    changes: str
    sent: int
    outcomes: str
    totals: dict[str, int]
    removals: int
    removed: int
    removed_samples: tuple[str, ...]
    removed_digest: str
    entries: int
    labelled: int
    size_bytes: int


def policy_of(run: ImportRun, current: CurrentSnapshot | None) -> MergePolicy:
    """What this run may do. An import removes only what it can have brought."""
    request = run.request
    return MergePolicy(
        human_edits=request.human_edits,
        removals=request.removals,
        scope=request.scope,
        removes_base=bool(request.origin) and request.origin == _origin_of(run, current),
    )


def _origin_of(run: ImportRun, current: CurrentSnapshot | None) -> str:
    summary = read_summary(run.s3, run.dataset, current.snapshot_id) if current else None
    return str(summary.details.get("origin", "")) if summary else ""


def our_images(run: ImportRun, built: Mapping[str, Any]) -> Iterator[OurImage]:
    """The images of the manifest just built, with what the ledger knows of them."""
    lines = read_lines(run.s3, S3Uri.parse(built["manifest"]))
    for row in ledger_of(run, built["ledger"]):
        if row.state in IN_MANIFEST:
            yield OurImage(
                identity=f"s3://{built['bucket']}/{row.key}",
                line=next(lines),
                etag=row.etag,
                size_bytes=row.size_bytes,
                width=row.width,
                height=row.height,
            )


def base_images(run: ImportRun, current: CurrentSnapshot | None) -> Iterator[BaseImage]:
    """The images of the snapshot that was last registered, and what its ledger holds or keeps aside beside them."""
    if current is None:
        return
    snapshot = run.dataset.snapshot(current.snapshot_id)
    summary = read_summary(run.s3, run.dataset, current.snapshot_id)
    bucket = str(summary.details.get("bucket", "")) if summary else ""
    lines = sent_images(run, str(snapshot.manifest))
    sent = next(lines, None)
    for row in ledger_of(run, str(snapshot.ledger)):
        name = f"s3://{bucket}/{row.key}"
        if sent is not None and sent.identity == name:
            line, sent = sent.line, next(lines, None)
        else:
            line = row.entry if row.state is State.HELD else None
        aside = aside_of_row(row)
        if line is not None or aside is not None:
            yield BaseImage(identity=name, line=line, etag=row.etag, size_bytes=row.size_bytes, aside=aside)


def sent_images(run: ImportRun, manifest: str) -> Iterator[BaseImage]:
    """The images of a manifest that was sent, or may have been; none where it is gone."""
    try:
        for line in read_lines(run.s3, S3Uri.parse(manifest)):
            yield BaseImage(identity=identity(read_entry(line)[0]), line=line)
    except AccessError as error:
        if error.code != "OBJECT_NOT_FOUND":
            raise
        # Whatever of it is in the dataset then counts as a person's, and stays.
        log.warning("%s is gone: what was sent from it cannot be told from a person's work.", manifest)


def ledger_of(run: ImportRun, ledger: str) -> Iterator[LedgerRow]:
    """The rows of a ledger."""
    for page in read_ledger(run.s3, S3Uri.parse(ledger)):
        yield from ledger_rows(page)


def read_dataset(run: ImportRun, dataset_arn: str) -> list[TheirEntry]:
    """The dataset's entries now, sorted by identity."""
    total = run.rekognition.describe_dataset(dataset_arn)["DatasetStats"]["TotalEntries"]
    progress = Progress("dataset entries read", total)
    entries: list[TheirEntry] = []
    for count, entry in enumerate(run.rekognition.iterate_dataset_entries(dataset_arn), start=1):
        data = entry.encode()
        entries.append(TheirEntry(identity=identity(read_entry(data)[0]), line=data))
        progress(count)
    return sorted(entries, key=lambda each: each.identity)


def with_export(run: ImportRun, entries: list[TheirEntry], journal: Journal) -> list[TheirEntry]:
    """The dataset's entries, and those that it lost since a replacement that did not end began."""
    if journal.replacement is None:
        return entries
    present = {each.identity for each in entries}
    exported = read_lines(run.s3, S3Uri.parse(journal.replacement.entries))
    lost = [
        TheirEntry(identity=name, line=line, is_present=False)
        for line in exported
        if (name := identity(read_entry(line)[0])) not in present
    ]
    return sorted([*entries, *lost], key=lambda each: each.identity)


def write_export(run: ImportRun, entries: Iterable[TheirEntry]) -> StoredObject:
    """Entries as a manifest in the run's staging folder, from which the dataset could be created again."""
    with ObjectWriter(run.s3, run.staged("entries.manifest"), content_type=JSON_LINES) as writer:
        for each in entries:
            writer.write(submission_line(each.line))
    return stored_of(writer)


def merge_dataset(
    run: ImportRun,
    built: Mapping[str, Any],
    entries: Iterable[TheirEntry],
    journal: Journal,
    current: CurrentSnapshot | None,
) -> MergeResult:
    """Merge, and leave what comes of it in the run's staging folder."""
    merged = merge(
        our_images(run, built),
        entries,
        base_images(run, current),
        [sent_images(run, uri) for uri in journal.pending],
        policy_of(run, current),
    )
    totals: Counter[str] = Counter()
    removed = hashlib.sha256()
    lost: list[str] = []
    sent = removals = gone = lines = labelled = 0
    names = ("merged.manifest", "changes.manifest", "outcomes.jsonl")
    with ExitStack() as stack:
        manifest, changes, outcomes = (
            stack.enter_context(ObjectWriter(run.s3, run.staged(name), content_type=JSON_LINES)) for name in names
        )
        for image in merged:
            totals[image.outcome] += 1
            if image.line is not None:
                line = submission_line(image.line)
                manifest.write(line)
                lines += 1
                labelled += image.is_labelled
                if image.is_sent:
                    changes.write(line)
                    sent += 1
            if image.is_removal:
                removals += 1
                # A stale entry is another place of an image that stays.
                gone += image.outcome is not Outcome.STALE
                if image.outcome is not Outcome.STALE and len(lost) < MAX_FINDING_SAMPLES.value:
                    lost.append(image.source_ref)
                removed.update(image.source_ref.encode() + b"\n")
            if row := outcome_of_image(image):
                outcomes.write(msgspec.json.encode(row) + b"\n")
        size_bytes = manifest.tell()
    log.info("The merge: %s", ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(totals.items())))
    return MergeResult(
        manifest=str(run.staged(names[0])),
        changes=str(run.staged(names[1])),
        sent=sent,
        outcomes=str(run.staged(names[2])),
        totals=dict(sorted(totals.items())),
        removals=removals,
        removed=gone,
        removed_samples=tuple(lost),
        removed_digest=removed.hexdigest() if removals else "",
        entries=lines,
        labelled=labelled,
        size_bytes=size_bytes,
    )


def read_outcomes(run: ImportRun, uri: str) -> Iterator[OutcomeRow]:
    """What `merge_dataset` left, sorted by key."""
    decoder = msgspec.json.Decoder(OutcomeRow)
    for line in read_lines(run.s3, S3Uri.parse(uri)):
        yield decoder.decode(line)


def ledger_outcomes(run: ImportRun, current: CurrentSnapshot) -> Iterator[OutcomeRow]:
    """The same from the ledger of a snapshot, where nothing has changed since it was registered."""
    rows = ledger_of(run, str(run.dataset.snapshot(current.snapshot_id).ledger))
    return (outcome for row in rows if (outcome := outcome_of_row(row)))
