"""Images from a folder of this computer, or staged by a browser, to where a dataset's images lie in S3.

Nothing is ever overwritten, and the same bytes are never sent twice: content that the destination has already, under
whatever name, is copied inside S3. What arrived stays, so that an upload that was killed continues by being started
again. A file is only ever opened below its folder, component by component and through no symbolic link, so that
nobody can swap one in between a look and the reading.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from threading import Lock
from types import TracebackType
from typing import Final, Self

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from include.custom_labels.errors import AccessError
from include.custom_labels.local_files import LocalFile, batches, check_upload_id, judge_content, judge_name
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.custom_labels.quotas import MAX_IMAGE_FILE_BYTES
from include.custom_labels.reasons import Reason
from include.object_store.conditional_writes import happened, is_failed_condition
from include.object_store.copies import SHA256, CopyOutcome, CopyState, copy_images
from include.object_store.failures import error_of_boto3
from include.object_store.listing import list_objects
from include.object_store.ranged_reads import read_parts
from include.object_store.session import S3Session
from include.object_store.snapshots import Workspace
from include.object_store.streams import ObjectWriter, StoredObject, read_lines

CONCURRENCY: Final = 8
"""Files at a time: each is in memory as a whole, 15 MB at most."""
BATCHES_AT_ONCE: Final = 4
"""Batches under way: enough that no thread idles while the last files of a batch are sent."""

_COPY_REASONS: Final = {
    CopyState.MISSING: Reason.VANISHED,
    CopyState.DENIED: Reason.UNREADABLE,
    CopyState.CONFLICT: Reason.NAME_TAKEN,
    CopyState.TOO_LARGE: Reason.FILE_TOO_LARGE,
    CopyState.FAILED: Reason.COPY_FAILED,
}
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(LocalFile)


class FileRefusedError(Exception):
    """One file that cannot be read as it was found; never leaves this module."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class LocalFolder:
    """A folder of this computer, to use in a ``with`` block.

    :param path: absolute; it may itself be a symbolic link
    :raises AccessError: LOCAL_FOLDER_NOT_FOUND
    """

    def __init__(self, path: str) -> None:
        self.root = os.path.realpath(path)
        try:
            self._descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise AccessError(
                "LOCAL_FOLDER_NOT_FOUND",
                f"This worker cannot open the folder {path}: {error.strerror}.",
                "Mount it on every worker that runs this Dag, readable for the worker's user.",
                folder=path,
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def staged(self, prefix: str) -> list[LocalFile]:
        """Everything in the folder, by name: digests of what can be imported, and reasons for what cannot.

        :param prefix: of the destination
        """
        found = sorted((judge_name(file, prefix) for file in self._walk()), key=lambda file: file.name)
        with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="local-files") as threads:
            return [file for batch in batches(found) for file in threads.map(self._digested, batch)]

    def read(self, name: str) -> bytes:
        """A whole file in one state.

        :raises FileRefusedError: it is no regular file in this folder, too large, or being written
        """
        path = os.path.realpath(os.path.join(self.root, name))
        if not self._contains(path):
            raise FileRefusedError(Reason.SYMLINK_OUTSIDE, path)
        try:
            with self._opened(os.path.relpath(path, self.root)) as descriptor:
                return _read_steady(descriptor)
        except FileNotFoundError as error:
            raise FileRefusedError(Reason.VANISHED, "") from error
        except OSError as error:
            raise FileRefusedError(Reason.UNREADABLE_FILE, error.strerror or "") from error

    def _digested(self, file: LocalFile) -> LocalFile:
        if file.reason is not None:
            return file
        try:
            data = self.read(file.name)
        except FileRefusedError as refusal:
            return file.refused(refusal.reason, refusal.detail)
        digested = msgspec.structs.replace(
            file,
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
        )
        return judge_content(digested, data)

    def _walk(self) -> Iterator[LocalFile]:
        folders = [""]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(os.path.join(self.root, folder)) as entries:
                    for entry in entries:
                        name = folder + entry.name
                        if not entry.is_dir(follow_symlinks=False):
                            yield self._found(name)
                        elif entry.name.startswith("."):
                            yield LocalFile(name=f"{name}/").refused(Reason.HIDDEN_FILE)
                        else:
                            folders.append(f"{name}/")
            except OSError as error:
                yield LocalFile(name=folder).refused(Reason.UNREADABLE_FILE, error.strerror or "")

    def _found(self, name: str) -> LocalFile:
        path = os.path.join(self.root, name)
        file = LocalFile(name=name)
        target = os.path.realpath(path)
        if not self._contains(target):
            return file.refused(Reason.SYMLINK_OUTSIDE, _printable(target))
        try:
            about = os.stat(target, follow_symlinks=False)
        except FileNotFoundError:
            return file.refused(Reason.VANISHED, "" if target == path else "a symbolic link to nothing")
        except OSError as error:
            return file.refused(Reason.UNREADABLE_FILE, error.strerror or "")
        if stat.S_ISDIR(about.st_mode):
            return file.refused(Reason.SYMLINK_TO_FOLDER)
        if stat.S_ISLNK(about.st_mode):
            return file.refused(Reason.UNREADABLE_FILE, "symbolic links in a circle")
        if not stat.S_ISREG(about.st_mode):
            return file.refused(Reason.SPECIAL_FILE)
        return msgspec.structs.replace(file, size_bytes=about.st_size, modified=_time(about.st_mtime))

    def _contains(self, path: str) -> bool:
        return path.startswith(self.root.rstrip("/") + "/")

    @contextmanager
    def _opened(self, relative: str) -> Iterator[int]:
        *folders, name = relative.split("/")
        at = os.dup(self._descriptor)
        try:
            for folder in folders:
                below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = below
            # Without O_NONBLOCK, a pipe that was swapped in would be waited for.
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
        finally:
            os.close(at)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _read_steady(descriptor: int) -> bytes:
    """All bytes of a file that nobody writes to meanwhile."""
    before = os.fstat(descriptor)
    if not stat.S_ISREG(before.st_mode):
        raise FileRefusedError(Reason.SPECIAL_FILE, "")
    if before.st_size > MAX_IMAGE_FILE_BYTES.value:
        raise FileRefusedError(Reason.FILE_TOO_LARGE, f"{before.st_size:,} bytes")
    with open(descriptor, "rb", closefd=False) as file:
        data = file.read(before.st_size + 1)
    after = os.fstat(descriptor)
    if _state(before) != _state(after) or len(data) != before.st_size:
        raise FileRefusedError(Reason.CHANGED, "it was written to while it was read")
    return data


