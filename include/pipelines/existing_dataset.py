"""The steps that only the import source *Existing dataset* has: find it, export its entries, bring its images.

What a dataset says is what its entries say: people label in the gallery, and the manifest that the dataset was made
from knows nothing of it. So the entries are listed, in parts that a killed run continues after.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from include.custom_labels.advice import advise
from include.custom_labels.codes import Code
from include.custom_labels.errors import AccessError, DatasetConflictError, ManifestError, RequestError
from include.custom_labels.label_attributes import SOURCE_REF, has_members_of_its_own
from include.custom_labels.ledger import IN_MANIFEST, LABEL_SEPARATOR, LedgerPage, State
from include.custom_labels.line_rules import check_line
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.custom_labels.manifest import canonical_line, decode_line, parse_line, split_source_ref, submission_line
from include.custom_labels.objects import ObjectPage
from include.custom_labels.quotas import DatasetType, regional_quotas
from include.custom_labels.reasons import Reason
from include.object_store.copies import DONE, CopyOutcome, CopyState, copy_images
from include.object_store.object_facts import MISSING, ObjectFacts, find_objects
from include.object_store.streams import put_bytes, put_json, read_json, read_lines
from include.object_store.tables import PAGE_ROWS, read_ledger, write_ledger
from include.pipelines.requests import ExistingDatasetRequest
from include.pipelines.runs import COPY_CONNECTIONS, ImportRun, rekognition_hook, s3_session
from include.pipelines.shard_size import COPIED_PER_S, INSPECTED_PER_S
from include.pipelines.shards import write_shards
from include.pipelines.steps import Progress, step
from include.rekognition.errors import RekognitionResourceNotFoundError, translated_errors
from include.rekognition.hook import PAGE_SIZE, RekognitionHook

ENTRIES_PER_PART = 5_000
"""Entries between two checkpoints of an export: 25 seconds of listing at 2 requests a second."""

_ERROR_MEMBERS = frozenset({"errors", "cl-errors"})
_REASONS = {
    CopyState.MISSING: Reason.IMAGE_NOT_FOUND,
    CopyState.DENIED: Reason.UNREADABLE,
    CopyState.CONFLICT: Reason.COPY_CONFLICT,
    CopyState.TOO_LARGE: Reason.FILE_TOO_LARGE,
    CopyState.FAILED: Reason.COPY_FAILED,
}

log = logging.getLogger(__name__)


class SourceDataset(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything comes from; goes into the snapshot as its provenance.

    :ivar last_updated: when the dataset was changed for the last time, which tells whether it was changed since
    """

    dataset_arn: str
    account: str
    region: str
    last_updated: str
    entries: int
    labelled_entries: int
    error_entries: int
    image_destination: str | None


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """The checkpoint of an export, and its end.

    :ivar parts: objects of entries that are written
    :ivar next_token: of the page after them; empty at the end
    """

    source: SourceDataset
    parts: int = 0
    entries: int = 0
    next_token: str = ""
    is_whole: bool = False


class _Row(NamedTuple):
    """An entry on its way into the ledger; ``line`` still names the image at the source."""

    key: str
    state: State
    reason: Reason
    line: bytes | None = None
    labels: str | None = None
    detail: str = ""


@step
def find_source(run: dict[str, Any]) -> dict[str, Any]:
    """Find the datasets to copy, and check by their counts that the target's Region admits as many images and labels.

    Nothing is exported or copied before this passes for all of them.
    """
    import_run = ImportRun.from_json(run)
    request = _request(import_run)
    hook = rekognition_hook(request.source_conn_id, "source_aws_conn_id")
    found: dict[str, Any] = {}
    for dataset_type in request.dataset_types:
        source = _describe(hook, request, dataset_type)
        _check_quotas(import_run, source, "TRAIN" if dataset_type == "train" else "TEST")
        log.info("%s has %s entries, %s labelled.", source.dataset_arn, source.entries, source.labelled_entries)
        found[dataset_type] = msgspec.to_builtins(source)
    return found


def _request(run: ImportRun) -> ExistingDatasetRequest:
    if not isinstance(run.request, ExistingDatasetRequest):
        raise TypeError(f"a run of {run.request.__struct_config__.tag}")
    return run.request


