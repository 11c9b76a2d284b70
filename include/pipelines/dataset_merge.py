"""The three-way merge of a run, between S3 and Rekognition: streams in, what is to be sent and remarked out."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

import msgspec

from include.custom_labels.dataset_counts import DatasetCounts, check_buckets, check_counts
from include.custom_labels.dataset_entries import read_entry
from include.custom_labels.history import identity
from include.custom_labels.ledger import IN_MANIFEST, LedgerRow, State, ledger_rows
from include.custom_labels.line_contents import Content, LineContents
from include.custom_labels.locations import S3Uri
from include.custom_labels.manifest import split_source_ref, submission_line
from include.custom_labels.merge import (
    ENTRY_STAYS,
    BaseImage,
    MergedImage,
    MergePolicy,
    OtherImport,
    OurImage,
    Outcome,
    PendingDigest,
    TheirEntry,
    Version,
    identity_of,
    merge,
)
from include.custom_labels.moves import find_moves
from include.custom_labels.outcomes import (
    OutcomeRow,
    aside_of_row,
    is_withheld,
    outcome_of_image,
    outcome_of_row,
    remembered_work,
)
from include.custom_labels.quotas import MAX_FINDING_SAMPLES
from include.custom_labels.reasons import Reason
from include.custom_labels.update_batches import Change
from include.object_store.exports import read_export
from include.object_store.object_facts import MISSING, find_objects
from include.object_store.registered_snapshot import RegisteredSnapshot, read_registered
from include.object_store.registration_journal import Journal
from include.object_store.sent_digests import read_overwritten, read_sent, write_sent
from include.object_store.snapshots import CurrentSnapshot
from include.object_store.streams import ObjectWriter, read_lines, stored_of
from include.object_store.tables import read_ledger
from include.pipelines.runs import ImportRun
from include.pipelines.steps import Progress

JSON_LINES = "application/jsonlines"

UPLOADS = "local computer"
"""The origin of all uploads of a dataset: whatever is uploaded adds to the same images."""

_ON_THE_OTHER_SIDE = frozenset({Reason.IN_TEST_DATASET, Reason.IN_TRAIN_DATASET})

_HELD = frozenset({Outcome.HELD, Outcome.STALE, Outcome.MISFIT})

log = logging.getLogger(__name__)


class Sampled(msgspec.Struct, frozen=True, kw_only=True):
    """A number of images, and the addresses of the first of them."""

    count: int = 0
    samples: tuple[str, ...] = ()


class StoredEntries(msgspec.Struct, frozen=True, kw_only=True):
    """Entries as a manifest in the run's staging folder.

    :ivar uri: ``s3://`` address
    :ivar sha256: digest of the object, in hex
    """

    uri: str
    sha256: str
    count: int


class MergeResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a merge left in the run's staging folder, and its totals.

    :ivar manifest: ``s3://`` address of all lines that the dataset holds afterwards
    :ivar changes: ``s3://`` address of the lines to send to the dataset as it is
    :ivar sent: number of lines in `changes`
    :ivar outcomes: ``s3://`` address of the `OutcomeRow` lines, sorted by key
    :ivar digests: ``s3://`` address of what this import has sent last for each image once all of it is sent
    :ivar left: entries of an export whose images do not exist, for the imports that brought them; None for none
    :ivar totals: images by outcome
    :ivar removals: entries that are only got rid of by replacing the dataset
    :ivar removed: images that the dataset loses by that
    :ivar removed_digest: of the source-refs of these entries, for the approval
    :ivar overwritten_digest: of people's entries that give way to the source, for the approval
    :ivar held: entries that stay and that a replacement would not leave
    :ivar moved: images that were found again at another place
    :ivar work_removed: images of `removed` with a person's work, which is kept aside
    :ivar work_overwritten: images whose entry by a person gives way to the source
    :ivar work_on_new_bytes: images whose bytes were replaced under a person's work
    :ivar gave_way: people's entries that gave way to what people said later
    :ivar entries: number of lines in `manifest`
    :ivar labelled: how many of them have a label or a box
    :ivar size_bytes: of `manifest`
    :ivar entries_before: that the dataset has now
    :ivar labels: images per label in the dataset afterwards
    :ivar labels_before: the same before
    :ivar content_sha256: of entries and images' ETags afterwards
    """

    manifest: str
    changes: str
    sent: int
    outcomes: str
    digests: str
    left: StoredEntries | None
    totals: dict[str, int]
    removals: int
    removed: Sampled
    removed_digest: str
    overwritten_digest: str
    held: int
    moved: int
    work_removed: Sampled
    work_overwritten: Sampled
    work_on_new_bytes: Sampled
    gave_way: int
    entries: int
    labelled: int
    size_bytes: int
    entries_before: int
    labels: dict[str, int]
    labels_before: dict[str, int]
    content_sha256: str


