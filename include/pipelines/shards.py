"""A labelled ledger cut into shards, one for each mapped task of the inspection, and the limits it has to keep."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from include.custom_labels.codes import Code
from include.custom_labels.images import unread
from include.custom_labels.ledger import AT_FAULT, IN_MANIFEST, LedgerPage, LedgerSummary, State
from include.custom_labels.locations import S3Uri
from include.custom_labels.quotas import MAX_LABELS, regional_quotas
from include.custom_labels.refusals import NOT_IMPORTED
from include.custom_labels.validation_results import first_names
from include.custom_labels.visible_text import visible
from include.object_store.tables import LEDGER_SCHEMA, TableWriter, append_ledger_page, read_ledger
from include.pipelines.refusals import refuse
from include.pipelines.runs import ImportRun
from include.pipelines.shard_size import COPIED_PER_S, INSPECTED_PER_S, KNOWN_PER_S, MAX_SHARDS, seconds_per_shard

log = logging.getLogger(__name__)


def write_shards(
    run: ImportRun,
    bucket: str,
    pages: Iterable[LedgerPage],
    *,
    place: str,
    images_per_s: float = INSPECTED_PER_S,
    old_versions: Callable[[LedgerPage], int] | None = None,
) -> list[dict[str, Any]]:
    """Write the ledger in shards, and describe each of them for its mapped task.

    :param bucket: of the images
    :param pages: in key order; none is divided
    :param place: what is imported, for errors
    :param images_per_s: how fast a mapped task is done with images of unknown size
    :param old_versions: how many images of a page have to be copied from old versions, asked once for each page
    :raises ManifestError: there is no image, or there are more images or labels than a dataset may have; the ledger is
        then in the run's staging folder as a whole
    :raises RequestError: INVALID_SHARD_SECONDS
    """
    shard_s = seconds_per_shard()
    # With so many images in each, a dataset's images are never in more shards than Airflow can map over.
    least = -(-_max_images(run) // MAX_SHARDS)
    summary = LedgerSummary()
    work_s = 0.0
    shards: list[dict[str, Any]] = []
    with ExitStack() as open_tables:
        table: TableWriter | None = None
        for page in pages:
            summary.add(page)
            if table is None or (work_s >= shard_s and shards[-1]["images"] >= least):
                open_tables.close()
                uri = run.staged(f"labelled/{len(shards):04}.parquet")
                table = open_tables.enter_context(TableWriter(run.s3, uri, LEDGER_SCHEMA))
                counts = {"objects": 0, "images": 0, "unread": 0, "old_versions": 0}
                shards.append({"shard": len(shards), "bucket": bucket, "ledger": str(uri), **counts})
                work_s = 0.0
            unknown = sum(unread(page))
            copied = old_versions(page) if old_versions else 0
            append_ledger_page(table, page)
            shards[-1]["objects"] += len(page)
            shards[-1]["images"] += sum(state in IN_MANIFEST for state in page.states)
            shards[-1]["unread"] += unknown
            shards[-1]["old_versions"] += copied
            work_s += len(page) / KNOWN_PER_S + unknown / images_per_s + copied / COPIED_PER_S
    _check_totals(run, summary, place, shards)
    log.info(
        "%s labelled images with %s labels, %s without a label, in %s shards; %s objects are skipped or rejected.",
        f"{summary.states[State.LABELLED]:,}",
        len(summary.images_per_label),
        f"{summary.states[State.UNLABELLED]:,}",
        len(shards),
        f"{summary.objects - summary.in_manifest:,}",
    )
    return shards


def _max_images(run: ImportRun) -> int:
    """What is going to be split is no more than what one dataset may have."""
    return regional_quotas(run.region).images("TEST" if run.request.dataset_type == "test" else "TRAIN")


def pages_of(run: ImportRun, shards: Iterable[Mapping[str, Any]]) -> Iterator[LedgerPage]:
    """The ledger that was cut into these shards."""
    for shard in shards:
        yield from read_ledger(run.s3, S3Uri.parse(shard["ledger"]))


def _check_totals(run: ImportRun, summary: LedgerSummary, place: str, shards: list[dict[str, Any]]) -> None:
    labels, images, limit = len(summary.images_per_label), summary.in_manifest, _max_images(run)
    if not images:
        code = Code.ERROR_EMPTY_MANIFEST
        message = f"None of the {summary.objects:,} objects of {place} is an image to import"
        advice = "Check where the import looks and what it leaves out."
    elif labels > MAX_LABELS.value:
        code = Code.ERROR_MANIFEST_TOO_MANY_LABELS
        message = (
            f"{place} has {labels:,} labels, and a dataset has at most {MAX_LABELS.value}; the labels are"
            f" {first_names(map(visible, summary.images_per_label))}"
        )
        advice = "Import a part of it, or join labels."
    elif images > limit:
        code = Code.ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM
        message = f"{place} has {images:,} images, and a dataset in {run.region} has at most {limit:,}"
        advice = "Import a part of it, or ask AWS for a higher quota where the Region has one."
    else:
        return
    # Only an empty import is the fault of what was left out.
    states = AT_FAULT if images else NOT_IMPORTED
    raise refuse(run, code, message, advice, pages_of(run, shards), states=states)
