"""After the last write: the service's counts against what was sent, and the ledger in its last state."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from include.custom_labels.advice import advise
from include.custom_labels.dataset_entries import Entry, read_entry
from include.custom_labels.errors import DatasetConflictError
from include.custom_labels.history import identity
from include.custom_labels.ledger import LedgerPage, LedgerSummary
from include.custom_labels.locations import S3Uri
from include.custom_labels.outcomes import close_pages
from include.object_store.tables import read_ledger, write_ledger
from include.pipelines.dataset_merge import read_outcomes
from include.pipelines.registration import Plan
from include.pipelines.runs import ImportRun
from include.pipelines.steps import Progress, step

log = logging.getLogger(__name__)


@step
def reconcile(
    run: dict[str, Any], built: dict[str, Any], plan: dict[str, Any], carried_out: dict[str, Any] | None
) -> dict[str, Any]:
    """Compare the dataset's counts with what was sent, look up every difference, and close the ledger."""
    import_run = ImportRun.from_json(run)
    decided = msgspec.convert(carried_out or plan, Plan)
    summary = LedgerSummary()
    description: dict[str, Any] = {}
    dataset_arn = ""
    if decided.action in ("build_only", "superseded"):
        pages: Iterable[LedgerPage] = read_ledger(import_run.s3, S3Uri.parse(built["ledger"]))
    else:
        dataset_arn, description = _describe(import_run)
        pages = _closed(import_run, built, decided, dataset_arn, description["DatasetStats"])

    def counted() -> Iterator[LedgerPage]:
        for page in pages:
            summary.add(page)
            yield page

    ledger = write_ledger(import_run.s3, import_run.staged("closed-ledger.parquet"), counted())
    return {
        "plan": decided.to_json(),
        "dataset_arn": dataset_arn,
        "dataset_stats": description.get("DatasetStats", {}),
        "dataset_updated_at": description["LastUpdatedTimestamp"].isoformat() if description else "",
        "ledger": {"uri": str(ledger.uri), "sha256": ledger.sha256, "size_bytes": ledger.size_bytes},
        "states": {str(state): count for state, count in summary.states.items()},
        "reasons": [
            {
                "state": str(state),
                "reason": str(reason),
                "count": count,
                "what_to_do": advise(reason, reason.explanation, import_run.request.parameters),
                "samples": [{"key": key, "detail": detail} for key, detail in summary.samples[state, reason]],
            }
            for (state, reason), count in sorted(summary.reasons.items())
        ],
        "images_per_label": dict(sorted(summary.images_per_label.items())),
    }


def _describe(run: ImportRun) -> tuple[str, dict[str, Any]]:
    dataset = run.rekognition.find_dataset(run.request.project, run.dataset_type)
    if dataset is None:
        raise DatasetConflictError(
            "DATASET_VANISHED",
            f"The {run.request.dataset_type} dataset of {run.request.project} is gone.",
            "Someone deleted it during this run; run again to create it.",
        )
    arn: str = dataset["DatasetArn"]
    return arn, run.rekognition.describe_dataset(arn)


def _closed(
    run: ImportRun, built: dict[str, Any], plan: Plan, dataset_arn: str, stats: dict[str, int]
) -> Iterator[LedgerPage]:
    entries: dict[str, Entry] | None = None
    errors: dict[str, Entry] = {}
    if _differs(stats, plan):
        log.warning("The dataset's counts %s are not those that were sent; its entries are looked up.", stats)
        entries = _entries(run, dataset_arn, stats["TotalEntries"])
        errors = {name: entry for name, entry in entries.items() if entry.errors}
    elif stats.get("ErrorEntries", 0):
        log.warning("%s entries have errors; they are looked up.", f"{stats['ErrorEntries']:,}")
        errors = _entries(run, dataset_arn, stats["ErrorEntries"], has_errors=True)
    outcomes = read_outcomes(run, plan.outcomes) if plan.outcomes else ()
    pages = read_ledger(run.s3, S3Uri.parse(built["ledger"]))
    return close_pages(pages, outcomes, entries, errors, built["bucket"])


def _differs(stats: dict[str, int], plan: Plan) -> bool:
    # Where nobody has touched the dataset since it was registered, that it is the same is known.
    return plan.entries >= 0 and (stats["TotalEntries"], stats["LabeledEntries"]) != (plan.entries, plan.labelled)


def _entries(run: ImportRun, dataset_arn: str, total: int, *, has_errors: bool | None = None) -> dict[str, Entry]:
    progress = Progress("dataset entries read", total)
    found: dict[str, Entry] = {}
    lines = run.rekognition.iterate_dataset_entries(dataset_arn, has_errors=has_errors)
    for count, line in enumerate(lines, start=1):
        source_ref, entry = read_entry(line.encode())
        found[identity(source_ref)] = entry
        progress(count)
    return found
