"""The snapshot of a run, and the asset event that tells others of a dataset that changed."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from airflow.sdk import Asset, AssetAlias, get_current_context

from include.custom_labels.errors import DatasetConflictError
from include.custom_labels.locations import S3Uri
from include.custom_labels.reasons import Reason
from include.object_store.registration_journal import HeldJournal, Replacement, read_journal
from include.object_store.snapshots import (
    Base,
    CurrentSnapshot,
    SnapshotSummary,
    publish_snapshot,
    read_current,
    summary_sha256,
    write_current,
)
from include.object_store.streams import StoredObject, copy_object
from include.pipelines.gates import Gate
from include.pipelines.registration import WRITES, Plan
from include.pipelines.registration_work import lease_lost
from include.pipelines.report import render_report
from include.pipelines.reporting import approval_of, departures_of, registered_report_of
from include.pipelines.runs import ImportRun, utc_now
from include.pipelines.steps import seconds_of, step

DATASETS = AssetAlias("custom_labels_datasets")
"""Every registered dataset is an asset under this alias; its events carry snapshot, counts and digest."""

log = logging.getLogger(__name__)


@step
def publish(
    run: dict[str, Any],
    built: dict[str, Any],
    validated: dict[str, Any],
    reconciled: dict[str, Any],
    gate: dict[str, Any],
    approval: dict[str, Any] | None = None,
    provenance: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Store manifest, ledger and report as an immutable snapshot, name it the registered one, and send the asset event.

    The event is sent when the dataset's content is not that of the last event: what it starts costs money. A try that
    died before it was sent is made good by the next try, or by the next run.
    """
    import_run = ImportRun.from_json(run)
    plan = msgspec.convert(reconciled["plan"], Plan)
    passed = msgspec.convert(gate, Gate)
    approved = approval_of(approval)
    timings = _timings()
    before = plan.entries_before
    _fence(import_run, plan)

    def report(summary: SnapshotSummary) -> str:
        return render_report(
            registered_report_of(
                import_run,
                passed,
                reconciled,
                snapshot_id=summary.snapshot_id,
                manifest=summary.manifest,
                ledger=summary.ledger,
                findings=validated["totals"],
                approval=approved,
                provenance=provenance,
                timings=timings,
                images_per_label_before=plan.merged.labels_before if plan.merged else None,
                images_per_label_of_source=reconciled["images_per_label_of_source"],
                departures=departures_of(plan),
            )
        )

    summary = publish_snapshot(
        import_run.s3,
        import_run.dataset,
        as_of=import_run.as_of,
        manifest=_stored(built["manifest"], built["manifest_sha256"], built["manifest_size_bytes"]),
        ledger=_stored(**reconciled["ledger"]),
        images=built["lines"],
        report=report,
        entries=_stored(before.uri, before.sha256, 0) if before else None,
        details={
            "run": {
                "dag_id": import_run.holder.dag_id,
                "run_id": import_run.holder.run_id,
                "slug": import_run.slug,
            },
            "request": import_run.request.to_json(),
            "origin": plan.origin,
            "bucket": built["bucket"],
            "registration": plan.to_json(),
            "dataset_arn": reconciled["dataset_arn"],
            "dataset_stats": reconciled["dataset_stats"],
            "states": reconciled["states"],
            "reasons": reconciled["reasons"],
            "images_per_label": reconciled["images_per_label"],
            "images_per_label_of_source": reconciled["images_per_label_of_source"],
            "findings": validated["totals"],
            "gate": gate,
            "timings": timings,
            **({"approval": msgspec.to_builtins(approved)} if approved else {}),
            **({"provenance": provenance} if provenance else {}),
        },
    )
    current = _make_current(import_run, built, summary, plan, reconciled) if reconciled["dataset_arn"] else None
    _release(import_run, plan)
    changed = current is not None and current.announced != current.announcement
    if changed:
        _send_event(import_run, summary, reconciled)
    log.info("Snapshot %s of %s images, %s", summary.snapshot_id, summary.images, "new" if changed else "no change")
    snapshot = import_run.dataset.snapshot(summary.snapshot_id)
    return {
        "snapshot_id": summary.snapshot_id,
        "manifest_uri": summary.manifest,
        "ledger_uri": summary.ledger,
        "summary_uri": str(snapshot.summary),
        "report_uri": str(snapshot.report),
        "changed": changed,
        "timings": timings,
    }


def _timings() -> dict[str, float]:
    """Seconds of the steps before this one."""
    return seconds_of(task.task_id for task in get_current_context()["dag"].tasks)


def _stored(uri: str, sha256: str, size_bytes: int) -> StoredObject:
    return StoredObject(uri=S3Uri.parse(uri), size_bytes=size_bytes, etag="", version_id=None, sha256=sha256)


