"""Images copied from one place of S3 to another: inside S3 where one set of credentials may, else through here.

Nothing is ever overwritten with other content, and an object that is there already with the same content is left
alone, so that a copy that was killed continues by being started again. Every copy is verified.

What tells whether two objects are the same is, in this order: their sizes; their ETags, where these are MD5 digests
(not of multipart objects, nor under KMS or a customer's key); a checksum of the whole object that S3 keeps for both;
for an object that this module wrote, the ETag of the source that it recorded in the object's metadata; the bytes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from include.custom_labels.errors import AccessError
from include.custom_labels.locations import S3Uri
from include.custom_labels.quotas import MAX_IMAGE_FILE_BYTES
from include.object_store.conditional_writes import happened
from include.object_store.failures import error_of_boto3
from include.object_store.ranged_reads import object_changed
from include.object_store.session import S3Session

SOURCE_ETAG = "custom-labels-source-etag"
SHA256 = "custom-labels-sha256"
"""User metadata of each copy: the source's ETag, and where the bytes came through here their digest in hex."""
ORIGINAL_NAME = "original-name"
"""User metadata of an image that lies under a name of ours: the name that its file had, quoted as in a URL.

It goes with every copy: what was uploaded expires, and the name is a person's.
"""

_MD5 = re.compile(r"[0-9a-f]{32}")
_WHOLE_CHECKSUMS = ("ChecksumSHA256", "ChecksumCRC64NVME")
# Of the way to S3 or of all that is copied, and not of one object.
_GENERAL_CODES = frozenset(
    {"S3_UNAVAILABLE", "S3_UNREACHABLE", "CREDENTIALS_EXPIRED", "CREDENTIALS_REFUSED", "NO_CREDENTIALS"}
)
_CODE_STATES = {"OBJECT_NOT_FOUND": "missing", "BUCKET_NOT_FOUND": "missing", "ACCESS_DENIED": "denied"}


@dataclass(frozen=True, slots=True)
class ObjectVersion(S3Uri):
    """One version of an object, as a source to copy.

    :ivar etag: as it was listed, without quotes: a null version's place may be taken by another one
    """

    version_id: str
    etag: str

    def __str__(self) -> str:
        return f"{S3Uri.__str__(self)} (version {self.version_id})"


class CopyState(StrEnum):
    """What became of one object."""

    COPIED = "copied"
    PRESENT = "already there"
    MISSING = "missing"
    """There is no source object, or no bucket for it."""
    DENIED = "denied"
    CONFLICT = "conflict"
    """The target has other content, which stays."""
    TOO_LARGE = "too large"
    """Over the size that Rekognition reads, so it is not copied."""
    FAILED = "failed"
    """S3 refused for another reason, such as an archived source, or the copy is not what its source is."""