def _state(about: os.stat_result) -> tuple[int, int, int]:
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _printable(path: str) -> str:
    return os.fsencode(path).decode(errors="backslashreplace")


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


class FolderUpload:
    """Sends files of a folder to a destination, to use in a ``with`` block; several batches may be sent at once.

    Each object carries its content's SHA-256 as metadata, by which a later upload knows it again.

    :param files: all that will be sent, as `LocalFolder.staged` found them
    :raises AccessError: what S3 answers
    """

    def __init__(
        self, session: S3Session, folder: LocalFolder, destination: S3FolderLocation, files: Sequence[LocalFile]
    ) -> None:
        self._session = session
        self._folder = folder
        self._destination = destination
        self._threads = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="s3-upload")
        self._present: set[str] = set()
        self._places: dict[str, S3Uri] = {}
        """Where S3 has content, by its SHA-256; of what was there before only a likeness, which each copy verifies."""
        times = Counter(file.sha256 for file in files if file.reason is None)
        # Of files with the same content one is sent first; then S3 can copy it.
        self._turns = {sha256: Lock() for sha256, count in times.items() if count > 1}
        self._look_around(files)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def send(self, batch: Sequence[LocalFile]) -> list[LocalFile]:
        """The files as the objects that they became, or refused, in their order.

        :raises AccessError: S3 refused for a reason that is not a file's own; what has arrived stays
        """
        return list(self._threads.map(self._send_in_turn, batch))

    def _look_around(self, files: Sequence[LocalFile]) -> None:
        wanted = {(file.md5, file.size_bytes): file.sha256 for file in files if file.reason is None}
        names = {self._destination.prefix + file.name for file in files if file.reason is None}
        for page in list_objects(self._session, self._destination):
            self._present.update(names.intersection(page.keys))
            for key, size_bytes, etag in zip(page.keys, page.sizes, page.etags, strict=True):
                if sha256 := wanted.get((etag, size_bytes)):
                    self._places[sha256] = S3Uri(self._destination.bucket, key)

    def _send_in_turn(self, file: LocalFile) -> LocalFile:
        with self._turns.get(file.sha256, nullcontext()):
            return self._send(file)

    def _send(self, file: LocalFile) -> LocalFile:
        target = self._destination.uri(file.name)
        if target.key in self._present:
            return self._compared(file, target)
        place = self._places.get(file.sha256)
        if place is not None and self._holds(place, file):
            (outcome,) = copy_images(self._session, self._session, [(place, target)], concurrency=1)
            if outcome.state in (CopyState.COPIED, CopyState.PRESENT, CopyState.CONFLICT):
                return _of_outcome(file, outcome)
        return self._put(file, target)

    def _put(self, file: LocalFile, target: S3Uri) -> LocalFile:
        try:
            data = self._folder.read(file.name)
        except FileRefusedError as refusal:
            return file.refused(refusal.reason, refusal.detail)
        digest = hashlib.sha256(data)
        if digest.hexdigest() != file.sha256:
            return file.refused(Reason.CHANGED, "its content is not what was staged")

        def put() -> LocalFile:
            self._session.client.put_object(
                Bucket=target.bucket,
                Key=target.key,
                Body=data,
                IfNoneMatch="*",
                # S3 refuses the bytes if they are not these.
                ChecksumSHA256=base64.b64encode(digest.digest()).decode(),
                Metadata={SHA256: file.sha256},
                ContentType="image/png" if data.startswith(b"\x89PNG") else "image/jpeg",
            )
            self._places[file.sha256] = target
            return self._described(file, target, "uploaded")

        def find() -> LocalFile | None:
            return self._described(file, target, "already there") if self._holds(target, file) else None

        try:
            return happened(put, find)
        except (BotoCoreError, ClientError) as error:
            if is_failed_condition(error):
                return file.refused(Reason.NAME_TAKEN, str(target))
            raise error_of_boto3(error, target) from error

    def _compared(self, file: LocalFile, target: S3Uri) -> LocalFile:
        """The file where its name is taken: by itself, or by something else."""
        if self._holds(target, file):
            return self._described(file, target, "already there")
        return file.refused(Reason.NAME_TAKEN, str(target))

    def _holds(self, place: S3Uri, file: LocalFile) -> bool:
        """Whether the object has the file's content, by what its upload recorded, else by its bytes."""
        try:
            head = self._session.client.head_object(Bucket=place.bucket, Key=place.key)
            if head["ContentLength"] != file.size_bytes:
                return False
            recorded = head["Metadata"].get(SHA256)
            if recorded is not None:
                return recorded == file.sha256
            digest = hashlib.sha256()
            for part in read_parts(self._session, place, size_bytes=file.size_bytes, etag=head["ETag"].strip('"')):
                digest.update(part)
        except (BotoCoreError, ClientError) as error:
            failure = error_of_boto3(error, place)
            if failure.code == "OBJECT_NOT_FOUND":
                return False
            raise failure from error
        return digest.hexdigest() == file.sha256

    def _described(self, file: LocalFile, target: S3Uri, way: str) -> LocalFile:
        try:
            head = self._session.client.head_object(Bucket=target.bucket, Key=target.key)
        except (BotoCoreError, ClientError) as error:
            raise error_of_boto3(error, target) from error
        return file.sent(way, etag=head["ETag"].strip('"'), written=_time(head["LastModified"].timestamp()))


