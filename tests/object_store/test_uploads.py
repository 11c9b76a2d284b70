"""Files of this computer and staged uploads on their way to S3: every odd file has one outcome, none is sent twice."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from include.custom_labels.errors import AccessError, RequestError
from include.custom_labels.local_files import IMAGES_PER_BATCH, LocalFile
from include.custom_labels.locations import S3FolderLocation
from include.custom_labels.objects import ObjectPage
from include.custom_labels.reasons import Reason
from include.object_store import uploads
from include.object_store.copies import SHA256
from include.object_store.session import S3Session
from include.object_store.snapshots import Workspace
from include.object_store.uploads import (
    BATCHES_AT_ONCE,
    FolderUpload,
    LocalFolder,
    StagedUpload,
    read_files,
    send_batches,
    write_files,
)
from tests.fixtures.local_aws import PROJECT
from tests.fixtures.places import Place, picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "photos"
    made.mkdir()
    return made


def fill(folder: Path, *names: str, data: bytes | None = None) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture() + name.encode() if data is None else data)


def staged(folder: Path) -> dict[str, LocalFile]:
    with LocalFolder(str(folder)) as opened:
        files = opened.staged("images/")
    assert [file.name for file in files] == sorted(file.name for file in files)
    return {file.name: file for file in files}


def reasons(folder: Path) -> dict[str, Reason | None]:
    return {name: file.reason for name, file in staged(folder).items()}


def test_images_are_staged_with_size_and_digests(folder: Path) -> None:
    data = picture()
    fill(folder, "echo/a.png", data=data)
    file = staged(folder)["echo/a.png"]
    assert (file.reason, file.size_bytes) == (None, len(data))
    assert file.sha256 == hashlib.sha256(data).hexdigest()
    assert file.md5 == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert len(file.modified) == 19


def test_what_cannot_be_an_image_is_named(folder: Path) -> None:
    fill(folder, "notes.txt", "echo/.DS_Store", ".hidden.png", ".git/a.png", "._a.png", "x.gif")
    fill(folder, "passwd", data=b"root:x:0:0:root")
    fill(folder, "empty.png", data=b"")
    fill(folder, "tiny.png", data=picture(size=(10, 10)))
    assert reasons(folder) == {
        "notes.txt": Reason.NOT_AN_IMAGE_NAME,
        "echo/.DS_Store": Reason.SYSTEM_FILE,
        ".hidden.png": Reason.HIDDEN_FILE,
        ".git/": Reason.HIDDEN_FILE,
        "._a.png": Reason.SYSTEM_FILE,
        "x.gif": Reason.OTHER_IMAGE_NAME,
        "passwd": Reason.NOT_PNG_OR_JPEG,
        "empty.png": Reason.EMPTY_OBJECT,
        "tiny.png": Reason.SIDE_TOO_SHORT,
    }


def test_symbolic_links(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    fill(outside, "a.png")
    fill(tmp_path, "photos-2/a.png")
    fill(folder, "pool/a.png")
    links = {
        "inside.png": "pool/a.png",
        "absolute-inside.png": str(folder / "pool/a.png"),
        "outside.png": "../secret/a.png",
        "absolute.png": str(outside / "a.png"),
        "neighbour.png": "../photos-2/a.png",
        "outside-folder": str(outside),
        "inside-folder": "pool",
        "itself": ".",
        "up": "..",
        "broken.png": "nowhere.png",
        "circle-1.png": "circle-2.png",
        "circle-2.png": "circle-1.png",
        "chain.png": "outside.png",
        "through.png": "outside-folder/a.png",
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    found = reasons(folder)
    assert found.pop("pool/a.png") is None
    assert found == {
        "inside.png": None,
        "absolute-inside.png": None,
        "outside.png": Reason.SYMLINK_OUTSIDE,
        "absolute.png": Reason.SYMLINK_OUTSIDE,
        "neighbour.png": Reason.SYMLINK_OUTSIDE,
        "outside-folder": Reason.SYMLINK_OUTSIDE,
        "inside-folder": Reason.SYMLINK_TO_FOLDER,
        "itself": Reason.SYMLINK_OUTSIDE,
        "up": Reason.SYMLINK_OUTSIDE,
        "broken.png": Reason.VANISHED,
        "circle-1.png": Reason.UNREADABLE_FILE,
        "circle-2.png": Reason.UNREADABLE_FILE,
        "chain.png": Reason.SYMLINK_OUTSIDE,
        "through.png": Reason.SYMLINK_OUTSIDE,
    }


def test_the_folder_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    fill(folder, "a.png")
    (tmp_path / "mount").symlink_to(folder)
    assert reasons(tmp_path / "mount") == {"a.png": None}


def test_sockets_pipes_and_devices_are_not_opened(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    # A socket's path has a short limit.
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{short}/s")
        os.rename(f"{short}/s", folder / "socket.png")
        assert reasons(folder) == {"pipe.png": Reason.SPECIAL_FILE, "socket.png": Reason.SPECIAL_FILE}
    with LocalFolder("/dev") as devices, pytest.raises(uploads.FileRefusedError) as caught:
        devices.read("null")
    assert caught.value.reason is Reason.SPECIAL_FILE


def test_a_name_that_is_not_utf_8(folder: Path) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png"))).write_bytes(picture())
    assert reasons(folder) == {"caf\\xe9.png": Reason.UNSAFE_NAME}


def test_a_name_that_is_too_long_for_a_key(folder: Path) -> None:
    name = "/".join(["f" * 250] * 5) + "/a.png"
    fill(folder, name)
    assert reasons(folder) == {name: Reason.UNSAFE_NAME}


@contextmanager
def nobody() -> Iterator[None]:
    """Permissions mean nothing to root, as whom tests run in a container."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_unreadable_files_and_folders() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        # pytest's own folders are closed to others.
        folder.chmod(0o755)
        fill(folder, "good.png", "locked.png", "closed/a.png")
        (folder / "locked.png").chmod(0)
        (folder / "closed").chmod(0)
        with nobody():
            found = staged(folder)
        (folder / "closed").chmod(0o755)
    assert {name: file.reason for name, file in found.items()} == {
        "good.png": None,
        "locked.png": Reason.UNREADABLE_FILE,
        "closed/": Reason.UNREADABLE_FILE,
    }
    assert found["locked.png"].detail == "Permission denied"