DONE = frozenset({CopyState.COPIED, CopyState.PRESENT})
"""States in which the target has the source's content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOutcome:
    """One object of a plan.

    :ivar code: of the `AccessError` that stopped it, or empty
    :ivar detail: what happened, in words; empty where it was copied or there
    :ivar size_bytes: of the target, where it has the source's content, else 0
    :ivar etag: of the target, likewise, without quotes
    :ivar last_modified: of the target, likewise, as in an `ObjectPage`
    """

    source: S3Uri
    target: S3Uri
    state: CopyState
    code: str = ""
    detail: str = ""
    size_bytes: int = 0
    etag: str = ""
    last_modified: str = ""


def copy_images(
    source_session: S3Session,
    target_session: S3Session,
    plan: Iterable[tuple[S3Uri, S3Uri]],
    *,
    concurrency: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Iterator[CopyOutcome]:
    """Copy each source to its target; an outcome for each, in the order of the plan, as soon as it is known.

    The copy is made by S3 itself with the target's credentials, where these can read the source; else it is read
    with the source's credentials and written with the target's. One failing object never stops the others.

    :param plan: sources, each an object as it is or an `ObjectVersion`, and targets; every target only once. It is
        read as far ahead as threads need work
    :param concurrency: objects at the same time; by default as many as the target's client keeps connections
    :param on_progress: called with the number of outcomes so far
    :raises AccessError: S3 is out of reach or refuses the credentials, whatever object is asked for
    """
    size = concurrency or target_session.client.meta.config.max_pool_connections  # type: ignore[attr-defined]
    copier = _Copier(source_session, target_session)
    waiting: deque[Future[CopyOutcome]] = deque()
    done = 0

    def next_outcome() -> CopyOutcome:
        nonlocal done
        outcome = waiting.popleft().result()
        done += 1
        if on_progress:
            on_progress(done)
        return outcome

    with ThreadPoolExecutor(size, thread_name_prefix="s3-copy") as threads:
        try:
            for source, target in plan:
                waiting.append(threads.submit(copier.copy, source, target))
                if len(waiting) >= 4 * size:
                    yield next_outcome()
            while waiting:
                yield next_outcome()
        finally:
            for future in waiting:
                future.cancel()


class _Copier:
    def __init__(self, source: S3Session, target: S3Session) -> None:
        self._source = source
        self._target = target
        # Buckets that the target's credentials were refused; the next object of each goes the other way at once.
        self._streamed_buckets: set[str] = set()

    def copy(self, source: S3Uri, target: S3Uri) -> CopyOutcome:
        try:
            return self._copy(source, target)
        except AccessError as error:
            if error.code in _GENERAL_CODES or (
                error.code == "BUCKET_NOT_FOUND" and error.details.get("location") == str(target)
            ):
                raise
            return CopyOutcome(
                source=source,
                target=target,
                state=CopyState(_CODE_STATES.get(error.code, "failed")),
                code=error.code,
                detail=f"{error.message} {error.details.get('aws_message') or ''}".rstrip(),
            )

    def _copy(self, source: S3Uri, target: S3Uri) -> CopyOutcome:
        wanted, reader = self._source_head(source)
        if isinstance(source, ObjectVersion) and wanted["ETag"].strip('"') != source.etag:
            raise object_changed(source)
        if wanted["ContentLength"] > MAX_IMAGE_FILE_BYTES.value:
            return CopyOutcome(
                source=source,
                target=target,
                state=CopyState.TOO_LARGE,
                code="OBJECT_TOO_LARGE",
                detail=f"{wanted['ContentLength']:,} bytes",
            )
        found = self._find(target)
        if found is None:
            state = self._copy_inside(reader, source, target, wanted) or self._stream(reader, source, target, wanted)
            found = _head(self._target, target)
        else:
            state = CopyState.PRESENT
        if not self._is_same(reader, source, wanted, target, found, trust_record=state is CopyState.PRESENT):
            return self._difference(source, target, state)
        return CopyOutcome(
            source=source,
            target=target,
            state=state,
            size_bytes=found["ContentLength"],
            etag=found["ETag"].strip('"'),
            last_modified=_time(found["LastModified"]),
        )

    def _difference(self, source: S3Uri, target: S3Uri, state: CopyState) -> CopyOutcome:
        if state is CopyState.PRESENT:
            return CopyOutcome(
                source=source,
                target=target,
                state=CopyState.CONFLICT,
                code="OBJECT_EXISTS",
                detail=f"{target} has other content, which was not overwritten",
            )
        return CopyOutcome(
            source=source,
            target=target,
            state=CopyState.FAILED,
            code="OBJECT_CHANGED",
            detail=f"{target} is not what was copied from {source}: someone else wrote one of them meanwhile",
        )

    def _source_head(self, source: S3Uri) -> tuple[dict[str, Any], S3Session]:
        """The source's head, and the session that may read it."""
        try:
            return _head(self._source, source), self._source
        except AccessError as error:
            if error.code != "ACCESS_DENIED" or self._source is self._target:
                raise
            try:
                return _head(self._target, source), self._target
            except AccessError as other:
                if other.code in _GENERAL_CODES:
                    raise
                raise error from other

    def _copy_inside(self, reader: S3Session, source: S3Uri, target: S3Uri, wanted: dict[str, Any]) -> CopyState | None:
        """Let S3 copy; None where it would not: the other way then tells why, where that is a reason there too."""
        if reader is not self._target and source.bucket in self._streamed_buckets:
            return None

        def copy() -> CopyState:
            self._target.client.copy_object(
                Bucket=target.bucket,
                Key=target.key,
                CopySource=_place(source),
                # With another endpoint, a bucket of that name may be another one: only this content is taken.
                CopySourceIfMatch=wanted["ETag"],
                IfNoneMatch="*",
                MetadataDirective="REPLACE",
                Metadata=_metadata(wanted),
                # Tags would take rights of their own, and an image has no use for them.
                TaggingDirective="REPLACE",
                **_content_type(wanted),
            )
            return CopyState.COPIED

        try:
            return happened(copy, lambda: self._present(target))
        except (BotoCoreError, ClientError) as error:
            if error_of_boto3(error, source).code in ("ACCESS_DENIED", "BUCKET_NOT_FOUND"):
                self._streamed_buckets.add(source.bucket)
            return None

    def _stream(self, reader: S3Session, source: S3Uri, target: S3Uri, wanted: dict[str, Any]) -> CopyState:
        """Read and write."""
        data = _read(reader, source, wanted["ETag"])
        digest = hashlib.sha256(data)

        def put() -> CopyState:
            self._target.client.put_object(
                Bucket=target.bucket,
                Key=target.key,
                Body=data,
                IfNoneMatch="*",
                # S3 refuses the bytes if they are not these.
                ChecksumSHA256=base64.b64encode(digest.digest()).decode(),
                Metadata={**_metadata(wanted), SHA256: digest.hexdigest()},
                **_content_type(wanted),
            )
            return CopyState.COPIED

        try:
            return happened(put, lambda: self._present(target))
        except (BotoCoreError, ClientError) as error:
            raise error_of_boto3(error, target) from error

    def _present(self, target: S3Uri) -> CopyState | None:
        """PRESENT where something lies at the target, by a request of ours or somebody else's; its content decides."""
        return CopyState.PRESENT if self._find(target) else None

    def _find(self, target: S3Uri) -> dict[str, Any] | None:
        try:
            return _head(self._target, target)
        except AccessError as error:
            # Who may not list gets this answer also where nothing is. The write is on the condition that nothing is.
            if error.code not in ("OBJECT_NOT_FOUND", "ACCESS_DENIED"):
                raise
            return None

    def _is_same(
        self,
        reader: S3Session,
        source: S3Uri,
        wanted: dict[str, Any],
        target: S3Uri,
        found: dict[str, Any],
        *,
        trust_record: bool,
    ) -> bool:
        """Whether the target has the source's content.

        :param trust_record: whether what an earlier, verified copy recorded may decide
        """
        if wanted["ContentLength"] != found["ContentLength"]:
            return False
        ours, theirs = _md5(found), _md5(wanted)
        if ours and theirs:
            return ours == theirs
        for checksum in _WHOLE_CHECKSUMS:
            values = [head.get(checksum) for head in (wanted, found) if head.get("ChecksumType") != "COMPOSITE"]
            if len(values) == 2 and all(values):
                return bool(values[0] == values[1])
        if trust_record and found["Metadata"].get(SOURCE_ETAG) == wanted["ETag"].strip('"'):
            return True
        there = hashlib.sha256(_read(self._target, target, found["ETag"])).digest()
        return there == hashlib.sha256(_read(reader, source, wanted["ETag"])).digest()


