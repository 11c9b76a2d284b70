"""Who is measured. Each contender is one function that is called in a process of its own.

Imports that only a part of the contenders needs are done once, before processes are forked off (`bench.measurement`),
so that no one's time holds the import of Airflow. Each is handed a hook whose client is made already, which costs
the same some 0.3 s for one image and for a million.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import obstore
from airflow.providers.amazon.aws.hooks.s3 import S3Hook

from bench.fixture import (
    AS_OF,
    BUCKET,
    DIFFERENCE_EVERY,
    LAST_MODIFIED,
    OTHERS,
    PREFIX,
    content_number,
    contents,
    expected_lines,
    image_keys,
    later_lines,
)
from include.custom_labels.diff import Snapshot, diff_snapshots
from include.custom_labels.image_headers import FIRST_READ_BYTES, ImageHeader, NeedMore, NotAnImage, read_header
from include.custom_labels.labelling import FolderLabelling
from include.custom_labels.ledger import LedgerSummary
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.custom_labels.objects import ObjectPage
from include.custom_labels.validation import ManifestValidator
from include.custom_labels.versions import objects_as_of
from include.object_store.folder_manifest import write_manifest
from include.object_store.listing import list_objects
from include.object_store.probing import probe_headers
from include.object_store.session import S3Session
from include.object_store.version_listing import list_versions

OUTPUT = "out/images.manifest"
LEDGER = "out/ledger.parquet"
REGION = "us-east-1"
_IMAGE_NAMES = (".png", ".jpg", ".jpeg")


def hook_manifest(hook: S3Hook, images: int) -> None:
    """What one writes with the hook: `list_keys`, `json.dumps`, `load_string`."""
    lines = []
    for key in hook.list_keys(BUCKET, prefix=PREFIX):
        if not key.lower().endswith(_IMAGE_NAMES):
            continue
        folder, slash, _ = key[len(PREFIX) :].partition("/")
        line: dict[str, Any] = {"source-ref": f"s3://{BUCKET}/{key}"}
        if slash:
            line["label-0"] = 1
            line["label-0-metadata"] = {
                "class-name": folder,
                "confidence": 1,
                "type": "groundtruth/image-classification",
                "human-annotated": "yes",
                # list_keys does not tell when an object was written; the benchmark's all have the same time.
                "creation-date": LAST_MODIFIED,
            }
        lines.append(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
    hook.load_string("".join(lines), OUTPUT, BUCKET, replace=True)


def our_manifest(hook: S3Hook, images: int) -> None:
    """The project's way, with the same hook's client."""
    _build(hook, images, is_complete=False)


def our_manifest_validated(hook: S3Hook, images: int) -> None:
    """The project's way with the validator reading along and the ledger written beside the manifest."""
    _build(hook, images, is_complete=True)


def _build(hook: S3Hook, images: int, *, is_complete: bool) -> None:
    session = S3Session(hook.get_conn())
    labelling = FolderLabelling(PREFIX)
    pages = map(labelling.open_ledger, list_objects(session, S3FolderLocation(BUCKET, PREFIX)))
    validator = ManifestValidator(region=REGION) if is_complete else None
    summary = LedgerSummary() if is_complete else None
    write_manifest(
        session,
        S3Uri(BUCKET, OUTPUT),
        BUCKET,
        pages,
        ledger=S3Uri(BUCKET, LEDGER) if is_complete else None,
        summary=summary,
        validator=validator,
    )
    if validator and summary:
        result = validator.finish()
        _require(result.valid_lines == min(images, 250_000), f"{result.valid_lines} lines found valid")
        _require(summary.in_manifest == images, f"{summary.in_manifest} rows in the manifest")


def our_listing(hook: S3Hook, images: int) -> None:
    """The listing alone: how much of the stub's capacity is used."""
    session = S3Session(hook.get_conn())
    listed = sum(len(page) for page in list_objects(session, S3FolderLocation(BUCKET, PREFIX)))
    _require(listed == images + len(OTHERS), f"{listed} objects listed")


def our_root_listing(hook: S3Hook, images: int) -> None:
    """The listing of a whole bucket."""
    session = S3Session(hook.get_conn())
    listed = sum(len(page) for page in list_objects(session, S3FolderLocation(BUCKET, "")))
    _require(listed == images + len(OTHERS), f"{listed} objects listed")


def obstore_listing(hook: S3Hook, images: int) -> None:
    """obstore's bare listing: child folders in 32 threads. Arrow would take a package more, and hardly less time."""
    store = S3Session(hook.get_conn()).store(BUCKET)
    level = obstore.list_with_delimiter(store, PREFIX)

    def count(folder: str) -> int:
        return sum(map(len, obstore.list(store, folder, chunk_size=1000)))

    with ThreadPoolExecutor(32) as threads:
        listed = len(level["objects"]) + sum(threads.map(count, level["common_prefixes"]))
    # It does not tell a folder's marker object.
    _require(images <= listed <= images + len(OTHERS), f"{listed} objects listed")