@dataclass(kw_only=True)
class Merge:
    """One merge of a run.

    :ivar entries: the dataset's, with those of an export that it lost, sorted by identity
    :ivar origin: of the import, as it was resolved
    :ivar changes: of the lines that are sent, in their order, once `carry_out` has ended
    :ivar given_way: people's entries that give way, once `carry_out` has ended
    """

    run: ImportRun
    built: Mapping[str, Any]
    entries: list[TheirEntry]
    journal: Journal
    current: CurrentSnapshot | None
    origin: str
    changes: list[Change] = field(default_factory=list)
    given_way: list[bytes] = field(default_factory=list)

    def carry_out(self) -> MergeResult:
        """Merge, and leave what comes of it in the run's staging folder."""
        run = self.run
        base = base_of(run, self.current, self.origin)
        moves = find_moves(last_places(base), our_places(run, self.built))
        there = with_arriving_work(run, self.built, _looked_up(run, self.built, self.entries))
        streams: list[Iterable[Version]] = [
            our_images(run, self.built),
            _moved(there, moves, is_list=True),
            _moved(base_images(base), moves),
            _moved(pending_digests(run, self.journal, self.origin), moves),
            *(_moved(images, moves) for images in other_imports(run, self.current, self.journal, self.origin)),
        ]
        policy = MergePolicy(
            human_edits=run.request.human_edits,
            removals=run.request.removals,
            is_creation=not any(each.is_present for each in self.entries),
            only_adds=self.origin == UPLOADS,
        )
        return self._write(merge(streams, policy), _elsewhere(run, self.built), len(moves))

    def entries_before(self) -> Iterator[TheirEntry]:
        """The dataset's entries, and what gives way without being one of them, once `carry_out` has ended."""
        yield from self.entries
        known = {each.line for each in self.entries} if self.given_way else set()
        for line in self.given_way:
            if line not in known:
                yield TheirEntry(identity=identity(read_entry(line)[0]), line=line, is_present=False)

    def _write(self, merged: Iterator[MergedImage], elsewhere: frozenset[str], moved: int) -> MergeResult:
        run = self.run
        tally = _Tally(elsewhere)
        names = ("merged.manifest", "changes.manifest", "outcomes.jsonl")
        told: list[OutcomeRow] = []
        digests: list[tuple[str, bytes]] = []
        overwritten: dict[tuple[str, bytes], list[bytes]] = {}
        left: list[TheirEntry] = []
        self.changes.clear()
        self.given_way.clear()
        with ExitStack() as stack:
            manifest, changes = (
                stack.enter_context(ObjectWriter(run.s3, run.staged(name), content_type=JSON_LINES))
                for name in names[:2]
            )
            for image in merged:
                tally.add(image)
                if image.line is not None:
                    line = submission_line(image.line)
                    manifest.write(line)
                    if image.is_sent:
                        changes.write(line)
                        replaced = tally.labels_of(image.before) if image.before is not None else ()
                        self.changes.append(
                            Change(line_size_bytes=len(line), before=replaced, after=tally.labels_of(image.line))
                        )
                if image.sent is not None:
                    digests.append((image.identity, image.sent))
                    if image.outcome is Outcome.OVERWRITTEN and image.work is not None:
                        overwritten[image.identity, image.sent] = [image.work]
                self.given_way += image.gave_way
                if image.outcome is Outcome.OVERWRITTEN and image.work is not None:
                    self.given_way.append(image.work)
                if image.outcome is Outcome.LEFT and image.work is not None:
                    left.append(TheirEntry(identity=image.identity, line=image.work, is_present=False))
                if row := outcome_of_image(image, self.built["bucket"]):
                    told.append(row)
            size_bytes = manifest.tell()
        stored = write_sent(run.s3, run.staged("digests.parquet"), digests, overwritten)
        # Images that were elsewhere before stand where they are now.
        told.sort(key=lambda row: row.key)
        write_outcomes(run, told)
        totals = dict(sorted(tally.totals.items()))
        before, after = tally.before, tally.after
        check_counts(
            after,
            region=run.region,
            dataset_type=run.dataset_type,
            source_labels=self.built["images_per_label"],
            held_labels=tally.held_labels(after) if run.request.removals == "hold" else (),
        )
        if self.changes or tally.removals:
            check_buckets(tally.buckets, is_holding=run.request.removals == "hold", parameters=run.request.parameters)
        log.info("The merge: %s", ", ".join(f"{count:,} {outcome}" for outcome, count in totals.items()))
        return MergeResult(
            manifest=str(run.staged(names[0])),
            changes=str(run.staged(names[1])),
            sent=len(self.changes),
            outcomes=str(run.staged(names[2])),
            digests=str(stored.uri),
            left=write_export(run, left, "left.manifest") if left else None,
            totals=totals,
            removals=tally.removals,
            removed=tally.removed.total(),
            removed_digest=tally.digest.hexdigest() if tally.removals else "",
            overwritten_digest=tally.overwritten_digest.hexdigest() if tally.totals[Outcome.OVERWRITTEN] else "",
            held=tally.held,
            moved=moved,
            work_removed=tally.work_removed.total(),
            work_overwritten=tally.work_overwritten.total(),
            work_on_new_bytes=tally.work_on_new_bytes.total(),
            gave_way=tally.gave_way,
            entries=after.entries,
            labelled=after.labelled,
            size_bytes=size_bytes,
            entries_before=before.entries,
            labels=after.images_per_label,
            labels_before=before.images_per_label,
            content_sha256=after.content_sha256,
        )


