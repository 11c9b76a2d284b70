"""Every object that was listed stands in the ledger once, in one state, whatever happens to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.advice import advise
from include.custom_labels.image_headers import ImageFormat, ImageHeader, NotAnImage
from include.custom_labels.images import contradiction, image_fault, inspect
from include.custom_labels.labelling import FolderLabelling
from include.custom_labels.ledger import IN_MANIFEST, LedgerPage, LedgerSummary, State, ledger_pages, ledger_rows
from include.custom_labels.objects import ObjectPage
from include.custom_labels.reasons import Reason


def page_of(*keys: str, size: int = 1000, written: str = "2026-11-22T20:00:00") -> ObjectPage:
    return ObjectPage(list(keys), [size] * len(keys), ["e"] * len(keys), [written] * len(keys))


@pytest.mark.parametrize(
    ("key", "state", "label", "reason"),
    [
        ("x/echo/a.png", State.LABELLED, "echo", Reason.IN_FOLDER),
        ("x/echo/deep/a.png", State.LABELLED, "echo", Reason.IN_FOLDER),
        ("x/a.png", State.UNLABELLED, None, Reason.AT_FOLDER_LEVEL),
        ("x//a.png", State.UNLABELLED, None, Reason.EMPTY_FOLDER_NAME),
        ("x/", State.SKIPPED, None, Reason.FOLDER_MARKER),
        ("x/echo/", State.SKIPPED, None, Reason.FOLDER_MARKER),
        ("x/echo/notes.txt", State.SKIPPED, None, Reason.NOT_AN_IMAGE_NAME),
        ("x/" + "l" * 255 + "/a.png", State.LABELLED, "l" * 255, Reason.IN_FOLDER),
        ("x/" + "l" * 256 + "/a.png", State.REJECTED, "l" * 256, Reason.LABEL_TOO_LONG),
        ("x/two\nlines/a.png", State.REJECTED, "two\nlines", Reason.LABEL_NOT_ALLOWED),
        ("x/custom-labels-history/v1/x/echo/a.png", State.SKIPPED, None, Reason.HISTORY_COPY),
        ("x/echo/custom-labels-history/", State.SKIPPED, None, Reason.HISTORY_COPY),
        ("x/custom-labels-history.png", State.UNLABELLED, None, Reason.AT_FOLDER_LEVEL),
    ],
)
def test_by_name_alone(key: str, state: State, label: str | None, reason: Reason) -> None:
    assert FolderLabelling("x/").place(key) == (state, label, reason)


def test_automatic_labeling_off_labels_nothing() -> None:
    labelling = FolderLabelling("x/", automatic_labeling=False)
    assert labelling.place("x/echo/a.png") == (State.UNLABELLED, None, Reason.AUTOMATIC_LABELING_OFF)
    assert labelling.place("x/" + "l" * 256 + "/a.png")[0] is State.UNLABELLED


def test_aliases_rename_whole_labels_only() -> None:
    labelling = FolderLabelling("x/", label_aliases={"echo": "Echo", "ech": "no"})
    assert [labelling.place(f"x/{folder}/a.png")[1] for folder in ("echo", "echo-dot")] == [
        "Echo",
        "echo-dot",
    ]


def test_exclude_matches_below_the_location() -> None:
    labelling = FolderLabelling("x/", exclude=["*/thumbs/*", "x/*", "draft-?.png"])
    keys = ["x/echo/thumbs/a.png", "x/x/a.png", "x/draft-1.png", "x/draft-10.png", "x/echo/a.png"]
    states = [labelling.place(key)[2] is Reason.EXCLUDED for key in keys]
    assert states == [True, True, True, False, False]


def test_objects_newer_than_as_of_are_skipped() -> None:
    page = ObjectPage(["x/e/1.png", "x/e/2.png"], [1, 1], ["", ""], ["2026-11-22T20:00:00", "2026-11-22T20:00:01"])
    ledger = FolderLabelling("x/", as_of="2026-11-22T20:00:00").open_ledger(page)
    assert ledger.reasons == [Reason.IN_FOLDER, Reason.NEWER_THAN_AS_OF]


def test_rows_and_pages_know_where_the_bytes_are() -> None:
    page = FolderLabelling("x/").open_ledger(page_of("x/e/1.png", "x/e/2.png"))
    assert [row.place for row in ledger_rows(page)] == [None, None]
    moved = replace(page, objects=replace(page.objects, places=[None, "h/x/e/2.png"]))
    rows = list(ledger_rows(moved))
    assert [(row.key, row.place) for row in rows] == [("x/e/1.png", None), ("x/e/2.png", "h/x/e/2.png")]
    assert list(ledger_pages(rows)) == [moved]
    assert list(ledger_pages(ledger_rows(page))) == [page]
    assert moved.objects.stored_keys() == ["x/e/1.png", "h/x/e/2.png"]
    assert moved.objects.slice(1, 2).stored_keys() == moved.objects.stored_keys(1, 2) == ["h/x/e/2.png"]


@pytest.mark.parametrize(
    ("width", "height", "size_bytes", "reason"),
    [
        (64, 64, 15 * 1024**2, None),
        (4096, 4096, 1, None),
        (64, 1280, 1, None),
        (64, 1281, 1, Reason.ASPECT_TOO_EXTREME),
        (1281, 64, 1, Reason.ASPECT_TOO_EXTREME),
        (63, 64, 1, Reason.SIDE_TOO_SHORT),
        (64, 4097, 1, Reason.SIDE_TOO_LONG),
        (30_000, 20_000, 1, Reason.SIDE_TOO_LONG),
        (64, 64, 15 * 1024**2 + 1, Reason.FILE_TOO_LARGE),
    ],
)
def test_limits(width: int, height: int, size_bytes: int, reason: Reason | None) -> None:
    fault = image_fault(ImageHeader(ImageFormat.PNG, width, height), size_bytes)
    assert (fault and fault.reason) is reason


@pytest.mark.parametrize(
    ("key", "image_format", "said"),
    [
        ("a.png", ImageFormat.PNG, ""),
        ("a.jpeg", ImageFormat.JPEG, ""),
        ("a", ImageFormat.JPEG, ""),
        ("a.2024", ImageFormat.PNG, ""),
        ("a.png", ImageFormat.JPEG, "named .png, content is JPEG"),
        ("a.JPG", ImageFormat.PNG, "named .jpg, content is PNG"),
    ],
)
def test_contradictions_are_recorded(key: str, image_format: ImageFormat, said: str) -> None:
    assert contradiction(key, image_format) == said


def test_a_row_for_the_manifest_must_have_been_read() -> None:
    with pytest.raises(ValueError, match="not read"):
        inspect(FolderLabelling("x/").open_ledger(page_of("x/echo/a.png")), [None])


keys = st.lists(
    st.text(alphabet="ab/.é", max_size=8).map(lambda rest: f"x/{rest}")
    | st.sampled_from(["x/e/a.png", "x/a.jpg", "x/e/.DS_Store", "x/e/n.txt", "x/" + "l" * 300 + "/a.png"]),
    unique=True,
)
outcomes = st.sampled_from(
    [
        ImageHeader(ImageFormat.PNG, 64, 64),
        ImageHeader(ImageFormat.JPEG, 5000, 64),
        NotAnImage(Reason.NOT_PNG_OR_JPEG, "GIF"),
        NotAnImage(Reason.VANISHED, ""),
    ]
)


@given(keys, st.booleans(), st.data())
def test_states_partition_the_listing(listing: list[str], automatic: bool, data: st.DataObject) -> None:
    listing.sort(key=str.encode)
    opened = FolderLabelling("x/", automatic_labeling=automatic).open_ledger(page_of(*listing))
    read = [data.draw(outcomes) if state in IN_MANIFEST else None for state in opened.states]
    closed = inspect(opened, read)
    for ledger in (opened, closed):
        check_partition(listing, ledger)
    summary = LedgerSummary()
    summary.add_all([closed])
    assert sum(summary.states.values()) == sum(summary.reasons.values()) == summary.objects == len(listing)
    assert summary.in_manifest + summary.at_fault + summary.states[State.SKIPPED] == len(listing)
    assert all(len(samples) <= summary.sample_size for samples in summary.samples.values())
    assert set(summary.samples) == set(summary.reasons)


def check_partition(listing: list[str], ledger: LedgerPage) -> None:
    assert ledger.objects.keys == listing
    columns = (ledger.states, ledger.labels, ledger.reasons, ledger.details, ledger.widths, ledger.heights)
    assert {len(column) for column in columns} == {len(listing)}
    for state, label in zip(ledger.states, ledger.labels, strict=True):
        assert isinstance(state, State)
        assert (label is not None) or state is not State.LABELLED
        assert label is None or state not in (State.UNLABELLED, State.SKIPPED)
    per_label = Counter(label for s, label in zip(ledger.states, ledger.labels, strict=True) if s is State.LABELLED)
    assert sum(per_label.values()) == ledger.states.count(State.LABELLED)


def test_every_reason_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "error-codes.md").read_text(encoding="utf-8")
    for reason in Reason:
        assert f"| `{reason}` | {advise(reason, reason.explanation)} |" in page
