from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from demo.errors import DemoError
from demo.folder_copy import FolderCopy, copy_files, find_files
from tests.fixtures.local_aws import LocalAws

HOSTILE_NAMES = ["a b/c+d.png", "50%20off/#1.png", "quote's \".jpg", "שלום/🍩.png", "no-extension", ".hidden"]


def quietly(items: Iterable[Any], total: int) -> Iterable[Any]:
    return items


def write(folder: Path, *names: str) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())


@pytest.fixture
def bucket(local_aws: LocalAws) -> str:
    name = f"example-{uuid.uuid4()}"
    local_aws.create_buckets(name)
    return name


@pytest.mark.integration
def test_keys_are_the_raw_relative_paths(tmp_path: Path, local_aws: LocalAws, bucket: str) -> None:
    write(tmp_path, *HOSTILE_NAMES)
    s3 = local_aws.client("s3")

    copied = copy_files(find_files(tmp_path), s3, bucket=bucket, prefix="my folder/", track=quietly)

    assert copied == FolderCopy(files=len(HOSTILE_NAMES), uploaded=len(HOSTILE_NAMES), deleted=0)
    keys = [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert sorted(keys) == sorted(f"my folder/{name}" for name in HOSTILE_NAMES)
    assert s3.get_object(Bucket=bucket, Key="my folder/a b/c+d.png")["ContentType"] == "image/png"


@pytest.mark.integration
def test_only_what_changed_is_sent_and_what_is_gone_is_deleted(
    tmp_path: Path, local_aws: LocalAws, bucket: str
) -> None:
    write(tmp_path, "echo/1.png", "echo/2.png", "echo/3.png")
    s3 = local_aws.client("s3")
    s3.put_object(Bucket=bucket, Key="folder-2/kept.png", Body=b"of another folder")
    target = {"bucket": bucket, "prefix": "folder/", "track": quietly}
    assert copy_files(find_files(tmp_path), s3, **target).changed
    assert not copy_files(find_files(tmp_path), s3, **target).changed

    (tmp_path / "echo/1.png").write_bytes(b"ECHO/1.PNG")
    (tmp_path / "echo/2.png").unlink()
    write(tmp_path, "echo/4.png")

    assert copy_files(find_files(tmp_path), s3, **target) == FolderCopy(files=3, uploaded=2, deleted=1)
    keys = {found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert keys == {"folder/echo/1.png", "folder/echo/3.png", "folder/echo/4.png", "folder-2/kept.png"}
    assert s3.get_object(Bucket=bucket, Key="folder/echo/1.png")["Body"].read() == b"ECHO/1.PNG"


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="is not a folder"):
        find_files(tmp_path / "missing")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "echo").mkdir()
    with pytest.raises(DemoError, match="has no files in it"):
        find_files(tmp_path)


def test_a_name_that_cannot_be_a_key_is_named(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    try:
        (tmp_path / name).write_bytes(b"image")
    except OSError:
        pytest.skip("this file system refuses names that are not UTF-8")
    with pytest.raises(DemoError, match=r"caf\\xe9\.png.* is not UTF-8"):
        find_files(tmp_path)
