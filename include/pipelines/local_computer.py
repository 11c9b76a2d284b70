"""The steps that only the import source *Local computer* has: stage files, upload them, and add them to the dataset.

Images are added: what the dataset held before stays as it was last registered, whatever folder it lies in.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from heapq import merge
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

import msgspec

from include.custom_labels.codes import Code
from include.custom_labels.errors import RequestError
from include.custom_labels.labelling import FolderLabelling
from include.custom_labels.ledger import IN_MANIFEST, LedgerRow, ledger_pages, ledger_rows
from include.custom_labels.local_files import (
    LocalFile,
    carried_page,
    check_upload_size,
    common_folder,
    merge_rows,
    refused_rows,
    sent_pages,
)
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.custom_labels.manifest import decode_line
from include.object_store.registered_snapshot import read_registered
from include.object_store.snapshots import read_current, read_summary
from include.object_store.uploads import FolderUpload, LocalFolder, StagedUpload, read_files, send_batches, write_files
from include.pipelines.access import AccessCheck, raise_on_failure
from include.pipelines.dataset_merge import UPLOADS
from include.pipelines.origins import registered_base
from include.pipelines.refusals import refuse
from include.pipelines.requests import AccessNeeds, LocalComputerRequest
from include.pipelines.runs import ImportRun, Request
from include.pipelines.shard_size import SENT_BYTES_PER_S, SENT_PER_S, cut, seconds_per_shard
from include.pipelines.shards import write_shards
from include.pipelines.steps import Progress, step

log = logging.getLogger(__name__)


@step
def stage_files(run: dict[str, Any]) -> dict[str, Any]:
    """Choose the destination, and look at every file of the local folder or the upload; nothing is sent yet.

    The result has one shard of the files for each mapped task of the upload. Fails with TOO_MANY_IMAGES where an
    upload holds more than `max_images`.
    """
    import_run = ImportRun.from_json(run)
    request = _request(import_run)
    shard_s = seconds_per_shard()
    destination = _destination(import_run, request)
    if request.local_folder is not None:
        with LocalFolder(request.local_folder) as folder:
            files = folder.staged(destination.prefix)
            place = folder.root.rstrip("/") + "/"
    else:
        upload = _upload(import_run, request)
        files = upload.staged(destination.prefix)
        place = upload.folder.prefix
        check_upload_size(files, request.max_images)
    uri = import_run.staged("files.jsonl")
    write_files(import_run.s3, uri, files)
    works_s = [
        0.0 if file.reason is not None else 1 / SENT_PER_S + file.size_bytes / SENT_BYTES_PER_S for file in files
    ]
    shards = [
        {"shard": number, "start": start, "stop": stop} for number, (start, stop) in enumerate(cut(works_s, shard_s))
    ]
    refused = Counter(str(file.reason) for file in files if file.reason is not None)
    counts = {"files": len(files), "images": len(files) - refused.total()}
    log.info("%s files, %s of them to be sent to %s; not sent: %s", *counts.values(), destination, dict(refused))
    return {
        "staged": str(uri),
        "place": place,
        "destination": str(destination),
        "shards": shards,
        "chosen": {"destination": str(destination)},
        **counts,
    }


@step
def divide_files(staged: dict[str, Any]) -> list[dict[str, Any]]:
    """The shards of the staged files, one for each mapped task: Airflow maps over the whole of what a task returns."""
    shards: list[dict[str, Any]] = staged["shards"]
    return shards


@step
def upload_images(run: dict[str, Any], staged: dict[str, Any], shard: dict[str, Any]) -> dict[str, Any]:
    """Send the shard's files in batches of 30, several batches at a time; what is there already is not sent again.

    Nothing is overwritten. A task that was killed continues where it was when it is run again.
    """
    import_run = ImportRun.from_json(run)
    request = _request(import_run)
    destination = S3FolderLocation.parse(staged["destination"])
    files = read_files(import_run.s3, S3Uri.parse(staged["staged"]))[shard["start"] : shard["stop"]]
    wanted = [file for file in files if file.reason is None]
    progress = Progress("images sent", len(wanted))
    arrived = 0

    def on_sent(number: int, sent: list[LocalFile]) -> None:
        nonlocal arrived
        arrived += len(sent)
        log.info("Batch %s: %s", number, dict(_ways(sent)))
        progress(arrived)

    with ExitStack() as open_places:
        if request.local_folder is not None:
            folder = open_places.enter_context(LocalFolder(request.local_folder))
            send = open_places.enter_context(FolderUpload(import_run.s3, folder, destination, wanted)).send
        else:
            send = partial(_upload(import_run, request).send, destination)
        sent = send_batches(send, wanted, on_sent=on_sent)
    done = [file for file in files if file.reason is not None] + sent
    uri = import_run.staged(f"uploaded/{shard['shard']:04}.jsonl")
    write_files(import_run.s3, uri, done)
    return {"shard": shard["shard"], "files": str(uri), "outcomes": dict(_ways(done))}


@step
def assign_labels(
    run: dict[str, Any], staged: dict[str, Any], uploaded: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Label the images with the first folder that they were stored in, where that was asked for, and add them.

    The ledger holds them beside what the last snapshot of the dataset held, and every file that was not uploaded,
    with its reason. Fails before any image is read where there is nothing to add.
    """
    import_run = ImportRun.from_json(run)
    destination = S3FolderLocation.parse(staged["destination"])
    files = [file for shard in uploaded for file in read_files(import_run.s3, S3Uri.parse(shard["files"]))]
    labelling = FolderLabelling(prefix=destination.prefix, automatic_labeling=_request(import_run).automatic_labeling)
    pages = map(labelling.open_ledger, sent_pages(files, destination.prefix))
    added = [row for page in pages for row in ledger_rows(page)]
    refused = refused_rows(files, staged["place"])
    new = sorted(chain(added, refused), key=lambda row: row.key)
    if not any(row.state in IN_MANIFEST for row in added):
        raise refuse(
            import_run,
            Code.ERROR_EMPTY_MANIFEST,
            f"None of the {len(files):,} files of {staged['place']} is an image to import",
            "Fix what the reasons say, and run again.",
            ledger_pages(new),
        )
    rows = merge_rows(new, _carried(import_run))
    return write_shards(import_run, destination.bucket, ledger_pages(rows), place=str(destination))


