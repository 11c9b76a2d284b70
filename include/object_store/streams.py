"""Objects written and read as streams: manifests of any size, and small JSON documents under a condition.

Writing goes through boto3's multipart calls and not through obstore's writer, which on an error inside its ``with``
block completes the upload and so leaves half a manifest that looks whole.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from include.custom_labels.errors import AccessError
from include.custom_labels.locations import S3Uri
from include.object_store.conditional_writes import happened, is_failed_condition, is_gone_upload
from include.object_store.documents import damaged, decode_document, encode_document
from include.object_store.failures import error_of_boto3
from include.object_store.ranged_reads import read_parts
from include.object_store.session import S3Session

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES = 8 * 1024 * 1024
"""S3 takes no smaller parts than 5 MiB, and 10,000 of them."""
PARTS_IN_FLIGHT = 3

Document = TypeVar("Document", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object as it was written.

    :ivar etag: without quotes
    :ivar version_id: None in a bucket without versions
    :ivar sha256: of the whole content, in hex
    """

    uri: S3Uri
    size_bytes: int
    etag: str
    version_id: str | None
    sha256: str


class Written(Protocol):
    """What writes one object: an `ObjectWriter`, or what is made of one."""

    @property
    def stored(self) -> StoredObject | None:
        """What was written, once the ``with`` block has ended."""


