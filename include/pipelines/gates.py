"""The gate before the first write: what is risky about a registration, and whether a person has to say yes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from include.custom_labels.advice import advise
from include.custom_labels.diff import Snapshot, SnapshotDiff, diff_snapshots
from include.custom_labels.errors import DatasetConflictError
from include.custom_labels.ledger import IN_MANIFEST, ledger_rows
from include.custom_labels.locations import S3Uri
from include.custom_labels.risks import BaseState, ProposedState, Risk, RiskFinding, find_risks
from include.custom_labels.sides import content_digest, identity_digest
from include.custom_labels.split_report import SplitReport
from include.object_store.registered_snapshot import RegisteredSnapshot, nearest_whole_snapshot, read_registered
from include.object_store.snapshots import DatasetType, read_current
from include.object_store.streams import read_chunks
from include.object_store.tables import read_ledger, read_ledger_objects
from include.pipelines.registration import WRITES, Plan
from include.pipelines.runs import ImportRun

GATE_KEY = "gate"
"""XCom key of what the gate found."""

_OTHER: dict[DatasetType, DatasetType] = {"train": "test", "test": "train"}

_WITHOUT_A_WRITE: Final = frozenset({Risk.BOXES_ON_NEW_CONTENT})
"""Risks of runs that leave the dataset as it is: the source has changed beneath it."""

log = logging.getLogger(__name__)


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate found.

    :ivar base_snapshot_id: of the snapshot that the run is compared with; empty where there is none
    :ivar diff: None where nothing can have changed
    :ivar split: the report of the split that gave the dataset its images; None where there was none
    """

    base_snapshot_id: str = ""
    diff: SnapshotDiff | None = None
    risks: list[RiskFinding] = []
    split: SplitReport | None = None


def check_gate(run: ImportRun, built: Mapping[str, Any], plan: Plan, split: SplitReport | None) -> Gate:
    """Compare the manifest with the snapshot before it, and look for risks where dataset or source have changed."""
    if plan.action == "unchanged" and plan.entries < 0:
        # The same objects as in the registered snapshot, and nobody has touched the dataset.
        return Gate(base_snapshot_id=plan.base_snapshot_id, split=split)
    base = _base(run, plan)
    diff = diff_snapshots(
        base.contents() if base else Snapshot(manifest=(), objects=()),
        Snapshot(
            manifest=read_chunks(run.s3, S3Uri.parse(built["manifest"])),
            objects=read_ledger_objects(run.s3, S3Uri.parse(built["ledger"])),
        ),
    )
    has_new_content = plan.merged is not None and plan.merged.work_on_new_bytes.count > 0
    risks: list[RiskFinding] = []
    if plan.action in WRITES or has_new_content:
        found = find_risks(_state(run, built, plan, diff, split), _accepted(run))
        risks = [each for each in found if plan.action in WRITES or each.risk in _WITHOUT_A_WRITE]
    return Gate(base_snapshot_id=base.summary.snapshot_id if base else "", diff=diff, risks=risks, split=split)


def _accepted(run: ImportRun) -> list[Risk]:
    return [Risk(name) for name in run.request.accept_risks]


def _base(run: ImportRun, plan: Plan) -> RegisteredSnapshot | None:
    """What the same import was last registered from, or for a run that does not register, the snapshot before it."""
    if plan.action in ("build_only", "superseded"):
        return nearest_whole_snapshot(run.s3, run.dataset, run.as_of)
    current = plan.fingerprint.current
    if current is None or plan.origin not in current.bases:
        return None
    return read_registered(run.s3, run.dataset, current, current.bases[plan.origin])


