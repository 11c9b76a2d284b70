"""A local folder becomes an S3 folder: every file under its raw relative path, nothing else under that prefix."""

from __future__ import annotations

import hashlib
import mimetypes
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.errors import DemoError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef, ObjectTypeDef

CONCURRENCY = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderCopy:
    """What a copy did. ``deleted`` objects were in S3 and are no longer in the folder."""

    files: int
    uploaded: int
    deleted: int

    @property
    def changed(self) -> bool:
        return bool(self.uploaded or self.deleted)


def find_files(folder: Path) -> dict[str, Path]:
    """Every file below ``folder`` by its relative path, sorted.

    :raises DemoError: when ``folder`` is missing or empty, or a file name is not UTF-8 and so cannot be a key.
    """
    if not folder.is_dir():
        raise DemoError(f"{folder} is not a folder. Name one that holds images: make demo IMAGES=path")
    files: dict[str, Path] = {}
    for parent, _, names in os.walk(folder, onerror=_refuse):
        for name in names:
            path = Path(parent, name)
            if path.is_file():
                files[_key_name(path.relative_to(folder))] = path
    if not files:
        raise DemoError(f"{folder} has no files in it.")
    return dict(sorted(files.items()))


def copy_files(
    files: Mapping[str, Path],
    s3: S3Client,
    *,
    bucket: str,
    prefix: str,
    track: Callable[[Iterable[Any], int], Iterable[Any]],
) -> FolderCopy:
    """Make ``s3://bucket/prefix`` hold exactly ``files``; those that are there already are not sent again.

    ``track(iterable, total)`` may show progress.
    """
    sources = {f"{prefix}{name}": path for name, path in files.items()}
    present = _objects(s3, bucket, prefix)
    stale = sorted(present.keys() - sources.keys())
    for start in range(0, len(stale), 1000):
        objects: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in stale[start : start + 1000]]
        s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})

    def send(item: tuple[str, Path]) -> bool:
        key, path = item
        if key in present and _is_same(path, present[key]):
            return False
        content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        with path.open("rb") as body:
            s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)
        return True

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        uploaded = sum(track(pool.map(send, sources.items()), len(sources)))
    return FolderCopy(files=len(files), uploaded=uploaded, deleted=len(stale))


def _refuse(error: OSError) -> None:
    raise DemoError(f"{error.filename} cannot be read: {error.strerror}")


def _key_name(relative: Path) -> str:
    name = relative.as_posix()
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DemoError(f"The name of {os.fsencode(name)!r} is not UTF-8, and keys in S3 are. Rename it.") from error
    return name


def _objects(s3: S3Client, bucket: str, prefix: str) -> dict[str, ObjectTypeDef]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {found["Key"]: found for page in pages for found in page.get("Contents", ())}


def _is_same(path: Path, found: ObjectTypeDef) -> bool:
    status = path.stat()
    if status.st_size != found["Size"]:
        return False
    etag = found["ETag"].strip('"')
    if "-" in etag:
        # An object stored in parts has no MD5 of the whole.
        return datetime.fromtimestamp(status.st_mtime, UTC) <= found["LastModified"]
    with path.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == etag