@pytest.mark.parametrize("missing", ["nowhere", "file.png"])
def test_a_folder_that_is_none(folder: Path, missing: str) -> None:
    fill(folder, "file.png")
    with pytest.raises(AccessError) as caught:
        LocalFolder(str(folder / missing))
    assert caught.value.code == "LOCAL_FOLDER_NOT_FOUND"


@pytest.mark.parametrize("change", ["append", "rewrite", "truncate"])
def test_a_file_that_is_written_to_while_it_is_read(folder: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(folder, "a.png")
    path = folder / "a.png"
    data = path.read_bytes()
    looked = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        """Someone writes right after the first look."""
        monkeypatch.setattr(uploads.os, "fstat", looked)
        before = looked(descriptor)
        if change == "append":
            path.write_bytes(data + b"more")
        elif change == "rewrite":
            path.write_bytes(data[:-1] + b"x")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        else:
            path.write_bytes(data[:100])
        return before

    with LocalFolder(str(folder)) as opened:
        monkeypatch.setattr(uploads.os, "fstat", fstat)
        with pytest.raises(uploads.FileRefusedError) as caught:
            opened.read("a.png")
    assert caught.value.reason is Reason.CHANGED


def test_a_folder_that_is_swapped_for_a_link_is_not_followed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder, "echo/a.png")
    fill(tmp_path / "secret", "a.png", data=b"secret")
    resolve = os.path.realpath

    def realpath(path: str) -> str:
        """Someone swaps the folder right after the path was found to be inside."""
        found = resolve(path)
        if (folder / "echo").is_dir() and not (folder / "echo").is_symlink():
            (folder / "echo").rename(tmp_path / "away")
            (folder / "echo").symlink_to(tmp_path / "secret")
        return str(found)

    with LocalFolder(str(folder)) as opened:
        monkeypatch.setattr(uploads.os.path, "realpath", realpath)
        with pytest.raises(uploads.FileRefusedError) as caught:
            opened.read("echo/a.png")
    assert caught.value.reason is Reason.UNREADABLE_FILE


