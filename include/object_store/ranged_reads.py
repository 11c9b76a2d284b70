"""Parts of objects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import obstore
from botocore.exceptions import BotoCoreError, ClientError
from obstore.exceptions import BaseError, PermissionDeniedError, PreconditionError, UnauthenticatedError

from include.custom_labels.errors import AccessError
from include.custom_labels.locations import S3Uri
from include.object_store.failures import access_error, error_of_boto3
from include.object_store.session import S3Session

PART_BYTES = 8 * 1024 * 1024

# What obstore's paths cannot hold or would change: empty, "." and ".." segments, so also a slash at either end, and
# control characters. Such keys are read with boto3.
_INEXPRESSIBLE = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|[\x00-\x1f\x7f]")


def object_changed(uri: S3Uri) -> AccessError:
    """The error for an object that is no longer the one that was listed."""
    return AccessError(
        "OBJECT_CHANGED",
        f"{uri} was replaced while it was being read.",
        "Run the import again.",
        location=str(uri),
    )


def read_range(session: S3Session, uri: S3Uri, start: int, stop: int, *, etag: str | None = None) -> bytes:
    """The object's bytes from ``start`` to ``stop`` (exclusive); fewer where it ends before.

    :param etag: the object must still have this ETag, written without quotes
    :raises AccessError: OBJECT_NOT_FOUND, ACCESS_DENIED, OBJECT_CHANGED, or what else S3 answers
    """
    if _INEXPRESSIBLE.search(uri.key):
        return _read_with_boto3(session, uri, start, stop, etag)
    store = session.store(uri.bucket)
    try:
        if etag is None:
            return bytes(obstore.get_range(store, uri.key, start=start, end=stop))
        return bytes(obstore.get(store, uri.key, options={"range": (start, stop), "if_match": f'"{etag}"'}).bytes())
    except PreconditionError as error:
        raise object_changed(uri) from error
    except FileNotFoundError as error:
        raise _error_of_obstore(error, "NoSuchKey", uri) from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise _error_of_obstore(error, "AccessDenied", uri) from error
    except BaseError as error:
        raise _error_of_obstore(error, "RangedReadFailed", uri) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStart:
    """The first bytes of an object, and what it is as a whole.

    :ivar etag: without quotes; empty for an object of no bytes
    """

    data: bytes
    etag: str
    size_bytes: int


def read_start(session: S3Session, uri: S3Uri, length: int) -> ObjectStart:
    """At most ``length`` bytes of an object of which nothing is known.

    :raises AccessError: OBJECT_NOT_FOUND, ACCESS_DENIED, or what else S3 answers
    """
    try:
        answer = session.client.get_object(Bucket=uri.bucket, Key=uri.key, Range=f"bytes=0-{length - 1}")
        size_bytes = int(answer["ContentRange"].rpartition("/")[2])
        return ObjectStart(data=answer["Body"].read(length), etag=answer["ETag"].strip('"'), size_bytes=size_bytes)
    except (BotoCoreError, ClientError) as error:
        failure = error_of_boto3(error, uri)
        if failure.details.get("aws_code") == "InvalidRange":
            return ObjectStart(data=b"", etag="", size_bytes=0)
        raise failure from error


def _error_of_obstore(error: Exception, aws_code: str, uri: S3Uri) -> AccessError:
    """obstore gives S3's answer as text only; the whole text is several screens long."""
    code = re.search(r"<Code>([^<]+)</Code>", str(error))
    request = re.search(r"<RequestId>([^<]+)</RequestId>", str(error))
    return access_error(
        code[1] if code else aws_code,
        uri,
        aws_message=str(error).partition("\n")[0],
        request_id=request[1] if request else "",
    )


def _read_with_boto3(session: S3Session, uri: S3Uri, start: int, stop: int, etag: str | None) -> bytes:
    condition = {"IfMatch": f'"{etag}"'} if etag is not None else {}
    try:
        return session.read(uri.bucket, uri.key, Range=f"bytes={start}-{stop - 1}", **condition)[0]
    except (BotoCoreError, ClientError) as error:
        failure = error_of_boto3(error, uri)
        raise (object_changed(uri) if failure.details.get("status") == 412 else failure) from error


def read_parts(
    session: S3Session, uri: S3Uri, *, size_bytes: int, etag: str | None = None, part_bytes: int = PART_BYTES
) -> Iterator[bytes]:
    """The whole object in parts, each of them a request that is repeated by itself when it fails.

    :raises AccessError: see `read_range`
    """
    for start in range(0, size_bytes, part_bytes):
        yield read_range(session, uri, start, min(start + part_bytes, size_bytes), etag=etag)
