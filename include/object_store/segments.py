"""The rows below a folder, whichever kind they are and however many requests they take, in key order.

What is listed, objects or their versions, is an `Operation`. Two requests go first: the folder's first rows, which are
all of them in a small folder, and its child folders. How the rest is divided among threads is in
`include.object_store.division`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import AnyStr, Generic, NamedTuple, Protocol, Self, TypeVar
from urllib.parse import unquote_plus

from include.custom_labels.errors import AccessError
from include.custom_labels.locations import S3FolderLocation
from include.object_store.failures import access_error
from include.object_store.session import S3Session

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


class Extent(NamedTuple):
    """What an answer holds.

    :ivar first: its first key; empty where it has no rows
    :ivar last: its last key
    :ivar rows: how many there are
    :ivar following: as of an `Answer`
    """

    first: str
    last: str
    rows: int
    following: Mapping[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[P]):
    """A kind of listing.

    :ivar query: what all its requests have
    :ivar parse: reads an answer; raises ValueError where the body is none
    :ivar peek: what an answer holds, without reading its rows; raises ValueError where that does not tell
    :ivar behind: the query of the rows whose keys are behind a text
    :ivar behind_answer: the same behind an answer, by its last key and `Answer.following`
    :ivar gather: pages with everything below a prefix in any order, for a store that lists folder by folder
    :ivar sort: such pages as one in key order
    """

    query: Mapping[str, str]
    parse: Callable[[bytes], Answer[P]]
    peek: Callable[[bytes], Extent]
    behind: Callable[[str], Mapping[str, str]]
    behind_answer: Callable[[str, Mapping[str, str]], Mapping[str, str]]
    gather: Callable[[FolderListing[P], str], Iterable[P]]
    sort: Callable[[Iterable[P]], P]


def envelope(text: AnyStr, start: AnyStr, end: AnyStr) -> AnyStr:
    """What stands around the rows of an answer."""
    return text[: text.find(start)] + text[text.rfind(end) :]


def edge_keys(body: bytes) -> tuple[str, str]:
    """The first and the last key of an answer; empty where there is none.

    :raises ValueError: it takes an XML parser to tell
    """
    start, end = body.find(b"<Key>"), body.rfind(b"</Key>")
    if start < 0:
        return "", ""
    first = body[start + 5 : body.find(b"</Key>", start)]
    last = body[body.rfind(b"<Key>", 0, end) + 5 : end]
    if b"&" in first or b"&" in last:
        raise ValueError("entities in a key")
    return url_decoded(first.decode()), url_decoded(last.decode())


def url_decoded(text: str) -> str:
    """A key as it is, from an answer that was asked for with ``encoding-type=url``."""
    return unquote_plus(text, errors="strict") if "%" in text or "+" in text else text


class FolderListing(Generic[P]):
    """One operation on one folder."""

    def __init__(self, session: S3Session, location: S3FolderLocation, operation: Operation[P]) -> None:
        self.operation = operation
        self.location = location
        self._session = session

    def ask(self, query: Mapping[str, str]) -> Answer[P]:
        """:raises AccessError: what S3 answers"""
        return self.read(self.request(query)[0])

    def request(self, query: Mapping[str, str]) -> tuple[bytes, bool]:
        """One answer, unread, and whether the store lists folder by folder instead of in key order.

        :raises AccessError: what S3 answers
        """
        asked = {**self.operation.query, "encoding-type": "url", **query}
        response = self._session.get(self.location.bucket, asked, self.location)
        # SeaweedFS puts a/x before a-b although "-" sorts before "/".
        return response.data, response.headers.get("server", "").startswith("SeaweedFS")

    def read(self, body: bytes) -> Answer[P]:
        """:raises AccessError: the body is no answer of the operation"""
        try:
            return self.operation.parse(body)
        except ValueError as error:
            raise access_error("UnreadableListing", self.location, aws_message=str(error)) from error

    def extent(self, body: bytes) -> Extent:
        """:raises AccessError: the body is no answer of the operation"""
        try:
            return self.operation.peek(body)
        except ValueError:
            answer = self.read(body)
            keys = answer.page.keys
            first, last = (keys[0], keys[-1]) if keys else ("", "")
            return Extent(first, last, len(keys), answer.following)

    def bodies(self, prefix: str) -> Iterator[bytes]:
        """The answers below a prefix, one after another, unread."""
        following: Mapping[str, str] | None = {}
        while following is not None:
            body, _ = self.request({"prefix": prefix, **following})
            yield body
            following = self.extent(body).following

    def gathered(self, first: Answer[P]) -> Iterator[P]:
        """All rows, from a store that is sorted within no folder: each child folder is held whole and sorted.

        :param first: the answer that names the child folders
        """
        sort = self.operation.sort
        first = first._replace(page=sort([first.page]))
        # With more child folders than one answer names, the location is the folder that is held.
        parts = [self.location.prefix] if first.following is not None else folders_and_rows(first)
        for part in parts:
            if not isinstance(part, str):
                yield part
                continue
            whole = sort(self.operation.gather(self, part))
            for start in range(0, len(whole.keys), PAGE_ROWS):
                yield whole.slice(start, start + PAGE_ROWS)


def folders_and_rows(first: Answer[P]) -> list[str | P]:
    """Child folders, and runs of the rows beside them, in key order."""
    page, keys = first.page, first.page.keys
    parts: list[str | P] = []
    start = 0
    for folder in [*sorted(first.folders), None]:
        stop = len(keys) if folder is None else bisect_left(keys, folder, lo=start)
        if stop > start:
            parts.append(page.slice(start, stop))
        if folder is not None:
            parts.append(folder)
        start = stop
    return parts


def not_sorted(location: S3FolderLocation, last_key: str) -> AccessError:
    """The error for a store that does not list in key order."""
    return AccessError(
        "LISTING_NOT_SORTED",
        f"{location} is not listed in the order of its keys, after {last_key!r}.",
        "Use a general purpose bucket: directory buckets do not list in key order.",
        location=str(location),
    )