class _Sample:
    """Counts images, and keeps the first of them."""

    def __init__(self) -> None:
        self._count = 0
        self._samples: list[str] = []

    def add(self, source_ref: str) -> None:
        self._count += 1
        if len(self._samples) < MAX_FINDING_SAMPLES.value:
            self._samples.append(source_ref)

    def total(self) -> Sampled:
        return Sampled(count=self._count, samples=tuple(self._samples))


class _Tally:
    """What a merge comes to.

    :param elsewhere: images that are in the project's other dataset now, which is no loss
    :ivar buckets: of the dataset's images afterwards
    """

    def __init__(self, elsewhere: frozenset[str]) -> None:
        self.totals: Counter[str] = Counter()
        self._contents = LineContents()
        self._before: list[_Counted] = []
        self._after: list[_Counted] = []
        self._held_labels: Counter[str] = Counter()
        self.removals = self.held = self.gave_way = 0
        self.removed, self.work_removed = _Sample(), _Sample()
        self.work_overwritten, self.work_on_new_bytes = _Sample(), _Sample()
        self.digest, self.overwritten_digest = hashlib.sha256(), hashlib.sha256()
        self._elsewhere = elsewhere
        self.buckets: Counter[str] = Counter()

    def add(self, image: MergedImage) -> None:
        self.totals[image.outcome] += 1
        if image.before is not None:
            self._before.append(self._read(image.before))
        if image.line is not None:
            self._after.append(self._read(image.line, image.etag))
            scheme, _, place = image.source_ref.partition("://")
            # A damaged document may give what is no address.
            if scheme == "s3":
                self.buckets[place.partition("/")[0]] += 1
        if image.line is not None and image.outcome in _HELD:
            self.held += 1
            self._held_labels.update(self.labels_of(image.line))
        if image.is_removal:
            self.removals += 1
            self.digest.update(image.source_ref.encode() + b"\n")
        if image.is_loss and image.identity not in self._elsewhere:
            self.removed.add(image.source_ref)
            if image.work is not None:
                self.work_removed.add(image.source_ref)
        if image.outcome is Outcome.OVERWRITTEN:
            self.work_overwritten.add(image.source_ref)
            self.overwritten_digest.update(image.source_ref.encode() + b"\n" + (image.work or b"") + b"\n")
        self.gave_way += len(image.gave_way)
        if image.is_on_new_bytes:
            self.work_on_new_bytes.add(image.source_ref)

    @property
    def before(self) -> DatasetCounts:
        return _counts_of(self._before)

    @property
    def after(self) -> DatasetCounts:
        return _counts_of(self._after)

    def held_labels(self, after: DatasetCounts) -> list[str]:
        """Labels that no entry has but those that are held."""
        counts = after.images_per_label
        return [label for label, held in self._held_labels.items() if held == counts[label]]

    def labels_of(self, line: bytes) -> tuple[str, ...]:
        return self._contents.read(line)[1].labels

    def _read(self, line: bytes, etag: str = "") -> _Counted:
        line = line.removesuffix(b"\n")
        name, content = self._contents.read(line)
        return name, content, len(line) + 1, etag


