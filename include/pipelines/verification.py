"""After the last write: whether the dataset holds what this run was to make of it, and that it is still so.

A run is green only over a dataset that it has verified. A dataset that this run has created, and whose status is still
that of its creation, has not been updated by anyone since: then its counts tell. After an update they do not, because
somebody may have changed an entry right afterwards: its entries are read and compared.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from include.custom_labels.dataset_counts import DatasetCounts
from include.custom_labels.dataset_entries import Entry, read_entry
from include.custom_labels.errors import DatasetConflictError
from include.custom_labels.history import identity
from include.custom_labels.locations import S3Uri
from include.custom_labels.merge import Outcome, TheirEntry, describe
from include.custom_labels.outcomes import OutcomeRow
from include.object_store.sent_digests import read_sent
from include.object_store.streams import read_lines
from include.pipelines.registration import Plan, read_consistently, updated_at
from include.pipelines.runs import ImportRun

log = logging.getLogger(__name__)


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset as it was seen.

    :ivar dataset_updated_at: of the dataset's last change, which everything here includes
    :ivar stats: as the service counts; empty where no dataset was looked at
    :ivar entries: what each entry says, by identity, where they were read
    :ivar errors: those that have errors
    :ivar edits: what people have changed while the run registered, sorted by key
    :ivar labels: images per label; None where that is as the base says
    :ivar content_sha256: of what the dataset holds; empty where that is as the base says
    """

    dataset_arn: str = ""
    dataset_updated_at: str = ""
    stats: dict[str, int] = {}
    entries: dict[str, Entry] | None = None
    errors: dict[str, Entry] = {}
    edits: list[OutcomeRow] = []
    labels: dict[str, int] | None = None
    content_sha256: str = ""

    @classmethod
    def of_plan(cls, run: ImportRun, plan: Plan) -> Verified:
        """The dataset as its plan has seen it, where nothing is to be written.

        :raises DatasetConflictError: DATASET_VANISHED
        """
        if plan.action != "unchanged":
            return cls()
        description = _description(run, plan.dataset_arn)
        merged = plan.merged
        return cls(
            dataset_arn=plan.dataset_arn,
            # When its entries were read, and not now: somebody may have changed one since.
            dataset_updated_at=plan.fingerprint.dataset_updated_at,
            stats=description["DatasetStats"],
            errors=_errors(run, plan.dataset_arn, description["DatasetStats"]),
            labels=dict(merged.labels) if merged else None,
            content_sha256=merged.content_sha256 if merged else "",
        )


def verify(run: ImportRun, plan: Plan, dataset_arn: str, *, sent: str, is_created: bool) -> Verified:
    """Compare the dataset with what was planned, after the last write.

    :param sent: ``s3://`` address of what this run, and unfinished ones before it, may have sent
    :param is_created: whether this run has created the dataset
    :raises DatasetConflictError: DATASET_NOT_AS_SENT, or DATASET_VANISHED
    :raises WaitingError: somebody works on the dataset
    """
    merged = plan.merged
    if merged is None:
        raise ValueError("a plan that writes has merged")
    description = _description(run, dataset_arn)
    stats = description["DatasetStats"]
    if (
        is_created
        and description["Status"] == "CREATE_COMPLETE"
        and (stats["TotalEntries"], stats["LabeledEntries"]) == (merged.entries, merged.labelled)
    ):
        return Verified(
            dataset_arn=dataset_arn,
            dataset_updated_at=updated_at(description),
            stats=stats,
            errors=_errors(run, dataset_arn, stats),
            labels=dict(merged.labels),
            content_sha256=merged.content_sha256,
        )
    log.info("The dataset's entries are read and compared with what was planned.")
    entries, description = read_consistently(run, dataset_arn)
    return _compared(run, plan, dataset_arn, entries, description, sent)


def _description(run: ImportRun, arn: str) -> dict[str, Any]:
    dataset = run.rekognition.find_dataset(run.request.project, run.dataset_type)
    if dataset is None or dataset["DatasetArn"] != arn:
        raise DatasetConflictError(
            "DATASET_VANISHED",
            f"The {run.request.dataset_type} dataset of {run.request.project} is not there any more: {arn}.",
            "Someone deleted it during this run; run again to create it.",
            dataset_arn=arn,
        )
    description: dict[str, Any] = run.rekognition.describe_dataset(arn)
    return description