def _of_outcome(file: LocalFile, outcome: CopyOutcome) -> LocalFile:
    if outcome.state in _COPY_REASONS:
        return file.refused(_COPY_REASONS[outcome.state], outcome.detail or outcome.code)
    sized = msgspec.structs.replace(file, size_bytes=outcome.size_bytes)
    return sized.sent(str(outcome.state), etag=outcome.etag, written=outcome.last_modified)


class StagedUpload:
    """What a browser put below an upload's own prefix of the workspace; nothing else can be named by it.

    :raises RequestError: INVALID_UPLOAD_ID
    """

    def __init__(self, session: S3Session, workspace: Workspace, upload_id: str) -> None:
        self._session = session
        self.folder = workspace.uploads(check_upload_id(upload_id))

    def staged(self, prefix: str) -> list[LocalFile]:
        """Everything below the upload's prefix, by name, with reasons for what cannot be imported.

        :param prefix: of the destination
        :raises AccessError: FOLDER_EMPTY, or what S3 answers
        """
        start = len(self.folder.prefix)
        files = [
            judge_name(LocalFile(name=key[start:], size_bytes=size_bytes, modified=modified), prefix)
            for page in list_objects(self._session, self.folder)
            for key, size_bytes, modified in zip(page.keys, page.sizes, page.last_modified, strict=True)
            if key != self.folder.prefix
        ]
        if not files:
            raise AccessError(
                "FOLDER_EMPTY",
                f"There is nothing below {self.folder}.",
                "Check the upload's id, or upload the images first.",
                location=str(self.folder),
            )
        return files

    def send(self, destination: S3FolderLocation, batch: Sequence[LocalFile]) -> list[LocalFile]:
        """The files as the objects that S3 made of them, or refused.

        :raises AccessError: S3 refused for a reason that is not a file's own
        """
        plan = [(self.folder.uri(file.name), destination.uri(file.name)) for file in batch]
        outcomes = copy_images(self._session, self._session, plan)
        return [_of_outcome(file, outcome) for file, outcome in zip(batch, outcomes, strict=True)]