def our_versions(hook: S3Hook, images: int) -> None:
    """The objects as of a time, from the versions of all of them."""
    session = S3Session(hook.get_conn())
    versions = list_versions(session, S3FolderLocation(BUCKET, PREFIX))
    listed = sum(len(page.objects) for page in objects_as_of(versions, AS_OF))
    _require(listed == images + len(OTHERS), f"{listed} objects listed")


def boto3_versions(hook: S3Hook, images: int) -> None:
    """The same with boto3's paginator: of each key the newest version that is old enough."""
    client: Any = hook.get_conn()
    as_of = datetime.fromisoformat(AS_OF).replace(tzinfo=UTC)
    found: dict[str, Any] = {}
    for page in client.get_paginator("list_object_versions").paginate(Bucket=BUCKET, Prefix=PREFIX):
        for version in page["Versions"]:
            if version["LastModified"] <= as_of:
                found.setdefault(version["Key"], version)
    _require(len(found) == images + len(OTHERS), f"{len(found)} objects listed")


def our_probe(hook: S3Hook, images: int) -> None:
    """Image headers with `probe_headers`."""
    objects = _probed(images)
    _check_headers(objects, probe_headers(S3Session(hook.get_conn()), BUCKET, objects))


def boto3_probe(hook: S3Hook, images: int) -> None:
    """Image headers with boto3 in 32 threads, read by the same function."""
    client: Any = hook.get_conn()
    objects = _probed(images)

    def probe(at: int) -> ImageHeader | NotAnImage:
        key, size_bytes, offset = objects.keys[at], objects.sizes[at], 0
        while True:
            last = min(offset + FIRST_READ_BYTES, size_bytes) - 1
            answer = client.get_object(
                Bucket=BUCKET, Key=key, Range=f"bytes={offset}-{last}", IfMatch=f'"{objects.etags[at]}"'
            )
            header = read_header(answer["Body"].read(), size_bytes=size_bytes, offset=offset)
            if not isinstance(header, NeedMore):
                return header
            offset = header.offset

    with ThreadPoolExecutor(32) as threads:
        _check_headers(objects, list(threads.map(probe, range(images))))


def _probed(images: int) -> ObjectPage:
    keys = list(image_keys(images))
    files = [contents()[content_number(key)] for key in keys]
    return ObjectPage(
        keys, [len(file.data) for file in files], [file.etag for file in files], [LAST_MODIFIED] * len(keys)
    )


def _check_headers(objects: ObjectPage, headers: list[Any]) -> None:
    expected = [contents()[content_number(key)].header for key in objects.keys]
    _require(headers == expected, "the headers are not those of the files")


def our_validation(hook: S3Hook, images: int) -> None:
    """The validator alone, fed a megabyte at a time."""
    validator = ManifestValidator(region=REGION, max_lines=images)
    for chunk in _MANIFEST_CHUNKS:
        validator.feed(chunk)
    valid = validator.finish().valid_lines
    _require(valid == images, f"{valid} lines found valid")


def our_diff(hook: S3Hook, images: int) -> None:
    """Two states of a manifest, read from files."""
    before, after = (Snapshot(manifest=_chunks(path)) for path in _MANIFEST_FILES)
    diff = diff_snapshots(before, after)
    _require_differences(images, diff.removed, diff.relabelled, diff.added)


def json_diff(hook: S3Hook, images: int) -> None:
    """What one writes for it: a dictionary of decoded lines for either."""
    sides: list[dict[str, Any]] = []
    for path in _MANIFEST_FILES:
        with path.open("rb") as file:
            sides.append({(line := json.loads(data))["source-ref"]: line for data in file})
    before, after = sides
    changed = sum(key in after and after[key] != line for key, line in before.items())
    _require_differences(images, len(before.keys() - after.keys()), changed, len(after.keys() - before.keys()))


def _require_differences(images: int, *found: int) -> None:
    _require(found == (-(-images // DIFFERENCE_EVERY),) * 3, f"{found} images removed, relabelled and added")


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(2**18):
            yield chunk


def prepare(name: str, images: int) -> S3Hook:
    """What happens before the clock starts: the hook's client, and manifests that are only read."""
    hook = S3Hook()
    hook.get_conn()
    if name == "our_validation":
        _render(images)
    if name in ("our_diff", "json_diff"):
        for path, lines in zip(_MANIFEST_FILES, (expected_lines(images), later_lines(images)), strict=True):
            with path.open("wb") as file:
                file.writelines(lines)
    return hook


def _render(images: int) -> None:
    manifest = b"".join(expected_lines(images))
    _MANIFEST_CHUNKS[:] = [manifest[at : at + 2**20] for at in range(0, len(manifest), 2**20)]


_MANIFEST_CHUNKS: list[bytes] = []
_MANIFEST_FILES = [Path(os.environ.get("AIRFLOW_HOME", "."), name) for name in ("before.manifest", "after.manifest")]


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


CONTENDERS: dict[str, Callable[[S3Hook, int], None]] = {
    contender.__name__: contender
    for contender in (
        hook_manifest,
        our_manifest,
        our_manifest_validated,
        our_listing,
        our_root_listing,
        obstore_listing,
        our_versions,
        boto3_versions,
        our_probe,
        boto3_probe,
        our_validation,
        our_diff,
        json_diff,
    )
}