def _describe(hook: RekognitionHook, request: ExistingDatasetRequest, dataset_type: str) -> SourceDataset:
    name = request.name
    region = hook.conn.meta.region_name
    if name.region not in ("", region):
        raise RequestError(
            "SOURCE_DATASET_ELSEWHERE",
            f"{name.arn} is in {name.region}, and the connection {request.source_conn_id!r} calls {region}.",
            "Name a connection of its account and Region in `source_aws_conn_id`.",
        )
    arn = name.arn if name.arn and name.dataset_type else _find(hook, request, name.dataset_type or dataset_type)
    try:
        description = hook.describe_dataset(arn)
    except RekognitionResourceNotFoundError as error:
        raise _not_found(request, arn) from error
    if not request.is_elsewhere and (name.project, name.dataset_type or dataset_type) == (
        request.project,
        dataset_type,
    ):
        raise RequestError(
            "SOURCE_IS_TARGET",
            f"{arn} would be copied onto itself.",
            "Name another project or dataset type.",
        )
    status, stats = description["Status"], description["DatasetStats"]
    if status.endswith("_IN_PROGRESS") or status == "CREATE_FAILED":
        raise DatasetConflictError(
            "SOURCE_DATASET_NOT_READY",
            f"{arn} is {status}.",
            "Wait until it has been made or changed; a dataset that failed to be created has to be made anew.",
        )
    return SourceDataset(
        dataset_arn=arn,
        account=arn.split(":")[4],
        region=region,
        last_updated=description["LastUpdatedTimestamp"].isoformat(),
        entries=stats["TotalEntries"],
        labelled_entries=stats["LabeledEntries"],
        error_entries=stats["ErrorEntries"],
        image_destination=request.image_destination,
    )


def _find(hook: RekognitionHook, request: ExistingDatasetRequest, dataset_type: str) -> str:
    name = request.name
    project = hook.find_project(name.project)
    if project is None or name.arn not in ("", project["ProjectArn"]):
        raise _not_found(request, name.arn or name.project)
    for dataset in project.get("Datasets", ()):
        if dataset["DatasetType"] == dataset_type.upper():
            arn: str = dataset["DatasetArn"]
            return arn
    raise _not_found(request, f"{name.project}/{dataset_type}")


def _not_found(request: ExistingDatasetRequest, what: str) -> AccessError:
    return AccessError(
        "SOURCE_DATASET_NOT_FOUND",
        f"The connection {request.source_conn_id!r} knows no dataset {what}.",
        "Check the ARN or name in `source_dataset`, and the connection's account and Region.",
    )


def _check_quotas(run: ImportRun, source: SourceDataset, dataset_type: DatasetType) -> None:
    limit = regional_quotas(run.region).images(dataset_type)
    if source.entries > limit:
        raise ManifestError(
            Code.ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM,
            f"{source.dataset_arn} has {source.entries:,} images, and a {dataset_type.lower()} dataset in"
            f" {run.region} has at most {limit:,}.",
            "Copy it to a Region with larger quotas, or import fewer of its images from another source.",
            images=source.entries,
        )
    if not source.entries:
        raise ManifestError(
            Code.ERROR_EMPTY_MANIFEST,
            f"{source.dataset_arn} has no entries.",
            "Name a dataset that has images.",
        )


def first_tasks(run: dict[str, Any]) -> list[str]:
    """The tasks that the types of dataset go on with which are asked for; the other type is skipped."""
    return [f"{dataset_type}.choose_dataset" for dataset_type in _request(ImportRun.from_json(run)).dataset_types]


