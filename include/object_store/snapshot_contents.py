"""The contents of snapshots, to be compared: from the workspace, from a copy on this machine, by address.

::

    diff_snapshots(read_snapshot(session, dataset.snapshot(base_id)), read_snapshot(session, dataset.snapshot(id)))
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import boto3
from botocore.exceptions import BotoCoreError

from include.custom_labels.diff import Snapshot
from include.custom_labels.errors import AccessError
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.object_store.documents import decode_document
from include.object_store.failures import error_of_boto3
from include.object_store.session import S3Session
from include.object_store.snapshots import SnapshotFolder, SnapshotSummary
from include.object_store.streams import read_chunks, read_json
from include.object_store.tables import ledger_objects, read_ledger_objects

_READ_BYTES: Final = 1 << 18


def read_snapshot(session: S3Session, snapshot: SnapshotFolder) -> Snapshot:
    """Manifest and ledger of a snapshot in S3, read as they are used.

    :raises AccessError: while they are used: OBJECT_NOT_FOUND, OBJECT_CHANGED, or what else S3 answers
    """
    return Snapshot(
        manifest=read_chunks(session, snapshot.manifest), objects=read_ledger_objects(session, snapshot.ledger)
    )


def read_place(place: str) -> Snapshot:
    """What lies at a place that a person names.

    :param place: ``s3://`` address of a snapshot's folder or of a manifest, or the path of a copy of such a folder;
        S3 is reached as boto3 finds endpoint and credentials
    :raises RequestError: INVALID_S3_LOCATION
    :raises AccessError: SNAPSHOT_NOT_FOUND, DOCUMENT_UNREADABLE, or what S3 answers
    """
    return _read_address(place) if place.startswith("s3://") else _read_folder(Path(place))


def _read_address(address: str) -> Snapshot:
    uri = S3Uri.parse(address)
    try:
        session = S3Session(boto3.Session().client("s3"))
    except BotoCoreError as error:
        raise error_of_boto3(error, address) from error
    folder = S3FolderLocation.parse(address)
    found = read_json(session, folder.uri("summary.json"), SnapshotSummary)
    if found is not None:
        return read_snapshot(session, SnapshotFolder(folder, _name_of(found[0])))
    if not uri.key or uri.key.endswith("/"):
        raise _no_snapshot(address)
    return Snapshot(manifest=read_chunks(session, uri))


def _read_folder(folder: Path) -> Snapshot:
    document = folder / "summary.json"
    try:
        summary = decode_document(document, document.read_bytes(), SnapshotSummary)
    except FileNotFoundError as error:
        raise _no_snapshot(folder) from error
    ledger = folder / "ledger.parquet"
    return Snapshot(manifest=_chunks(folder / f"{_name_of(summary)}.manifest"), objects=_objects(ledger))


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            yield chunk


def _objects(path: Path) -> Iterator[tuple[str, str, int]]:
    with path.open("rb") as file:
        yield from ledger_objects(file, path)


def _name_of(summary: SnapshotSummary) -> str:
    """What the manifest is called; where it lay when it was published does not matter to a copy."""
    return summary.manifest.rpartition("/")[2].removesuffix(".manifest")


def _no_snapshot(place: object) -> AccessError:
    return AccessError(
        "SNAPSHOT_NOT_FOUND",
        f"{place} is no snapshot: there is no summary.json, which is written last.",
        "Name the folder of a snapshot, such as s3://example-workspace/datasets/<project>/train/snapshots/<id>/, or a "
        "manifest.",
        location=str(place),
    )
