"""The gate before the first write to Rekognition, and the reconciliation after the last."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import msgspec

from include.custom_labels.errors import DatasetConflictError
from include.custom_labels.ledger import IN_MANIFEST, LedgerPage, LedgerSummary, State
from include.custom_labels.locations import S3Uri
from include.custom_labels.reasons import Reason
from include.custom_labels.update_plan import Decision, Entry, UpdatePlan, read_entries, read_entry
from include.object_store.snapshots import read_current
from include.object_store.streams import ObjectWriter, put_json, read_json, read_lines
from include.object_store.tables import read_ledger, write_ledger
from include.pipelines.runs import ImportRun
from include.pipelines.steps import Progress, step

Action = Literal["build_only", "create", "recreate", "update", "unchanged"]

_SAMPLE_SIZE = 5

log = logging.getLogger(__name__)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What registration is going to do.

    :ivar dataset_arn: of the dataset that exists; empty where there is none
    :ivar changes: ``s3://`` address of the lines to send to a dataset that exists
    :ivar sent: their number, or that of all lines where the dataset is created
    :ivar kept: ``s3://`` address of the source-refs of entries that are left to people
    :ivar others: entries of another origin
    """

    action: Action
    project: str
    dataset_arn: str = ""
    changes: str = ""
    sent: int = 0
    kept: str = ""
    others: int = 0


class KeptEntry(msgspec.Struct, frozen=True):
    """:ivar is_labelled: whether the dataset's own entry has a label or a box"""

    source_ref: str
    is_labelled: bool


@step
def plan_registration(run: dict[str, Any], built: dict[str, Any]) -> dict[str, Any]:
    """Compare the manifest with the dataset that exists, and decide what to send; nothing is written to Rekognition.

    New images, and entries whose labels only this project has changed, are sent. Entries that a person changed are
    kept. Fails when the dataset is busy, or holds images that the folder no longer has.
    """
    import_run = ImportRun.from_json(run)
    plan = _plan(import_run, built)
    log.info("Registration: %s, %s lines to send.", plan.action, f"{plan.sent:,}")
    plain: dict[str, Any] = msgspec.to_builtins(plan)
    return plain


def _plan(run: ImportRun, built: dict[str, Any]) -> Plan:
    project, lines = run.request.project, built["lines"]
    if not run.request.register:
        return Plan(action="build_only", project=project)
    dataset = run.rekognition.find_dataset(project, run.dataset_type)
    if dataset is None:
        return Plan(action="create", project=project, sent=lines)
    arn, status = dataset["DatasetArn"], dataset["Status"]
    if status == "CREATE_FAILED":
        # Such a dataset has no entries; it only occupies the place.
        log.warning("The dataset that failed to be created is replaced: %s", dataset.get("StatusMessage"))
        return Plan(action="recreate", project=project, dataset_arn=arn, sent=lines)
    if status.endswith("_IN_PROGRESS"):
        raise DatasetConflictError(
            "DATASET_BUSY",
            f"The {run.request.dataset_type} dataset of {project} is in {status}.",
            "Wait until whoever works on it has finished, then run again.",
            dataset_arn=arn,
        )
    return _plan_update(run, built, arn)


def _plan_update(run: ImportRun, built: dict[str, Any], dataset_arn: str) -> Plan:
    theirs = _dataset_entries(run, dataset_arn)
    plan = UpdatePlan(theirs, _base_entries(run), run.request.scope)
    changes, kept_uri = run.staged("changes.manifest"), run.staged("kept.json")
    sent = 0
    kept: list[KeptEntry] = []
    with ObjectWriter(run.s3, changes, content_type="application/jsonlines") as writer:
        for line in read_lines(run.s3, S3Uri.parse(built["manifest"])):
            source_ref, ours = read_entry(line)
            decision = plan.decide(source_ref, ours)
            if decision is Decision.SEND:
                writer.write(line + b"\n")
                sent += 1
            elif decision is Decision.KEEP:
                kept.append(KeptEntry(source_ref, theirs[source_ref].is_labelled))
    _check_removed(run, plan.removed(), dataset_arn)
    put_json(run.s3, kept_uri, kept)
    return Plan(
        action="update" if sent else "unchanged",
        project=run.request.project,
        dataset_arn=dataset_arn,
        changes=str(changes),
        sent=sent,
        kept=str(kept_uri),
        others=plan.others(),
    )


def _check_removed(run: ImportRun, removed: list[str], dataset_arn: str) -> None:
    if not removed:
        return
    samples = ", ".join(removed[:_SAMPLE_SIZE])
    raise DatasetConflictError(
        "IMAGES_REMOVED",
        f"The dataset holds {len(removed):,} images that this import no longer has, such as {samples}.",
        "Rekognition cannot remove entries: put the images back, or export the dataset's entries, delete the "
        "dataset and run again. Nothing was changed.",
        dataset_arn=dataset_arn,
        removed=len(removed),
    )


def _dataset_entries(run: ImportRun, dataset_arn: str) -> dict[str, Entry]:
    total = run.rekognition.describe_dataset(dataset_arn)["DatasetStats"]["TotalEntries"]
    return read_entries(_encoded(run, dataset_arn, total))


