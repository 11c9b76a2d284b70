"""What may be sent, under which key, in which batches, and how it joins what a dataset holds."""

from __future__ import annotations

import io
import posixpath
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from include.custom_labels.errors import RequestError
from include.custom_labels.ledger import LedgerRow, State, ledger_pages, ledger_rows
from include.custom_labels.local_files import (
    IMAGES_PER_BATCH,
    LocalFile,
    batches,
    carried_page,
    check_upload_id,
    check_upload_size,
    common_folder,
    judge_content,
    judge_name,
    merge_rows,
    name_fault,
    refused_rows,
    sent_pages,
)
from include.custom_labels.objects import ObjectPage
from include.custom_labels.reasons import Reason


@pytest.mark.parametrize("upload_id", ["a", "20261122T200000Z-0a1b2c3d", "A_b-9", "0" * 64])
def test_an_upload_id(upload_id: str) -> None:
    assert check_upload_id(upload_id) == upload_id


@pytest.mark.parametrize(
    "upload_id",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "/",
        "a/",
        "a/../b",
        "a\\b",
        "a b",
        "a\n",
        "a\x00",
        "-a",
        "_a",
        "%2e%2e",
        "é",
        "١",
        "ａ",
        "0" * 65,
        "a.b",
        "*",
        "a?",
        "a#",
    ],
)
def test_no_upload_id(upload_id: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_upload_id(upload_id)
    assert caught.value.code == "INVALID_UPLOAD_ID"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("a.png", ""),
        ("echo/a.png", ""),
        ("echo/", ""),
        ("a..png", ""),
        ("...", ""),
        ("back\\slash.png", ""),
        ("/etc/a.png", "an absolute name"),
        ("../a.png", "the segment '..'"),
        ("echo/../../a.png", "the segment '..'"),
        ("echo/..", "the segment '..'"),
        ("./a.png", "the segment '.'"),
        ("echo//a.png", "the segment ''"),
        ("", "the segment ''"),
        ("a\0.png", "a zero character"),
        ("caf\udce9.png", "the name is not UTF-8"),
        ("é" * 510 + ".png", "1,025 bytes of key, and S3 has 1,024"),
        ("é" * 509 + "a.png", ""),
    ],
)
def test_names(name: str, fault: str) -> None:
    assert name_fault(name, "f") == fault


@given(st.text(st.sampled_from("./a\\\0é\n"), max_size=8), st.sampled_from(["", "images/"]))
def test_an_allowed_name_stays_where_it_is_put(name: str, prefix: str) -> None:
    if not name_fault(name, prefix):
        whole = posixpath.join("/destination", name.removesuffix("/"))
        assert posixpath.normpath(whole) == whole
        assert whole.startswith("/destination/")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("echo/a.png", None),
        ("echo/no-extension", None),
        ("echo/.a.png", Reason.HIDDEN_FILE),
        (".thumbnails/a.png", Reason.HIDDEN_FILE),
        ("._a.png", Reason.SYSTEM_FILE),
        ("echo/Thumbs.db", Reason.SYSTEM_FILE),
        ("echo/.DS_Store", Reason.SYSTEM_FILE),
        ("notes.txt", Reason.NOT_AN_IMAGE_NAME),
        ("a.webp", Reason.OTHER_IMAGE_NAME),
        ("echo/", Reason.FOLDER_MARKER),
        ("../a.png", Reason.UNSAFE_NAME),
        ("caf\udce9.png", Reason.UNSAFE_NAME),
    ],
)
def test_what_a_name_says(name: str, reason: Reason | None) -> None:
    judged = judge_name(LocalFile(name=name), "")
    assert judged.reason is reason
    judged.name.encode()


def test_what_was_refused_before_stays_refused_under_a_name_that_can_be_written() -> None:
    refused = judge_name(LocalFile(name="caf\udce9").refused(Reason.SYMLINK_OUTSIDE, "x"), "")
    assert (refused.name, refused.reason) == ("caf\\xe9", Reason.SYMLINK_OUTSIDE)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("README.md", Reason.NOT_AN_IMAGE_NAME),
        ("caf\udce9.md", Reason.NOT_AN_IMAGE_NAME),
        (".cache", Reason.HIDDEN_FILE),
        (".#a.png", Reason.HIDDEN_FILE),
        (".a.png.swp", Reason.HIDDEN_FILE),
        ("a.webp", Reason.OTHER_IMAGE_NAME),
        ("Thumbs.db", Reason.SYSTEM_FILE),
        ("a.png", Reason.SYMLINK_OUTSIDE),
        ("echo", Reason.SYMLINK_OUTSIDE),
    ],
)
def test_names_that_are_no_images_are_skipped_whatever_else_is_wrong_with_them(name: str, reason: Reason) -> None:
    judged = judge_name(LocalFile(name=name).refused(Reason.SYMLINK_OUTSIDE, "/etc/hostname"), "")
    assert (judged.reason, judged.detail) == (reason, "/etc/hostname" if reason is Reason.SYMLINK_OUTSIDE else "")


