"""The steps that only the import source *S3 folder* has: list the folder, and label by folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from include.custom_labels.codes import Code
from include.custom_labels.errors import AccessError, ManifestError
from include.custom_labels.ledger import IN_MANIFEST, LedgerPage, LedgerSummary
from include.custom_labels.locations import S3Uri
from include.custom_labels.objects import ObjectPage
from include.custom_labels.quotas import MAX_LABELS, regional_quotas
from include.object_store import listing
from include.object_store.tables import LEDGER_SCHEMA, TableWriter, append_ledger_page, read_pages, write_pages
from include.pipelines.runs import ImportRun
from include.pipelines.steps import Progress, step

IMAGES_PER_SHARD = 20_000
"""Images that one mapped task inspects: about half a minute of work at 80 ms a request and 64 requests at a time."""

log = logging.getLogger(__name__)


@step
def list_objects(run: dict[str, Any]) -> dict[str, Any]:
    """List what lies below the S3 folder location, with size, ETag and time, in the order of the keys.

    Fails with FOLDER_EMPTY where there is nothing.
    """
    import_run = ImportRun.from_json(run)
    folder = import_run.request.location
    counts = {"objects": 0, "size_bytes": 0}

    def counted(pages: Iterator[ObjectPage]) -> Iterator[ObjectPage]:
        for page in pages:
            counts["objects"] += len(page)
            counts["size_bytes"] += sum(page.sizes)
            yield page

    pages = listing.list_objects(import_run.s3, folder, on_progress=Progress("objects listed"))
    stored = write_pages(import_run.s3, import_run.staged("listing.parquet"), counted(pages))
    log.info("%s holds %s objects, %s bytes.", folder, f"{counts['objects']:,}", f"{counts['size_bytes']:,}")
    if not counts["objects"]:
        raise AccessError(
            "FOLDER_EMPTY",
            f"There is nothing below {folder}.",
            "Check the spelling, which is case-sensitive, or upload the images first.",
        )
    return {"listing": str(stored.uri), **counts}


@step
def assign_labels(run: dict[str, Any], listed: dict[str, Any]) -> list[dict[str, Any]]:
    """Label images with the first folder below the S3 folder location, and say why other objects are no images.

    The result is one shard for each mapped task of the inspection. Fails before any image is read on more labels or
    images than a dataset may have, and where there is no image at all.
    """
    import_run = ImportRun.from_json(run)
    labelling = import_run.request.labelling(import_run.as_of)
    bucket = import_run.request.location.bucket
    summary = LedgerSummary()
    shards: list[dict[str, Any]] = []
    with ExitStack() as open_tables:
        table: TableWriter | None = None
        for page in read_pages(import_run.s3, S3Uri.parse(listed["listing"])):
            ledger = labelling.open_ledger(page)
            summary.add(ledger)
            if table is None or shards[-1]["images"] >= IMAGES_PER_SHARD:
                open_tables.close()
                uri = import_run.staged(f"labelled/{len(shards):04}.parquet")
                table = open_tables.enter_context(TableWriter(import_run.s3, uri, LEDGER_SCHEMA))
                shards.append({"shard": len(shards), "bucket": bucket, "ledger": str(uri), "objects": 0, "images": 0})
            append_ledger_page(table, ledger)
            shards[-1]["objects"] += len(ledger)
            shards[-1]["images"] += _images(ledger)
    _check_totals(import_run, summary)
    log.info(
        "%s images with %s labels, %s without a label, in %s shards; %s objects are skipped or rejected.",
        f"{summary.images_per_label.total():,}",
        len(summary.images_per_label),
        f"{summary.in_manifest - summary.images_per_label.total():,}",
        len(shards),
        f"{summary.objects - summary.in_manifest:,}",
    )
    return shards


def _images(page: LedgerPage) -> int:
    return sum(state in IN_MANIFEST for state in page.states)


def _check_totals(run: ImportRun, summary: LedgerSummary) -> None:
    labels, images = len(summary.images_per_label), summary.in_manifest
    folder = run.request.s3_folder
    if not images:
        raise ManifestError(
            Code.ERROR_EMPTY_MANIFEST,
            f"None of the {summary.objects:,} objects below {folder} is an image to import.",
            "Check the folder, the parameters `exclude` and `as_of`, and the reasons in the task's log.",
            reasons={f"{state}/{reason}": count for (state, reason), count in summary.reasons.items()},
        )
    if labels > MAX_LABELS.value:
        raise ManifestError(
            Code.ERROR_MANIFEST_TOO_MANY_LABELS,
            f"{folder} has images in {labels:,} child folders, and a dataset has at most {MAX_LABELS.value} labels.",
            "Give a deeper folder, join labels with `label_aliases`, or leave folders out with `exclude`.",
            labels=labels,
        )
    limit = regional_quotas(run.region).images(run.dataset_type)
    if images > limit:
        raise ManifestError(
            Code.ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM,
            f"{folder} has {images:,} images, and a dataset in {run.region} has at most {limit:,}.",
            "Give a deeper folder, or leave images out with `exclude`.",
            images=images,
        )
