"""JSON Lines cut into the batches that ``UpdateDatasetEntries`` takes."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import ClientError

from include.custom_labels.quotas import SAFE_UPDATE_BYTES
from include.rekognition.errors import RekognitionEntryTooLargeError, translated_errors

MAX_BATCH_SIZE_BYTES = SAFE_UPDATE_BYTES


class EntrySource(Protocol):
    """Bytes of JSON Lines that can be read from any offset, again and again."""

    @property
    def location(self) -> str:
        """What to call the source in messages."""

    @property
    def size_bytes(self) -> int:
        """The length of the whole."""

    @property
    def version(self) -> str:
        """Differs whenever the bytes differ; ties a resumed task to the bytes with which it began."""

    def read(self, offset: int, length: int) -> bytes:
        """Return at most ``length`` bytes from ``offset`` on; fewer only at the end."""


class InlineEntries:
    """
    Entries held in memory.

    :param entries: JSON Lines as one ``bytes`` or ``str``, or the lines one by one.
    """

    location = "the given entries"

    def __init__(self, entries: bytes | str | Iterable[str | bytes]) -> None:
        if isinstance(entries, str | bytes):
            entries = [entries]
        self._content = b"\n".join(e.encode() if isinstance(e, str) else e for e in entries)

    @property
    def size_bytes(self) -> int:
        return len(self._content)

    @property
    def version(self) -> str:
        return hashlib.sha256(self._content).hexdigest()

    def read(self, offset: int, length: int) -> bytes:
        return self._content[offset : offset + length]


class S3Manifest:
    """
    A manifest in S3, read by ranges; every range must belong to the object that was there at the beginning.

    :param client: boto3 S3 client.
    :param uri: ``s3://bucket/key``; the key is taken as it is written.
    :param version_id: S3 version to read instead of the newest.
    :raises RekognitionS3ObjectError: The object cannot be read.
    """

    def __init__(self, client: Any, uri: str, *, version_id: str | None = None) -> None:
        bucket, key = split_s3_uri(uri)
        self.location = uri
        self._client = client
        self._object = {"Bucket": bucket, "Key": key, **({"VersionId": version_id} if version_id else {})}
        with translated_errors(uri):
            head = self._head()
        self.size_bytes: int = head["ContentLength"]
        self.version: str = head["ETag"]

    def _head(self) -> dict[str, Any]:
        try:
            head: dict[str, Any] = self._client.head_object(**self._object)
        except ClientError as error:
            if error.response["Error"]["Code"] == "400":
                # An answer to HEAD has no body; the same question with one says why, such as expired credentials.
                self._client.get_object(**self._object, Range="bytes=0-0")["Body"].close()
            raise
        return head

    def read(self, offset: int, length: int) -> bytes:
        """
        Return a range of the object.

        :raises RekognitionManifestChangedError: The object was replaced in the meantime.
        """
        last = min(offset + length, self.size_bytes) - 1
        with translated_errors(self.location):
            answer = self._client.get_object(**self._object, Range=f"bytes={offset}-{last}", IfMatch=self.version)
            content: bytes = answer["Body"].read()
            return content


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryBatch:
    """
    Whole lines that fit into one request.

    :param body: The lines.
    :param lines: Number of lines that are not blank.
    :param end: Offset in the source of the first byte after the batch.
    """

    body: bytes
    lines: int
    end: int


def entry_batches(
    source: EntrySource,
    *,
    start: int = 0,
    max_batch_size_bytes: int = MAX_BATCH_SIZE_BYTES,
    ends: Sequence[int] = (),
) -> Iterator[EntryBatch]:
    """
    Yield the lines of ``source`` in their order, cut only after line feeds.

    Stretches of blank lines that fill a whole batch are passed over: AWS refuses an empty request.

    :param start: Offset of a line's first byte, such as an earlier batch's ``end``.
    :param max_batch_size_bytes: Upper bound for ``body``.
    :param ends: Ascending offsets, each behind a line, at which a batch ends even where there is room for more, see
        `include.custom_labels.update_batches`.
    :raises RekognitionEntryTooLargeError: A line does not fit into a batch; earlier batches were yielded.
    """
    while start < source.size_bytes:
        at = bisect_right(ends, start)
        end = ends[at] if at < len(ends) else source.size_bytes
        body = source.read(start, min(max_batch_size_bytes, end - start))
        if start + len(body) < source.size_bytes:
            cut = body.rfind(b"\n") + 1
            if not cut:
                raise RekognitionEntryTooLargeError(
                    detail=f"The line that starts at byte {start} of {source.location} "
                    f"has more than {max_batch_size_bytes} bytes.",
                    resource=source.location,
                )
            body = body[:cut]
        start += len(body)
        if lines := sum(1 for line in body.split(b"\n") if line.strip()):
            yield EntryBatch(body=body, lines=lines, end=start)


def split_s3_uri(uri: str) -> tuple[str, str]:
    """
    Return bucket and key; unlike a URL parser, it leaves ``?``, ``#`` and ``%`` in the key alone.

    :raises ValueError: The text is not ``s3://bucket/key``.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise ValueError(f"{uri!r} is not of the form s3://bucket/key.")
    return bucket, key
