"""Size, ETag and time of objects whose keys are known, in as few requests as they take."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC

from botocore.exceptions import BotoCoreError, ClientError

from include.custom_labels.errors import AccessError
from include.custom_labels.locations import S3FolderLocation, S3Uri
from include.object_store.failures import error_of_boto3
from include.object_store.listing import list_objects
from include.object_store.session import S3Session

CONCURRENCY = 32
FEW = 50
"""So many keys are asked for one by one: a listing would have to be wide of the mark only once to cost more."""
LISTED_PER_KEY = 20
"""Objects that a listing may name for each that is wanted; then the rest is asked for one by one."""

MISSING = frozenset({"OBJECT_NOT_FOUND", "BUCKET_NOT_FOUND"})
"""Codes of objects that do not exist."""

# Failures that concern one object or bucket and not the way to S3.
_OF_OBJECT = frozenset(
    {"OBJECT_NOT_FOUND", "BUCKET_NOT_FOUND", "ACCESS_DENIED", "KEY_UNUSABLE", "OBJECT_ARCHIVED", "WRONG_REGION"}
)
_NOT_LISTED = frozenset({"ACCESS_DENIED", "WRONG_REGION", "LISTING_NOT_SORTED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFacts:
    """What a listing says of an object; see `include.custom_labels.objects.ObjectPage` for the forms."""

    size_bytes: int
    etag: str
    last_modified: str


def find_objects(session: S3Session, bucket: str, keys: Collection[str]) -> dict[str, ObjectFacts | str]:
    """Facts of every key, or the code that says why there are none, such as OBJECT_NOT_FOUND or ACCESS_DENIED.

    :raises AccessError: S3 cannot be reached or refuses for a reason that is not the object's own
    """
    found: dict[str, ObjectFacts | str] = {}
    wanted = set(keys)
    if len(wanted) > FEW and _list(session, bucket, wanted, found):
        return found | dict.fromkeys(wanted - found.keys(), "OBJECT_NOT_FOUND")
    rest = sorted(wanted - found.keys())
    with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="s3-head") as threads:
        answers = threads.map(lambda key: _head(session, S3Uri(bucket, key)), rest)
        return found | dict(zip(rest, answers, strict=True))


def _list(session: S3Session, bucket: str, wanted: set[str], found: dict[str, ObjectFacts | str]) -> bool:
    """Fill ``found`` from a listing of the folder that holds all keys; False where that did not answer for all."""
    first, last = min(wanted), max(wanted)
    same = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    folder = S3FolderLocation(bucket, first[: first.rfind("/", 0, same) + 1])
    budget = LISTED_PER_KEY * len(wanted)
    try:
        with closing(list_objects(session, folder)) as pages:  # type: ignore[type-var]
            for page in pages:
                for key, size_bytes, etag, time in zip(
                    page.keys, page.sizes, page.etags, page.last_modified, strict=True
                ):
                    if key in wanted:
                        found[key] = ObjectFacts(size_bytes=size_bytes, etag=etag, last_modified=time)
                budget -= len(page)
                if budget < 0 or len(found) == len(wanted):
                    return len(found) == len(wanted)
    except AccessError as error:
        if error.code == "BUCKET_NOT_FOUND":
            found.update(dict.fromkeys(wanted, error.code))
        elif error.code not in _NOT_LISTED:
            raise
        return error.code == "BUCKET_NOT_FOUND"
    return True


def _head(session: S3Session, uri: S3Uri) -> ObjectFacts | str:
    try:
        answer = session.client.head_object(Bucket=uri.bucket, Key=uri.key)
    except (BotoCoreError, ClientError) as error:
        failure = error_of_boto3(error, uri)
        # What S3 makes of a key that it cannot have, such as one of control characters, has no code of its own.
        is_odd = failure.code == "S3_REQUEST_FAILED" and failure.details.get("status") == 400
        if failure.code in _OF_OBJECT or is_odd:
            return failure.code
        raise failure from error
    return ObjectFacts(
        size_bytes=answer["ContentLength"],
        etag=answer["ETag"].strip('"'),
        last_modified=f"{answer['LastModified'].astimezone(UTC):%Y-%m-%dT%H:%M:%S}",
    )