_Counted = tuple[str, Content, int, str]


def _counts_of(rows: list[_Counted]) -> DatasetCounts:
    """Lines are counted in the order of their own images, which is not that of the merge where images have moved."""
    counts = DatasetCounts()
    for name, content, line_size_bytes, etag in sorted(rows, key=itemgetter(0)):
        counts.add_content(name, content, line_size_bytes=line_size_bytes, etag=etag)
    return counts


# The source.


def our_images(run: ImportRun, built: Mapping[str, Any]) -> Iterator[OurImage]:
    """The images that the source has, with what the ledger knows of them; those at fault have no line."""
    lines = read_lines(run.s3, S3Uri.parse(built["manifest"]))
    for row in ledger_of(run, built["ledger"]):
        is_sent = row.state in IN_MANIFEST
        if is_sent or is_withheld(row):
            yield OurImage(
                identity=f"s3://{built['bucket']}/{row.key}",
                line=next(lines) if is_sent else None,
                etag=row.etag,
                size_bytes=row.size_bytes,
                width=row.width,
                height=row.height,
                is_carried=row.reason is Reason.IN_LAST_SNAPSHOT,
            )


def our_places(
    run: ImportRun, built: Mapping[str, Any], *, with_withheld: bool = True
) -> Iterator[tuple[str, str, int]]:
    """Identity, ETag and size of the images that the source has.

    :param with_withheld: also of those for which nothing can be sent
    """
    for row in ledger_of(run, built["ledger"]):
        if row.state in IN_MANIFEST or (with_withheld and is_withheld(row)):
            yield f"s3://{built['bucket']}/{row.key}", row.etag, row.size_bytes


def _elsewhere(run: ImportRun, built: Mapping[str, Any]) -> frozenset[str]:
    """Images of a split that are in the project's other dataset."""
    if not built.get("is_divided"):
        return frozenset()
    rows = ledger_of(run, built["ledger"])
    return frozenset(f"s3://{built['bucket']}/{row.key}" for row in rows if row.reason in _ON_THE_OTHER_SIDE)


def ledger_of(run: ImportRun, ledger: str) -> Iterator[LedgerRow]:
    """The rows of a ledger that a task of this run has written."""
    for page in read_ledger(run.s3, S3Uri.parse(ledger)):
        yield from ledger_rows(page)


# What was registered.


def base_of(run: ImportRun, current: CurrentSnapshot | None, origin: str) -> RegisteredSnapshot | None:
    """The snapshot that the same import of the dataset was last registered from.

    :raises DocumentError: it is missing or damaged
    """
    base = current.bases.get(origin) if current else None
    if current is None or base is None:
        return None
    return read_registered(run.s3, run.dataset, current, base)


def base_rows(base: RegisteredSnapshot | None) -> Iterator[tuple[str, LedgerRow]]:
    """Images of the base that the dataset had, or of which work is remembered, with their rows."""
    if base is None:
        return
    bucket = str(base.summary.details.get("bucket", ""))
    for row in base.ledger_rows():
        if row.reason is Reason.REPEATED_IMAGE:
            continue
        if was_at_source(row) or row.entry is not None or row.sent is not None:
            yield f"s3://{bucket}/{row.key}", row


def was_at_source(row: LedgerRow) -> bool:
    """Whether the source had the image when the ledger was closed."""
    return row.state in IN_MANIFEST or row.state in (State.HELD, State.DROPPED)