# --- against S3


class Calls:
    """Counts what is asked of S3."""

    def __init__(self, client: Any) -> None:
        self.counts: Counter[str] = Counter()
        client.meta.events.register("before-call.s3", self._count)

    def _count(self, model: Any, **_: Any) -> None:
        self.counts[model.name] += 1


@pytest.fixture
def session(place: Place) -> S3Session:
    return S3Session(place.s3)


def send(session: S3Session, folder: Path, place: Place, *, size: int = IMAGES_PER_BATCH) -> dict[str, LocalFile]:
    destination = S3FolderLocation(place.images, "images/")
    with LocalFolder(str(folder)) as opened:
        files = opened.staged(destination.prefix)
        wanted = [file for file in files if file.reason is None]
        with FolderUpload(session, opened, destination, wanted) as upload:
            if size == IMAGES_PER_BATCH:
                sent = send_batches(upload.send, wanted, on_sent=lambda number, sent: None)
            else:
                sent = [file for at in range(0, len(wanted), size) for file in upload.send(wanted[at : at + size])]
    assert [file.name for file in sent] == [file.name for file in wanted]
    return {file.name: file for file in sent}


def ways(sent: dict[str, LocalFile]) -> dict[str, str]:
    return {name: file.way or str(file.reason) for name, file in sent.items()}


def keys(place: Place) -> dict[str, dict[str, Any]]:
    listed = place.s3.list_objects_v2(Bucket=place.images).get("Contents", [])
    return {entry["Key"]: entry for entry in listed}


@pytest.mark.integration
def test_a_second_upload_sends_nothing(session: S3Session, folder: Path, place: Place) -> None:
    fill(folder, "a.png", "echo/b.png", "שלום/😀 +%.png", "line\nbreak.png")
    first = send(session, folder, place)
    assert set(ways(first).values()) == {"uploaded"}
    before = keys(place)
    assert set(before) == {f"images/{name}" for name in first}
    for name, file in first.items():
        assert place.read(f"s3://{place.images}/images/{name}") == (folder / name).read_bytes()
        assert before[f"images/{name}"]["ETag"].strip('"') == file.etag
        head = place.s3.head_object(Bucket=place.images, Key=f"images/{name}")
        assert head["Metadata"] == {SHA256: file.sha256}
        assert head["ContentType"] == "image/png"
    calls = Calls(place.s3)
    assert set(ways(send(session, folder, place)).values()) == {"already there"}
    assert calls.counts.keys() == {"HeadObject"}
    assert keys(place) == before


@pytest.mark.integration
@pytest.mark.parametrize("size", [IMAGES_PER_BATCH, 1])
def test_the_same_content_under_several_names_is_sent_once(
    session: S3Session, folder: Path, place: Place, size: int
) -> None:
    data = picture()
    fill(folder, "a.png", "echo/b.png", "spot/c.png", data=data)
    calls = Calls(place.s3)
    sent = ways(send(session, folder, place, size=size))
    assert Counter(sent.values()) == {"uploaded": 1, "copied": 2}
    assert (calls.counts["PutObject"], calls.counts["CopyObject"]) == (1, 2)
    assert {place.read(f"s3://{place.images}/images/{name}") for name in sent} == {data}


@pytest.mark.integration
def test_a_renamed_file_is_not_sent_again(session: S3Session, folder: Path, place: Place) -> None:
    fill(folder, "a.png")
    send(session, folder, place)
    (folder / "a.png").rename(folder / "renamed.png")
    calls = Calls(place.s3)
    assert ways(send(session, folder, place)) == {"renamed.png": "copied"}
    assert calls.counts["PutObject"] == 0


def named(count: int) -> list[LocalFile]:
    return [LocalFile(name=f"{number:04}.png") for number in range(count)]


