"""Versions and delete markers, every one of them, whatever their keys are called and however the answers are cut."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from bench.stub import ListedVersion, Stub
from include.custom_labels.errors import AccessError
from include.custom_labels.locations import S3FolderLocation
from include.custom_labels.versions import VersionPage
from include.object_store import version_listing
from include.object_store.segments import Answer
from include.object_store.version_listing import list_versions, parse_versions
from tests.object_store.conftest import BUCKET, HOSTILE_NAMES, session_of

Serve = Callable[[Sequence[str]], Stub]
Row = tuple[str, str, int | None, bool]


def history_of(key: str) -> list[ListedVersion]:
    """From none to six versions, some of them delete markers, by the key alone."""
    chance = random.Random(key)
    return [
        ListedVersion(f"v{at}", f"2026-11-22T20:00:{9 - at:02d}", f"{at:032x}", chance.choice([None, 7, 8]))
        for at in range(chance.randrange(7))
    ]


def all_rows(keys: Sequence[str]) -> list[Row]:
    return [
        (key, version.version_id, version.size_bytes, not at)
        for key in sorted(keys, key=str.encode)
        for at, version in enumerate(history_of(key))
    ]


def listed(stub: Stub) -> list[Row]:
    pages = list_versions(session_of(stub), S3FolderLocation(BUCKET, "photos/"))
    return [row for page in pages for row in zip(page.keys, page.version_ids, page.sizes, page.are_latest, strict=True)]


TREES = {
    "hostile names at the folder and below": [
        f"photos/{folder}{name}" for folder in ("", "echo/", "e+ö %/") for name in HOSTILE_NAMES
    ],
    "objects between folders": ["photos/a/1", "photos/a-1", "photos/a.png", "photos/a0/1", "photos/b/1", "photos/c"],
    "nothing": [],
    "several pages in several folders": [f"photos/{at % 3}/{at:05d}" for at in range(2_000)],
    "several pages at the folder": [f"photos/{at:05d}" for at in range(700)],
    "more folders than one answer names": [f"photos/{at:05d}/1.png" for at in range(1_100)] + ["photos/00000.png"],
}
OUTSIDE = ["photo", "photos", "photos-2/a.png", "photosX"]


@pytest.mark.parametrize("keys", TREES.values(), ids=TREES)
def test_every_version_below_the_folder_in_order(serve: Serve, keys: list[str]) -> None:
    stub = serve([*keys, *OUTSIDE])
    stub.versions = history_of
    assert listed(stub) == all_rows(keys)


def test_a_key_may_have_more_versions_than_an_answer(serve: Serve) -> None:
    stub = serve(["photos/a/1.png", "photos/a/2.png"])
    stub.versions = lambda key: [ListedVersion(f"v{at:04d}") for at in range(1_500)]
    rows = listed(stub)
    assert [row[1] for row in rows] == [f"v{at:04d}" for at in range(1_500)] * 2
    assert sum("versions" in request for request in stub.requests) <= 1 + 3 + 6


def test_progress_counts_the_versions(serve: Serve) -> None:
    seen: list[int] = []
    stub = serve([f"{folder}/{at:03}" for folder in "ab" for at in range(600)])
    stub.versions = lambda key: [ListedVersion("b"), ListedVersion("a", size_bytes=None)]
    pages = list(list_versions(session_of(stub), S3FolderLocation(BUCKET, ""), on_progress=seen.append))
    assert seen == [sum(map(len, pages[: count + 1])) for count in range(len(pages))]
    assert seen[-1] == 2_400


def test_a_store_that_does_not_sort_is_refused(serve: Serve) -> None:
    stub = serve([])
    stub.keys = ["photos/a/2", "photos/a/1"]
    with pytest.raises(AccessError) as caught:
        listed(stub)
    assert caught.value.code == "LISTING_NOT_SORTED"


def test_folder_by_folder_and_sorted_here_for_seaweedfs(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [*TREES["objects between folders"], *(f"photos/deep/{at % 3}/{at:05d}" for at in range(1_500))]
    monkeypatch.setattr("bench.stub.SERVER", "SeaweedFS 8000GB 4.48")
    stub = serve(keys)
    stub.versions = history_of
    assert listed(stub) == all_rows(keys)
    # A folder that one answer does not hold is asked for its child folders; no answer goes on below another folder.
    flat = [request for request in stub.requests if "key-marker" in request and "delimiter" not in request]
    assert flat == []


HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
OWNER = "<Owner><ID>x</ID><DisplayName>&lt;Key&gt;</DisplayName></Owner>"


def version(key: str = "a.png", *, etag: str = "&quot;0a1b&quot;", between: str = "", latest: str = "true") -> str:
    return (
        f"<Version><Key>{key}</Key><VersionId>v1</VersionId><IsLatest>{latest}</IsLatest>"
        f"<LastModified>2026-11-22T20:00:01.000Z</LastModified><ETag>{etag}</ETag>{between}<Size>12</Size>"
        f"<StorageClass>STANDARD</StorageClass>{OWNER}</Version>"
    )


def marker(key: str = "a.png", latest: str = "false") -> str:
    return (
        f"<DeleteMarker><Key>{key}</Key><VersionId>v0</VersionId><IsLatest>{latest}</IsLatest>"
        f"<LastModified>2026-11-22T20:00:01.000Z</LastModified>{OWNER}</DeleteMarker>"
    )


def body(*entries: str, envelope: str = "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>") -> bytes:
    return f"{HEAD}<Name>x</Name>{envelope}{''.join(entries)}</ListVersionsResult>".encode()


def page(*rows: tuple[str, bool], latest: bool = True) -> VersionPage:
    """Rows of key, and whether it is a version and no marker."""
    size = len(rows)
    return VersionPage(
        [key for key, _ in rows],
        [12 if is_version else None for _, is_version in rows],
        ["0a1b" if is_version else "" for _, is_version in rows],
        ["2026-11-22T20:00:01"] * size,
        ["v1" if is_version else "v0" for _, is_version in rows],
        [latest and is_version for _, is_version in rows],
    )


FAST = {
    "plain": (body(version()), page(("a.png", True))),
    "versions and markers": (
        body(marker("a"), version("a"), version("b"), marker("b"), marker("c")),
        page(("a", False), ("a", True), ("b", True), ("b", False), ("c", False)),
    ),
    "only markers": (body(marker("a"), marker("b")), page(("a", False), ("b", False))),
    "encoded": (body(version("a%2Bb+c%25.png")), page(("a+b c%.png", True))),
    "checksums": (body(version(between="<ChecksumType>FULL_OBJECT</ChecksumType>")), page(("a.png", True))),
    "not the latest": (body(version(latest="false")), page(("a.png", True), latest=False)),
}


@pytest.mark.parametrize(("answer", "expected"), FAST.values(), ids=FAST)
def test_usual_answers_are_read_without_the_xml_parser(
    answer: bytes, expected: VersionPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowly = version_listing._parse_xml(answer)
    monkeypatch.setattr(version_listing, "_parse_xml", None)
    assert parse_versions(answer) == slowly == Answer(expected, [], None)


UNUSUAL = {
    "empty": (body(), page()),
    "no encoding": (body(version("a%20+&lt;&amp;&gt;"), envelope=""), page(("a%20+<&>", True))),
    "another order of elements": (
        body(
            "<Version><ETag>&quot;0a1b&quot;</ETag><Size>12</Size><Key>a.png</Key><IsLatest>true</IsLatest>"
            "<VersionId>v1</VersionId><LastModified>2026-11-22T20:00:01Z</LastModified></Version>"
        ),
        page(("a.png", True)),
    ),
    # Read by the first expression alone, such a version would look like a marker.
    "owner before the ETag": (
        body(version().replace("<ETag>", f"{OWNER}<ETag>", 1), marker("b")),
        page(("a.png", True), ("b", False)),
    ),
}


@pytest.mark.parametrize(("answer", "expected"), UNUSUAL.values(), ids=UNUSUAL)
def test_unusual_answers_are_read_all_the_same(answer: bytes, expected: VersionPage) -> None:
    assert parse_versions(answer) == Answer(expected, [], None)


def truncated(markers: str, encoding: str = "<EncodingType>url</EncodingType>") -> bytes:
    return body(version(), envelope=f"{encoding}<IsTruncated>true</IsTruncated>{markers}")


@pytest.mark.parametrize(
    ("answer", "following"),
    [
        (
            truncated("<NextKeyMarker>a%2B+b</NextKeyMarker><NextVersionIdMarker>v.1_x</NextVersionIdMarker>"),
            {"key-marker": "a+ b", "version-id-marker": "v.1_x"},
        ),
        (
            truncated("<NextKeyMarker>a%2B&amp;</NextKeyMarker><NextVersionIdMarker>null</NextVersionIdMarker>", ""),
            {"key-marker": "a%2B&", "version-id-marker": "null"},
        ),
        (truncated("<NextKeyMarker>photos/a/</NextKeyMarker>"), {"key-marker": "photos/a/"}),
    ],
    ids=["both", "not encoded", "after a folder"],
)
def test_where_the_next_answer_begins(answer: bytes, following: dict[str, str]) -> None:
    assert parse_versions(answer).following == following


def test_folders_are_read() -> None:
    folders = "".join(f"<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>" for folder in ("a+b/", "%C3%A9/"))
    assert parse_versions(body(version(), folders)) == Answer(page(("a.png", True)), ["a b/", "é/"], None)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"<Error><Code>InternalError</Code></Error>",
        body(version("%FF.png")),
        body(version(), envelope="<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"),
        body(version()).replace(b"<Size>12</Size>", b"<Size>many</Size>"),
        body(version()).replace(b"<Size>12</Size>", b""),
    ],
    ids=["nothing", "html", "error with status 200", "not UTF-8", "no marker", "size", "no size"],
)
def test_what_is_no_listing_is_refused(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_versions(answer)