def _request(run: ImportRun) -> LocalComputerRequest:
    if not isinstance(run.request, LocalComputerRequest):
        raise TypeError(f"{type(run.request).__name__} names no local files")
    return run.request


def _upload(run: ImportRun, request: LocalComputerRequest) -> StagedUpload:
    return StagedUpload(run.s3, run.workspace, request.upload_id or "")


def _ways(files: Any) -> Counter[str]:
    return Counter(file.way or str(file.reason) for file in files)


def _destination(run: ImportRun, request: LocalComputerRequest) -> S3FolderLocation:
    """The folder that was asked for, else the one that the dataset's images were last imported to or from.

    Existing keys decide only where no import of ours has registered the dataset: a folder that is found among them
    moves with them.
    """
    refs = _source_refs(run)
    first = next(refs, None)
    if request.images_folder is not None:
        _check_bucket(request.images_folder, first)
        return request.images_folder
    own = run.workspace.images(request.project, request.dataset_type)
    found = _recorded_folder(run)
    if first is None:
        found = found or own
    elif found is None or found.bucket != first.bucket:
        found = S3FolderLocation(
            first.bucket, common_folder(uri.key for uri in chain([first], refs) if uri.bucket == first.bucket)
        )
        # An import that ended before it was registered left these.
        found = own if found.bucket == own.bucket and own.contains(found.prefix) else found
    if found == own:
        return own
    check = AccessCheck(
        run.s3,
        run.rekognition,
        needs=AccessNeeds(destinations=(found,)),
        workspace=run.workspace.folder,
        project=request.project,
    )
    raise_on_failure(list(check.rows()))
    return found


def _recorded_folder(run: ImportRun) -> S3FolderLocation | None:
    current = read_current(run.s3, run.dataset)
    summary = read_summary(run.s3, run.dataset, current[0].snapshot_id) if current else None
    return None if summary is None else folder_of_request(summary.details.get("request"))


def folder_of_request(request: Any) -> S3FolderLocation | None:
    """The folder that a request names for its images; None where it names none, or is one of another version.

    :param request: as plain JSON, from a snapshot
    """
    try:
        return msgspec.convert(request, Request).images_folder  # type: ignore[no-any-return]
    except msgspec.ValidationError:
        return None


def _check_bucket(destination: S3FolderLocation, image: S3Uri | None) -> None:
    if image is not None and image.bucket != destination.bucket:
        raise RequestError(
            "DESTINATION_ELSEWHERE",
            f"The dataset's images are in the bucket {image.bucket}, and {destination} is not.",
            "A dataset's images lie in one bucket: choose a folder there, or leave `destination` empty.",
            destination=str(destination),
        )


def _dataset_arn(run: ImportRun) -> str | None:
    """The dataset that exists; None also for one that failed to be created, which has no entries."""
    dataset = run.rekognition.find_dataset(run.request.project, run.dataset_type)
    return None if dataset is None or dataset["Status"] == "CREATE_FAILED" else dataset["DatasetArn"]


def _source_refs(run: ImportRun) -> Iterator[S3Uri]:
    arn = _dataset_arn(run)
    for entry in run.rekognition.iterate_dataset_entries(arn) if arn else ():
        line = decode_line(entry.encode())
        source_ref = "" if isinstance(line, str) else str(line.get("source-ref", ""))
        if source_ref.startswith("s3://"):
            yield S3Uri.parse(source_ref)


def _carried(run: ImportRun) -> Iterator[LedgerRow]:
    """What the dataset was last registered with, and what was uploaded before and is still in it, in key order.

    Nothing where it is another dataset, or not ours.
    """
    found = read_current(run.s3, run.dataset)
    if found is None or found[0].dataset_arn != _dataset_arn(run):
        return
    current, base = found[0], registered_base(run)
    last = read_registered(run.s3, run.dataset, current)
    rows = chain.from_iterable(map(carried_page, last.ledger_pages()))
    if base is None or current.origin == UPLOADS:
        yield from rows
        return
    # Another import has registered the dataset since, whose ledger does not know what was uploaded.
    bucket, there = base.summary.details["bucket"], {str(uri) for uri in _source_refs(run)}
    uploaded = (
        row
        for row in chain.from_iterable(map(carried_page, base.ledger_pages()))
        if row.sent is not None and f"s3://{bucket}/{row.key}" in there
    )
    for _, same_key in groupby(merge(rows, uploaded, key=itemgetter(0)), key=itemgetter(0)):
        yield next(same_key)