def test_batches_are_sent_at_the_same_time_and_come_back_in_order() -> None:
    files = named(IMAGES_PER_BATCH * BATCHES_AT_ONCE)
    together = threading.Barrier(BATCHES_AT_ONCE, timeout=30)
    ended: list[tuple[int, int]] = []

    def send_one(batch: Sequence[LocalFile]) -> list[LocalFile]:
        together.wait()
        return list(batch)

    assert send_batches(send_one, files, on_sent=lambda number, sent: ended.append((number, len(sent)))) == files
    assert sorted(ended) == [(number, IMAGES_PER_BATCH) for number in range(1, BATCHES_AT_ONCE + 1)]


def test_when_a_batch_fails_the_ones_under_way_end_and_no_other_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = threading.Event()
    begun: list[str] = []
    ended: list[str] = []

    class Threads(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            cancelled.set()
            super().shutdown(wait=wait)

    def send_one(batch: Sequence[LocalFile]) -> list[LocalFile]:
        first = batch[0].name
        begun.append(first)
        if first == "0000.png":
            raise AccessError("S3_UNREACHABLE", "away", "wait")
        assert cancelled.wait(30)
        ended.append(first)
        return list(batch)

    monkeypatch.setattr(uploads, "ThreadPoolExecutor", Threads)
    with pytest.raises(AccessError):
        send_batches(send_one, named(IMAGES_PER_BATCH * 3 * BATCHES_AT_ONCE), on_sent=lambda number, sent: None)
    # The failed batch made room for one other.
    assert BATCHES_AT_ONCE <= len(begun) <= BATCHES_AT_ONCE + 1
    assert sorted(ended) == sorted(set(begun) - {"0000.png"})


@pytest.mark.integration
def test_the_same_content_in_batches_that_are_under_way_together_is_sent_once(
    session: S3Session, folder: Path, place: Place
) -> None:
    data = picture()
    for number in range(4 * IMAGES_PER_BATCH):
        fill(folder, f"{number:04}.png", data=data + str(number % IMAGES_PER_BATCH).encode())
    calls = Calls(place.s3)
    sent = ways(send(session, folder, place))
    assert Counter(sent.values()) == {"uploaded": IMAGES_PER_BATCH, "copied": 3 * IMAGES_PER_BATCH}
    assert calls.counts["PutObject"] == IMAGES_PER_BATCH


@pytest.mark.integration
def test_after_a_failure_only_the_rest_is_sent(session: S3Session, folder: Path, place: Place) -> None:
    fill(folder, *(f"{number:04}.png" for number in range(5 * IMAGES_PER_BATCH)))
    puts = itertools.count(1)

    def refuse(**_: Any) -> Any:
        if next(puts) > 70:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    place.s3.meta.events.register("before-send.s3.PutObject", refuse)
    with pytest.raises(AccessError):
        send(session, folder, place)
    place.s3.meta.events.unregister("before-send.s3.PutObject", refuse)
    arrived = keys(place)
    assert len(arrived) == 70
    calls = Calls(place.s3)
    assert Counter(ways(send(session, folder, place)).values()) == {"already there": 70, "uploaded": 80}
    assert calls.counts["PutObject"] == 80
    assert {key: entry for key, entry in keys(place).items() if key in arrived} == arrived


@pytest.mark.integration
def test_an_object_of_the_same_name_and_other_content_stays(session: S3Session, folder: Path, place: Place) -> None:
    fill(folder, "a.png", "b.png", "c.png")
    other = (folder / "c.png").read_bytes()
    other = other[:-1] + bytes([other[-1] ^ 1])
    place.put("images/a.png", body=b"theirs")
    place.put("images/b.png", body=(folder / "b.png").read_bytes())
    place.put("images/c.png", body=other)
    sent = send(session, folder, place)
    assert ways(sent) == {"a.png": "NAME_TAKEN", "b.png": "already there", "c.png": "NAME_TAKEN"}
    assert place.read(f"s3://{place.images}/images/a.png") == b"theirs"
    assert place.read(f"s3://{place.images}/images/c.png") == other


@pytest.mark.integration
@pytest.mark.parametrize(("theirs", "way"), [(b"theirs", "NAME_TAKEN"), (None, "already there")])
def test_an_object_that_appears_meanwhile_stays(
    session: S3Session, folder: Path, place: Place, theirs: bytes | None, way: str
) -> None:
    fill(folder, "a.png")
    body = theirs or (folder / "a.png").read_bytes()
    destination = S3FolderLocation(place.images, "images/")
    with LocalFolder(str(folder)) as opened:
        files = opened.staged(destination.prefix)
        with FolderUpload(session, opened, destination, files) as upload:
            place.put("images/a.png", body=body)
            (sent,) = upload.send(files)
    assert (sent.way or sent.reason) == way
    assert place.read(f"s3://{place.images}/images/a.png") == body


@pytest.mark.integration
def test_files_that_changed_or_went_after_they_were_staged_are_not_sent(
    session: S3Session, folder: Path, place: Place
) -> None:
    fill(folder, "a.png", "b.png", "c.png", "d.png")
    destination = S3FolderLocation(place.images, "images/")
    with LocalFolder(str(folder)) as opened:
        files = opened.staged(destination.prefix)
        fill(folder, "a.png", data=picture("JPEG"))
        (folder / "b.png").unlink()
        (folder / "c.png").unlink()
        (folder / "c.png").symlink_to("/etc/hostname")
        with FolderUpload(session, opened, destination, files) as upload:
            sent = {file.name: file for file in upload.send(files)}
    assert ways(sent) == {"a.png": "CHANGED", "b.png": "VANISHED", "c.png": "SYMLINK_OUTSIDE", "d.png": "uploaded"}
    assert set(keys(place)) == {"images/d.png"}


_KILLED = """
import itertools, os, sys, threading, boto3
from botocore.config import Config
from include.custom_labels.locations import S3FolderLocation
from include.object_store.session import S3Session
from include.object_store.uploads import CONCURRENCY, FolderUpload, LocalFolder, send_batches
folder, endpoint, access_key, secret_key, bucket = sys.argv[1:]
client = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=access_key, aws_secret_access_key=secret_key,
                      region_name="us-east-1", config=Config(proxies={}))
hang = threading.Event()
class Stuck:
    # No file after the 40th is ever sent. Once every thread is stuck with one, the 40 before them have arrived.
    numbers = itertools.count(1)
    def __call__(self, request, **_):
        if request.method == "PUT" and (number := next(self.numbers)) > 40:
            if number == 40 + CONCURRENCY:
                os.write(1, b"stuck\\n")
            hang.wait()
client.meta.events.register("before-send.s3.PutObject", Stuck())
destination = S3FolderLocation(bucket, "images/")
with LocalFolder(folder) as opened:
    files = opened.staged("images/")
    with FolderUpload(S3Session(client), opened, destination, files) as upload:
        send_batches(upload.send, files, on_sent=lambda number, sent: None)
"""


@pytest.mark.integration
def test_an_upload_that_was_killed_continues(session: S3Session, folder: Path, place: Place) -> None:
    fill(folder, *(f"echo/{number:03}.png" for number in range(70)))
    aws = place.aws
    arguments = [str(folder), aws.s3_endpoint, aws.access_key, aws.secret_key, place.images]
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, *arguments],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "stuck\n"
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL
    arrived = keys(place)
    assert len(arrived) == 40
    calls = Calls(place.s3)
    sent = ways(send(session, folder, place))
    assert {f"images/{name}" for name, way in sent.items() if way == "already there"} == set(arrived)
    assert calls.counts["PutObject"] == 70 - len(arrived)
    after = keys(place)
    assert len(after) == 70
    assert {key: after[key] for key in arrived} == arrived
    for name in sent:
        assert place.read(f"s3://{place.images}/images/{name}") == (folder / name).read_bytes()