def test_a_folder_that_cannot_be_read_is_not_taken_for_a_marker() -> None:
    for name in ("", "echo/", "photos.bak/"):
        folder = LocalFile(name=name).refused(Reason.UNREADABLE_FILE, "Permission denied")
        assert judge_name(folder, "") == folder


def image(image_format: str = "PNG", size: tuple[int, int] = (64, 64)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size).save(file, image_format)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (image(), None),
        (image("JPEG"), None),
        (b"", Reason.EMPTY_OBJECT),
        (b"root:x:0:0", Reason.NOT_PNG_OR_JPEG),
        (image("GIF"), Reason.NOT_PNG_OR_JPEG),
        (image(size=(63, 64)), Reason.SIDE_TOO_SHORT),
        (image("JPEG")[:30], Reason.DAMAGED_HEADER),
        (image()[:12], Reason.DAMAGED_HEADER),
    ],
)
def test_bytes_that_rekognition_would_not_read_stay_here(data: bytes, reason: Reason | None) -> None:
    assert judge_content(LocalFile(name="a.png"), data).reason is reason


@given(st.lists(st.text(min_size=1), max_size=100))
def test_batches_lose_nothing_and_are_small(names: list[str]) -> None:
    files = [LocalFile(name=name) for name in names]
    made = list(batches(files))
    assert [file for batch in made for file in batch] == files
    assert all(len(batch) == IMAGES_PER_BATCH for batch in made[:-1])
    assert all(0 < len(batch) <= IMAGES_PER_BATCH for batch in made)


def test_the_31st_image_of_an_upload() -> None:
    files = [LocalFile(name=f"{number}.png") for number in range(30)]
    skipped = LocalFile(name="notes.txt").refused(Reason.NOT_AN_IMAGE_NAME)
    check_upload_size([*files, skipped], IMAGES_PER_BATCH)
    with pytest.raises(RequestError) as caught:
        check_upload_size([*files, LocalFile(name="30.png")], IMAGES_PER_BATCH)
    assert (caught.value.code, caught.value.details["images"]) == ("TOO_MANY_IMAGES", 31)
    check_upload_size([*files, LocalFile(name="30.png")], 31)


@pytest.mark.parametrize(
    ("keys", "folder"),
    [
        ([], ""),
        (["a.png"], ""),
        (["x/a.png"], "x/"),
        (["x/y/a.png", "x/y/b.png"], "x/y/"),
        (["x/echo/a.png", "x/echo-dot/a.png"], "x/"),
        (["x/echo/a.png", "x/b.png", "x/c/d/e.png"], "x/"),
        (["x/a.png", "y/a.png"], ""),
        (["x//a/b.png", "x//c.png"], "x//"),
        (["x//a.png", "x/b.png"], "x/"),
    ],
)
def test_the_deepest_common_folder(keys: list[str], folder: str) -> None:
    assert common_folder(keys) == folder


@given(st.lists(st.text(st.sampled_from("ab/"), max_size=8), min_size=1))
def test_the_common_folder_contains_all_and_no_deeper_one_does(keys: list[str]) -> None:
    folder = common_folder(keys)
    assert all(key.startswith(folder) for key in keys)
    deeper = {key[: key.find("/", len(folder)) + 1] for key in keys}
    assert len(deeper) > 1 or deeper == {""}


def row(key: str, state: State, label: str | None, reason: Reason, *, width: int = 0) -> LedgerRow:
    return LedgerRow(key, 5, "e", "2026-11-22T20:00:00", state, label, reason, "", width, width)


def test_rows_and_pages_are_each_others_inverse() -> None:
    rows = [row(f"{number:04}", State.LABELLED, "echo", Reason.IN_FOLDER) for number in range(1001)]
    rows[3] = rows[3]._replace(entry=b"{}\n")
    pages = list(ledger_pages(rows))
    assert [len(page) for page in pages] == [1000, 1]
    assert [page.entries is None for page in pages] == [False, True]
    assert [each for page in pages for each in ledger_rows(page)] == rows