def _state(
    run: ImportRun, built: Mapping[str, Any], plan: Plan, diff: SnapshotDiff, split: SplitReport | None
) -> ProposedState:
    leaked, samples = _leakage(run, built, split)
    merged = plan.merged
    if merged is None:
        raise ValueError("a plan that writes has merged")
    current = plan.fingerprint.current
    is_created = plan.action in ("create", "recreate")
    return ProposedState(
        dataset_type=run.dataset_type,
        region=run.region,
        images=plan.entries,
        size_bytes=merged.size_bytes,
        images_per_label=merged.labels,
        images_seen=built["images"],
        at_fault=built["at_fault"],
        fault_samples=built["fault_samples"],
        # The dataset itself is what is compared: labels of entries that stay have not vanished.
        base=BaseState(images=diff.images_before, labels=None if is_created else list(merged.labels_before))
        if current
        else None,
        gone_dataset=current.dataset_arn if current and not plan.dataset_arn else "",
        max_removed_percent=run.request.max_removed_percent,
        removed=merged.removed.count,
        removed_samples=merged.removed.samples,
        moved=merged.moved,
        work_removed=merged.work_removed.count,
        work_removed_samples=merged.work_removed.samples,
        work_overwritten=merged.work_overwritten.count,
        work_overwritten_samples=merged.work_overwritten.samples,
        new_content=merged.work_on_new_bytes.count,
        new_content_samples=merged.work_on_new_bytes.samples,
        other_labels=_other_labels(run, split),
        leaked=leaked,
        leaked_samples=samples,
    )


def _other_labels(run: ImportRun, report: SplitReport | None) -> list[str] | None:
    """The labels of the project's other dataset: as this run splits the images, else as it is."""
    if report is not None:
        is_train = run.dataset_type == "TRAIN"
        return [
            name for name, label in report.labels.items() if (label.test_images if is_train else label.train_images)
        ]
    other = run.rekognition.find_dataset(run.request.project, "TEST" if run.dataset_type == "TRAIN" else "TRAIN")
    if other is None or not other["Status"].endswith("_COMPLETE"):
        return None
    return [label["LabelName"] for label in run.rekognition.iterate_dataset_labels(other["DatasetArn"])]


def _leakage(run: ImportRun, built: Mapping[str, Any], report: SplitReport | None) -> tuple[int, list[str]]:
    """Images whose content is in the other dataset too: as the split says, else as its registered snapshot does."""
    if report is not None:
        leakage = report.leakage
        return leakage.train_images + leakage.test_images, [f"{leak.train}, {leak.test}" for leak in leakage.samples]
    other = run.workspace.dataset(run.request.project, _OTHER["train" if run.dataset_type == "TRAIN" else "test"])
    current = read_current(run.s3, other)
    if current is None:
        return 0, []
    theirs = {digest for digest, _ in _contents(run, str(other.snapshot(current[0].snapshot_id).ledger))}
    leaks = [key for digest, key in _contents(run, built["ledger"]) if digest in theirs]
    return len(leaks), [f"s3://{built['bucket']}/{key}" for key in leaks[:20]]


def _contents(run: ImportRun, ledger: str) -> list[tuple[int, str]]:
    return [
        (content_digest(row.etag, row.size_bytes, identity_digest("", row.key)), row.key)
        for page in read_ledger(run.s3, S3Uri.parse(ledger))
        for row in ledger_rows(page)
        if row.state in IN_MANIFEST
    ]


def asks(run: ImportRun, plan: Plan, gate: Gate) -> bool:
    """Whether a person has to say yes.

    :raises DatasetConflictError: RISKS_FOUND, where nobody is to be asked
    """
    approval = run.request.approval
    if not gate.risks and (plan.action not in WRITES or approval != "always"):
        return False
    if approval == "never":
        first = gate.risks[0]
        others = f" {len(gate.risks) - 1} more: see the log." if len(gate.risks) > 1 else ""
        meaning = advise(first.risk, first.risk.explanation, run.request.parameters)
        raise DatasetConflictError(
            "RISKS_FOUND",
            f"{first.risk}: {first.detail}{others}",
            f"{meaning} Name the risk in `accept_risks` to go on with it, or set `approval` to "
            "`on_risk` to be asked. Nothing was changed.",
            risks=[risk.risk for risk in gate.risks],
        )
    return True