def _place(uri: S3Uri) -> Any:
    """As boto3 wants to have it."""
    version = {"VersionId": uri.version_id} if isinstance(uri, ObjectVersion) else {}
    return {"Bucket": uri.bucket, "Key": uri.key, **version}


def _metadata(head: dict[str, Any]) -> dict[str, str]:
    name = head["Metadata"].get(ORIGINAL_NAME)
    return {SOURCE_ETAG: head["ETag"].strip('"'), **({ORIGINAL_NAME: name} if name is not None else {})}


def _content_type(head: dict[str, Any]) -> dict[str, Any]:
    return {"ContentType": head["ContentType"]} if head.get("ContentType") else {}


def _md5(head: dict[str, Any]) -> str | None:
    """The content's MD5, where the ETag is one."""
    is_keyed = head.get("ServerSideEncryption", "AES256") != "AES256" or "SSECustomerAlgorithm" in head
    etag = head["ETag"].strip('"')
    return None if is_keyed or not _MD5.fullmatch(etag) else etag


def _head(session: S3Session, uri: S3Uri) -> dict[str, Any]:
    try:
        answer: Any = session.client.head_object(**_place(uri), ChecksumMode="ENABLED")
    except (BotoCoreError, ClientError) as error:
        raise error_of_boto3(error, uri) from error
    return dict(answer)


def _read(session: S3Session, uri: S3Uri, etag: str) -> bytes:
    """A whole image, as long as it still has the ETag."""
    try:
        return session.read(uri.bucket, uri.key, IfMatch=etag)[0]
    except (BotoCoreError, ClientError) as error:
        failure = error_of_boto3(error, uri)
        raise (object_changed(uri) if failure.details.get("status") == 412 else failure) from error


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