def test_only_what_was_registered_is_carried_over() -> None:
    rows = [
        row("a", State.REGISTERED, "echo", Reason.IN_FOLDER, width=64),
        row("b", State.UNLABELLED, None, Reason.AT_FOLDER_LEVEL, width=64),
        row("c", State.SKIPPED, None, Reason.SYSTEM_FILE),
        row("d", State.DROPPED, "echo", Reason.DROPPED_BY_SERVICE, width=64),
        row("e", State.DROPPED, "echo", Reason.ENTRY_ERROR, width=64),
        row("f", State.QUARANTINED, None, Reason.EMPTY_OBJECT),
    ]
    (page,) = ledger_pages(rows)
    assert [(each.key, each.state, each.label, each.reason, each.width) for each in carried_page(page)] == [
        ("a", State.LABELLED, "echo", Reason.IN_LAST_SNAPSHOT, 64),
        ("b", State.UNLABELLED, None, Reason.IN_LAST_SNAPSHOT, 64),
        ("e", State.LABELLED, "echo", Reason.IN_LAST_SNAPSHOT, 64),
    ]


def test_a_persons_entry_is_carried_over_as_a_line_of_a_manifest() -> None:
    listed = b'{"source-ref":"s3://example-images/a","cl-metadata":{"is_labeled":true}}'
    sent = b'{"source-ref":"s3://example-images/b"}\n'
    rows = [
        row("a", State.REGISTERED, None, Reason.KEPT_DATASET_ENTRY)._replace(entry=listed),
        row("b", State.UNLABELLED, None, Reason.NO_ANNOTATIONS)._replace(entry=sent),
    ]
    (page,) = ledger_pages(rows)
    assert [each.entry for each in carried_page(page)] == [b'{"source-ref":"s3://example-images/a"}\n', sent]


def test_an_image_keeps_its_label_and_gets_one_where_it_has_none() -> None:
    carried = [
        row("a", State.LABELLED, "echo", Reason.IN_LAST_SNAPSHOT),
        row("b", State.LABELLED, "echo", Reason.IN_LAST_SNAPSHOT),
        row("bb", State.UNLABELLED, None, Reason.IN_LAST_SNAPSHOT),
        row("d", State.LABELLED, "echo", Reason.IN_LAST_SNAPSHOT),
    ]
    new = [
        row("a", State.UNLABELLED, None, Reason.AUTOMATIC_LABELING_OFF),
        row("b", State.LABELLED, "spot", Reason.IN_FOLDER),
        row("bb", State.LABELLED, "spot", Reason.IN_FOLDER),
        row("c", State.UNLABELLED, None, Reason.AUTOMATIC_LABELING_OFF),
    ]
    merged = list(merge_rows(new, carried))
    assert [(each.key, each.label, each.reason, each.detail) for each in merged] == [
        ("a", "echo", Reason.IN_LAST_SNAPSHOT, "in this import: AUTOMATIC_LABELING_OFF"),
        ("b", "echo", Reason.IN_LAST_SNAPSHOT, "in this import: IN_FOLDER"),
        ("bb", "spot", Reason.IN_FOLDER, ""),
        ("c", None, Reason.AUTOMATIC_LABELING_OFF, ""),
        ("d", "echo", Reason.IN_LAST_SNAPSHOT, ""),
    ]


@given(st.sets(st.text(max_size=3)), st.sets(st.text(max_size=3)))
def test_merged_rows_are_in_order_and_complete(new: set[str], carried: set[str]) -> None:
    merged = merge_rows(
        [row(key, State.UNLABELLED, None, Reason.AUTOMATIC_LABELING_OFF) for key in sorted(new)],
        [row(key, State.LABELLED, "echo", Reason.IN_LAST_SNAPSHOT) for key in sorted(carried)],
    )
    keys = [each.key for each in merged]
    assert set(keys) == new | carried
    assert all(before < after for before, after in pairwise(keys))


def test_each_refused_file_is_one_row_in_order() -> None:
    files = [
        LocalFile(name="b.txt", size_bytes=3, modified="2026-11-22T20:00:00").refused(Reason.NOT_AN_IMAGE_NAME),
        LocalFile(name="a.png").refused(Reason.NAME_TAKEN, "x"),
        LocalFile(name="c.png").refused(Reason.EMPTY_OBJECT),
        LocalFile(name="d.png").sent("uploaded", etag="e", written=""),
    ]
    assert [(each.key, each.state, each.reason, each.detail) for each in refused_rows(files, "/mnt/")] == [
        ("/mnt/a.png", State.REJECTED, Reason.NAME_TAKEN, "x"),
        ("/mnt/b.txt", State.SKIPPED, Reason.NOT_AN_IMAGE_NAME, ""),
        ("/mnt/c.png", State.QUARANTINED, Reason.EMPTY_OBJECT, ""),
    ]
    (page,) = sent_pages(files, "images/")
    assert page == ObjectPage(["images/d.png"], [0], ["e"], [""])