@step
def export_entries(run: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """List the dataset's entries into the workspace, part by part; a second try continues after the last whole part.

    Fails where the dataset is changed meanwhile.
    """
    import_run = ImportRun.from_json(run)
    request = _request(import_run)
    source = msgspec.convert(found[request.dataset_type], SourceDataset)
    hook = rekognition_hook(request.source_conn_id, "source_aws_conn_id")
    checkpoint = import_run.staged("export.json")
    stored = read_json(import_run.s3, checkpoint, Export)
    export = stored[0] if stored and stored[0].source == source else Export(source=source)
    if export.parts:
        log.info("Continuing after %s entries.", f"{export.entries:,}")
    progress = Progress("entries exported", source.entries)
    while not export.is_whole:
        lines, token = _part(hook, source.dataset_arn, export.next_token)
        put_bytes(import_run.s3, _part_uri(import_run, export.parts), b"".join(lines))
        export = msgspec.structs.replace(
            export,
            parts=export.parts + 1,
            entries=export.entries + len(lines),
            next_token=token,
            is_whole=not token,
        )
        put_json(import_run.s3, checkpoint, export)
        progress(export.entries)
    if export.entries != source.entries or _last_updated(hook, source.dataset_arn) != source.last_updated:
        raise DatasetConflictError(
            "SOURCE_DATASET_CHANGED",
            f"{source.dataset_arn} was changed while its entries were read.",
            "Run again when nobody works on it.",
        )
    exported: dict[str, Any] = msgspec.to_builtins(source)
    return exported | {"parts": export.parts}


def _part_uri(run: ImportRun, number: int) -> S3Uri:
    return run.staged(f"entries/{number:04}.jsonl")


def _part(hook: RekognitionHook, dataset_arn: str, token: str) -> tuple[list[bytes], str]:
    """The entries of the next pages as lines, and the token of the page after them."""
    lines: list[bytes] = []
    while True:
        with translated_errors(dataset_arn):
            page = hook.conn.list_dataset_entries(
                DatasetArn=dataset_arn, MaxResults=PAGE_SIZE, **({"NextToken": token} if token else {})
            )
        lines += [f"{entry}\n".encode() for entry in page["DatasetEntries"]]
        # The last page may come with an empty token as well as with none.
        token = page.get("NextToken") or ""
        if not token or len(lines) >= ENTRIES_PER_PART:
            return lines, token


def _last_updated(hook: RekognitionHook, dataset_arn: str) -> str:
    moment: str = hook.describe_dataset(dataset_arn)["LastUpdatedTimestamp"].isoformat()
    return moment


@step
def read_entries(run: dict[str, Any], exported: dict[str, Any]) -> list[dict[str, Any]]:
    """Read the exported entries, without what Rekognition wrote into them, in the order of the images' keys.

    Entries that have errors are kept, with their codes in the ledger. The result is one shard for each mapped task.
    """
    import_run = ImportRun.from_json(run)
    destination = _request(import_run).destination
    rows: list[_Row] = []
    buckets: dict[str, str] = {}
    for part in range(exported["parts"]):
        for line in read_lines(import_run.s3, _part_uri(import_run, part)):
            source, row = read_row(line, len(rows) + 1, destination)
            rows.append(row)
            if source is not None:
                buckets.setdefault(source.bucket, str(source))
    if destination is None and len(buckets) > 1:
        code = Code.ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS
        raise ManifestError(
            code,
            f"The dataset has images in {len(buckets)} buckets: {', '.join(list(buckets.values())[:5])}.",
            advise(code, "A dataset's images lie in one bucket.", import_run.request.parameters),
            buckets=sorted(buckets),
        )
    rows.sort(key=lambda row: row.key.encode())
    bucket = destination.bucket if destination else next(iter(buckets), "")
    images_per_s = COPIED_PER_S if destination else INSPECTED_PER_S
    return write_shards(import_run, bucket, _pages(rows), place=exported["dataset_arn"], images_per_s=images_per_s)


def read_row(data: bytes, number: int, destination: S3FolderLocation | None) -> tuple[S3Uri | None, _Row]:
    """The image at the source, None where the entry names none, and the ledger's row of an entry.

    :param number: of the entry, from 1, which names it where nothing else does
    :param destination: where images are copied to
    """
    nameless = f"line {number}"
    raw = decode_line(data)
    if isinstance(raw, str):
        return None, _rejected(nameless, f"{Code.ERROR_INVALID_JSON_LINE}: {raw}")
    source_ref = raw.get(SOURCE_REF)
    place = split_source_ref(source_ref) if isinstance(source_ref, str) else None
    if place is None:
        code = Code.ERROR_INVALID_SOURCE_REF_FORMAT if SOURCE_REF in raw else Code.ERROR_MISSING_SOURCE_REF
        return None, _rejected(source_ref if isinstance(source_ref, str) and source_ref else nameless, str(code))
    source = S3Uri(*place)
    target = _target(source, destination)
    if split_source_ref(str(target)) is None:
        detail = f"{Code.ERROR_INVALID_SOURCE_REF_FORMAT}: the key below image_destination would be too long"
        return source, _rejected(str(source), detail)
    verdict = check_line(submission_line(data).removesuffix(b"\n"))
    refused = [problem.detail for problem in verdict.problems if problem.code is Code.ERROR_INVALID_LABEL_NAME]
    if refused:
        detail = f"{Code.ERROR_INVALID_LABEL_NAME}: {', '.join(refused)}"
        return source, _Row(key=target.key, state=State.REJECTED, reason=Reason.LABEL_NOT_ALLOWED, detail=detail)
    labels = sorted(verdict.image_labels | verdict.box_labels)
    codes = list(dict.fromkeys(service_codes(raw)))
    reason = Reason.FROM_DATASET if labels else Reason.UNLABELLED_AT_SOURCE
    return source, _Row(
        key=target.key,
        state=State.LABELLED if labels else State.UNLABELLED,
        reason=Reason.ERRORS_AT_SOURCE if codes else reason,
        line=entry_line(data),
        labels=LABEL_SEPARATOR.join(labels) or None,
        detail=", ".join(codes),
    )


def _rejected(key: str, detail: str) -> _Row:
    return _Row(key=key, state=State.REJECTED, reason=Reason.UNUSABLE_ENTRY, detail=detail)


def _target(source: S3Uri, destination: S3FolderLocation | None) -> S3Uri:
    # Below the bucket's name, so that the same key in two buckets stays two images, whichever others there are.
    return source if destination is None else destination.uri(f"{source.bucket}/{source.key}")


def service_codes(value: object) -> Iterator[str]:
    """Codes of the errors that Rekognition wrote into an entry: into the line, attributes, metadata or annotations."""
    if isinstance(value, dict):
        for name, member in value.items():
            if name in _ERROR_MEMBERS and isinstance(member, list):
                yield from (str(each.get("code", each)) if isinstance(each, dict) else str(each) for each in member)
            else:
                yield from service_codes(member)
    elif isinstance(value, list):
        for member in value:
            yield from service_codes(member)


def entry_line(data: bytes, target: S3Uri | None = None) -> bytes:
    """The entry as it is sent: canonical where that says all of it, else as it was listed.

    What Rekognition wrote into it is left out. A copy does not lose anything else: neither attributes of unsupported
    types nor members that people's tools gave an entry for themselves.

    :param target: where the image is now, where that is another place
    :raises ManifestError: ERROR_INVALID_JSON_LINE
    """
    submitted = submission_line(data)
    try:
        line = parse_line(submitted)
    except ManifestError:
        line = None
    if line is not None and not has_members_of_its_own(msgspec.json.decode(submitted)):
        return canonical_line(replace(line, source_ref=str(target)) if target else line)
    if target is None:
        return submitted
    members = msgspec.json.decode(submitted, type=dict[str, msgspec.Raw])
    members[SOURCE_REF] = msgspec.Raw(msgspec.json.encode(str(target)))
    return msgspec.json.encode(members) + b"\n"


def _pages(rows: Sequence[_Row]) -> Iterator[LedgerPage]:
    remaining = iter(rows)
    while page := list(islice(remaining, PAGE_ROWS)):
        size = len(page)
        yield LedgerPage(
            ObjectPage([row.key for row in page], [0] * size, [""] * size, [""] * size),
            [row.state for row in page],
            [row.labels for row in page],
            [row.reason for row in page],
            [row.detail for row in page],
            [0] * size,
            [0] * size,
            [row.line for row in page],
        )


@step
def bring_images(run: dict[str, Any], shard: dict[str, Any]) -> dict[str, Any]:
    """Copy each image to `image_destination` and point its entry there, or find it where it is.

    Copies are verified, and made by S3 itself where the target's connection may read the source. Nothing is
    overwritten: a second try continues with the images that are not there yet.
    """
    import_run = ImportRun.from_json(run)
    pages = list(read_ledger(import_run.s3, S3Uri.parse(shard["ledger"])))
    if _request(import_run).destination:
        moved = _copied(import_run, pages, shard)
    else:
        moved = _found(import_run, pages, shard["bucket"])
    stored = write_ledger(import_run.s3, import_run.staged(f"brought/{shard['shard']:04}.parquet"), moved)
    return shard | {"ledger": str(stored.uri)}


def _found(run: ImportRun, pages: Sequence[LedgerPage], bucket: str) -> Iterator[LedgerPage]:
    keys = {page.objects.keys[at] for page in pages for at in _wanted(page)}
    facts = find_objects(run.s3, bucket, keys)
    for page in pages:
        moved = _movable(page)
        for at in _wanted(page):
            fact = facts[page.objects.keys[at]]
            if isinstance(fact, ObjectFacts):
                _place(moved, at, fact.size_bytes, fact.etag, fact.last_modified)
            else:
                missing = fact in MISSING
                _quarantine(moved, at, Reason.IMAGE_NOT_FOUND if missing else Reason.UNREADABLE, fact)
        yield moved


def _copied(run: ImportRun, pages: Sequence[LedgerPage], shard: dict[str, Any]) -> Iterator[LedgerPage]:
    request = _request(run)
    target_session = s3_session(request.aws_conn_id, connections=COPY_CONNECTIONS)
    source_session = (
        s3_session(request.source_conn_id, connections=COPY_CONNECTIONS) if request.is_elsewhere else target_session
    )
    plan = (
        (_source(page, at), S3Uri(shard["bucket"], page.objects.keys[at])) for page in pages for at in _wanted(page)
    )
    progress = Progress("images copied", shard["images"])
    outcomes = copy_images(source_session, target_session, plan, on_progress=progress)
    for page in pages:
        moved = _movable(page)
        for at, outcome in zip(_wanted(page), outcomes, strict=False):
            _move(moved, at, outcome)
        yield moved


def _wanted(page: LedgerPage) -> list[int]:
    return [at for at, state in enumerate(page.states) if state in IN_MANIFEST]


def _entries(page: LedgerPage) -> list[bytes | None]:
    if page.entries is None:
        raise ValueError("a ledger of entries has none")
    return page.entries


def _source(page: LedgerPage, at: int) -> S3Uri:
    return S3Uri.parse(parse_source_ref(_entries(page)[at] or b""))


def parse_source_ref(entry: bytes) -> str:
    """The ``source-ref`` of an entry that has one."""
    return msgspec.json.decode(entry, type=_Named).source_ref


class _Named(msgspec.Struct):
    source_ref: str = msgspec.field(name=SOURCE_REF)


def _movable(page: LedgerPage) -> LedgerPage:
    objects = ObjectPage(
        page.objects.keys, list(page.objects.sizes), list(page.objects.etags), list(page.objects.last_modified)
    )
    return replace(
        page,
        objects=objects,
        states=list(page.states),
        reasons=list(page.reasons),
        details=list(page.details),
        entries=list(page.entries) if page.entries else None,
    )


def _move(page: LedgerPage, at: int, outcome: CopyOutcome) -> None:
    _note(page, at, f"from {outcome.source}")
    if outcome.state in DONE:
        entries = _entries(page)
        entries[at] = entry_line(entries[at] or b"", outcome.target)
        _place(page, at, outcome.size_bytes, outcome.etag, outcome.last_modified)
    else:
        detail = outcome.detail if outcome.detail.startswith(outcome.code) else f"{outcome.code}: {outcome.detail}"
        _quarantine(page, at, _REASONS[outcome.state], detail)


def _place(page: LedgerPage, at: int, size_bytes: int, etag: str, last_modified: str) -> None:
    page.objects.sizes[at], page.objects.etags[at] = size_bytes, etag
    page.objects.last_modified[at] = last_modified


def _quarantine(page: LedgerPage, at: int, reason: Reason, detail: str) -> None:
    page.states[at], page.reasons[at] = State.QUARANTINED, reason
    _note(page, at, detail)


def _note(page: LedgerPage, at: int, text: str) -> None:
    page.details[at] = "; ".join(filter(None, (page.details[at], text)))
