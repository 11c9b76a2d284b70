"""Every object below an S3 folder, in key order, with a bounded number of pages in memory.

One listing with ``delimiter=/`` shows the child folders. They are segments of the key space that can be
listed at the same time; pages leave in the order of the keys' UTF-8 bytes, whatever order they arrived in. Why
not obstore: docs/adr/0003-listing-without-obstore.md.

Source: Amazon S3 API Reference, *ListObjectsV2* ("Objects are returned sorted in an ascending order of the
respective key names based on UTF-8 byte order", general purpose buckets).
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import AnyStr, NamedTuple
from urllib.parse import unquote_plus
from xml.etree import ElementTree

from include.custom_labels.errors import AccessError
from include.custom_labels.locations import S3FolderLocation
from include.custom_labels.objects import ObjectPage
from include.object_store.failures import access_error
from include.object_store.session import S3Session

_Row = tuple[str, int, str, str]

CONCURRENCY = 32
BUFFERED_PAGES = 128
"""Pages that may wait for their turn: some 40 MB."""

# What S3 writes for an object, in the order it writes it; anything else goes to the XML parser. Possessive
# quantifiers, because no text between tags can be matched in two ways.
_OBJECT = re.compile(
    r"<Key>([^<]++)</Key><LastModified>(.{19})[^<]*+</LastModified><ETag>([^<]++)</ETag>"
    r"(?:<Checksum[^>]++>[^<]++</[^<]++)*+<Size>([^<]++)<"
)
_KEY_COUNT = re.compile(r"<KeyCount>(\d+)</KeyCount>")
_TOKEN = re.compile(r"<NextContinuationToken>([^<&]+)</NextContinuationToken>")


class ListedPage(NamedTuple):
    """One answer of ListObjectsV2.

    :ivar folders: child folders, raw and with their trailing slash; only where a delimiter was asked for
    :ivar next_token: None on the last page
    """

    objects: ObjectPage
    folders: list[str]
    next_token: str | None


def parse_page(body: bytes) -> ListedPage:
    """Read an answer of ListObjectsV2 that was asked with ``encoding-type=url``.

    The fast path reads it with one expression and is taken only when it accounts for every key that the
    answer says it holds. Otherwise an XML parser reads it.

    :raises ValueError: the body is not such an answer
    """
    text = body.decode()
    envelope = _envelope(text, "<Contents>", "</Contents>")
    count = _KEY_COUNT.search(envelope)
    truncated = "<IsTruncated>true</IsTruncated>" in envelope
    token = _TOKEN.search(envelope) if truncated else None
    # Splitting puts the four groups of every object into one flat list; findall would leave a tuple an object to the
    # garbage collector.
    parts = _OBJECT.split(text) if "<EncodingType>url</EncodingType>" in envelope else []
    keys, last_modified, etags, sizes = (parts[column::5] for column in range(1, 5))
    if not keys or not count or len(keys) != int(count[1]) or (truncated and not token):
        return _parse_xml(body)
    characters = "".join(keys)
    bare_etags = "\n".join(etags).replace("&quot;", "").replace("&#34;", "").replace('"', "")
    if "&" in characters or "&" in bare_etags:
        return _parse_xml(body)
    if "%" in characters or "+" in characters:
        keys = [_decoded(key) for key in keys]
    page = ObjectPage(keys, [int(size) for size in sizes], bare_etags.split("\n"), last_modified)
    return ListedPage(page, [], token and token[1])


def _envelope(text: AnyStr, start: AnyStr, end: AnyStr) -> AnyStr:
    """What stands around the objects."""
    return text[: text.find(start)] + text[text.rfind(end) :]


def _decoded(key: str) -> str:
    return unquote_plus(key, errors="strict") if "%" in key or "+" in key else key


def _parse_xml(body: bytes) -> ListedPage:
    try:
        # The body is S3's own, over an authenticated connection; expat refuses entity bombs since 2.4.1.
        root = ElementTree.fromstring(body)  # noqa: S314
    except ElementTree.ParseError as error:
        raise ValueError(f"not XML: {error}") from error
    namespace, brace, kind = root.tag.rpartition("}")
    if kind != "ListBucketResult":
        raise ValueError(f"a {kind} instead of a ListBucketResult")
    tag = namespace + brace
    decode = _decoded if root.findtext(f"{tag}EncodingType") == "url" else str
    page = ObjectPage([], [], [], [])
    for entry in root.iterfind(f"{tag}Contents"):
        page.keys.append(decode(entry.findtext(f"{tag}Key", "")))
        page.sizes.append(int(entry.findtext(f"{tag}Size", "")))
        page.etags.append(entry.findtext(f"{tag}ETag", "").strip('"'))
        page.last_modified.append(entry.findtext(f"{tag}LastModified", "")[:19])
    folders = [decode(prefix.text or "") for prefix in root.iterfind(f"{tag}CommonPrefixes/{tag}Prefix")]
    token = root.findtext(f"{tag}NextContinuationToken")
    truncated = root.findtext(f"{tag}IsTruncated") == "true"
    if truncated and not token:
        raise ValueError("truncated without a NextContinuationToken")
    return ListedPage(page, folders, token if truncated else None)


@dataclass(slots=True, kw_only=True)
class _Segment:
    """A part of the key space: what lies below ``prefix``, or objects that are known already.

    :ivar prefix: None for known objects
    :ivar pages: listed and not yet handed on; answers are read when their turn comes, by the one who takes them:
        threads that parse at the same time would only take the interpreter from each other
    """

    prefix: str | None
    pages: deque[ObjectPage | bytes] = field(default_factory=deque)
    is_complete: bool = False


def list_objects(
    session: S3Session,
    location: S3FolderLocation,
    *,
    concurrency: int = CONCURRENCY,
    on_progress: Callable[[int], None] | None = None,
) -> Iterator[ObjectPage]:
    """The objects below ``location`` in strict key order; a folder's own marker object is one of them.

    An empty or missing folder has no pages: S3 does not tell the two apart.

    :param concurrency: child folders that are listed at the same time
    :param on_progress: called with the number of objects handed on so far, after each page
    :raises AccessError: the bucket is missing, denied, in another Region or out of reach, or it does not list
        in key order (S3 Express directory buckets)
    """
    listed = 0
    last_key = ""
    for page in _pages(session, location, concurrency):
        if not page.keys:
            continue
        # Code points order like UTF-8 bytes, and checking a sorted list costs a comparison a key.
        if page.keys[0] <= last_key or page.keys != sorted(page.keys):
            raise AccessError(
                "LISTING_NOT_SORTED",
                f"{location} is not listed in the order of its keys, after {last_key!r}.",
                "Use a general purpose bucket: directory buckets do not list in key order.",
                location=str(location),
            )
        last_key = page.keys[-1]
        listed += len(page.keys)
        yield page
        if on_progress:
            on_progress(listed)


def list_folders(session: S3Session, location: S3FolderLocation) -> list[str]:
    """The child folders of ``location``, as whole prefixes in order, however many answers they take.

    :raises AccessError: what S3 answers
    """
    folders: list[str] = []
    query = {"delimiter": "/", "prefix": location.prefix}
    while True:
        body, _ = _request(session, location, query)
        page = _read(body, location)
        folders += page.folders
        if page.next_token is None:
            return sorted(folders)
        query["continuation-token"] = page.next_token


def _pages(session: S3Session, location: S3FolderLocation, concurrency: int) -> Iterator[ObjectPage]:
    body, by_folder = _request(session, location, {"delimiter": "/", "prefix": location.prefix})
    first = _read(body, location)
    # With more child folders than one answer names, one flat listing costs the fewest requests.
    segments = [_Segment(prefix=location.prefix)] if first.next_token else _segments(first)
    if by_folder:
        return _sorted_segments(session, location, segments)
    if len(segments) == 1 and segments[0].prefix is not None:
        return (_read(each, location).objects for each in _bodies(session, location, segments[0].prefix))
    return _Listing(session, location, segments, concurrency).pages()


def _segments(first: ListedPage) -> list[_Segment]:
    """Child folders, and runs of the objects beside them, in key order."""
    entries: list[tuple[str, _Row | None]] = [(row[0], row) for row in _rows(first.objects)]
    entries += [(folder, None) for folder in first.folders]
    entries.sort(key=itemgetter(0))
    segments: list[_Segment] = []
    for is_folder, run in groupby(entries, key=lambda entry: entry[1] is None):
        if is_folder:
            segments += [_Segment(prefix=folder) for folder, _ in run]
        else:
            page = _page([row for _, row in run if row])
            segments.append(_Segment(prefix=None, pages=deque([page]), is_complete=True))
    return segments


def _rows(page: ObjectPage) -> Iterator[_Row]:
    return zip(page.keys, page.sizes, page.etags, page.last_modified, strict=True)


def _page(rows: list[_Row]) -> ObjectPage:
    keys, sizes, etags, last_modified = map(list, zip(*rows, strict=True))
    return ObjectPage(keys, sizes, etags, last_modified)


def _request(session: S3Session, location: S3FolderLocation, query: Mapping[str, str]) -> tuple[bytes, bool]:
    """One answer, and whether the store lists folder by folder instead of in key order."""
    response = session.get(location.bucket, {"list-type": "2", "encoding-type": "url", **query}, location)
    # SeaweedFS puts a/x before a-b although "-" sorts before "/".
    return response.data, response.headers.get("server", "").startswith("SeaweedFS")


def _read(body: bytes, location: S3FolderLocation) -> ListedPage:
    try:
        return parse_page(body)
    except ValueError as error:
        raise access_error("UnreadableListing", location, aws_message=str(error)) from error


def _next_token(body: bytes, location: S3FolderLocation) -> str | None:
    """What `parse_page` says, without reading the objects where the answer's envelope tells."""
    envelope = _envelope(body, b"<Contents>", b"</Contents>")
    if b"<IsTruncated>false</IsTruncated>" in envelope:
        return None
    token = _TOKEN.search(envelope.decode())
    return token[1] if token else _read(body, location).next_token


