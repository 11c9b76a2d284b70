"""Which version of a key was there at a time, from what a listing of versions says."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.versions import VersionPage, objects_as_of

# id, second, whether it is a delete marker
Version = tuple[str, int, bool]


def moment(second: int) -> str:
    return f"2026-11-22T20:00:{second:02d}"


def page_of(*rows: tuple[str, Version, bool]) -> VersionPage:
    return VersionPage(
        [key for key, _, _ in rows],
        [None if is_marker else 10 + second for _, (_, second, is_marker), _ in rows],
        ["" if is_marker else f"etag-{version_id}" for _, (version_id, _, is_marker), _ in rows],
        [moment(second) for _, (_, second, _), _ in rows],
        [version_id for _, (version_id, _, _), _ in rows],
        [is_latest for _, _, is_latest in rows],
    )


def rows_of(key: str, *newest_first: Version) -> list[tuple[str, Version, bool]]:
    return [(key, version, not at) for at, version in enumerate(newest_first)]


def there(pages: list[VersionPage], second: int) -> list[tuple[str, str, str | None]]:
    """Key, ETag, and the version to bring."""
    return [
        (key, etag, version_id)
        for page in objects_as_of(pages, moment(second))
        for key, etag, version_id in zip(page.objects.keys, page.objects.etags, page.version_ids, strict=True)
    ]


def written(version_id: str, second: int) -> Version:
    return version_id, second, False


def deleted(second: int) -> Version:
    return "marker", second, True


@pytest.mark.parametrize(
    ("newest_first", "second", "expected"),
    [
        ([written("a", 1)], 1, ("etag-a", None)),
        ([written("a", 1)], 0, None),
        ([written("b", 5), written("a", 1)], 5, ("etag-b", None)),
        ([written("b", 5), written("a", 1)], 4, ("etag-a", "a")),
        ([deleted(5), written("a", 1)], 4, ("etag-a", "a")),
        ([deleted(5), written("a", 1)], 5, None),
        ([written("b", 9), deleted(5), written("a", 1)], 7, None),
        ([written("b", 9), deleted(5), written("a", 1)], 9, ("etag-b", None)),
        ([written("b", 9), deleted(5), written("a", 1)], 4, ("etag-a", "a")),
        # Several in one second: the last one of the second was there when it ended.
        ([written("c", 3), written("b", 3), written("a", 3)], 3, ("etag-c", None)),
        ([written("d", 4), deleted(3), written("a", 3)], 3, None),
        ([written("c", 4), written("b", 3), written("a", 3)], 3, ("etag-b", "b")),
        # Written while versioning was off, before and after it was on.
        ([written("b", 5), written("null", 1)], 2, ("etag-null", "null")),
        ([written("null", 5), written("a", 1)], 6, ("etag-null", None)),
        ([written("null", 5), written("a", 1)], 2, ("etag-a", "a")),
        ([written("b", 9), ("null", 5, True), written("a", 1)], 6, None),
        # A multipart upload has the time at which it began.
        ([written("late", 2), written("a", 4)], 3, ("etag-late", None)),
    ],
)
def test_the_newest_at_or_before(
    newest_first: list[Version], second: int, expected: tuple[str, str | None] | None
) -> None:
    found = there([page_of(*rows_of("x/a.png", *newest_first))], second)
    assert found == ([("x/a.png", *expected)] if expected else [])


versions = st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=6).map(
    lambda some: [
        ("marker" if is_marker else f"v{at}", second, is_marker)
        for at, (second, is_marker) in enumerate(sorted(some, key=itemgetter(0), reverse=True))
    ]
)


@given(
    histories=st.dictionaries(st.sampled_from(["a", "a-b", "a/b", "b", "é"]), versions, max_size=4),
    second=st.integers(0, 10),
    page_rows=st.integers(1, 7),
)
def test_pages_may_be_cut_anywhere_and_every_key_is_decided_by_itself(
    histories: dict[str, list[Version]], second: int, page_rows: int
) -> None:
    rows = [row for key in sorted(histories) for row in rows_of(key, *histories[key])]
    whole = page_of(*rows)
    pages = [whole.slice(start, start + page_rows) for start in range(0, len(rows), page_rows)]
    model = []
    for key, each in groupby(rows, key=itemgetter(0)):
        newest = next((row for row in each if row[1][1] <= second), None)
        if newest and not newest[1][2]:
            version_id = newest[1][0]
            model.append((key, f"etag-{version_id}", None if newest[2] else version_id))
    assert there(pages, second) == model


def test_what_was_written_without_versions_is_counted() -> None:
    rows = [
        *rows_of("x/", ("null", 9, False)),
        *rows_of("x/a", written("null", 9)),
        *rows_of("x/b", written("null", 3)),
        *rows_of("x/c", written("v", 9)),
        *rows_of("x/d", ("null", 9, True)),
    ]
    page = page_of(*rows)
    page.sizes[0] = 0
    assert page.unrecorded(moment(5)) == 1
    assert page.slice(3, 4).unrecorded(moment(5)) == 0