def send_batches(
    send: Callable[[Sequence[LocalFile]], list[LocalFile]],
    files: Iterable[LocalFile],
    *,
    on_sent: Callable[[int, list[LocalFile]], None],
) -> list[LocalFile]:
    """Send files in batches, `BATCHES_AT_ONCE` at the same time; in the order of the files, whichever ends first.

    :param send: sends one batch, as `FolderUpload.send` does
    :param on_sent: called with the number of each batch, from 1 on, and what became of its files, as it ends
    :raises AccessError: what stopped a batch, after the batches that were under way have ended; no other one began
    """
    with ThreadPoolExecutor(BATCHES_AT_ONCE, thread_name_prefix="upload-batches") as threads:
        under_way = {threads.submit(send, batch): number for number, batch in enumerate(batches(files), start=1)}
        try:
            for future in as_completed(under_way):
                on_sent(under_way[future], future.result())
        finally:
            threads.shutdown(cancel_futures=True)
    return [file for future in under_way for file in future.result()]


def write_files(session: S3Session, uri: S3Uri, files: Sequence[LocalFile]) -> StoredObject:
    """Files as JSON Lines, for the next task.

    :raises AccessError: what S3 answers
    """
    with ObjectWriter(session, uri, content_type="application/jsonlines") as writer:
        for file in files:
            writer.write(_ENCODER.encode(file) + b"\n")
    if writer.stored is None:
        raise RuntimeError("the writer did not close")
    return writer.stored


def read_files(session: S3Session, uri: S3Uri) -> list[LocalFile]:
    """What `write_files` wrote.

    :raises AccessError: OBJECT_NOT_FOUND, or what else S3 answers
    """
    return [_DECODER.decode(line) for line in read_lines(session, uri)]
