"""Every object below an S3 folder, in key order, with a bounded number of pages in memory.

How many requests are under way at the same time is in `include.object_store.division`. Why not obstore:
docs/adr/0003-listing-without-obstore.md.

Source: Amazon S3 API Reference, *ListObjectsV2* ("Objects are returned sorted in an ascending order of the
respective key names based on UTF-8 byte order", general purpose buckets).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any
from xml.etree import ElementTree

from include.custom_labels.locations import S3FolderLocation
from include.custom_labels.objects import ObjectPage
from include.object_store.division import CONCURRENCY, pages_below
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

# What S3 writes for an object, in the order it writes it; anything else goes to the XML parser. Possessive
# quantifiers, because no text between tags can be matched in two ways.
_OBJECT = re.compile(
    r"<Key>([^<]++)</Key><LastModified>(.{19})[^<]*+</LastModified><ETag>([^<]++)</ETag>"
    r"(?:<Checksum[^<]++<[^<]++)*+<Size>([^<]++)<"
)
_QUOTES = ("&quot;", "&#34;", '"')
_KEY_COUNT = re.compile(r"<KeyCount>(\d+)</KeyCount>")
_TOKEN = re.compile(r"<NextContinuationToken>([^<&]+)</NextContinuationToken>")


def parse_page(body: bytes) -> Answer[ObjectPage]:
    """Read an answer of ListObjectsV2 that was asked with ``encoding-type=url``.

    The fast path reads it with one expression and is taken only when it accounts for every key that the
    answer says it holds. Otherwise an XML parser reads it.

    :raises ValueError: the body is not such an answer
    """
    text = body.decode()
    around = envelope(text, "<Contents>", "</Contents>")
    count = _KEY_COUNT.search(around)
    truncated = "<IsTruncated>true</IsTruncated>" in around
    token = _TOKEN.search(around) if truncated else None
    # Splitting puts the four groups of every object into one flat list; findall would leave a tuple an object to the
    # garbage collector.
    parts = _OBJECT.split(text) if "<EncodingType>url</EncodingType>" in around else []
    keys, last_modified, etags, sizes = (parts[column::5] for column in range(1, 5))
    if not keys or not count or len(keys) != int(count[1]) or (truncated and not token):
        return _parse_xml(body)
    characters = "".join(keys)
    bare_etags = _without_quotes(etags)
    if "&" in characters or bare_etags is None:
        return _parse_xml(body)
    if "%" in characters or "+" in characters:
        keys = [url_decoded(key) for key in keys]
    page = ObjectPage(keys, list(map(int, sizes)), bare_etags, last_modified)
    return Answer(page, [], _following(token and token[1]))


def _without_quotes(etags: list[str]) -> list[str] | None:
    """ETags without the quotes around them; None where these are not all alike."""
    quote = next(filter(etags[0].startswith, _QUOTES), None)
    if quote is None:
        return None
    # Quoted, they are every second part; to strip them one by one takes twice as long.
    parts = "".join(etags).split(quote)
    bare = parts[1::2]
    characters = "".join(bare)
    is_quoted = len(parts) == 2 * len(etags) + 1 and not any(parts[::2])
    return bare if is_quoted and "&" not in characters and '"' not in characters else None


def _parse_xml(body: bytes) -> Answer[ObjectPage]:
    try:
        # The body is S3's own, over an authenticated connection; expat refuses entity bombs since 2.4.1.
        root = ElementTree.fromstring(body)  # noqa: S314
    except ElementTree.ParseError as error:
        raise ValueError(f"not XML: {error}") from error
    namespace, brace, kind = root.tag.rpartition("}")
    if kind != "ListBucketResult":
        raise ValueError(f"a {kind} instead of a ListBucketResult")
    tag = namespace + brace
    decode = url_decoded if root.findtext(f"{tag}EncodingType") == "url" else str
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
    return Answer(page, folders, _following(token if truncated else None))


def _following(token: str | None) -> Mapping[str, str] | None:
    return {"continuation-token": token} if token is not None else None


def _peek(body: bytes) -> Extent:
    around = envelope(body, b"<Contents>", b"</Contents>")
    text = around.decode()
    count, token = _KEY_COUNT.search(text), _TOKEN.search(text)
    is_last = "<IsTruncated>false</IsTruncated>" in text
    if "<EncodingType>url</EncodingType>" not in text or count is None or (token is None and not is_last):
        raise ValueError("the envelope does not tell")
    first, last = edge_keys(body)
    return Extent(first, last, int(count[1]), _following(None if is_last or token is None else token[1]))


def _gather(listing: FolderListing[ObjectPage], prefix: str) -> Iterator[ObjectPage]:
    return (listing.read(body).page for body in listing.bodies(prefix))


def _sort(pages: Iterable[ObjectPage]) -> ObjectPage:
    rows: list[tuple[Any, ...]] = []
    for page in pages:
        rows += zip(page.keys, page.sizes, page.etags, page.last_modified, strict=True)
    rows.sort(key=itemgetter(0))
    return ObjectPage(*(list(column) for column in zip(*rows, strict=True))) if rows else ObjectPage([], [], [], [])


def _behind(text: str) -> Mapping[str, str]:
    return {"start-after": text}


def _behind_answer(last: str, _: Mapping[str, str]) -> Mapping[str, str]:
    # A continuation token is good for its own prefix only.
    return _behind(last)


OBJECTS = Operation(
    query={"list-type": "2"},
    parse=parse_page,
    peek=_peek,
    behind=_behind,
    behind_answer=_behind_answer,
    gather=_gather,
    sort=_sort,
)


def list_objects(
    session: S3Session,
    location: S3FolderLocation,
    *,
    concurrency: int = CONCURRENCY,
    on_progress: Callable[[int], None] | None = None,
) -> Iterator[ObjectPage]:
    """The objects below ``location`` in strict key order; a folder's own marker object is one of them.

    An empty or missing folder has no pages: S3 does not tell the two apart.

    :param concurrency: requests that are under way at the same time
    :param on_progress: called with the number of objects handed on so far, after each page
    :raises AccessError: the bucket is missing, denied, in another Region or out of reach, or it does not list
        in key order (S3 Express directory buckets)
    """
    listed = 0
    last_key = ""
    for page in pages_below(session, location, OBJECTS, concurrency):
        if not page.keys:
            continue
        # Code points order like UTF-8 bytes, and checking a sorted list costs a comparison a key.
        if page.keys[0] <= last_key or page.keys != sorted(page.keys):
            raise not_sorted(location, last_key)
        last_key = page.keys[-1]
        listed += len(page.keys)
        yield page
        if on_progress:
            on_progress(listed)


def list_folders(session: S3Session, location: S3FolderLocation) -> list[str]:
    """The child folders of ``location``, as whole prefixes in order, however many answers they take.

    :raises AccessError: what S3 answers
    """
    listing = FolderListing(session, location, OBJECTS)
    folders: list[str] = []
    following: Mapping[str, str] | None = {}
    while following is not None:
        answer = listing.ask({"delimiter": "/", "prefix": location.prefix, **following})
        folders += answer.folders
        following = answer.following
    return sorted(folders)
