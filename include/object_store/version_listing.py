"""Every version and delete marker below an S3 folder, in key order, from the newest to the oldest within a key.

Source: Amazon S3 API Reference, *ListObjectVersions*; Amazon S3 User Guide, *Listing objects in a versioning-enabled
bucket* ("returns the versions in the order in which they were stored, with the most recently stored returned first").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal
from xml.etree import ElementTree

from botocore.exceptions import BotoCoreError, ClientError

from include.custom_labels.locations import S3FolderLocation
from include.custom_labels.versions import VersionPage
from include.object_store.division import CONCURRENCY, pages_below
from include.object_store.failures import error_of_boto3
from include.object_store.segments import (
    Answer,
    Extent,
    FolderListing,
    Operation,
    edge_keys,
    envelope,
    not_sorted,
    url_decoded,
)
from include.object_store.session import S3Session

Versioning = Literal["Enabled", "Suspended", "Off"]
"""Of a bucket: versions are kept; were kept once; never were."""

# As for objects (`include.object_store.listing`). A delete marker has neither ETag nor size.
_VERSION = re.compile(
    r"<Key>([^<]++)</Key><VersionId>([^<]++)</VersionId><IsLatest>(true|false)</IsLatest>"
    r"<LastModified>(.{19})[^<]*+</LastModified>"
    r"(?:<ETag>([^<]++)</ETag>(?:<Checksum[^>]++>[^<]++</[^<]++)*+<Size>([^<]++)<)?+"
)
_NEXT_KEY = re.compile(r"<NextKeyMarker>([^<&]+)</NextKeyMarker>")
_NEXT_VERSION = re.compile(r"<NextVersionIdMarker>([^<&]+)</NextVersionIdMarker>")


def versioning_of(session: S3Session, bucket: str) -> Versioning:
    """Whether the bucket keeps the versions of its objects.

    :raises AccessError: what S3 answers
    """
    try:
        status = session.client.get_bucket_versioning(Bucket=bucket).get("Status", "Off")
    except (BotoCoreError, ClientError) as error:
        raise error_of_boto3(error, f"s3://{bucket}") from error
    return status


def parse_versions(body: bytes) -> Answer[VersionPage]:
    """Read an answer of ListObjectVersions that was asked with ``encoding-type=url``.

    The fast path is taken only when it accounts for every key and every delete marker in the answer.

    :raises ValueError: the body is not such an answer
    """
    text = body.decode()
    around = _envelope(text)
    truncated = "<IsTruncated>true</IsTruncated>" in around
    following = _markers(around) if truncated else None
    is_usual = "<EncodingType>url</EncodingType>" in around and "<CommonPrefixes>" not in text
    parts = _VERSION.split(text) if is_usual else []
    keys, version_ids, latest, last_modified, etags, sizes = (parts[column::7] for column in range(1, 7))
    markers = text.count("<DeleteMarker>")
    is_complete = len(keys) == text.count("<Key>") and sizes.count(None) == markers
    if not keys or not is_complete or (truncated and following is None):
        return _parse_xml(body)
    characters = "".join(keys)
    bare_etags = "\n".join([etag or "" for etag in etags] if markers else etags)
    bare_etags = bare_etags.replace("&quot;", "").replace("&#34;", "").replace('"', "")
    if "&" in characters or "&" in bare_etags or "&" in "".join(version_ids):
        return _parse_xml(body)
    if "%" in characters or "+" in characters:
        keys = [url_decoded(key) for key in keys]
    page = VersionPage(
        keys,
        [None if size is None else int(size) for size in sizes],
        bare_etags.split("\n"),
        last_modified,
        version_ids,
        [word == "true" for word in latest],
    )
    return Answer(page, [], following)


def _envelope(text: str) -> str:
    # The rest of the last entry stays, which has no element that is looked for.
    return envelope(text, "<Key>", "</IsLatest>")


def _markers(around: str) -> Mapping[str, str] | None:
    """Where the next answer begins, where both markers stand there in plain sight."""
    key, version = _NEXT_KEY.search(around), _NEXT_VERSION.search(around)
    if key is None or version is None or "<EncodingType>url</EncodingType>" not in around:
        return None
    return {"key-marker": url_decoded(key[1]), "version-id-marker": version[1]}


def _parse_xml(body: bytes) -> Answer[VersionPage]:
    try:
        # The body is S3's own, over an authenticated connection; expat refuses entity bombs since 2.4.1.
        root = ElementTree.fromstring(body)  # noqa: S314
    except ElementTree.ParseError as error:
        raise ValueError(f"not XML: {error}") from error
    namespace, brace, kind = root.tag.rpartition("}")
    if kind != "ListVersionsResult":
        raise ValueError(f"a {kind} instead of a ListVersionsResult")
    tag = namespace + brace
    decode = url_decoded if root.findtext(f"{tag}EncodingType") == "url" else str
    page = VersionPage([], [], [], [], [], [])
    for entry in root:
        if entry.tag not in (f"{tag}Version", f"{tag}DeleteMarker"):
            continue
        is_marker = entry.tag == f"{tag}DeleteMarker"
        page.keys.append(decode(entry.findtext(f"{tag}Key", "")))
        page.sizes.append(None if is_marker else int(entry.findtext(f"{tag}Size", "")))
        page.etags.append("" if is_marker else entry.findtext(f"{tag}ETag", "").strip('"'))
        page.last_modified.append(entry.findtext(f"{tag}LastModified", "")[:19])
        page.version_ids.append(entry.findtext(f"{tag}VersionId", ""))
        page.are_latest.append(entry.findtext(f"{tag}IsLatest") == "true")
    folders = [decode(prefix.text or "") for prefix in root.iterfind(f"{tag}CommonPrefixes/{tag}Prefix")]
    following: dict[str, str] | None = None
    if root.findtext(f"{tag}IsTruncated") == "true":
        key, version = root.findtext(f"{tag}NextKeyMarker"), root.findtext(f"{tag}NextVersionIdMarker")
        if not key:
            raise ValueError("truncated without a NextKeyMarker")
        # After a child folder there is no version to go on from.
        following = {"key-marker": decode(key), **({"version-id-marker": version} if version else {})}
    return Answer(page, folders, following)


def _peek(body: bytes) -> Extent:
    around = envelope(body, b"<Key>", b"</IsLatest>").decode()
    is_last = "<IsTruncated>false</IsTruncated>" in around
    following = None if is_last else _markers(around)
    if "<EncodingType>url</EncodingType>" not in around or (following is None and not is_last):
        raise ValueError("the envelope does not tell")
    first, last = edge_keys(body)
    return Extent(first, last, body.count(b"<Key>"), following)


def _behind(text: str) -> Mapping[str, str]:
    return {"key-marker": text}


def _gather(listing: FolderListing[VersionPage], prefix: str) -> Iterator[VersionPage]:
    """Folder by folder, because SeaweedFS's next answer leaves out keys of folders that it has gone past.

    It walks folders in the order of their names but goes on after a key in the order of keys: whatever sorts before
    that key and is walked after it never comes.
    """
    whole = listing.ask({"prefix": prefix})
    if whole.following is None:
        yield whole.page
        return
    folders: set[str] = set()
    following: Mapping[str, str] | None = {}
    while following is not None:
        level = listing.ask({"delimiter": "/", "prefix": prefix, **following})
        yield level.page
        folders.update(level.folders)
        following = level.following
    for folder in sorted(folders):
        yield from _gather(listing, folder)


def _sort(pages: Iterable[VersionPage]) -> VersionPage:
    rows: list[tuple[Any, ...]] = []
    for page in pages:
        columns = (page.keys, page.sizes, page.etags, page.last_modified, page.version_ids, page.are_latest)
        rows += zip(*columns, strict=True)
    # SeaweedFS puts a null version last although it was written after the suspension. Within a second its order counts.
    rows.sort(key=lambda row: row[3], reverse=True)
    rows.sort(key=lambda row: row[0])
    return VersionPage(*map(list, zip(*rows, strict=True))) if rows else VersionPage([], [], [], [], [], [])


def _behind_answer(_: str, following: Mapping[str, str]) -> Mapping[str, str]:
    # The last key may have more versions, of which only both markers together know.
    return following


VERSIONS = Operation(
    query={"versions": ""},
    parse=parse_versions,
    peek=_peek,
    behind=_behind,
    behind_answer=_behind_answer,
    gather=_gather,
    sort=_sort,
)


def list_versions(
    session: S3Session,
    location: S3FolderLocation,
    *,
    concurrency: int = CONCURRENCY,
    on_progress: Callable[[int], None] | None = None,
) -> Iterator[VersionPage]:
    """The versions and delete markers below ``location``; those of one key may go on from page to page.

    :param concurrency: requests that are under way at the same time
    :param on_progress: called with the number of versions handed on so far, after each page
    :raises AccessError: the bucket is missing, denied (s3:ListBucketVersions is a right of its own), in another Region
        or out of reach, or it does not list in key order
    """
    listed = 0
    last_key = ""
    for page in pages_below(session, location, VERSIONS, concurrency):
        if not page.keys:
            continue
        if page.keys[0] < last_key or page.keys != sorted(page.keys):
            raise not_sorted(location, last_key)
        last_key = page.keys[-1]
        listed += len(page)
        yield page
        if on_progress:
            on_progress(listed)