# --- staged uploads


def workspace(place: Place) -> Workspace:
    return Workspace.parse(f"s3://{place.workspace}/custom-labels")


def put_staged(place: Place, *names: str, upload_id: str = "upload-1", body: bytes | None = None) -> None:
    for name in names:
        key = f"custom-labels/uploads/{upload_id}/{name}"
        place.s3.put_object(Bucket=place.workspace, Key=key, Body=picture() if body is None else body)


@pytest.mark.integration
@pytest.mark.parametrize(
    "upload_id", ["", ".", "..", "../upload-2", "upload-1/../upload-2", "upload-1/", "/", "u\u0335", "upload-1\n"]
)
def test_no_other_place_can_be_named(session: S3Session, place: Place, upload_id: str) -> None:
    with pytest.raises(RequestError) as caught:
        StagedUpload(session, workspace(place), upload_id)
    assert caught.value.code == "INVALID_UPLOAD_ID"


@pytest.mark.integration
def test_a_staged_upload_is_read_from_its_own_prefix_and_copied_within_s3(session: S3Session, place: Place) -> None:
    put_staged(place, "a.png", "echo/b.png", "notes.txt")
    put_staged(place, "e.png", upload_id="upload-10")
    put_staged(place, "f.png", upload_id="upload-")
    upload = StagedUpload(session, workspace(place), "upload-1")
    files = {file.name: file for file in upload.staged("images/")}
    wanted = [file for file in files.values() if file.reason is None]
    assert {file.name for file in wanted} == {"a.png", "echo/b.png"}
    assert files["notes.txt"].reason is Reason.NOT_AN_IMAGE_NAME
    assert not {"e.png", "f.png"} & files.keys()
    destination = S3FolderLocation(place.images, "images/")
    calls = Calls(place.s3)
    sent = {file.name: file for file in upload.send(destination, wanted)}
    assert ways(sent) == {"a.png": "copied", "echo/b.png": "copied"}
    assert (calls.counts["PutObject"], calls.counts["CopyObject"], calls.counts["GetObject"]) == (0, 2, 0)
    assert all(file.size_bytes and len(file.written) == 19 for file in sent.values())
    assert set(keys(place)) == {"images/a.png", "images/echo/b.png"}
    again = {file.name: file for file in upload.send(destination, wanted)}
    assert ways(again) == {"a.png": "already there", "echo/b.png": "already there"}