def _fence(run: ImportRun, plan: Plan) -> None:
    """Make sure, before anything says so, that what this run has registered is still its own.

    :raises DatasetConflictError: LEASE_LOST
    """
    if plan.action not in WRITES:
        return
    lease = read_journal(run.s3, run.dataset).lease
    if lease is not None and lease.holder == run.holder:
        return
    found = read_current(run.s3, run.dataset)
    # An earlier try of this task may have come as far as to end the lease.
    if found is None or found[0].run != run.holder:
        raise lease_lost(run)


def _make_current(
    run: ImportRun, built: dict[str, Any], summary: SnapshotSummary, plan: Plan, reconciled: dict[str, Any]
) -> CurrentSnapshot | None:
    """Name the registered snapshot; None where another run has registered one meanwhile."""
    found = read_current(run.s3, run.dataset)
    before = found[0] if found else None
    # A run that has taken over since then changes the document that was just read, and the condition notices it.
    _fence(run, plan)
    if before is not None and before.snapshot_id == summary.snapshot_id:
        return before
    if plan.action not in WRITES and before != plan.fingerprint.current:
        log.warning("Another run has registered the dataset since this one looked: %s stays.", run.dataset.current)
        return None
    digest = summary_sha256(run.s3, run.dataset, summary.snapshot_id)
    content = reconciled["content_sha256"] or (before.content_sha256 if before else "")
    stats = reconciled["dataset_stats"]
    current = CurrentSnapshot(
        snapshot_id=summary.snapshot_id,
        manifest_sha256=summary.manifest_sha256,
        dataset_arn=reconciled["dataset_arn"],
        registered_at=utc_now(),
        objects_sha256=built["objects_sha256"],
        is_holding=plan.merged.held > 0 if plan.merged else before is not None and before.is_holding,
        has_dropped=any(row["reason"] == Reason.DROPPED_BY_SERVICE for row in reconciled["reasons"]),
        dataset_updated_at=reconciled["dataset_updated_at"],
        run=run.holder,
        origin=plan.origin,
        bases={
            **(before.bases if before else {}),
            plan.origin: Base(snapshot_id=summary.snapshot_id, summary_sha256=digest, begun_at=run.begun_at),
        },
        entries=stats["TotalEntries"],
        labelled=stats["LabeledEntries"],
        content_sha256=content,
        announced=before.announced if before else "",
        summary_sha256=digest,
    )
    write_current(run.s3, run.dataset, current, expected_etag=found[1] if found else None)
    return current


def acknowledge(run: ImportRun, snapshot_id: str) -> None:
    """Note that the asset event of a snapshot was sent; until then it may be sent once more."""
    found = read_current(run.s3, run.dataset)
    if found is None or found[0].snapshot_id != snapshot_id or found[0].announced == found[0].announcement:
        return
    current, etag = found
    try:
        write_current(
            run.s3,
            run.dataset,
            msgspec.structs.replace(current, announced=current.announcement),
            expected_etag=etag,
        )
    except DatasetConflictError as error:
        # The other run sends an event of its own.
        log.info("%s", error)


def _release(run: ImportRun, plan: Plan) -> None:
    """End the lease, where this run took it: nothing is under way any more."""
    journal = read_journal(run.s3, run.dataset)
    if journal.lease and journal.lease.holder == run.holder:
        remainder = _remainder(run, plan, journal.replacement)
        HeldJournal.resume(run.s3, run.dataset, run.holder).commit(plan.origin, remainder)


def _remainder(run: ImportRun, plan: Plan, replacement: Replacement | None) -> Replacement | None:
    """What the journal goes on naming: entries whose images do not exist, and that are not this import's to remove."""
    if plan.merged is None:
        # Nothing has changed, not even that.
        return replacement
    left = plan.merged.left
    if left is None or (replacement is not None and replacement.is_remainder and replacement.sha256 == left.sha256):
        return replacement if left else None
    uri = run.dataset.export(f"{run.slug}-left")
    copy_object(run.s3, S3Uri.parse(left.uri), uri)
    return Replacement(
        dataset_arn=replacement.dataset_arn if replacement else plan.dataset_arn,
        entries=str(uri),
        count=left.count,
        sha256=left.sha256,
        is_remainder=True,
    )


def _send_event(run: ImportRun, summary: SnapshotSummary, reconciled: dict[str, Any]) -> None:
    request = run.request
    asset = Asset(name=f"custom_labels/{request.project}/{request.dataset_type}", uri=str(run.dataset.current))
    get_current_context()["outlet_events"][DATASETS].add(
        asset,
        extra={
            "snapshot_id": summary.snapshot_id,
            "manifest": summary.manifest,
            "manifest_sha256": summary.manifest_sha256,
            "dataset_arn": reconciled["dataset_arn"],
            "images": reconciled["dataset_stats"]["TotalEntries"],
            "labels": len(reconciled["images_per_label"]),
        },
    )