def base_images(base: RegisteredSnapshot | None) -> Iterator[BaseImage]:
    """The base, as the merge takes it."""
    for name, row in base_rows(base):
        yield BaseImage(
            identity=name,
            sent=row.sent,
            was_at_source=was_at_source(row) or row.sent is not None,
            etag=row.etag,
            size_bytes=row.size_bytes,
            work=remembered_work(row),
            is_aside=aside_of_row(row) is not None,
            was_taken=row.state in IN_MANIFEST or row.state is State.DROPPED,
            has_stayed=row.state is State.HELD or ENTRY_STAYS in row.detail,
            drawn_on=row.drawn_on or "",
        )


def last_places(base: RegisteredSnapshot | None) -> Iterator[tuple[str, str, int]]:
    """The places where the images of the base were last, with ETag and size.

    An entry may be held at a place that its image has left for another one before.
    """
    left = {(row.etag, row.size_bytes) for _, row in base_rows(base) if row.state is State.HELD}
    if left:
        left &= {(row.etag, row.size_bytes) for _, row in base_rows(base) if row.state in IN_MANIFEST}
    for name, row in base_rows(base):
        if row.state is not State.HELD or (row.etag, row.size_bytes) not in left:
            yield name, row.etag, row.size_bytes


def places(rows: Iterable[tuple[str, LedgerRow]]) -> Iterator[tuple[str, str, int]]:
    """Identity, ETag and size of images."""
    return ((name, row.etag, row.size_bytes) for name, row in rows)


def other_imports(
    run: ImportRun, current: CurrentSnapshot | None, journal: Journal, origin: str
) -> list[Iterator[OtherImport]]:
    """The images that each other import of the dataset has brought, or an unfinished run of it may have."""
    bases = [(name, base_of(run, current, name)) for name in (current.bases if current else ()) if name != origin]
    return [
        *(_brought(base, is_upload=name == UPLOADS) for name, base in bases if base is not None),
        *(_may_have_brought(run, uri) for name, uri in journal.sent.items() if name != origin),
    ]


def _brought(base: RegisteredSnapshot, *, is_upload: bool) -> Iterator[OtherImport]:
    for name, row in base_rows(base):
        # The ledger of an upload carries all other images of the dataset, for which it has sent nothing.
        is_own = row.sent is not None or (was_at_source(row) and not is_upload)
        if row.state not in (State.REMOVED, State.ASIDE) and is_own:
            yield OtherImport(identity=name, sent=row.sent)


def _may_have_brought(run: ImportRun, uri: str) -> Iterator[OtherImport]:
    return (OtherImport(identity=name, sent=content) for name, content in read_sent(run.s3, S3Uri.parse(uri)))


def pending_digests(run: ImportRun, journal: Journal, origin: str) -> Iterator[PendingDigest]:
    """What runs of the import that did not end well may have sent."""
    if origin in journal.sent:
        # People's entries that unfinished runs of this import have overwritten, or may have, by what was sent instead.
        overwritten = dict(read_overwritten(run.s3, S3Uri.parse(journal.sent[origin])))
        for pair in read_sent(run.s3, S3Uri.parse(journal.sent[origin])):
            name, content = pair
            yield PendingDigest(identity=name, content=content, overwrites=overwritten.get(pair, ()))


def _moved(versions: Iterable[Any], moves: Mapping[str, str], *, is_list: bool = False) -> Iterable[Any]:
    """The same under the identities that the images have now, in their order."""
    if not moves:
        return versions
    named = (replace(each, identity=moves.get(each.identity, each.identity)) for each in versions)
    return sorted(named, key=identity_of)


# The dataset.


def read_dataset(run: ImportRun, dataset_arn: str) -> list[TheirEntry]:
    """The dataset's entries now, sorted by identity."""
    total = run.rekognition.describe_dataset(dataset_arn)["DatasetStats"]["TotalEntries"]
    progress = Progress("dataset entries read", total)
    entries: list[TheirEntry] = []
    for count, entry in enumerate(run.rekognition.iterate_dataset_entries(dataset_arn), start=1):
        data = entry.encode()
        entries.append(TheirEntry(identity=identity(read_entry(data)[0]), line=data))
        progress(count)
    return sorted(entries, key=identity_of)