class ObjectWriter:
    """A file to write that becomes an S3 object when its ``with`` block ends, and nothing when the block fails.

    Parts have at least `PART_BYTES`, and less than twice as many. At most `PARTS_IN_FLIGHT` + 2 are in memory.

    :param if_absent: refuse to replace an object that exists, whose name is this writer's own
    :ivar stored: what was written, once the block has ended
    """

    def __init__(
        self,
        session: S3Session,
        uri: S3Uri,
        *,
        content_type: str = "application/octet-stream",
        if_absent: bool = False,
    ) -> None:
        self.uri = uri
        self.stored: StoredObject | None = None
        self.closed = False
        self._session = session
        self._client = session.client
        self._target: dict[str, Any] = {"Bucket": uri.bucket, "Key": uri.key}
        self._content_type = content_type
        self._condition: dict[str, Any] = {"IfNoneMatch": "*"} if if_absent else {}
        self._digest = hashlib.sha256()
        self._size_bytes = 0
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._upload_id = ""
        self._threads: ThreadPoolExecutor | None = None
        self._parts: list[Future[CompletedPartTypeDef]] = []
        self._in_flight: deque[Future[CompletedPartTypeDef]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def write(self, data: bytes) -> int:
        """Add bytes; waits while too many parts are on their way.

        :raises AccessError: an earlier part could not be uploaded
        """
        if self.closed:
            raise ValueError("write to a closed ObjectWriter")
        self._digest.update(data)
        self._size_bytes += len(data)
        for start in range(0, len(data), PART_BYTES):
            piece = bytes(data[start : start + PART_BYTES])
            self._waiting.append(piece)
            self._waiting_bytes += len(piece)
            if self._waiting_bytes >= PART_BYTES:
                self._send(self._take())
        return len(data)

    def tell(self) -> int:
        """Bytes written so far; Parquet files hold their own offsets."""
        return self._size_bytes

    def flush(self) -> None:
        """Nothing: a part that is not full yet cannot be sent."""

    def close(self) -> None:
        """Send the rest and make the object appear.

        :raises AccessError: OBJECT_EXISTS under ``if_absent``, or what else S3 answers; the object is not there then
        """
        if self.closed:
            return
        try:
            stored = self._complete() if self._upload_id else self._put()
        except (BotoCoreError, ClientError) as error:
            self.abort()
            if self._condition and is_failed_condition(error):
                raise _object_exists(self.uri) from error
            raise error_of_boto3(error, self.uri) from error
        except BaseException:
            self.abort()
            raise
        self._end()
        self.stored = stored

    def abort(self) -> None:
        """Forget everything that was written."""
        if self.closed:
            return
        for part in self._parts:
            part.cancel()
        wait(self._parts)
        self._end()
        if self._upload_id:
            try:
                self._client.abort_multipart_upload(**self._target, UploadId=self._upload_id)
            except (BotoCoreError, ClientError) as error:
                if not is_gone_upload(error):
                    raise error_of_boto3(error, self.uri) from error

    def _end(self) -> None:
        self.closed = True
        self._waiting.clear()
        if self._threads:
            self._threads.shutdown()

    def _take(self) -> bytes:
        """What waits to be sent."""
        part = b"".join(self._waiting)
        self._waiting, self._waiting_bytes = [], 0
        return part

    def _put(self) -> StoredObject:
        body = self._take()

        def put() -> StoredObject:
            return self._described(
                self._client.put_object(**self._target, Body=body, ContentType=self._content_type, **self._condition)
            )

        return happened(put, self._find) if self._condition else put()

    def _send(self, body: bytes) -> None:
        try:
            if self._threads is None:
                answer = self._client.create_multipart_upload(**self._target, ContentType=self._content_type)
                self._upload_id = answer["UploadId"]
                self._threads = ThreadPoolExecutor(PARTS_IN_FLIGHT, thread_name_prefix="s3-upload")
            if len(self._in_flight) == PARTS_IN_FLIGHT:
                self._in_flight.popleft().result()
        except (BotoCoreError, ClientError) as error:
            raise error_of_boto3(error, self.uri) from error
        part = self._threads.submit(self._upload, len(self._parts) + 1, body)
        self._parts.append(part)
        self._in_flight.append(part)

    def _upload(self, number: int, body: bytes) -> CompletedPartTypeDef:
        answer = self._client.upload_part(**self._target, UploadId=self._upload_id, PartNumber=number, Body=body)
        # S3 wants the checksums back that boto3 had it compute.
        checksums = {name: value for name, value in answer.items() if name.startswith("Checksum")}
        return {"PartNumber": number, "ETag": answer["ETag"], **checksums}  # type: ignore[typeddict-item]

    def _complete(self) -> StoredObject:
        if self._waiting_bytes:
            self._send(self._take())
        parts = [part.result() for part in self._parts]

        def complete() -> StoredObject:
            return self._described(
                self._client.complete_multipart_upload(
                    **self._target, UploadId=self._upload_id, MultipartUpload={"Parts": parts}, **self._condition
                )
            )

        # Also without a condition, an upload can be completed only once.
        return happened(complete, self._find, repeats_conflicts=False)

    def _find(self) -> StoredObject | None:
        """What was to be written, where it is there."""
        try:
            head = object_head(self._session, self.uri)
        except AccessError as error:
            if error.code != "OBJECT_NOT_FOUND":
                raise
            return None
        digest = hashlib.sha256()
        for chunk in read_parts(self._session, self.uri, size_bytes=head.size_bytes, etag=head.etag):
            digest.update(chunk)
        if digest.digest() != self._digest.digest():
            return None
        return self._described({"ETag": head.etag, "VersionId": head.version_id})

    def _described(self, answer: Mapping[str, Any]) -> StoredObject:
        return StoredObject(
            uri=self.uri,
            size_bytes=self._size_bytes,
            etag=answer["ETag"].strip('"'),
            version_id=answer.get("VersionId"),
            sha256=self._digest.hexdigest(),
        )


def stored_of(writer: Written) -> StoredObject:
    """What a writer wrote, once its ``with`` block has ended."""
    if writer.stored is None:
        raise RuntimeError("a writer was asked for its object before its with block ended")
    return writer.stored


def _object_exists(uri: S3Uri) -> AccessError:
    return AccessError(
        "OBJECT_EXISTS",
        f"{uri} exists already, or is being written by someone else.",
        "Nothing was overwritten; run again to use what is there.",
        location=str(uri),
    )


def put_bytes(
    session: S3Session,
    uri: S3Uri,
    data: bytes,
    *,
    content_type: str = "application/octet-stream",
    if_absent: bool = False,
    if_match: str | None = None,
) -> str | None:
    """Write a small object in one request; its new ETag, or None when the condition did not hold.

    Under a condition, the bytes are to be nobody else's: an object that holds them counts as written.

    :param if_absent: only where no object is
    :param if_match: only over the object with this ETag, written without quotes
    :raises AccessError: what else S3 answers
    """
    condition: dict[str, Any] = {}
    if if_absent:
        condition["IfNoneMatch"] = "*"
    if if_match is not None:
        condition["IfMatch"] = f'"{if_match}"'

    def put() -> str:
        answer = session.client.put_object(
            Bucket=uri.bucket, Key=uri.key, Body=data, ContentType=content_type, **condition
        )
        return answer["ETag"].strip('"')

    def find() -> str | None:
        found = read_bytes(session, uri)
        return found[1] if found and found[0] == data else None

    try:
        return happened(put, find) if condition else put()
    except (BotoCoreError, ClientError) as error:
        if condition and is_failed_condition(error):
            return None
        failure = error_of_boto3(error, uri)
        if if_match is not None and failure.code == "OBJECT_NOT_FOUND":
            return None
        raise failure from error


def put_json(
    session: S3Session, uri: S3Uri, value: object, *, if_absent: bool = False, if_match: str | None = None
) -> str | None:
    """`put_bytes` of a JSON document, with its format and, under a condition, the id of the write."""
    is_conditional = if_absent or if_match is not None
    data = encode_document(value, write_id=secrets.token_hex(8) if is_conditional else "")
    return put_bytes(session, uri, data, content_type="application/json", if_absent=if_absent, if_match=if_match)


def read_bytes(session: S3Session, uri: S3Uri) -> tuple[bytes, str] | None:
    """A small object and its ETag without quotes; None where there is none.

    :raises AccessError: what else S3 answers
    """
    try:
        return session.read(uri.bucket, uri.key)
    except (BotoCoreError, ClientError) as error:
        failure = error_of_boto3(error, uri)
        if failure.code == "OBJECT_NOT_FOUND":
            return None
        raise failure from error


def read_json(session: S3Session, uri: S3Uri, kind: type[Document], *, sha256: str = "") -> tuple[Document, str] | None:
    """A JSON document as the struct ``kind`` and its ETag without quotes; None where there is none.

    :param sha256: what its bytes have to be, in hex; empty where that is not known
    :raises DocumentError: DOCUMENT_UNREADABLE, DOCUMENT_FORMAT, or DOCUMENT_DAMAGED
    :raises AccessError: what else S3 answers
    """
    found = read_bytes(session, uri)
    if found is None:
        return None
    document = decode_document(uri, found[0], kind)
    if sha256 and hashlib.sha256(found[0]).hexdigest() != sha256:
        raise damaged(uri, "its digest is another")
    return document, found[1]


def object_head(session: S3Session, uri: S3Uri) -> StoredHead:
    """Size and ETag of an object.

    :raises AccessError: OBJECT_NOT_FOUND, or what else S3 answers
    """
    try:
        answer = session.client.head_object(Bucket=uri.bucket, Key=uri.key)
    except (BotoCoreError, ClientError) as error:
        raise error_of_boto3(error, uri) from error
    return StoredHead(
        size_bytes=answer["ContentLength"],
        etag=answer["ETag"].strip('"'),
        version_id=answer.get("VersionId"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHead:
    """:ivar etag: without quotes; :ivar version_id: None in a bucket without versions"""

    size_bytes: int
    etag: str
    version_id: str | None


def read_chunks(session: S3Session, uri: S3Uri) -> Iterator[bytes]:
    """The content of an object of any size, in parts that all belong to one state of it.

    :raises AccessError: OBJECT_NOT_FOUND, OBJECT_CHANGED, or what else S3 answers
    """
    head = object_head(session, uri)
    yield from read_parts(session, uri, size_bytes=head.size_bytes, etag=head.etag)


def read_lines(session: S3Session, uri: S3Uri) -> Iterator[bytes]:
    r"""The lines of an object, without their ``\n``; a last line without one counts.

    :raises AccessError: see `read_chunks`
    """
    rest = b""
    for chunk in read_chunks(session, uri):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def copy_object(session: S3Session, source: S3Uri, target: S3Uri) -> None:
    """Copy within S3, at most 5 GiB: the bytes do not come here.

    :raises AccessError: what S3 answers
    """
    try:
        session.client.copy_object(
            Bucket=target.bucket, Key=target.key, CopySource={"Bucket": source.bucket, "Key": source.key}
        )
    except (BotoCoreError, ClientError) as error:
        raise error_of_boto3(error, source) from error