def _bodies(session: S3Session, location: S3FolderLocation, prefix: str) -> Iterator[bytes]:
    """The answers below a prefix, one after another."""
    query = {"prefix": prefix}
    while True:
        body, _ = _request(session, location, query)
        yield body
        token = _next_token(body, location)
        if token is None:
            return
        query = {"prefix": prefix, "continuation-token": token}


def _sorted_segments(session: S3Session, location: S3FolderLocation, segments: list[_Segment]) -> Iterator[ObjectPage]:
    """For a store that is sorted within no folder: each child folder is held whole and sorted."""
    for segment in segments:
        if segment.prefix is None:
            yield from (_page_of(page, location) for page in segment.pages)
            continue
        bodies = _bodies(session, location, segment.prefix)
        rows = sorted(row for body in bodies for row in _rows(_read(body, location).objects))
        for start in range(0, len(rows), 1000):
            yield _page(rows[start : start + 1000])


def _page_of(page: ObjectPage | bytes, location: S3FolderLocation) -> ObjectPage:
    return page if isinstance(page, ObjectPage) else _read(page, location).objects


class _Listing:
    """Segments listed by threads and handed on in order.

    Threads take segments in order, so that the first unfinished one is always being listed; it alone may
    exceed the budget of waiting pages, and no thread can therefore wait for another for ever.
    """

    def __init__(
        self, session: S3Session, location: S3FolderLocation, segments: list[_Segment], concurrency: int
    ) -> None:
        self._session = session
        self._location = location
        self._segments = segments
        self._concurrency = min(concurrency, sum(segment.prefix is not None for segment in segments))
        self._waiting = iter([segment for segment in segments if segment.prefix is not None])
        self._head: _Segment | None = None
        self._buffered = 0
        self._is_stopped = False
        self._error: Exception | None = None
        self._changed = threading.Condition()

    def pages(self) -> Iterator[ObjectPage]:
        if not self._concurrency:
            for segment in self._segments:
                yield from (_page_of(page, self._location) for page in segment.pages)
            return
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="s3-listing") as threads:
            for _ in range(self._concurrency):
                threads.submit(self._work)
            try:
                for segment in self._segments:
                    yield from self._pages_of(segment)
            finally:
                with self._changed:
                    self._is_stopped = True
                    self._changed.notify_all()

    def _pages_of(self, segment: _Segment) -> Iterator[ObjectPage]:
        with self._changed:
            self._head = segment
            self._changed.notify_all()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: segment.pages or segment.is_complete or self._error)
                if self._error:
                    raise self._error
                if not segment.pages:
                    return
                page = segment.pages.popleft()
                if segment.prefix is not None:
                    self._buffered -= 1
                    self._changed.notify_all()
            yield _page_of(page, self._location)

    def _work(self) -> None:
        try:
            while (segment := self._take()) and segment.prefix is not None:
                for body in _bodies(self._session, self._location, segment.prefix):
                    if not self._put(segment, body):
                        return
                with self._changed:
                    segment.is_complete = True
                    self._changed.notify_all()
        except Exception as error:
            # Raised again by the consumer: a thread of a pool has no one else to tell.
            with self._changed:
                self._error = self._error or error
                self._changed.notify_all()

    def _take(self) -> _Segment | None:
        with self._changed:
            return None if self._is_stopped or self._error else next(self._waiting, None)

    def _put(self, segment: _Segment, body: bytes) -> bool:
        """Hand an answer over when the budget admits it; False when no one wants it any more."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._buffered < BUFFERED_PAGES or segment is self._head or self._is_stopped or self._error
            )
            if self._is_stopped or self._error:
                return False
            segment.pages.append(body)
            self._buffered += 1
            self._changed.notify_all()
            return True
