"""The steps that only the import source *Ground Truth* has: read annotations, find their images, copy images."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import msgspec
from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore.exceptions import BotoCoreError, ClientError

from include.custom_labels.advice import advise
from include.custom_labels.coco import read_coco
from include.custom_labels.codes import Code
from include.custom_labels.csv_labels import read_csv_row
from include.custom_labels.entries import AnnotatedImage, SourceRefOf, rejected
from include.custom_labels.errors import AccessError, ManifestError, RequestError
from include.custom_labels.file_names import skip_reason
from include.custom_labels.ground_truth import GroundTruthLines
from include.custom_labels.ledger import IN_MANIFEST, LedgerPage, State
from include.custom_labels.line_rules import Problem
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.custom_labels.manifest import split_source_ref
from include.custom_labels.pascal_voc import MAX_FILE_BYTES, read_pascal_voc
from include.custom_labels.quotas import MAX_JSON_LINE_LENGTH, MAX_MANIFEST_BYTES
from include.custom_labels.reasons import Reason
from include.object_store.copies import DONE, CopyOutcome, CopyState, copy_images
from include.object_store.failures import error_of_boto3
from include.object_store.listing import list_objects
from include.object_store.object_facts import ObjectFacts, find_objects
from include.object_store.ranged_reads import read_parts, read_range
from include.object_store.session import S3Session
from include.object_store.streams import ObjectWriter, put_json, read_lines
from include.object_store.tables import read_ledger, write_ledger
from include.pipelines.access import AccessCheck, raise_on_failure
from include.pipelines.annotation_rows import AnnotationRows, Row
from include.pipelines.refusals import refuse
from include.pipelines.requests import AccessNeeds, GroundTruthRequest
from include.pipelines.runs import ImportRun, rekognition_hook, s3_session
from include.pipelines.shard_size import COPIED_PER_S, INSPECTED_PER_S
from include.pipelines.shards import write_shards
from include.pipelines.steps import Progress, step

_READ_CONCURRENCY = 32
# Four bytes a character, and one more to tell that a line is too long.
_KEPT_OF_LINE = 4 * MAX_JSON_LINE_LENGTH.value + 1
_UNREADABLE = frozenset({"OBJECT_NOT_FOUND", "BUCKET_NOT_FOUND"})

log = logging.getLogger(__name__)


@step
def read_annotations(run: dict[str, Any]) -> list[dict[str, Any]]:
    """Read what the annotations say of each image, and find the images.

    Every line, file and entry of the annotations ends in the ledger, and so does every object of the images' folder.
    The findings, by AWS's codes, are in ``annotation-findings.json`` of the run. The result is one shard for each
    mapped task of the copy and the inspection.
    """
    import_run = ImportRun.from_json(run)
    request = _request(import_run)
    annotations = request.annotations or output_of_job(request)
    source = _source(import_run, request)
    progress = Progress("annotated images read")
    # Only manifests are copied to the folder of the images: in the other formats they lie there already.
    with AnnotationRows(request.root if request.is_ground_truth else None) as rows:
        for image in _annotated_images(import_run, source, request, annotations):
            rows.add(image)
            progress(len(rows))
        findings = import_run.staged("annotation-findings.json")
        totals = {str(code): total for code, total in rows.report.totals.items()}
        put_json(
            import_run.s3, findings, {"totals": totals, "findings": [finding.as_dict() for finding in rows.report]}
        )
        log.info("%s images are named by %s; findings: %s", f"{len(rows):,}", annotations, totals or "none")
        if not any(row.state is not State.SKIPPED for row in rows):
            code = Code.ERROR_EMPTY_MANIFEST
            message = f"{code.message} {annotations} names no image"
            raise refuse(import_run, code, message, f"Check the annotations; findings: {findings}.", rows.pages())
        _find_images(import_run, source, request, rows)
        bucket = _bucket(import_run, request, rows, annotations)
        copies = _write_copies(import_run, rows)
        images_per_s = COPIED_PER_S if copies else INSPECTED_PER_S
        shards = write_shards(import_run, bucket, rows.pages(), place=str(annotations), images_per_s=images_per_s)
    return [{**shard, "copies": copies} for shard in shards]


@step
def copy_to_image_root(run: dict[str, Any], shard: dict[str, Any]) -> dict[str, Any]:
    """Copy images of other buckets, Regions or owners to `image_root`, within S3 where one connection may do both.

    Every copy is verified; what is there already is not copied again, so that a run that was killed continues.
    Images that cannot be copied are quarantined. Without `image_root` there is nothing to do.
    """
    import_run = ImportRun.from_json(run)
    if not shard["copies"]:
        return shard
    sources = dict(
        msgspec.json.decode(line, type=tuple[str, S3Uri])
        for line in read_lines(import_run.s3, S3Uri.parse(shard["copies"]))
    )
    progress = Progress("images copied", shard["images"])
    counts = {"done": 0}
    source = _source(import_run, _request(import_run))

    def copied() -> Iterator[LedgerPage]:
        for page in read_ledger(import_run.s3, S3Uri.parse(shard["ledger"])):
            places = [
                at for at, key in enumerate(page.objects.keys) if key in sources and page.states[at] in IN_MANIFEST
            ]
            plan = [(sources[page.objects.keys[at]], S3Uri(shard["bucket"], page.objects.keys[at])) for at in places]
            outcomes = copy_images(source, import_run.s3, plan)
            yield _with_copies(page, dict(zip(places, outcomes, strict=True)))
            counts["done"] += len(places)
            progress(counts["done"])

    stored = write_ledger(import_run.s3, import_run.staged(f"copied/{shard['shard']:04}.parquet"), copied())
    return {**shard, "ledger": str(stored.uri)}


def _with_copies(page: LedgerPage, outcomes: dict[int, CopyOutcome]) -> LedgerPage:
    objects = replace(
        page.objects,
        sizes=list(page.objects.sizes),
        etags=list(page.objects.etags),
        last_modified=list(page.objects.last_modified),
    )
    moved = replace(
        page, objects=objects, states=list(page.states), reasons=list(page.reasons), details=list(page.details)
    )
    for at, outcome in outcomes.items():
        copied = f"{outcome.state} from {outcome.source}" if outcome.state in DONE else ""
        if copied:
            objects.sizes[at], objects.etags[at] = outcome.size_bytes, outcome.etag
            objects.last_modified[at] = outcome.last_modified
        else:
            moved.states[at] = State.QUARANTINED
            moved.reasons[at] = _COPY_REASONS.get(outcome.state, Reason.COPY_FAILED)
            copied = f"{outcome.code}: {outcome.detail}"
        moved.details[at] = "; ".join(text for text in (moved.details[at], copied) if text)
    return moved


_COPY_REASONS = {
    CopyState.CONFLICT: Reason.COPY_CONFLICT,
    CopyState.MISSING: Reason.IMAGE_NOT_FOUND,
    CopyState.DENIED: Reason.UNREADABLE,
    CopyState.TOO_LARGE: Reason.FILE_TOO_LARGE,
}


def _request(run: ImportRun) -> GroundTruthRequest:
    if not isinstance(run.request, GroundTruthRequest):
        raise TypeError(f"{type(run.request).__name__} names no annotations")
    return run.request


def _source(run: ImportRun, request: GroundTruthRequest) -> S3Session:
    """S3 as the connection sees it that reads annotations and images.

    :raises RequestError: CONNECTION_NOT_FOUND, or REGION_NOT_SET
    """
    if not request.is_elsewhere:
        return run.s3
    # Asked first because an S3 hook falls back to the worker's own credentials where there is no such connection.
    rekognition_hook(request.source_conn_id, "source_aws_conn_id")
    return s3_session(request.source_conn_id)


def output_of_job(request: GroundTruthRequest) -> S3Uri:
    """The output manifest of the labeling job.

    :raises RequestError: LABELING_JOB_NOT_FOUND, LABELING_JOB_NOT_COMPLETED
    :raises AccessError: LABELING_JOB_UNREADABLE
    """
    name = request.labeling_job
    rekognition_hook(request.source_conn_id, "source_aws_conn_id" if request.is_elsewhere else "aws_conn_id")
    client: Any = AwsBaseHook(aws_conn_id=request.source_conn_id, client_type="sagemaker").conn
    region = client.meta.region_name
    log.info("The labeling job is looked up in %s.", region)
    try:
        job = client.describe_labeling_job(LabelingJobName=name)
    except ClientError as error:
        answer = error.response["Error"]
        if "ResourceNotFound" in answer["Code"] or "not found" in answer.get("Message", "").lower():
            raise RequestError(
                "LABELING_JOB_NOT_FOUND",
                f"There is no labeling job {name!r} in {region}.",
                "Check its name and the connection's Region, or give its output manifest as `manifest`.",
            ) from error
        failure = error_of_boto3(error, f"the labeling job {name}")
        if failure.code == "CREDENTIALS_EXPIRED":
            raise failure from error
        raise _job_unreadable(name, answer["Code"]) from error
    except BotoCoreError as error:
        raise _job_unreadable(name, type(error).__name__) from error
    uri = job.get("LabelingJobOutput", {}).get("OutputDatasetS3Uri", "")
    if job["LabelingJobStatus"] != "Completed" or not uri:
        raise RequestError(
            "LABELING_JOB_NOT_COMPLETED",
            f"The labeling job {name!r} is {job['LabelingJobStatus']}: {job.get('FailureReason', 'no output yet')}.",
            "Wait until it has completed, or give the manifest of what it has written as `manifest`.",
            status=job["LabelingJobStatus"],
        )
    return S3Uri.parse(uri)


def _job_unreadable(name: str | None, why: str) -> AccessError:
    return AccessError(
        "LABELING_JOB_UNREADABLE",
        f"SageMaker does not describe the labeling job {name!r}: {why}.",
        "Allow the connection's role sagemaker:DescribeLabelingJob, or give the output manifest as `manifest`.",
    )


def _annotated_images(
    run: ImportRun, source: S3Session, request: GroundTruthRequest, annotations: S3Uri
) -> Iterator[AnnotatedImage]:
    """What each line, file or entry of the annotations says."""
    source_ref_of = _source_refs(request.root)
    mending = request.mending
    if request.annotation_format == "pascal_voc":
        yield from _pascal_voc(run, request, S3FolderLocation.parse(str(annotations)), source_ref_of)
        return
    facts = _facts_of_file(run, source, annotations)
    chunks = read_parts(source, annotations, size_bytes=facts.size_bytes, etag=facts.etag)
    written = facts.last_modified
    if request.annotation_format == "coco":
        yield from read_coco(b"".join(chunks), source_ref_of=source_ref_of, creation_date=written, mending=mending)
        return
    root = request.root
    lines = GroundTruthLines(
        label_attribute=request.label_attribute,
        mending=mending,
        bucket=root.bucket if root is not None else annotations.bucket,
    )
    for number, line in enumerate(split_lines(chunks), start=1):
        if request.annotation_format == "csv":
            yield read_csv_row(line, number, source_ref_of=source_ref_of, creation_date=written, mending=mending)
        else:
            yield lines.read(line, number)


def _source_refs(root: S3FolderLocation | None) -> SourceRefOf:
    """Addresses as they are, and names below the folder of the images."""

    def source_ref_of(name: str) -> str | Problem:
        source_ref = name if name.startswith("s3://") or root is None else str(root.uri(name))
        try:
            location = split_source_ref(source_ref)
        except UnicodeEncodeError:
            location = None
        if location is None:
            return Problem(Code.ERROR_INVALID_SOURCE_REF_FORMAT, detail=name)
        return source_ref

    return source_ref_of


def split_lines(chunks: Iterable[bytes], keep: int = _KEPT_OF_LINE) -> Iterator[bytes]:
    r"""Lines without their ``\n``; of one longer than any may be only the start is kept, whatever its length."""
    line = bytearray()
    for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            line += end[: keep - len(line)]
            yield bytes(line)
            line.clear()
        line += rest[: keep - len(line)]
    if line:
        yield bytes(line)


def _facts_of_file(run: ImportRun, source: S3Session, uri: S3Uri) -> ObjectFacts:
    """:raises ManifestError: it is empty or too large; AccessError: it is not there; RequestError: it is too new"""
    facts = find_objects(source, uri.bucket, [uri.key])[uri.key]
    if isinstance(facts, str):
        raise AccessError(
            facts, f"{uri} cannot be read.", "Check the location, which is case-sensitive, and the rights to read it."
        )
    if not facts.size_bytes:
        code = Code.ERROR_EMPTY_MANIFEST
        raise ManifestError(code, f"{code.message} {uri} has no bytes.", "Write the annotations again.")
    if facts.size_bytes > MAX_MANIFEST_BYTES.value:
        code = Code.ERROR_MANIFEST_SIZE_TOO_LARGE
        raise ManifestError(code, f"{code.message} {uri} has {facts.size_bytes:,} bytes.", code.next_step)
    if facts.last_modified > _as_of(run):
        raise RequestError(
            "ANNOTATIONS_NEWER_THAN_AS_OF",
            f"{uri} was written at {facts.last_modified}, and the import is as of {_as_of(run)}.",
            "Run again with a later `as_of`: what the annotations were before is not known.",
        )
    return facts


def _as_of(run: ImportRun) -> str:
    return f"{run.as_of:%Y-%m-%dT%H:%M:%S}"


def _pascal_voc(
    run: ImportRun, request: GroundTruthRequest, folder: S3FolderLocation, source_ref_of: SourceRefOf
) -> Iterator[AnnotatedImage]:
    as_of, root, mending = _as_of(run), request.root, request.mending

    def read(key: str, size_bytes: int, etag: str, written: str) -> AnnotatedImage | None:
        uri = S3Uri(folder.bucket, key)
        if not key.lower().endswith(".xml"):
            # The images' folder is listed by itself.
            if root is not None and root.bucket == folder.bucket and root.contains(key):
                return None
            return AnnotatedImage(place=str(uri), reason=Reason.NO_ANNOTATION_FILE)
        if written > as_of:
            return AnnotatedImage(place=str(uri), reason=Reason.NEWER_THAN_AS_OF)
        try:
            data = read_range(run.s3, uri, 0, min(size_bytes, MAX_FILE_BYTES + 1), etag=etag) if size_bytes else b""
        except AccessError as error:
            if error.code not in ("OBJECT_NOT_FOUND", "OBJECT_CHANGED", "ACCESS_DENIED"):
                raise
            code = Code.ERROR_MANIFEST_INACCESSIBLE_OR_UNSUPPORTED_FORMAT
            return rejected(str(uri), Problem(code, detail=error.code))
        return read_pascal_voc(
            data, place=str(uri), source_ref_of=source_ref_of, creation_date=written, mending=mending
        )

    run.s3.store(folder.bucket)
    listed = 0
    with ThreadPoolExecutor(_READ_CONCURRENCY, thread_name_prefix="s3-annotations") as threads:
        for page in list_objects(run.s3, folder):
            listed += len(page)
            images = threads.map(read, page.keys, page.sizes, page.etags, page.last_modified)
            yield from (image for image in images if image is not None)
    if not listed:
        raise AccessError("FOLDER_EMPTY", f"There is nothing below {folder}.", "Check the spelling of `manifest`.")


def _find_images(run: ImportRun, source: S3Session, request: GroundTruthRequest, rows: AnnotationRows) -> None:
    """Size, ETag and time of every image that is named; what is missing, unreadable or too new leaves the manifest."""
    wanted = rows.wanted()
    if not request.is_ground_truth and request.root is not None:
        _list_root(run, request.root, rows, wanted.get(request.root.bucket, []))
    for bucket, in_bucket in wanted.items():
        rest = [row for row in in_bucket if row.facts is None and row.state in IN_MANIFEST]
        if request.root is not None and not request.is_ground_truth and bucket == request.root.bucket:
            rest = [row for row in rest if row.source is not None and not request.root.contains(row.source.key)]
        found = find_objects(source, bucket, {row.source.key for row in rest if row.source is not None})
        for row in rest:
            if row.source is not None:
                _take_facts(row, found[row.source.key])
    as_of = _as_of(run)
    for in_bucket in wanted.values():
        for row in in_bucket:
            if row.state not in IN_MANIFEST:
                continue
            if row.facts is None:
                _take_facts(row, "OBJECT_NOT_FOUND")
            elif row.facts.last_modified > as_of:
                row.state, row.reason = State.SKIPPED, Reason.NEWER_THAN_AS_OF


def _list_root(run: ImportRun, root: S3FolderLocation, rows: AnnotationRows, in_bucket: list[Row]) -> None:
    """Take facts from one listing of the images' folder, and note what else lies there."""
    named: dict[str, list[Row]] = {}
    for row in in_bucket:
        named.setdefault(row.source.key if row.source is not None else "", []).append(row)
    for page in list_objects(run.s3, root):
        for key, size_bytes, etag, time in zip(page.keys, page.sizes, page.etags, page.last_modified, strict=True):
            facts = ObjectFacts(size_bytes=size_bytes, etag=etag, last_modified=time)
            if key in named:
                for row in named[key]:
                    row.facts = facts
            else:
                rows.add_object(key, root.bucket, skip_reason(key) or Reason.NOT_ANNOTATED, facts)


