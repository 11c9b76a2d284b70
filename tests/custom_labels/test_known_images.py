"""Images that have not changed since the last ledger are not read again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.known_images import KnownImages
from include.custom_labels.labelling import FolderLabelling
from include.custom_labels.ledger import LedgerPage, LedgerRow, State, ledger_pages, ledger_rows
from include.custom_labels.objects import ObjectPage
from include.custom_labels.reasons import Reason

LABELLING = FolderLabelling(prefix="x/", as_of="2026-11-22T20:00:00")
PLAIN = FolderLabelling(prefix="x/")


def page(*keys: str, etag: str = "e", written: str = "2026-11-22T19:00:00") -> LedgerPage:
    count = len(keys)
    return LABELLING.open_ledger(ObjectPage(list(keys), [9] * count, [etag] * count, [written] * count))


def known(key: str, state: State = State.REGISTERED, reason: Reason = Reason.IN_FOLDER, **more: object) -> LedgerRow:
    return LedgerRow(key, 9, "e", state=state, reason=reason, width=64, height=48)._replace(**more)  # type: ignore[arg-type]


def carry(listed: LedgerPage, *rows: LedgerRow) -> list[LedgerRow]:
    return list(ledger_rows(KnownImages(ledger_pages(rows)).carry(listed, PLAIN.place)))


def test_sizes_of_unchanged_images_are_carried_over() -> None:
    rows = carry(
        page("x/a/1.png", "x/a/2.png", "x/a/4.png"), known("x/a/1.png"), known("x/a/3.png"), known("x/a/4.png")
    )
    assert [(row.width, row.height) for row in rows] == [(64, 48), (0, 0), (64, 48)]
    assert {row.state for row in rows} == {State.LABELLED}


@pytest.mark.parametrize("change", [{"etag": "other"}, {"size_bytes": 10}, {"width": 0}])
def test_changed_images_are_read(change: dict[str, object]) -> None:
    (row,) = carry(page("x/a/1.png"), known("x/a/1.png", **change))
    assert (row.state, row.width) == (State.LABELLED, 0)


def test_what_the_bytes_were_found_to_be_stands() -> None:
    bad = known("x/a/1.png", State.QUARANTINED, Reason.NOT_PNG_OR_JPEG, detail="GIF", width=0, height=0)
    (row,) = carry(page("x/a/1.png"), bad)
    assert (row.state, row.reason, row.detail, row.width) == (State.QUARANTINED, Reason.NOT_PNG_OR_JPEG, "GIF", 0)
    (again,) = carry(page("x/a/1.png", etag="other"), bad)
    assert again.state is State.LABELLED


@pytest.mark.parametrize("reason", [Reason.UNREADABLE, Reason.VANISHED, Reason.CHANGED])
def test_what_may_be_mended_is_tried_again(reason: Reason) -> None:
    (row,) = carry(page("x/a/1.png"), known("x/a/1.png", State.QUARANTINED, reason, width=0))
    assert row.state is State.LABELLED


def test_remarks_about_the_bytes_stand_and_others_do_not() -> None:
    detail = "the source says 'a'; NAME_CONTRADICTS_CONTENT: named .png, content is JPEG"
    (row,) = carry(page("x/a/1.png"), known("x/a/1.png", reason=Reason.KEPT_DATASET_ENTRY, detail=detail))
    assert row.detail == "NAME_CONTRADICTS_CONTENT: named .png, content is JPEG"
    assert row.reason is Reason.IN_FOLDER


def test_an_image_that_was_overwritten_since_is_taken_as_it_is_now() -> None:
    late = page("x/a/1.png", "x/a/2.png", etag="new", written="2026-11-22T21:00:00")
    old, new = carry(late, known("x/a/1.png"))
    assert (old.state, old.label, old.width) == (State.LABELLED, "a", 0)
    assert old.detail == "NEWER_THAN_AS_OF: taken as it is now"
    assert (new.state, new.reason) == (State.SKIPPED, Reason.NEWER_THAN_AS_OF)


def test_objects_that_are_skipped_stay_skipped() -> None:
    (row,) = carry(page("x/a/notes.txt"), known("x/a/notes.txt"))
    assert row.state is State.SKIPPED


def cut(pages: Iterable[LedgerPage], sizes: Iterable[int]) -> Iterator[LedgerPage]:
    """The same rows in pages of other sizes."""
    rows = (row for page in pages for row in ledger_rows(page))
    for size in sizes:
        yield from ledger_pages(islice(rows, size))
    yield from ledger_pages(rows)


NUMBERS = st.lists(st.integers(0, 30), unique=True).map(sorted)
SIZES = st.lists(st.integers(1, 7))


@given(
    listed=NUMBERS,
    before=NUMBERS,
    changed=st.sets(st.integers(0, 30)),
    remarked=st.sets(st.integers(0, 30)),
    ours=SIZES,
    theirs=SIZES,
)
def test_whole_runs_are_carried_like_rows(
    listed: list[int],
    before: list[int],
    changed: set[int],
    remarked: set[int],
    ours: list[int],
    theirs: list[int],
) -> None:
    def key(at: int) -> str:
        return f"x/a/{at:02}.png"

    rows = [
        known(key(at), etag="old" if at in changed else "e", detail="LARGE_FILE: x" if at in remarked else "")
        for at in before
    ]
    images = KnownImages(cut(ledger_pages(rows), theirs))
    pages = cut([page(*map(key, listed))], ours) if listed else []
    found = [row for each in pages for row in ledger_rows(images.carry(each, PLAIN.place))]
    same = [at in before and at not in changed for at in listed]
    assert [row.key for row in found] == [*map(key, listed)]
    assert [bool(row.width) for row in found] == same
    assert [bool(row.detail) for row in found] == [
        at in remarked and is_same for at, is_same in zip(listed, same, strict=True)
    ]
    assert images.unchanged == sum(same)