def _errors(run: ImportRun, arn: str, stats: Mapping[str, int]) -> dict[str, Entry]:
    if not stats.get("ErrorEntries", 0):
        return {}
    log.warning("%s entries have errors; they are looked up.", f"{stats['ErrorEntries']:,}")
    found = (read_entry(line.encode()) for line in run.rekognition.iterate_dataset_entries(arn, has_errors=True))
    return {identity(source_ref): entry for source_ref, entry in found}


def _compared(
    run: ImportRun,
    plan: Plan,
    dataset_arn: str,
    entries: list[TheirEntry],
    description: Mapping[str, Any],
    sent: str,
) -> Verified:
    merged = plan.merged
    expected = dict(_expected(run, plan))
    counts = DatasetCounts()
    found: dict[str, Entry] = {}
    differing: dict[str, tuple[bytes, Entry]] = {}
    for each in entries:
        counts.add(each.line)
        _, entry = read_entry(each.line)
        found[each.identity] = entry
        if expected.get(each.identity, entry.content) != entry.content:
            differing[each.identity] = each.line, entry
    missing = sorted(expected.keys() - found.keys())
    _refuse_what_was_not_applied(run, plan, differing, sent)
    added = sorted(found.keys() - expected.keys())
    content = merged.content_sha256 if merged else ""
    if differing or missing or added:
        log.warning(
            "The dataset differs from what was planned: %s entries were changed by people meanwhile, %s added, "
            "%s are missing.",
            f"{len(differing):,}",
            f"{len(added):,}",
            f"{len(missing):,}",
        )
        changes = [*((name, entry.content.hex()) for name, (_, entry) in sorted(differing.items())), *missing, *added]
        content = hashlib.sha256(msgspec.json.encode([content, changes])).hexdigest()
    return Verified(
        dataset_arn=dataset_arn,
        dataset_updated_at=updated_at(description),
        stats=description["DatasetStats"],
        entries=found,
        errors={name: entry for name, entry in found.items() if entry.errors},
        edits=_edits(run, plan, differing),
        labels=counts.images_per_label,
        content_sha256=content,
    )


def _expected(run: ImportRun, plan: Plan) -> Iterator[tuple[str, bytes]]:
    for line in read_lines(run.s3, S3Uri.parse(plan.manifest)):
        source_ref, entry = read_entry(line)
        yield identity(source_ref), entry.content


def _refuse_what_was_not_applied(
    run: ImportRun, plan: Plan, differing: Mapping[str, tuple[bytes, Entry]], sent: str
) -> None:
    """An entry that was sent, and says what this import had sent earlier, was not changed by a person.

    The service has not taken it. In a dataset that this run has created there is nothing from before.

    :raises DatasetConflictError: DATASET_NOT_AS_SENT
    """
    if not differing or not sent or plan.action != "update":
        return
    updated = {identity(read_entry(line)[0]) for line in read_lines(run.s3, S3Uri.parse(plan.changes))}
    ours = {pair for pair in read_sent(run.s3, S3Uri.parse(sent)) if pair[0] in differing and pair[0] in updated}
    stuck = sorted(name for name, (_, entry) in differing.items() if (name, entry.content) in ours)
    if stuck:
        raise DatasetConflictError(
            "DATASET_NOT_AS_SENT",
            f"{len(stuck):,} entries of {plan.dataset_arn or run.request.project} still say what they said before, "
            f"although Rekognition has accepted them: {', '.join(stuck[:3])}.",
            "Run again, which sends them once more; if that does not help, ask AWS Support.",
            entries=len(stuck),
        )


def _edits(run: ImportRun, plan: Plan, differing: Mapping[str, tuple[bytes, Entry]]) -> list[OutcomeRow]:
    """What people changed while the run registered is theirs, like what they changed before."""
    if not differing:
        return []
    sent = {name: digest for name, digest in read_sent(run.s3, S3Uri.parse(plan.digests)) if name in differing}
    rows = [
        OutcomeRow(
            key=name.split("/", 3)[3],
            outcome=Outcome.KEPT,
            detail=f"changed while this run registered the dataset: {describe(line)}",
            is_labelled=entry.is_labelled,
            entry=line.decode(),
            sent=sent.get(name),
        )
        for name, (line, entry) in differing.items()
    ]
    return sorted(rows, key=lambda row: row.key)