def _take_facts(row: Row, facts: ObjectFacts | str) -> None:
    if isinstance(facts, ObjectFacts):
        row.facts = facts
    elif row.state in IN_MANIFEST:
        row.state = State.QUARANTINED
        row.reason = Reason.IMAGE_NOT_FOUND if facts in _UNREADABLE else Reason.UNREADABLE
        why = f"{Code.ERROR_INVALID_IMAGE}: {facts} {row.source}"
        row.detail = "; ".join(text for text in (why, row.detail) if text)


def _bucket(run: ImportRun, request: GroundTruthRequest, rows: AnnotationRows, annotations: S3Uri) -> str:
    """The one bucket that all images are or will be in, which may be used with the workspace's.

    :raises ManifestError: ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS
    :raises AccessError: WRONG_REGION, ERROR_INVALID_IMAGES_S3_BUCKET_OWNER, or what else the access check finds
    """
    buckets = rows.buckets()
    if len(buckets) > 1:
        code = Code.ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS
        counts = ", ".join(f"{bucket} ({count:,})" for bucket, count in buckets.most_common(5))
        raise ManifestError(
            code,
            f"{code.message} {counts}.",
            advise(code, "A dataset's images lie in one bucket.", request.parameters),
            buckets=dict(buckets),
        )
    if not buckets and not request.is_elsewhere:
        # Where no image can be had, their bucket says why, with the rights to ask for.
        for bucket in {row.source.bucket for row in rows if row.source is not None and row.state is State.QUARANTINED}:
            _check_bucket(run, bucket)
    bucket = next(iter(buckets), annotations.bucket)
    if buckets and (request.root is None or request.root.bucket != bucket):
        _check_bucket(run, bucket)
    return bucket


def _check_bucket(run: ImportRun, bucket: str) -> None:
    """Check what the access check of the run's start could not: only now is known where the images are."""
    check = AccessCheck(
        run.s3,
        run.rekognition,
        needs=AccessNeeds(folder=S3FolderLocation(bucket, "")),
        workspace=run.workspace.folder,
        project=run.request.project,
    )
    raise_on_failure(list(check.rows()))


def _write_copies(run: ImportRun, rows: AnnotationRows) -> str:
    """What is to be copied, as JSON Lines of target key and source; empty where nothing is."""
    moves = [(row.key, row.source) for row in rows if row.is_moved and row.state in IN_MANIFEST]
    if not moves:
        return ""
    uri = run.staged("copies.jsonl")
    with ObjectWriter(run.s3, uri, content_type="application/jsonlines") as writer:
        for start in range(0, len(moves), 1000):
            writer.write(msgspec.json.Encoder().encode_lines(moves[start : start + 1000]))
    return str(uri)
