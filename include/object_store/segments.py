"""The key space below a folder, cut into segments that are listed at the same time and handed on in key order.

One listing with ``delimiter=/`` shows the child folders. They are segments of the key space; pages leave in the
order of the keys' UTF-8 bytes, whatever order they arrived in, with a bounded number of them in memory. What is
listed, objects or their versions, is an `Operation`.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import AnyStr, Generic, NamedTuple, Protocol, Self, TypeVar
from urllib.parse import unquote_plus

from include.custom_labels.errors import AccessError
from include.custom_labels.locations import S3FolderLocation
from include.object_store.failures import access_error
from include.object_store.session import S3Session

CONCURRENCY = 32
BUFFERED_PAGES = 128
"""Pages that may wait for their turn: some 40 MB."""

PAGE_ROWS = 1000


class Page(Protocol):
    """Rows of a listing as columns."""

    @property
    def keys(self) -> list[str]: ...

    def slice(self, start: int, stop: int) -> Self: ...


P = TypeVar("P", bound=Page)


class Answer(NamedTuple, Generic[P]):
    """One answer of S3.

    :ivar folders: child folders, raw and with their trailing slash; only where a delimiter was asked for
    :ivar following: what the query of the next answer has besides; None on the last one
    """

    page: P
    folders: list[str]
    following: Mapping[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[P]):
    """A kind of listing.

    :ivar query: what all its requests have
    :ivar parse: reads an answer; raises ValueError where the body is none
    :ivar peek: `Answer.following` by the envelope alone; raises ValueError where that does not tell
    :ivar gather: pages with everything below a prefix in any order, for a store that lists folder by folder
    :ivar sort: such pages as one in key order
    """

    query: Mapping[str, str]
    parse: Callable[[bytes], Answer[P]]
    peek: Callable[[bytes], Mapping[str, str] | None]
    gather: Callable[[FolderListing[P], str], Iterable[P]]
    sort: Callable[[Iterable[P]], P]


def envelope(text: AnyStr, start: AnyStr, end: AnyStr) -> AnyStr:
    """What stands around the rows of an answer."""
    return text[: text.find(start)] + text[text.rfind(end) :]


def url_decoded(text: str) -> str:
    """A key as it is, from an answer that was asked for with ``encoding-type=url``."""
    return unquote_plus(text, errors="strict") if "%" in text or "+" in text else text


class FolderListing(Generic[P]):
    """One operation on one folder."""

    def __init__(self, session: S3Session, location: S3FolderLocation, operation: Operation[P]) -> None:
        self.operation = operation
        self._session = session
        self._location = location

    def pages(self, concurrency: int) -> Iterator[P]:
        """The rows below the folder in key order; pages may be empty.

        :param concurrency: child folders that are listed at the same time
        :raises AccessError: the bucket is missing, denied, in another Region or out of reach
        """
        prefix = self._location.prefix
        body, by_folder = self._request({"delimiter": "/", "prefix": prefix})
        first = self.read(body)
        if by_folder:
            first = first._replace(page=self.operation.sort([first.page]))
        # With more child folders than one answer names, one flat listing costs the fewest requests.
        segments = [_Segment[P](prefix=prefix)] if first.following is not None else _segments(first)
        if by_folder:
            return self._gathered(segments)
        if len(segments) == 1 and segments[0].prefix is not None:
            return (self.read(each).page for each in self.bodies(segments[0].prefix))
        return _Threads(self, segments, concurrency).pages()

    def ask(self, query: Mapping[str, str]) -> Answer[P]:
        """:raises AccessError: what S3 answers"""
        return self.read(self._request(query)[0])

    def read(self, body: bytes) -> Answer[P]:
        """:raises AccessError: the body is no answer of the operation"""
        try:
            return self.operation.parse(body)
        except ValueError as error:
            raise access_error("UnreadableListing", self._location, aws_message=str(error)) from error

    def bodies(self, prefix: str) -> Iterator[bytes]:
        """The answers below a prefix, one after another, unread."""
        following: Mapping[str, str] | None = {}
        while following is not None:
            body, _ = self._request({"prefix": prefix, **following})
            yield body
            following = self._following(body)

    def _following(self, body: bytes) -> Mapping[str, str] | None:
        try:
            return self.operation.peek(body)
        except ValueError:
            return self.read(body).following

    def _request(self, query: Mapping[str, str]) -> tuple[bytes, bool]:
        """One answer, and whether the store lists folder by folder instead of in key order."""
        asked = {**self.operation.query, "encoding-type": "url", **query}
        response = self._session.get(self._location.bucket, asked, self._location)
        # SeaweedFS puts a/x before a-b although "-" sorts before "/".
        return response.data, response.headers.get("server", "").startswith("SeaweedFS")

    def _gathered(self, segments: list[_Segment[P]]) -> Iterator[P]:
        """For a store that is sorted within no folder: each child folder is held whole and sorted."""
        for segment in segments:
            if segment.prefix is None:
                yield from (self.page_of(page) for page in segment.pages)
                continue
            whole = self.operation.sort(self.operation.gather(self, segment.prefix))
            for start in range(0, len(whole.keys), PAGE_ROWS):
                yield whole.slice(start, start + PAGE_ROWS)

    def page_of(self, page: P | bytes) -> P:
        """A page that may still have to be read."""
        return self.read(page).page if isinstance(page, bytes) else page


@dataclass(slots=True, kw_only=True)
class _Segment(Generic[P]):
    """A part of the key space: what lies below ``prefix``, or rows that are known already.

    :ivar prefix: None for known rows
    :ivar pages: listed and not yet handed on; answers are read when their turn comes, by the one who takes them:
        threads that parse at the same time would only take the interpreter from each other
    """

    prefix: str | None
    pages: deque[P | bytes] = field(default_factory=deque)
    is_complete: bool = False


def _segments(first: Answer[P]) -> list[_Segment[P]]:
    """Child folders, and runs of the rows beside them, in key order."""
    page, keys = first.page, first.page.keys
    segments: list[_Segment[P]] = []
    start = 0
    for folder in [*sorted(first.folders), None]:
        stop = len(keys) if folder is None else bisect_left(keys, folder, lo=start)
        if stop > start:
            segments.append(_Segment(prefix=None, pages=deque([page.slice(start, stop)]), is_complete=True))
        if folder is not None:
            segments.append(_Segment(prefix=folder))
        start = stop
    return segments


class _Threads(Generic[P]):
    """Segments listed by threads and handed on in order.

    Threads take segments in order, so that the first unfinished one is always being listed; it alone may
    exceed the budget of waiting pages, and no thread can therefore wait for another for ever.
    """

    def __init__(self, listing: FolderListing[P], segments: list[_Segment[P]], concurrency: int) -> None:
        self._listing = listing
        self._segments = segments
        self._concurrency = min(concurrency, sum(segment.prefix is not None for segment in segments))
        self._waiting = iter([segment for segment in segments if segment.prefix is not None])
        self._head: _Segment[P] | None = None
        self._buffered = 0
        self._is_stopped = False
        self._error: Exception | None = None
        self._changed = threading.Condition()

    def pages(self) -> Iterator[P]:
        if not self._concurrency:
            for segment in self._segments:
                yield from (self._listing.page_of(page) for page in segment.pages)
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

    def _pages_of(self, segment: _Segment[P]) -> Iterator[P]:
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
            yield self._listing.page_of(page)

    def _work(self) -> None:
        try:
            while (segment := self._take()) and segment.prefix is not None:
                for body in self._listing.bodies(segment.prefix):
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

    def _take(self) -> _Segment[P] | None:
        with self._changed:
            return None if self._is_stopped or self._error else next(self._waiting, None)

    def _put(self, segment: _Segment[P], body: bytes) -> bool:
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


def not_sorted(location: S3FolderLocation, last_key: str) -> AccessError:
    """The error for a store that does not list in key order."""
    return AccessError(
        "LISTING_NOT_SORTED",
        f"{location} is not listed in the order of its keys, after {last_key!r}.",
        "Use a general purpose bucket: directory buckets do not list in key order.",
        location=str(location),
    )
