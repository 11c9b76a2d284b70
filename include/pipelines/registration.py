"""What registration is going to do, decided by a three-way merge, and the journal around doing it.

``plan_registration`` only reads. Between it and ``begin_registration``, which takes the dataset's lease, a person may
have been asked; what they were asked about still has to be true then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from airflow.sdk import get_current_context
from airflow.sdk.api.client import ServerResponseError
from airflow.sdk.exceptions import AirflowRuntimeError

from include.custom_labels.errors import DatasetConflictError, ManifestError
from include.custom_labels.locations import S3Uri
from include.custom_labels.merge import Outcome
from include.custom_labels.validation import ManifestValidator
from include.object_store.registration_journal import HeldJournal, Holder, Journal, Replacement, read_journal
from include.object_store.snapshots import CurrentSnapshot, read_current
from include.object_store.streams import ObjectWriter, copy_object, read_chunks
from include.pipelines.dataset_merge import (
    JSON_LINES,
    MergeResult,
    ledger_outcomes,
    merge_dataset,
    read_dataset,
    with_export,
    write_export,
)
from include.pipelines.runs import ImportRun, utc_now
from include.pipelines.schedules import is_newest_waiting_run
from include.pipelines.steps import step
from include.rekognition.errors import RekognitionDatasetFailedError

Action = Literal["build_only", "superseded", "create", "recreate", "update", "replace", "unchanged"]

WRITES: frozenset[Action] = frozenset({"create", "recreate", "update", "replace"})
"""Actions that change the dataset, for which the run takes its lease."""

PLAN_KEY = "plan"
"""XCom key of the plan as it is carried out."""

_MAX_PENDING = 10
_WAITER_OF_STATUS = {
    "CREATE_IN_PROGRESS": "dataset_created",
    "UPDATE_IN_PROGRESS": "dataset_updated",
    "DELETE_IN_PROGRESS": "dataset_deleted",
}
_WAITER_DELAY_S = 5
_WAITER_MAX_ATTEMPTS = 1440

log = logging.getLogger(__name__)


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan was made from; a plan is stale once any of it is different.

    :ivar dataset_updated_at: when the service says that the dataset was last changed
    """

    dataset_arn: str = ""
    dataset_updated_at: str = ""
    current: CurrentSnapshot | None = None
    journal: Journal = Journal()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What registration is going to do.

    :ivar dataset_arn: of the dataset that exists; empty where there is none
    :ivar manifest: ``s3://`` address of the lines to create a dataset from
    :ivar changes: ``s3://`` address of the lines to send to a dataset that exists
    :ivar sent: number of lines that are sent either way
    :ivar export: ``s3://`` address of the dataset's entries before
    :ivar export_sha256: its digest, in hex
    :ivar exported: their number
    :ivar outcomes: ``s3://`` address of what the ledger has to say beyond the source, empty where there is nothing
    :ivar totals: images by outcome of the merge
    :ivar entries: entries that the dataset has afterwards; -1 where that was not looked up
    :ivar labelled: how many of them have a label or a box
    :ivar removals: entries that the dataset is replaced for
    :ivar removed: images that it loses by that
    """

    action: Action
    project: str
    dataset_arn: str = ""
    manifest: str = ""
    changes: str = ""
    sent: int = 0
    export: str = ""
    export_sha256: str = ""
    exported: int = 0
    outcomes: str = ""
    totals: dict[str, int] = {}
    entries: int = -1
    labelled: int = -1
    removals: int = 0
    removed: int = 0
    removed_samples: tuple[str, ...] = ()
    removed_digest: str = ""
    size_bytes: int = 0
    fingerprint: Fingerprint = Fingerprint()

    def to_json(self) -> dict[str, Any]:
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


@step
def plan_registration(run: dict[str, Any], built: dict[str, Any]) -> dict[str, Any]:
    """Merge the manifest with the dataset that exists, and decide what to send; nothing is written to Rekognition.

    New images, and entries whose labels only this project has changed, are sent. Entries that a person changed are
    kept. Where images were removed, the dataset is going to be replaced. Of a backfill, only the newest run registers.
    Fails when the dataset is busy.
    """
    import_run = ImportRun.from_json(run)
    if import_run.run_type == "backfill" and not is_newest_waiting_run(get_current_context(), now=utc_now()):
        log.info("A later run of this Dag is going to register the dataset.")
        return Plan(action="superseded", project=import_run.request.project).to_json()
    plan = make_plan(import_run, built, read_journal(import_run.s3, import_run.dataset))
    log.info("Registration: %s, %s lines to send.", plan.action, f"{plan.sent:,}")
    return plan.to_json()


def make_plan(run: ImportRun, built: dict[str, Any], journal: Journal) -> Plan:
    """The plan for the dataset as it is now.

    :raises DatasetConflictError: DATASET_BUSY
    """
    project = run.request.project
    if not run.request.register:
        return Plan(action="build_only", project=project)
    found = read_current(run.s3, run.dataset)
    current = found[0] if found else None
    if current and is_superseded(run, current):
        log.info("The dataset is registered as of %s already, which is later.", current.as_of.isoformat())
        return Plan(action="superseded", project=project)
    dataset = _settled(run, journal)
    if dataset is None or dataset["Status"] == "CREATE_FAILED":
        return _plan_creation(run, built, journal, current, dataset)
    return _plan_update(run, built, journal, current, dataset["DatasetArn"])


def is_superseded(run: ImportRun, current: CurrentSnapshot) -> bool:
    """Whether the dataset is registered as of a later time, which only a person may go back from."""
    return run.run_type in ("scheduled", "backfill") and run.as_of < current.as_of


def _settled(run: ImportRun, journal: Journal) -> dict[str, Any] | None:
    """The dataset, once what an unfinished run of this project began has ended."""
    dataset = run.rekognition.find_dataset(run.request.project, run.dataset_type)
    if dataset is None or not dataset["Status"].endswith("_IN_PROGRESS"):
        return dataset
    arn, status = dataset["DatasetArn"], dataset["Status"]
    if not journal.pending:
        raise DatasetConflictError(
            "DATASET_BUSY",
            f"The {run.request.dataset_type} dataset of {run.request.project} is in {status}.",
            "Wait until whoever works on it has finished, then run again.",
            dataset_arn=arn,
        )
    log.info("An earlier run did not end: waiting for what it began, %s.", status)
    try:
        run.rekognition.wait(_WAITER_OF_STATUS[status], arn, _WAITER_DELAY_S, _WAITER_MAX_ATTEMPTS)
    except RekognitionDatasetFailedError as error:
        log.warning("It failed: %s", error)
    return run.rekognition.find_dataset(run.request.project, run.dataset_type)


def _plan_creation(
    run: ImportRun,
    built: dict[str, Any],
    journal: Journal,
    current: CurrentSnapshot | None,
    failed: dict[str, Any] | None,
) -> Plan:
    """The dataset is not there, or failed to be created: then it has no entries, and occupies the place."""
    if failed is not None:
        log.warning("The dataset that failed to be created is replaced: %s", failed.get("StatusMessage"))
    merged = merge_dataset(run, built, with_export(run, [], journal), journal, current)
    # The built manifest is the same thing, unless there is a person's work from before.
    manifest = built["manifest"] if merged.totals.keys() <= {Outcome.NEW} else merged.manifest
    arn = failed["DatasetArn"] if failed else ""
    fingerprint = Fingerprint(dataset_arn=arn, current=current, journal=_without_lease(journal))
    action: Action = "recreate" if failed else "create"
    return _plan(run, action, merged, arn, fingerprint, manifest=manifest, sent=merged.entries)


def _plan_update(
    run: ImportRun, built: dict[str, Any], journal: Journal, current: CurrentSnapshot | None, arn: str
) -> Plan:
    fingerprint = Fingerprint(
        dataset_arn=arn,
        dataset_updated_at=updated_at(run, arn),
        current=current,
        journal=_without_lease(journal),
    )
    if current and _is_untouched(run, built, fingerprint, current):
        return Plan(
            action="unchanged",
            project=run.request.project,
            dataset_arn=arn,
            outcomes=_carried_outcomes(run, current),
            fingerprint=fingerprint,
        )
    entries = with_export(run, read_dataset(run, arn), journal)
    export = write_export(run, entries)
    merged = merge_dataset(run, built, entries, journal, current)
    if merged.removals:
        plan = _plan(run, "replace", merged, arn, fingerprint, manifest=merged.manifest, sent=merged.entries)
    else:
        plan = _plan(run, "update" if merged.sent else "unchanged", merged, arn, fingerprint, sent=merged.sent)
    return msgspec.structs.replace(plan, export=str(export.uri), export_sha256=export.sha256, exported=len(entries))


def _plan(
    run: ImportRun,
    action: Action,
    merged: MergeResult,
    arn: str,
    fingerprint: Fingerprint,
    *,
    sent: int,
    manifest: str = "",
) -> Plan:
    return Plan(
        action=action,
        project=run.request.project,
        dataset_arn=arn,
        manifest=manifest,
        changes=merged.changes,
        sent=sent,
        outcomes=merged.outcomes,
        totals=merged.totals,
        entries=merged.entries,
        labelled=merged.labelled,
        removals=merged.removals,
        removed=merged.removed,
        removed_samples=merged.removed_samples,
        removed_digest=merged.removed_digest,
        size_bytes=merged.size_bytes,
        fingerprint=fingerprint,
    )


def updated_at(run: ImportRun, arn: str) -> str:
    """When the service says that the dataset was last changed."""
    moment: str = run.rekognition.describe_dataset(arn)["LastUpdatedTimestamp"].isoformat()
    return moment


def _without_lease(journal: Journal) -> Journal:
    return msgspec.structs.replace(journal, lease=None)


def _is_untouched(run: ImportRun, built: dict[str, Any], now: Fingerprint, current: CurrentSnapshot) -> bool:
    """Whether neither the source nor anyone in the dataset has changed anything since it was registered."""
    return (
        run.request.human_edits == "keep"
        and now.journal == Journal()
        and (current.manifest_sha256, current.objects_sha256) == (built["manifest_sha256"], built["objects_sha256"])
        and (current.dataset_arn, current.dataset_updated_at) == (now.dataset_arn, now.dataset_updated_at)
        and not (run.request.removals == "replace" and current.is_holding)
    )


def _carried_outcomes(run: ImportRun, current: CurrentSnapshot) -> str:
    uri = run.staged("outcomes.jsonl")
    with ObjectWriter(run.s3, uri, content_type=JSON_LINES) as writer:
        for outcome in ledger_outcomes(run, current):
            writer.write(msgspec.json.encode(outcome) + b"\n")
    return str(uri)


def begin_registration(run: ImportRun, built: dict[str, Any], plan: Plan, has_ended: Callable[[Holder], bool]) -> Plan:
    """Take the dataset's lease, make sure that the plan still holds, and write down what is about to be done.

    :returns: the plan to carry out, which differs from the given one where people worked on the dataset meanwhile
    :raises DatasetConflictError: DATASET_LEASED, DATASET_BUSY, or REMOVALS_CHANGED
    :raises ManifestError: Rekognition would refuse the replacement
    """
    if not _needs_lease(plan):
        return plan
    held = HeldJournal.take(run.s3, run.dataset, run.holder, now=utc_now(), has_ended=has_ended)
    fresh = _refreshed(run, built, plan, held.journal)
    if fresh.action not in WRITES:
        return fresh
    if fresh.manifest and fresh.manifest != built["manifest"]:
        _validate_replacement(run, fresh)
    # An export of a run that did not end stays until this one commits: the dataset may lack some of it.
    replacement = held.journal.replacement
    if fresh.action == "replace":
        export = run.dataset.export(run.slug)
        copy_object(run.s3, S3Uri.parse(fresh.export), export)
        replacement = Replacement(dataset_arn=fresh.dataset_arn, entries=str(export), count=fresh.exported)
    pending = tuple(uri for uri in held.journal.pending if uri != built["manifest"])
    held.write(pending=(*pending, built["manifest"])[-_MAX_PENDING:], replacement=replacement)
    return fresh


def _needs_lease(plan: Plan) -> bool:
    # A run that finds nothing left to do may still have to close the journal of one that was killed at the very end.
    return plan.action in WRITES or (plan.action == "unchanged" and plan.fingerprint.journal != Journal())


def _refreshed(run: ImportRun, built: dict[str, Any], plan: Plan, journal: Journal) -> Plan:
    """The plan, or a new one where the dataset, its journal or its snapshot is not what the plan was made from."""
    fresh = make_plan(run, built, journal) if _is_stale(run, plan, journal) else plan
    if fresh.removed_digest != plan.removed_digest:
        raise DatasetConflictError(
            "REMOVALS_CHANGED",
            f"The dataset was changed after this run was planned: {fresh.removals:,} entries would be removed now, "
            f"and {plan.removals:,} when it was planned.",
            "Run again, so that the removals are checked again.",
        )
    return fresh


def _is_stale(run: ImportRun, plan: Plan, journal: Journal) -> bool:
    dataset = run.rekognition.find_dataset(run.request.project, run.dataset_type)
    arn = dataset["DatasetArn"] if dataset else ""
    found = read_current(run.s3, run.dataset)
    exists = dataset is not None and dataset["Status"] != "CREATE_FAILED"
    return plan.fingerprint != Fingerprint(
        dataset_arn=arn,
        dataset_updated_at=updated_at(run, arn) if exists else "",
        current=found[0] if found else None,
        journal=_without_lease(journal),
    )


def _validate_replacement(run: ImportRun, plan: Plan) -> None:
    """:raises ManifestError: Rekognition would refuse the manifest, before anything is deleted for it"""
    validator = ManifestValidator(region=run.region, dataset_type=run.dataset_type)
    for chunk in read_chunks(run.s3, S3Uri.parse(plan.manifest)):
        validator.feed(chunk)
    result = validator.finish()
    if not result.is_usable:
        first = next(each for each in result.report if each.code.severity == "error" and "dataset" in each.code.phases)
        raise ManifestError(
            first.code,
            f"The replacement of the dataset would be refused: {first.message} {first.detail}".strip(),
            f"{first.next_step} Nothing was deleted. The replacement: {plan.manifest}",
        )


def has_ended(holder: Holder) -> bool:
    """Whether Airflow knows the run and that it has ended; False for one of another Airflow, and one that was deleted.

    A run that fails ends its lease itself (`include.pipelines.restoration`), unless it was killed.
    """
    try:
        state: str = get_current_context()["ti"].get_dagrun_state(dag_id=holder.dag_id, run_id=holder.run_id)
    except (AirflowRuntimeError, ServerResponseError) as error:
        log.warning("Airflow does not know the run that holds the lease: %s", error)
        return False
    return state in ("success", "failed")
