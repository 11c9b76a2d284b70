"""The steps that only the import source *S3 folder* has: list the folder, and label by folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from include.custom_labels.errors import AccessError
from include.custom_labels.known_images import KnownImages
from include.custom_labels.ledger import LedgerPage
from include.custom_labels.locations import S3Uri
from include.custom_labels.versions import ObjectsAsOf
from include.object_store.listing import list_objects as list_present
from include.object_store.registered_snapshot import nearest_ledger
from include.object_store.tables import read_pages, write_pages_as_of
from include.object_store.version_listing import versioning_of
from include.pipelines.past_folder import LaterObjects, OldVersions, list_past, located
from include.pipelines.requests import S3FolderRequest
from include.pipelines.runs import ImportRun
from include.pipelines.shards import write_shards
from include.pipelines.steps import Progress, step

log = logging.getLogger(__name__)


@step
def list_objects(run: dict[str, Any]) -> dict[str, Any]:
    """List what lies below the S3 folder location, with size, ETag and time, in the order of the keys.

    A run as of the past lists what lay there then, from the versions of the objects. Fails with FOLDER_EMPTY where
    there is nothing, and with VERSIONS_NEEDED where the bucket keeps no versions and `unversioned` does not accept it.
    """
    import_run = ImportRun.from_json(run)
    request = _request(import_run)
    folder = request.location
    counts = {"objects": 0, "size_bytes": 0, "overwritten": 0}
    later: LaterObjects | None = None
    if import_run.is_past and (versioning := versioning_of(import_run.s3, folder.bucket)) == "Enabled":
        pages = list_past(import_run, folder)
    else:
        progress = Progress("objects listed")
        listed = list_present(import_run.s3, folder, on_progress=progress)
        if import_run.is_past:
            later = LaterObjects(import_run, folder, versioning)
            listed = map(later.seen, listed)
        pages = (ObjectsAsOf(page, [None] * len(page)) for page in listed)

    def counted() -> Iterator[ObjectsAsOf]:
        for page in pages:
            counts["objects"] += len(page.objects)
            counts["size_bytes"] += sum(page.objects.sizes)
            counts["overwritten"] += len(page.version_ids) - page.version_ids.count(None)
            yield page

    stored = write_pages_as_of(import_run.s3, import_run.staged("listing.parquet"), counted())
    moment = f" as of {import_run.as_of.isoformat()}" if import_run.is_past and later is None else ""
    log.info("%s%s: %s objects, %s bytes.", folder, moment, f"{counts['objects']:,}", f"{counts['size_bytes']:,}")
    if later:
        later.report(accepted=request.unversioned == "accept")
    if not counts["objects"]:
        raise AccessError(
            "FOLDER_EMPTY",
            f"There is nothing below {folder}{moment}.",
            "Check the spelling, which is case-sensitive, and `as_of`, or upload the images first.",
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
    labelling = request.labelling(import_run.as_of_second)
    listing = S3Uri.parse(listed["listing"])
    known = KnownImages(_last_ledger(import_run))
    opened = map(labelling.open_ledger, read_pages(import_run.s3, listing))
    # A run as of the past does not take what was written later for what was there.
    place = None if import_run.is_past else request.labelling("").place
    pages = (known.carry(page, place) for page in opened)
    old = OldVersions(import_run, listing) if listed["overwritten"] else None
    shards = write_shards(
        import_run, request.location.bucket, pages, place=request.s3_folder, old_versions=old.count if old else None
    )
    log.info("%s images are those of the last snapshot, and are not read again.", f"{known.unchanged:,}")
    return located(shards, listing) if old else shards


def _last_ledger(run: ImportRun) -> Iterator[LedgerPage]:
    """The ledger of the nearest snapshot; of a split import, that of the training dataset has every object."""
    dataset = run.workspace.dataset(run.request.project, "test" if run.request.dataset_type == "test" else "train")
    found = nearest_ledger(run.s3, dataset, run.as_of, or_later=True)
    return found[1] if found is not None else iter(())


def _request(run: ImportRun) -> S3FolderRequest:
    if not isinstance(run.request, S3FolderRequest):
        raise TypeError(f"{type(run.request).__name__} names no S3 folder")
    return run.request
