"""What registration is going to do, decided by a three-way merge; nothing here writes to Rekognition.

A plan is made twice: by ``plan_registration``, before a person may be asked, and again under the dataset's lease by
the task that registers (`include.pipelines.registration_work`), where what it was made from has changed since.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from airflow.sdk import get_current_context

from include.custom_labels.errors import DatasetConflictError, ManifestError
from include.custom_labels.locations import S3Uri
from include.custom_labels.merge import Outcome, TheirEntry
from include.custom_labels.update_batches import BatchPlan, Change, plan_batches, transition_error
from include.custom_labels.validation import ManifestValidator
from include.object_store.dataset_documents import read_documents
from include.object_store.registration_journal import Journal
from include.object_store.snapshots import Base, CurrentSnapshot, read_current
from include.object_store.streams import ObjectWriter, read_chunks, read_lines
from include.pipelines.dataset_merge import (
    JSON_LINES,
    Merge,
    MergeResult,
    Sampled,
    StoredEntries,
    base_of,
    ledger_outcomes,
    read_dataset,
    with_export,
    write_export,
    write_outcomes,
)
from include.pipelines.origins import origin_of
from include.pipelines.runs import ImportRun, utc_now
from include.pipelines.schedules import is_newest_waiting_run
from include.pipelines.waiting import WAITER_OF_STATUS, WaitingError

Action = Literal["build_only", "superseded", "create", "recreate", "update", "replace", "unchanged"]

WRITES: frozenset[Action] = frozenset({"create", "recreate", "update", "replace"})
"""Actions that change the dataset, for which the run takes its lease."""

AFTER_OTHERS: Final = (
    "Nothing more was written. To import the source as it is now, trigger the Dag; to import it as of this run's own "
    "time, clear this run from `validate_request`."
)
"""What to do with a run whose place another has taken."""

_READINGS_MAX = 3

log = logging.getLogger(__name__)


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan was made from; a plan is stale once any of it is different.

    :ivar dataset_updated_at: when the service says that the dataset was last changed
    :ivar journal: without the lease, and without what the run itself is doing
    """

    dataset_arn: str = ""
    dataset_updated_at: str = ""
    current: CurrentSnapshot | None = None
    journal: Journal = Journal()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What registration is going to do.

    :ivar origin: of the import, as it was resolved
    :ivar base_snapshot_id: of the snapshot that this import was last registered from; empty where it never was
    :ivar dataset_arn: of the dataset that exists; empty where none does
    :ivar manifest: ``s3://`` address of all lines that the dataset holds afterwards
    :ivar changes: ``s3://`` address of the lines to send to a dataset that exists
    :ivar batch_ends: in bytes of `changes`, where each batch ends
    :ivar sent: number of lines that are sent either way
    :ivar export: the dataset's entries before, where it is replaced
    :ivar entries_before: the same and people's entries that give way, where something is removed or gives way
    :ivar outcomes: ``s3://`` address of what the ledger has to say beyond the source, empty where there is nothing
    :ivar digests: ``s3://`` address of what this import has sent last for each image afterwards; empty where that is
        as the base says
    :ivar merged: what the merge came to; None where nothing was merged
    """

    action: Action
    project: str
    origin: str = ""
    base_snapshot_id: str = ""
    dataset_arn: str = ""
    manifest: str = ""
    changes: str = ""
    batch_ends: tuple[int, ...] = ()
    sent: int = 0
    export: StoredEntries | None = None
    entries_before: StoredEntries | None = None
    outcomes: str = ""
    digests: str = ""
    merged: MergeResult | None = None
    fingerprint: Fingerprint = Fingerprint()

    @property
    def totals(self) -> Mapping[str, int]:
        """Images by outcome of the merge."""
        return self.merged.totals if self.merged else {}

    @property
    def entries(self) -> int:
        """Entries that the dataset has afterwards; -1 where that was not looked up."""
        return self.merged.entries if self.merged else -1

    @property
    def removals(self) -> int:
        """Entries that the dataset is replaced for."""
        return self.merged.removals if self.merged else 0

    @property
    def removed(self) -> Sampled:
        """Images that it loses by that."""
        return self.merged.removed if self.merged else Sampled()

    @property
    def removed_digest(self) -> str:
        return self.merged.removed_digest if self.merged else ""

    @property
    def overwrites(self) -> int:
        """Entries by people that give way to the source."""
        return self.totals.get(Outcome.OVERWRITTEN, 0)

    @property
    def overwritten_digest(self) -> str:
        return self.merged.overwritten_digest if self.merged else ""

    def to_json(self) -> dict[str, Any]:
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def plan_registration(run: ImportRun, built: Mapping[str, Any], provenance: Mapping[str, Any] | None) -> Plan:
    """The plan of a run that does not hold the dataset's lease yet. Of a backfill, only the newest run registers.

    :raises WaitingError: the dataset is busy
    :raises DocumentError: a document of the workspace is missing or damaged
    """
    if run.run_type == "backfill" and not is_newest_waiting_run(get_current_context(), now=utc_now()):
        log.info("A later run of this Dag is going to register the dataset.")
        return Plan(action="superseded", project=run.request.project)
    for _ in range(_READINGS_MAX):
        current, journal = read_documents(run.s3, run.dataset)
        plan = make_plan(run, built, provenance, journal)
        # What another run writes it first writes down: of entries that it has sent meanwhile, this plan would not know.
        after, journal_after = read_documents(run.s3, run.dataset)
        if (current, without_run(journal)) == (after, without_run(journal_after)):
            log.info("Registration: %s, %s lines to send.", plan.action, f"{plan.sent:,}")
            return plan
        log.info("Another run has worked on the dataset while this one planned: it is planned again.")
    raise _changing(run)


def make_plan(run: ImportRun, built: Mapping[str, Any], provenance: Mapping[str, Any] | None, journal: Journal) -> Plan:
    """The plan for the dataset as it is now.

    :raises WaitingError: the dataset is busy, or people change it all the time
    :raises DatasetConflictError: RUN_OUTDATED
    :raises DocumentError: a document of the workspace is missing or damaged
    :raises ManifestError: Rekognition would refuse what the dataset would hold
    """
    project = run.request.project
    if not run.request.register:
        return Plan(action="build_only", project=project)
    found = read_current(run.s3, run.dataset)
    current = found[0] if found else None
    origin = origin_of(run, provenance)
    base = current.bases.get(origin) if current else None
    if base and is_superseded(run, base):
        log.info("This import is registered as of %s already, which is later.", base.as_of.isoformat())
        return Plan(action="superseded", project=project)
    if base:
        _check_age(run, base)
    return _Planning(run, built, origin, journal, current).plan()


def is_superseded(run: ImportRun, base: Base) -> bool:
    """Whether the same import is registered as of a later time, which only a person may go back from."""
    # A time that is not over is no reason to register nothing until then.
    return run.run_type in ("scheduled", "backfill") and run.as_of < base.as_of <= utc_now()


def _check_age(run: ImportRun, base: Base) -> None:
    """:raises DatasetConflictError: RUN_OUTDATED, where a run that began later has registered the same source"""
    if base.begun_at is not None and run.begun_at < base.begun_at:
        raise DatasetConflictError(
            "RUN_OUTDATED",
            f"A run that began at {base.begun_at.isoformat(timespec='seconds')}, after this one, has registered the "
            "same source.",
            AFTER_OTHERS,
        )


def fingerprint(run: ImportRun, journal: Journal) -> Fingerprint:
    """What a plan would be made from now."""
    dataset = run.rekognition.find_dataset(run.request.project, run.dataset_type)
    found = read_current(run.s3, run.dataset)
    exists = dataset is not None and dataset["Status"] != "CREATE_FAILED"
    arn = dataset["DatasetArn"] if dataset else ""
    return Fingerprint(
        dataset_arn=arn,
        dataset_updated_at=updated_at(run.rekognition.describe_dataset(arn)) if exists else "",
        current=found[0] if found else None,
        journal=without_run(journal),
    )


def without_run(journal: Journal) -> Journal:
    """What the journal says beside what its run is doing."""
    return msgspec.structs.replace(journal, lease=None, registration=None)


def updated_at(description: Mapping[str, Any]) -> str:
    """When the service says that the dataset was last changed.

    :param description: of DescribeDataset
    """
    moment: str = description["LastUpdatedTimestamp"].isoformat()
    return moment


class _Planning:
    """Makes one plan."""

    def __init__(
        self,
        run: ImportRun,
        built: Mapping[str, Any],
        origin: str,
        journal: Journal,
        current: CurrentSnapshot | None,
    ) -> None:
        self._run = run
        self._built = built
        self._journal = journal
        self._current = current
        base = current.bases.get(origin) if current else None
        self._begun = Plan(
            action="unchanged",
            project=run.request.project,
            origin=origin,
            base_snapshot_id=base.snapshot_id if base else "",
        )

    def plan(self) -> Plan:
        dataset = self._settled()
        if dataset is None or dataset["Status"] == "CREATE_FAILED":
            return self._creation(dataset)
        return self._update(dataset["DatasetArn"])

    def _settled(self) -> dict[str, Any] | None:
        """The dataset, once nothing is under way."""
        run = self._run
        dataset = run.rekognition.find_dataset(run.request.project, run.dataset_type)
        if dataset is not None and dataset["Status"].endswith("_IN_PROGRESS"):
            raise busy(run, dataset["DatasetArn"], dataset["Status"])
        return dataset

    def _creation(self, failed: dict[str, Any] | None) -> Plan:
        """The dataset is not there, or failed to be created: then it has no entries, and occupies the place."""
        if failed is not None:
            log.warning("The dataset that failed to be created is replaced: %s", failed.get("StatusMessage"))
        merge = self._merge([])
        arn = failed["DatasetArn"] if failed else ""
        plan = self._planned(
            "recreate" if failed else "create",
            merge.carry_out(),
            Fingerprint(dataset_arn=arn, current=self._current, journal=without_run(self._journal)),
        )
        self._check_replacement(plan)
        return self._with_entries_before(plan, merge)

    def _update(self, arn: str) -> Plan:
        description = self._run.rekognition.describe_dataset(arn)
        if self._is_untouched(arn, description):
            return self._unchanged(arn, description)
        entries, description = read_consistently(self._run, arn)
        merge = self._merge(entries)
        merged = merge.carry_out()
        if merged.removals:
            plan = self._planned("replace", merged, self._fingerprint(arn, description))
        else:
            plan = self._batched(
                self._planned("update" if merged.sent else "unchanged", merged, self._fingerprint(arn, description)),
                merge.changes,
            )
        if plan.action == "replace":
            self._check_replacement(plan)
        return self._with_entries_before(plan, merge)

    def _with_entries_before(self, plan: Plan, merge: Merge) -> Plan:
        """The plan with what the dataset is restored from if it cannot be replaced, and what its snapshot keeps."""
        if plan.action == "replace":
            plan = msgspec.structs.replace(plan, export=write_export(self._run, merge.entries, "export.manifest"))
        before = plan.export
        if merge.given_way or (before is None and plan.removed.count and merge.entries):
            before = write_export(self._run, merge.entries_before(), "entries.manifest")
        return msgspec.structs.replace(plan, entries_before=before)

    def _merge(self, entries: list[TheirEntry]) -> Merge:
        return Merge(
            run=self._run,
            built=self._built,
            entries=with_export(self._run, entries, self._journal),
            journal=self._journal,
            current=self._current,
            origin=self._begun.origin,
        )

    def _fingerprint(self, arn: str, description: Mapping[str, Any]) -> Fingerprint:
        return Fingerprint(
            dataset_arn=arn,
            dataset_updated_at=updated_at(description),
            current=self._current,
            journal=without_run(self._journal),
        )

    def _planned(self, action: Action, merged: MergeResult, made_from: Fingerprint) -> Plan:
        creates = action in ("create", "recreate", "replace")
        return msgspec.structs.replace(
            self._begun,
            action=action,
            dataset_arn=made_from.dataset_arn,
            manifest=merged.manifest,
            changes=merged.changes,
            sent=merged.entries if creates else merged.sent,
            outcomes=merged.outcomes,
            digests=merged.digests,
            merged=merged,
            fingerprint=made_from,
        )

    def _batched(self, plan: Plan, changes: list[Change]) -> Plan:
        """The plan of an update with its batches, or a replacement where no order of them would do."""
        if plan.merged is None or not plan.sent:
            return plan
        batches = plan_batches(plan.merged.labels_before, changes, source_labels=self._built["images_per_label"])
        if batches.verdict == "needs_replacement":
            if self._run.request.removals == "hold":
                raise transition_error(batches)
            log.warning("Batch by batch, the dataset would have %s labels: it is replaced.", batches.max_labels)
            replacement = msgspec.structs.replace(plan, action="replace", sent=plan.merged.entries)
            self._check_replacement(replacement)
            return replacement
        if batches.verdict == "reordered":
            self._reorder(plan, changes, batches)
        return msgspec.structs.replace(plan, batch_ends=tuple(batches.ends))

    def _reorder(self, plan: Plan, changes: list[Change], batches: BatchPlan) -> None:
        # Below the size of a manifest, which is 1 GB at most and some 100 MB for 250,000 changes.
        lines = list(read_lines(self._run.s3, S3Uri.parse(plan.changes)))
        with ObjectWriter(self._run.s3, S3Uri.parse(plan.changes), content_type=JSON_LINES) as writer:
            for number in batches.order:
                writer.write(lines[number] + b"\n")

    def _check_replacement(self, plan: Plan) -> None:
        """:raises ManifestError: Rekognition would refuse the manifest, before anything is deleted for it"""
        validator = ManifestValidator(
            region=self._run.region, dataset_type=self._run.dataset_type, may_be_empty=self._built["is_divided"]
        )
        if plan.totals.keys() <= {Outcome.NEW}:
            # Nothing but the lines that were validated already.
            return
        for chunk in read_chunks(self._run.s3, S3Uri.parse(plan.manifest)):
            validator.feed(chunk)
        result = validator.finish()
        if not result.is_usable:
            first = next(
                each for each in result.report if each.code.severity == "error" and "dataset" in each.code.phases
            )
            raise ManifestError(
                first.code,
                f"What the dataset would hold would be refused: {first.message} {first.detail}".strip(),
                f"{first.next_step} Nothing was changed. All lines: {plan.manifest}",
            )

    def _is_untouched(self, arn: str, description: Mapping[str, Any]) -> bool:
        """Whether neither the source nor anyone in the dataset has changed anything since it was verified."""
        current, built, stats = self._current, self._built, description["DatasetStats"]
        return (
            current is not None
            and current.origin == self._begun.origin
            and self._run.request.human_edits == "keep"
            and not self._journal.is_open_for(self._begun.origin)
            and (current.manifest_sha256, current.objects_sha256) == (built["manifest_sha256"], built["objects_sha256"])
            and (current.dataset_arn, current.dataset_updated_at) == (arn, updated_at(description))
            and (current.entries, current.labelled) == (stats["TotalEntries"], stats["LabeledEntries"])
            and not (self._run.request.removals == "replace" and current.is_holding)
            and not current.has_dropped
        )

    def _unchanged(self, arn: str, description: Mapping[str, Any]) -> Plan:
        base = base_of(self._run, self._current, self._begun.origin)
        outcomes = str(write_outcomes(self._run, ledger_outcomes(base))) if base else ""
        return msgspec.structs.replace(
            self._begun, dataset_arn=arn, outcomes=outcomes, fingerprint=self._fingerprint(arn, description)
        )


def read_consistently(run: ImportRun, arn: str) -> tuple[list[TheirEntry], dict[str, Any]]:
    """All entries, and the dataset's description that they belong to.

    :raises WaitingError: the dataset is busy, or is changed each time that it is read
    """
    description = run.rekognition.describe_dataset(arn)
    for _ in range(_READINGS_MAX):
        entries = read_dataset(run, arn)
        after = run.rekognition.describe_dataset(arn)
        if after["Status"].endswith("_IN_PROGRESS"):
            raise busy(run, arn, after["Status"])
        if updated_at(after) == updated_at(description):
            return entries, after
        log.info("The dataset was changed while its entries were read; they are read again.")
        description = after
    raise _changing(run)


def _changing(run: ImportRun) -> WaitingError:
    return WaitingError(
        DatasetConflictError(
            "DATASET_BUSY",
            f"The {run.request.dataset_type} dataset of {run.request.project} is changed all the time.",
            "Wait until no one works on it, then run again.",
        )
    )


def busy(run: ImportRun, arn: str, status: str) -> WaitingError:
    """What to wait for while an operation is under way that is not this run's."""
    return WaitingError(
        DatasetConflictError(
            "DATASET_BUSY",
            f"The {run.request.dataset_type} dataset of {run.request.project} is in {status}.",
            "Wait until the other operation has finished, then run again.",
            dataset_arn=arn,
        ),
        waiter=WAITER_OF_STATUS[status],
        resource=arn,
    )
