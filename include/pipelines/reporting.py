"""From what the steps of a run hand on to what people read: the question for approval, and the snapshot's report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from include.custom_labels.advice import advise
from include.custom_labels.diff import SnapshotDiff
from include.pipelines.gates import Gate
from include.pipelines.registration import Plan
from include.pipelines.required_action import approval_body, approval_subject
from include.pipelines.runs import ImportRun
from include.pipelines.samples import choose_samples, write_samples
from include.pipelines.snapshot_report import (
    ApprovalRow,
    BaseDifference,
    ImageChange,
    ReasonRow,
    RiskRow,
    SnapshotReport,
)


def question_of(run: ImportRun, built: Mapping[str, Any], plan: Plan, gate: Gate) -> dict[str, Any]:
    """Headline and page of what a person is asked, and the pictures of some of the images concerned."""
    report = report_of(run, plan, gate, lines=built["lines"], images_per_label=_after(gate))
    images = write_samples(run, choose_samples(report.difference)) if report.difference else []
    places = {"manifest": str(built["manifest"]), "ledger": str(built["ledger"])}
    return {
        "subject": approval_subject(report),
        "body": approval_body(report, images, places),
        "images": msgspec.to_builtins(images),
    }


def report_of(run: ImportRun, plan: Plan, gate: Gate, **more: Any) -> SnapshotReport:
    """The report of a run, as far as it has come.

    :param more: members that later steps add
    """
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
        images_per_label_before=_before(gate),
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
) -> SnapshotReport:
    """The report of a snapshot.

    :param manifest: ``s3://`` address
    :param ledger: ``s3://`` address
    """
    return report_of(
        run,
        msgspec.convert(reconciled["plan"], Plan),
        gate,
        snapshot_id=snapshot_id,
        dataset_arn=reconciled["dataset_arn"],
        manifest=manifest,
        ledger=ledger,
        images_per_label=reconciled["images_per_label"],
        reasons=msgspec.convert(reconciled["reasons"], tuple[ReasonRow, ...]),
        approval=approval,
        findings=dict(findings),
        split=gate.split,
        provenance=dict(provenance or {}),
        timings=dict(timings),
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
        added=diff.added,
        removed=diff.removed,
        relabelled=diff.relabelled,
        changed=diff.changed,
        moved=diff.moved,
        labels_appeared=tuple(diff.labels_appeared),
        labels_vanished=tuple(diff.labels_vanished),
        samples={kind: _changes(diff, kind) for kind in diff.samples},
    )


def _changes(diff: SnapshotDiff, kind: Any) -> tuple[ImageChange, ...]:
    return tuple(
        ImageChange(image=sample.image, before=sample.before, after=sample.after)
        for sample in diff.samples.get(kind, [])
    )


def _after(gate: Gate) -> dict[str, int]:
    return {label: count.after for label, count in gate.diff.labels.items() if count.after} if gate.diff else {}


def _before(gate: Gate) -> dict[str, int] | None:
    if gate.diff is None or not gate.base_snapshot_id:
        return None
    return {label: count.before for label, count in gate.diff.labels.items() if count.before}
