"""The ledger of a run in its last state: what the merge, the service and people made of each image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from heapq import merge as merge_sorted
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, Final

import msgspec

from include.custom_labels.advice import advise
from include.custom_labels.ledger import LedgerPage, LedgerSummary
from include.custom_labels.locations import S3Uri
from include.custom_labels.merge import ENTRY_STAYS, Outcome
from include.custom_labels.outcomes import OutcomeRow, SentColumn, close_pages
from include.object_store.sent_digests import read_sent
from include.object_store.tables import PAGE_ROWS, read_ledger, write_ledger
from include.pipelines.dataset_merge import base_of, read_outcomes
from include.pipelines.registration import Plan
from include.pipelines.runs import ImportRun
from include.pipelines.verification import Verified

# Outcomes of images for which this import has no line.
_WITHOUT_LINE: Final = frozenset({Outcome.HELD, Outcome.WITHHELD, Outcome.ASIDE})


def reconcile(run: ImportRun, built: Mapping[str, Any], plan: Plan, verified: Verified) -> dict[str, Any]:
    """Close the ledger, and say what came of the run for those who report it."""
    pages: Iterable[LedgerPage] = read_ledger(run.s3, S3Uri.parse(built["ledger"]))
    if plan.action not in ("build_only", "superseded"):
        pages = close_pages(
            pages,
            _outcomes(run, plan, verified),
            SentColumn(_sent(run, built, plan)),
            verified.entries,
            verified.errors,
            built["bucket"],
        )
    summary = LedgerSummary()

    def counted() -> Iterator[LedgerPage]:
        for page in pages:
            summary.add(page)
            yield page

    ledger = write_ledger(run.s3, run.staged("closed-ledger.parquet"), counted())
    return {
        "plan": plan.to_json(),
        "dataset_arn": verified.dataset_arn,
        "dataset_stats": verified.stats,
        "dataset_updated_at": verified.dataset_updated_at,
        "content_sha256": verified.content_sha256,
        "ledger": {"uri": str(ledger.uri), "sha256": ledger.sha256, "size_bytes": ledger.size_bytes},
        "states": {str(state): count for state, count in summary.states.items()},
        "reasons": [
            {
                "state": str(state),
                "reason": str(reason),
                "count": count,
                "what_to_do": advise(reason, reason.explanation, run.request.parameters),
                "samples": [{"key": key, "detail": detail} for key, detail in summary.samples[state, reason]],
            }
            for (state, reason), count in sorted(summary.reasons.items())
        ],
        "images_per_label": _labels(run, plan, verified, summary),
        "images_per_label_of_source": dict(sorted(built["images_per_label"].items())),
    }


def _labels(run: ImportRun, plan: Plan, verified: Verified, summary: LedgerSummary) -> dict[str, int]:
    """Images per label in the dataset; of a run that leaves no dataset, in the source."""
    if verified.labels is not None:
        return verified.labels
    base = base_of(run, plan.fingerprint.current, plan.origin) if plan.action == "unchanged" else None
    if base is not None:
        return dict(base.summary.details["images_per_label"])
    return dict(sorted(summary.images_per_label.items()))


def _outcomes(run: ImportRun, plan: Plan, verified: Verified) -> Iterator[OutcomeRow]:
    """What the plan has to say, and of images that people have changed since, that.

    What is held stays held, and what is withheld stays so, with the new entry. Where the row is about work that is kept
    aside, it stays: the edit is in the dataset, where the next run finds both.
    """
    planned = read_outcomes(run, plan.outcomes) if plan.outcomes else iter(())
    key = attrgetter("key")
    for _, rows in groupby(merge_sorted(verified.edits, planned, key=key), key=key):
        # Of two rows of a key, the one of the edit comes first.
        row, *rest = rows
        if not rest or rest[0].outcome not in _WITHOUT_LINE:
            yield row
        elif rest[0].outcome is Outcome.HELD or ENTRY_STAYS in rest[0].detail:
            yield msgspec.structs.replace(rest[0], entry=row.entry, is_labelled=row.is_labelled)
        else:
            yield rest[0]


def _sent(run: ImportRun, built: Mapping[str, Any], plan: Plan) -> Iterator[tuple[list[str], list[bytes | None]]]:
    """Keys, and what was sent last for each: as the plan says, else as it is carried on from the base."""
    if plan.digests:
        head = f"s3://{built['bucket']}/"
        pairs = (pair for pair in read_sent(run.s3, S3Uri.parse(plan.digests)) if pair[0].startswith(head))
        while some := list(islice(pairs, PAGE_ROWS)):
            yield [name.removeprefix(head) for name, _ in some], [digest for _, digest in some]
        return
    base = base_of(run, plan.fingerprint.current, plan.origin)
    for page in base.ledger_pages() if base else ():
        if page.sent is not None:
            yield page.objects.keys, page.sent