@pytest.mark.integration
def test_keys_of_a_staged_upload_that_would_lead_out_of_it(
    session: S3Session, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 takes such keys as they are. SeaweedFS, a file system underneath, does not, so that they are made up."""
    prefix = "custom-labels/uploads/upload-1/"
    names = ["../upload-2/c.png", "/d.png", "./e.png", "echo/../../f.png", "g.png"]
    size = len(names)
    page = ObjectPage([prefix + name for name in names], [1] * size, ["e"] * size, ["2026-11-22T20:00:00"] * size)
    monkeypatch.setattr(uploads, "list_objects", lambda *_: iter([page]))
    files = StagedUpload(session, workspace(place), "upload-1").staged("images/")
    assert {file.name: file.reason for file in files} == {
        **dict.fromkeys(names, Reason.UNSAFE_NAME),
        "g.png": None,
    }


@pytest.mark.integration
def test_a_staged_name_that_is_taken_or_gone(session: S3Session, place: Place) -> None:
    put_staged(place, "a.png", "b.png")
    place.put("images/a.png", body=b"theirs")
    upload = StagedUpload(session, workspace(place), "upload-1")
    files = upload.staged("images/")
    place.s3.delete_object(Bucket=place.workspace, Key="custom-labels/uploads/upload-1/b.png")
    sent = {file.name: file for file in upload.send(S3FolderLocation(place.images, "images/"), files)}
    assert ways(sent) == {"a.png": "NAME_TAKEN", "b.png": "VANISHED"}
    assert place.read(f"s3://{place.images}/images/a.png") == b"theirs"


@pytest.mark.integration
def test_an_upload_that_is_not_there(session: S3Session, place: Place) -> None:
    with pytest.raises(AccessError) as caught:
        StagedUpload(session, workspace(place), "upload-1").staged("images/")
    assert caught.value.code == "FOLDER_EMPTY"


@pytest.mark.integration
def test_files_are_handed_on(session: S3Session, place: Place) -> None:
    uri = S3FolderLocation(place.workspace, "").uri("files.jsonl")
    files = [
        LocalFile(name="a\n😀.png", size_bytes=5, sha256="s", md5="m", modified="2026-11-22T20:00:00"),
        LocalFile(name="b.png").refused(Reason.NAME_TAKEN, "x"),
    ]
    write_files(session, uri, files)
    assert read_files(session, uri) == files