def with_export(run: ImportRun, entries: list[TheirEntry], journal: Journal) -> list[TheirEntry]:
    """The dataset's entries, and those that it lost since a replacement that did not end began."""
    if journal.replacement is None:
        return entries
    present = {each.identity for each in entries}
    exported = read_export(run.s3, run.dataset, journal.replacement)
    lost = [
        TheirEntry(identity=name, line=line, is_present=False)
        for line in exported
        if (name := identity(read_entry(line)[0])) not in present
    ]
    return sorted([*entries, *lost], key=identity_of)


def _looked_up(run: ImportRun, built: Mapping[str, Any], entries: list[TheirEntry]) -> list[TheirEntry]:
    """The entries; of those that the dataset lost, and that are not of this source, whether their images exist.

    Rekognition takes no update most of whose images do not.
    """
    lost = [each for each in entries if not each.is_present]
    if not lost:
        return entries
    ours = {name for name, _, _ in our_places(run, built)}
    keys: dict[str, set[str]] = {}
    for each in lost:
        place = split_source_ref(read_entry(each.line)[0])
        if place is not None and each.identity not in ours:
            keys.setdefault(place[0], set()).add(place[1])
    missing = {
        f"s3://{bucket}/{key}"
        for bucket, wanted in keys.items()
        for key, fact in find_objects(run.s3, bucket, wanted).items()
        if fact in MISSING
    }

    def is_missing(entry: TheirEntry) -> bool:
        return not entry.is_present and read_entry(entry.line)[0] in missing

    return [replace(each, has_image=False) if is_missing(each) else each for each in entries]


def with_arriving_work(run: ImportRun, built: Mapping[str, Any], entries: list[TheirEntry]) -> list[TheirEntry]:
    """The entries, and a person's work on images that come from the project's other dataset."""
    if not built.get("arriving_work"):
        return entries
    present = {each.identity for each in entries}
    arriving = [
        TheirEntry(identity=name, line=line, is_present=False)
        for name, line in read_works(run, built["arriving_work"])
        if name not in present
    ]
    return sorted([*entries, *arriving], key=identity_of)


def write_works(run: ImportRun, uri: S3Uri, found: Iterable[tuple[str, bytes]]) -> None:
    """A person's entries by the identities of their images, for `read_works`."""
    with ObjectWriter(run.s3, uri, content_type=JSON_LINES) as writer:
        for name, line in found:
            writer.write(msgspec.json.encode([name, line.decode()]) + b"\n")


def read_works(run: ImportRun, uri: str) -> Iterator[tuple[str, bytes]]:
    """What `write_works` left."""
    decoder = msgspec.json.Decoder(tuple[str, str])
    for text in read_lines(run.s3, S3Uri.parse(uri)):
        name, line = decoder.decode(text)
        yield name, line.encode()


def write_export(run: ImportRun, entries: Iterable[TheirEntry], name: str) -> StoredEntries:
    """Entries as a manifest of that name in the run's staging folder."""
    count = 0
    with ObjectWriter(run.s3, run.staged(name), content_type=JSON_LINES) as writer:
        for each in entries:
            writer.write(submission_line(each.line))
            count += 1
    stored = stored_of(writer)
    return StoredEntries(uri=str(stored.uri), sha256=stored.sha256, count=count)


def write_outcomes(run: ImportRun, rows: Iterable[OutcomeRow]) -> S3Uri:
    """Rows for `read_outcomes`, in the run's staging folder."""
    uri = run.staged("outcomes.jsonl")
    with ObjectWriter(run.s3, uri, content_type=JSON_LINES) as writer:
        for row in rows:
            writer.write(msgspec.json.encode(row) + b"\n")
    return uri


def read_outcomes(run: ImportRun, uri: str) -> Iterator[OutcomeRow]:
    """What `write_outcomes` left, sorted by key."""
    decoder = msgspec.json.Decoder(OutcomeRow)
    for line in read_lines(run.s3, S3Uri.parse(uri)):
        yield decoder.decode(line)


def ledger_outcomes(base: RegisteredSnapshot) -> Iterator[OutcomeRow]:
    """The same from the ledger of a snapshot, where nothing has changed since it was registered."""
    return (outcome for row in base.ledger_rows() if (outcome := outcome_of_row(row)))
