"""From what the steps of a run hand on to what people read: the question for approval, and the snapshot's report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from include.custom_labels.advice import advise
from include.custom_labels.diff import Difference, SnapshotDiff
from include.custom_labels.merge import Outcome
from include.pipelines.gates import Gate
from include.pipelines.registration import Plan
from include.pipelines.required_action import approval_body, approval_subject
from include.pipelines.runs import ImportRun
from include.pipelines.samples import choose_samples, write_samples
from include.pipelines.snapshot_report import (
    ApprovalRow,
    BaseDifference,
    Departures,
    ImageChange,
    ReasonRow,
    RiskRow,
    SnapshotReport,
)


def question_of(
    run: ImportRun,
    built: Mapping[str, Any],
    plan: Plan,
    gate: Gate,
    *,
    images_per_label: Mapping[str, int] | None = None,
    departures: Departures | None = None,
) -> dict[str, Any]:
    """Headline and page of what a person is asked, and the pictures of some of the images concerned.

    :param images_per_label: of the dataset as it would be; None where only the source's are known
    :param departures: of the merge with the dataset
    """
    after = _after(gate) if images_per_label is None else dict(images_per_label)
    report = report_of(run, plan, gate, lines=built["lines"], images_per_label=after, departures=departures)
    images = write_samples(run, choose_samples(report.difference)) if report.difference else []
    places = {"manifest": str(built["manifest"]), "ledger": str(built["ledger"])}
    return {
        "subject": approval_subject(report),
        "body": approval_body(report, images, places),
        "images": msgspec.to_builtins(images),
    }


def report_of(
    run: ImportRun, plan: Plan, gate: Gate, *, images_per_label_before: Mapping[str, int] | None = None, **more: Any
) -> SnapshotReport:
    """The report of a run, as far as it has come.

    :param images_per_label_before: of the dataset before; None where only the registered snapshot's are known
    :param more: members that later steps add
    """
    before = _before(gate) if images_per_label_before is None else dict(images_per_label_before)
    return SnapshotReport(
        project=run.request.project,
        dataset_type="train" if run.dataset_type == "TRAIN" else "test",
        action=plan.action,
        as_of=run.as_of,
        difference=_difference(gate),
        risks=tuple(
            RiskRow(
                code=risk.risk,
                explanation=advise(risk.risk, risk.risk.explanation, run.request.parameters),
                detail=risk.detail,
                count=risk.count,
                samples=risk.samples,
            )
            for risk in gate.risks
        ),
        images_per_label_before=before,
        **more,
    )


def registered_report_of(
    run: ImportRun,
    gate: Gate,
    reconciled: Mapping[str, Any],
    *,
    snapshot_id: str,
    manifest: str,
    ledger: str,
    findings: Mapping[str, int],
    approval: ApprovalRow | None,
    provenance: Mapping[str, Any] | None,
    timings: Mapping[str, float],
    images_per_label_before: Mapping[str, int] | None = None,
    images_per_label_of_source: Mapping[str, int] | None = None,
    departures: Departures | None = None,
) -> SnapshotReport:
    """The report of a snapshot.

    :param reconciled: with ``images_per_label`` of the dataset
    :param manifest: ``s3://`` address
    :param ledger: ``s3://`` address
    :param images_per_label_before: of the dataset before; None where only the registered snapshot's are known
    :param images_per_label_of_source: as the source alone says
    :param departures: of the merge with the dataset
    """
    of_source = dict(images_per_label_of_source) if images_per_label_of_source is not None else None
    return report_of(
        run,
        msgspec.convert(reconciled["plan"], Plan),
        gate,
        snapshot_id=snapshot_id,
        dataset_arn=reconciled["dataset_arn"],
        manifest=manifest,
        ledger=ledger,
        images_per_label=reconciled["images_per_label"],
        images_per_label_before=images_per_label_before,
        images_per_label_of_source=of_source if of_source != reconciled["images_per_label"] else None,
        departures=departures,
        reasons=msgspec.convert(reconciled["reasons"], tuple[ReasonRow, ...]),
        approval=approval,
        findings=dict(findings),
        split=gate.split,
        provenance=dict(provenance or {}),
        timings=dict(timings),
    )


def departures_of(plan: Plan) -> Departures | None:
    """What leaves its place by a plan; None where nothing was merged."""
    merged = plan.merged
    if merged is None:
        return None
    return Departures(
        removed=merged.removed.count,
        moved=merged.moved,
        kept_aside=merged.totals.get(Outcome.ASIDE, 0),
        gave_way=merged.gave_way,
    )


def approval_of(response: Mapping[str, Any] | None) -> ApprovalRow | None:
    """Who approved, as Airflow's human-in-the-loop operator returned it; None where nobody was asked."""
    if not response:
        return None
    user = response["responded_by_user"] or {}
    return msgspec.convert(
        {
            "by": str(user.get("name") or user.get("id") or "unknown"),
            "at": response["responded_at"],
            "option": ", ".join(response["chosen_options"]),
        },
        ApprovalRow,
    )


def _difference(gate: Gate) -> BaseDifference | None:
    diff = gate.diff
    if diff is None or not gate.base_snapshot_id:
        return None
    return BaseDifference(
        base_snapshot_id=gate.base_snapshot_id,
        added=diff.added - (diff.moved or 0),
        removed=diff.removed - (diff.moved or 0),
        relabelled=diff.relabelled,
        changed=diff.changed,
        moved=diff.moved,
        labels_appeared=tuple(diff.labels_appeared),
        labels_vanished=tuple(diff.labels_vanished),
        samples={kind: _changes(diff, kind) for kind in diff.samples},
    )


def _changes(diff: SnapshotDiff, kind: Difference) -> tuple[ImageChange, ...]:
    samples = diff.samples.get(kind, [])
    if kind in ("added", "removed"):
        # Those that were moved come last.
        samples = samples[: (diff.added if kind == "added" else diff.removed) - (diff.moved or 0)]
    return tuple(ImageChange(image=sample.image, before=sample.before, after=sample.after) for sample in samples)


def _after(gate: Gate) -> dict[str, int]:
    return {label: count.after for label, count in gate.diff.labels.items() if count.after} if gate.diff else {}


def _before(gate: Gate) -> dict[str, int] | None:
    if gate.diff is None or not gate.base_snapshot_id:
        return None
    return {label: count.before for label, count in gate.diff.labels.items() if count.before}