def _encoded(run: ImportRun, dataset_arn: str, total: int) -> Iterator[bytes]:
    progress = Progress("dataset entries read", total)
    for count, entry in enumerate(run.rekognition.iterate_dataset_entries(dataset_arn), start=1):
        yield entry.encode()
        progress(count)


def _base_entries(run: ImportRun) -> dict[str, Entry]:
    """The entries of the snapshot that was last registered; none before the first registration."""
    current = read_current(run.s3, run.dataset)
    if current is None:
        return {}
    return read_entries(read_lines(run.s3, run.dataset.snapshot(current[0].snapshot_id).manifest))


@step
def reconcile(run: dict[str, Any], built: dict[str, Any], plan: dict[str, Any]) -> dict[str, Any]:
    """Compare the dataset's counts with what was sent, look up every difference, and close the ledger."""
    import_run = ImportRun.from_json(run)
    decided = msgspec.convert(plan, Plan)
    stats: dict[str, int] = {}
    dataset_arn = ""
    closing = _Closing(built["bucket"])
    if decided.action != "build_only":
        dataset = import_run.rekognition.find_dataset(decided.project, import_run.dataset_type)
        if dataset is None:
            raise DatasetConflictError(
                "DATASET_VANISHED",
                f"The {import_run.request.dataset_type} dataset of {decided.project} is gone.",
                "Someone deleted it during this run; run again to create it.",
            )
        dataset_arn = dataset["DatasetArn"]
        stats = import_run.rekognition.describe_dataset(dataset_arn)["DatasetStats"]
        if decided.kept:
            closing.kept = {entry.source_ref: entry for entry in _kept(import_run, decided.kept)}
        if _differs(stats, built, decided):
            log.warning("The dataset's counts %s are not those that were sent; its entries are looked up.", stats)
            closing.entries = _dataset_entries(import_run, dataset_arn)
        closing.is_registered = True
    summary = LedgerSummary()

    def closed() -> Iterator[LedgerPage]:
        for page in read_ledger(import_run.s3, S3Uri.parse(built["ledger"])):
            moved = closing.close(page)
            summary.add(moved)
            yield moved

    ledger = write_ledger(import_run.s3, import_run.staged("closed-ledger.parquet"), closed())
    return {
        "dataset_arn": dataset_arn,
        "dataset_stats": stats,
        "ledger": {"uri": str(ledger.uri), "sha256": ledger.sha256, "size_bytes": ledger.size_bytes},
        "states": {str(state): count for state, count in summary.states.items()},
        "reasons": [
            {
                "state": str(state),
                "reason": str(reason),
                "count": count,
                "what_to_do": reason.explanation,
                "samples": [{"key": key, "detail": detail} for key, detail in summary.samples[state, reason]],
            }
            for (state, reason), count in sorted(summary.reasons.items())
        ],
        "images_per_label": dict(sorted(summary.images_per_label.items())),
    }


def _kept(run: ImportRun, uri: str) -> list[KeptEntry]:
    found = read_json(run.s3, S3Uri.parse(uri), list[KeptEntry])
    if found is None:
        raise RuntimeError(f"{uri} is gone")
    return found[0]


def _differs(stats: dict[str, int], built: dict[str, Any], plan: Plan) -> bool:
    if stats.get("ErrorEntries", 0) or stats["TotalEntries"] != built["lines"] + plan.others:
        return True
    # What people or other imports labelled is not known without listing, so only a fresh dataset is held to it.
    return plan.action in ("create", "recreate") and stats["LabeledEntries"] != built["labelled"]


class _Closing:
    """The last move of each ledger row.

    :ivar entries: the dataset's entries, where its counts gave reason to look them up
    """

    def __init__(self, bucket: str) -> None:
        self.is_registered = False
        self.kept: dict[str, KeptEntry] = {}
        self.entries: dict[str, Entry] | None = None
        self._bucket = bucket

    def close(self, page: LedgerPage) -> LedgerPage:
        if not self.is_registered:
            return page
        moved = replace(page, states=list(page.states), reasons=list(page.reasons), details=list(page.details))
        for at, state in enumerate(page.states):
            if state in IN_MANIFEST:
                self._close_row(moved, at, f"s3://{self._bucket}/{page.objects.keys[at]}")
        return moved

    def _close_row(self, page: LedgerPage, at: int, source_ref: str) -> None:
        entry = self.entries.get(source_ref) if self.entries is not None else None
        if self.entries is not None and entry is None:
            page.states[at], page.reasons[at] = State.DROPPED, Reason.DROPPED_BY_SERVICE
        elif entry is not None and entry.errors:
            page.states[at], page.reasons[at] = State.DROPPED, Reason.ENTRY_ERROR
            page.details[at] = ", ".join(entry.errors)
        elif source_ref in self.kept:
            page.states[at] = State.REGISTERED if self.kept[source_ref].is_labelled else State.UNLABELLED
            page.reasons[at] = Reason.KEPT_DATASET_ENTRY
            page.details[at] = f"the folder says {page.labels[at]!r}"
        elif page.states[at] is State.LABELLED:
            page.states[at] = State.REGISTERED
