"""The steps that only the import source *S3 folder* has: list the folder, and label by folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from include.custom_labels.errors import AccessError
from include.custom_labels.locations import S3Uri
from include.custom_labels.objects import ObjectPage
from include.object_store import listing
from include.object_store.tables import read_pages, write_pages
from include.pipelines.requests import S3FolderRequest
from include.pipelines.runs import ImportRun
from include.pipelines.shards import write_shards
from include.pipelines.steps import Progress, step

log = logging.getLogger(__name__)


@step
def list_objects(run: dict[str, Any]) -> dict[str, Any]:
    """List what lies below the S3 folder location, with size, ETag and time, in the order of the keys.

    Fails with FOLDER_EMPTY where there is nothing.
    """
    import_run = ImportRun.from_json(run)
    folder = _request(import_run).location
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
    request = _request(import_run)
    labelling = request.labelling(import_run.as_of)
    pages = map(labelling.open_ledger, read_pages(import_run.s3, S3Uri.parse(listed["listing"])))
    return write_shards(import_run, request.location.bucket, pages, place=request.s3_folder)


def _request(run: ImportRun) -> S3FolderRequest:
    if not isinstance(run.request, S3FolderRequest):
        raise TypeError(f"{type(run.request).__name__} names no S3 folder")
    return run.request
