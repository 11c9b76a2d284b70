from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.diff import (
    DiffSample,
    ImageDifference,
    LabelCount,
    Snapshot,
    SnapshotDiff,
    diff_snapshots,
)
from include.custom_labels.diff_report import render
from include.custom_labels.errors import ManifestError
from include.custom_labels.history import history_key
from include.custom_labels.moves import Moves
from tests.custom_labels.manifest_lines import BUCKET, boxes_pair, label_pair, line_of


@dataclass(frozen=True)
class Image:
    """An image of a snapshot, and how its line happens to be written."""

    labels: tuple[str, ...] = ("echo",)
    has_boxes: bool = False
    etag: str = "e1"
    size_bytes: int = 1
    date: str = "2026-11-22T20:00:00"
    version_id: str = ""
    is_spaced: bool = False

    @property
    def said(self) -> tuple[object, ...]:
        return frozenset(self.labels), self.has_boxes

    @property
    def all_labels(self) -> set[str]:
        return {*self.labels, *(("Echo", "Echo Dot") if self.has_boxes else ())}


Images = Mapping[str, Image]


@cache
def image_line(image: Image, key: str) -> bytes:
    place = history_key("workspace/", image.version_id, key) if image.version_id else key
    date = {"creation-date": image.date}
    pairs = [label_pair(f"label-{at}", label, **date) for at, label in enumerate(image.labels)]
    boxes = [boxes_pair(**date)] if image.has_boxes else []
    line = line_of(*pairs, *boxes, source_ref=f"s3://{BUCKET}/{place}")
    return line if image.is_spaced else json.dumps(json.loads(line), separators=(",", ":")).encode()


def manifest(images: Images, chunk_bytes: int = 1 << 16) -> Iterator[bytes]:
    data = b"".join(image_line(images[key], key) + b"\n" for key in sorted(images))
    return (data[at : at + chunk_bytes] for at in range(0, len(data), chunk_bytes))


def objects(images: Images) -> Iterator[tuple[str, str, int]]:
    # A ledger has rows of objects that have no line, too.
    others = {"": "skipped", "b/between": "quarantined", "\U0010ffff": "removed"}
    rows = [(key, image.etag, image.size_bytes) for key, image in images.items()]
    return iter(sorted([*rows, *((key, etag, 0) for key, etag in others.items() if key not in images)]))


def diff(before: Images, after: Images, *, has_ledgers: bool = True, chunk_bytes: int = 1 << 16) -> SnapshotDiff:
    sides = [
        Snapshot(manifest=manifest(images, chunk_bytes), objects=objects(images) if has_ledgers else None)
        for images in (before, after)
    ]
    return diff_snapshots(*sides)


def totals(found: SnapshotDiff) -> tuple[int | None, ...]:
    return found.added, found.removed, found.changed, found.relabelled, found.moved


ONE = {"a.png": Image()}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, (0, 0, 0, 0, 0)),
        (ONE, ONE, (0, 0, 0, 0, 0)),
        ({}, ONE, (1, 0, 0, 0, 0)),
        (ONE, {}, (0, 1, 0, 0, 0)),
        (ONE, {"a.png": Image(etag="e2")}, (0, 0, 1, 0, 0)),
        (ONE, {"a.png": Image(size_bytes=2)}, (0, 0, 1, 0, 0)),
        (ONE, {"a.png": Image(date="2020-01-01T00:00:00")}, (0, 0, 0, 0, 0)),
        (ONE, {"a.png": Image(is_spaced=True)}, (0, 0, 0, 0, 0)),
        (ONE, {"a.png": Image(version_id="v1")}, (0, 0, 0, 0, 0)),
        (ONE, {"a.png": Image(("dot",))}, (0, 0, 0, 1, 0)),
        (ONE, {"a.png": Image(())}, (0, 0, 0, 1, 0)),
        (ONE, {"a.png": Image(("echo", "dot"))}, (0, 0, 0, 1, 0)),
        ({"a.png": Image(("dot", "echo"))}, {"a.png": Image(("echo", "dot"))}, (0, 0, 0, 0, 0)),
        (ONE, {"a.png": Image(has_boxes=True)}, (0, 0, 0, 1, 0)),
        (ONE, {"a.png": Image(("dot",), etag="e2")}, (0, 0, 1, 1, 0)),
        (ONE, {"b.png": Image()}, (1, 1, 0, 0, 1)),
        (ONE, {"b.png": Image(("dot",))}, (1, 1, 0, 0, 1)),
        (ONE, {"b.png": Image(size_bytes=2)}, (1, 1, 0, 0, 0)),
        # The same content twice: which of them was moved cannot be told.
        (ONE | {"a2.png": Image()}, {"b.png": Image()}, (1, 2, 0, 0, 0)),
        (ONE, {"b.png": Image(), "b2.png": Image()}, (2, 1, 0, 0, 0)),
        (ONE, ONE | {"b.png": Image()}, (1, 0, 0, 0, 0)),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [7, 1 << 16])
def test_kinds_of_differences(
    before: Images, after: Images, expected: tuple[int, int, int, int, int], chunk_bytes: int
) -> None:
    found = diff(before, after, chunk_bytes=chunk_bytes)
    assert totals(found) == expected
    assert found.is_empty == (expected == (0, 0, 0, 0, 0))
    assert found.not_compared == 0
    without = diff(before, after, has_ledgers=False, chunk_bytes=chunk_bytes)
    assert totals(without) == (expected[0], expected[1], None, expected[3], None)


def test_samples_of_what_is_gone_or_new_are_first_those_that_were_not_moved() -> None:
    many = [f"{at:03}.png" for at in range(50)]
    before = {f"a/{key}": Image(etag=key) for key in many} | {"b.png": Image(etag="b")}
    after = {f"c/{key}": Image(etag=key) for key in many} | {"d.png": Image(etag="d")}
    found = diff(before, after)
    assert totals(found) == (51, 51, 0, 0, 50)
    assert [sample.image[len(f"s3://{BUCKET}/") :] for sample in found.samples["removed"]][:2] == ["b.png", "a/000.png"]
    assert [sample.image[len(f"s3://{BUCKET}/") :] for sample in found.samples["added"]][:2] == ["d.png", "c/000.png"]
    assert {len(found.samples[kind]) for kind in ("removed", "added", "moved")} == {20}


def test_samples_say_what_was_and_what_is() -> None:
    before = {"a.png": Image(), "b.png": Image(etag="b"), "c.png": Image(etag="c")}
    after = {"a.png": Image(("dot",), etag="a2", size_bytes=1234), "c.png": Image(etag="c"), "d.png": Image(etag="b")}
    found = diff(before, after)
    head = f"s3://{BUCKET}/"
    assert found.samples == {
        "added": [DiffSample(image=f"{head}d.png", after="'echo'")],
        "removed": [DiffSample(image=f"{head}b.png", before="'echo'")],
        "changed": [DiffSample(image=f"{head}a.png", before="1 bytes, ETag e1", after="1,234 bytes, ETag a2")],
        "relabelled": [DiffSample(image=f"{head}a.png", before="'echo'", after="'dot'")],
        "moved": [DiffSample(image=f"{head}d.png", before=f"{head}b.png", after=f"{head}d.png")],
    }
    assert (found.images_before, found.images_after) == (3, 3)
    assert found.labels == {"dot": LabelCount(before=0, after=1), "echo": LabelCount(before=3, after=2)}
    assert (found.labels_appeared, found.labels_vanished) == (["dot"], [])


def test_samples_are_capped_and_totals_true() -> None:
    before = {f"a{at:03}.png": Image(etag=f"e{at}") for at in range(100)}
    after = {f"b{at:03}.png": Image(etag=f"e{at}") for at in range(100)}
    found = diff(before, after)
    assert totals(found) == (100, 100, 0, 0, 100)
    assert [len(samples) for samples in found.samples.values()] == [20, 20, 0, 0, 20]


def test_images_whose_etag_is_not_known_are_counted() -> None:
    before = {"a.png": Image(etag=""), "b.png": Image(), "c.png": Image()}
    found = diff(before, {"a.png": Image(), "b.png": Image(etag="e2"), "d.png": Image(etag="")})
    assert totals(found) == (1, 1, 1, 0, 0)
    assert found.not_compared == 1


def test_the_result_is_json() -> None:
    found = diff(ONE, {"b.png": Image(("dot",))})
    data = msgspec.json.encode(found)
    assert msgspec.json.decode(data, type=SnapshotDiff) == found
    assert json.loads(data)["moved"] == 1
    assert json.loads(msgspec.json.encode(diff(ONE, ONE, has_ledgers=False)))["changed"] is None


def line(key: str, **image: Any) -> bytes:
    return image_line(Image(**image), key) + b"\n"


@pytest.mark.parametrize(
    ("first", "second", "manifest_name", "code", "line_number"),
    [
        ([line("b"), line("a")], [], "first", "MANIFEST_NOT_SORTED", 2),
        ([], [line("b"), line("a")], "second", "MANIFEST_NOT_SORTED", 2),
        ([line("b"), line("a")], [line("b"), line("a")], "first", "MANIFEST_NOT_SORTED", 2),
        ([line("a"), line("a")], [line("a")], "first", "MANIFEST_NOT_SORTED", 2),
        ([line("a")], [line("a"), line("a", labels=())], "second", "MANIFEST_NOT_SORTED", 2),
        ([line("a"), line("c")], [line("b"), line("d"), line("c")], "second", "MANIFEST_NOT_SORTED", 3),
        ([line("a"), line("a", version_id="v1")], [], "first", "MANIFEST_NOT_SORTED", 2),
        # As raw lines these two are sorted, and as addresses they are not.
        ([line("a!"), line("a")], [], "first", "MANIFEST_NOT_SORTED", 2),
        ([line("a"), b"{\n"], [line("a")], "first", "ERROR_INVALID_JSON_LINE", 2),
        ([line("a"), b"\n"], [line("a"), b"\n"], "first", "ERROR_INVALID_JSON_LINE", 2),
        ([line("a")], [line("a"), b"{}\n"], "second", "ERROR_MISSING_SOURCE_REF", 2),
        ([line("a"), b"x" * 500_000], [line("a")], "first", "ERROR_JSON_LINE_TOO_LONG", 2),
    ],
)
def test_what_cannot_be_compared(
    first: list[bytes], second: list[bytes], manifest_name: str, code: str, line_number: int
) -> None:
    with pytest.raises(ManifestError) as caught:
        diff_snapshots(Snapshot(manifest=first), Snapshot(manifest=second))
    assert caught.value.code == code
    assert caught.value.details == {"manifest": manifest_name, "line_number": line_number}
    assert f"Line {line_number} of the {manifest_name} manifest" in caught.value.message
    assert caught.value.next_step


def test_disorder_far_into_equal_manifests_is_found() -> None:
    lines = [line(f"{at:04}.png") for at in range(2_000)]
    lines[1_500], lines[1_501] = lines[1_501], lines[1_500]
    with pytest.raises(ManifestError) as caught:
        diff_snapshots(Snapshot(manifest=lines), Snapshot(manifest=lines))
    assert (caught.value.code, caught.value.details["line_number"]) == ("MANIFEST_NOT_SORTED", 1_502)


COMMON_LINES = [line(f"m{at:03}.png") for at in range(100)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([line("n"), *COMMON_LINES], [line("n", labels=()), *COMMON_LINES]),
        ([*COMMON_LINES, line("m050.png")], COMMON_LINES),
        ([*COMMON_LINES, line("l")], [*COMMON_LINES, line("n")]),
        ([*COMMON_LINES, *COMMON_LINES], COMMON_LINES),
    ],
)
def test_disorder_beside_what_both_manifests_have_is_found(first: list[bytes], second: list[bytes]) -> None:
    for sides in ((first, second), (second, first)):
        with pytest.raises(ManifestError) as caught:
            diff_snapshots(*(Snapshot(manifest=[b"".join(side)]) for side in sides))
        assert caught.value.code == "MANIFEST_NOT_SORTED"


def test_a_last_line_needs_no_line_end() -> None:
    found = diff_snapshots(Snapshot(manifest=[line("a")]), Snapshot(manifest=[line("a")[:-1]]))
    assert found.is_empty
    assert (found.images_before, found.images_after) == (1, 1)


names = st.text(st.sampled_from(["a", "b", "/", " ", "!", '"', "\\", "~", "é", "😀", "\n"]), min_size=1, max_size=4)
images = st.builds(
    Image,
    labels=st.sampled_from([(), ("echo",), ("dot",), ("dot", "echo"), ('"é\\',)]),
    has_boxes=st.booleans(),
    etag=st.sampled_from(["", "e1", "e2", "e3", "e4"]),
    size_bytes=st.sampled_from([1, 2]),
    date=st.sampled_from(["2026-11-22T20:00:00", "2020-01-01T00:00:00", "2020-01-01T00:00:00.5Z"]),
    version_id=st.sampled_from(["", "", "", "v1", "v2"]),
    is_spaced=st.sampled_from([False, False, False, True]),
)
# Usual lines in between, which both sides have, so that many are taken at once.
COMMON = {f"m/{at:02}.png": Image(("echo",) if at % 5 else (), etag=f"m{at}") for at in range(40)}


@st.composite
def snapshots(draw: st.DrawFn) -> tuple[Images, Images]:
    before = COMMON | draw(st.dictionaries(names, images, max_size=6))
    changes = draw(st.dictionaries(st.sampled_from(sorted(before)), st.none() | images, max_size=4))
    added = draw(st.dictionaries(names, images, max_size=3))
    after = {key: image for key, image in (before | changes | added).items() if image is not None}
    return before, after


def naive(before: Images, after: Images) -> dict[str, Any]:
    both = before.keys() & after.keys()
    compared = [key for key in both if before[key].etag and after[key].etag]
    content = {
        key: (image.etag, image.size_bytes) for side in (before, after) for key, image in side.items() if image.etag
    }
    removed, added = before.keys() - after.keys(), after.keys() - before.keys()
    gone = Counter(content[key] for key in removed if key in content)
    new = Counter(content[key] for key in added if key in content)
    labels = [Counter(label for image in side.values() for label in image.all_labels) for side in (before, after)]
    return {
        "images_before": len(before),
        "images_after": len(after),
        "added": len(added),
        "removed": len(removed),
        "changed": sum(
            (before[key].etag, before[key].size_bytes) != (after[key].etag, after[key].size_bytes) for key in compared
        ),
        "relabelled": sum(before[key].said != after[key].said for key in both),
        "moved": sum(count == 1 and new[each] == 1 for each, count in gone.items()),
        "not_compared": len(both) - len(compared),
        "labels": {label: {"before": labels[0][label], "after": labels[1][label]} for label in labels[0] | labels[1]},
        "labels_appeared": sorted(labels[1].keys() - labels[0].keys()),
        "labels_vanished": sorted(labels[0].keys() - labels[1].keys()),
    }


@given(snapshots(), st.sampled_from([50, 333, 4_096, 1 << 16]))
def test_the_difference_is_that_of_two_dictionaries(sides: tuple[Images, Images], chunk_bytes: int) -> None:
    found = diff(*sides, chunk_bytes=chunk_bytes)
    plain = msgspec.to_builtins(found)
    samples = plain.pop("samples")
    assert plain == naive(*sides)
    for difference, of_difference in samples.items():
        assert len(of_difference) == min(plain[difference], 20)
    head = f"s3://{BUCKET}/"
    before, after = sides
    assert {sample["image"] for sample in samples["added"]} == {head + key for key in after.keys() - before.keys()}


@given(snapshots())
def test_the_difference_the_other_way_round(sides: tuple[Images, Images]) -> None:
    there, back = diff(*sides), diff(*reversed(sides))
    assert (there.added, there.removed) == (back.removed, back.added)
    assert (there.changed, there.relabelled, there.moved) == (back.changed, back.relabelled, back.moved)
    assert (there.labels_appeared, there.labels_vanished) == (back.labels_vanished, back.labels_appeared)


@given(snapshots())
def test_a_snapshot_does_not_differ_from_itself(sides: tuple[Images, Images]) -> None:
    for side in sides:
        found = diff(side, side)
        assert found.is_empty
        assert totals(found) == (0, 0, 0, 0, 0)
        assert not any(found.samples.values())
        # Nor from the same written otherwise.
        rewritten = {
            key: replace(image, date="1999-12-31T23:59:59", version_id="v9", is_spaced=True)
            for key, image in side.items()
        }
        assert diff(side, rewritten).is_empty


def test_memory_does_not_grow_with_the_manifests() -> None:
    def lines(count: int, every: int) -> Iterator[bytes]:
        template = image_line(Image(), "%05d.png").replace(b"20:00:00", b"20:00:%02d")
        return (template % (at, at % 60 if at % every else 0) + b"\n" for at in range(count))

    peaks = []
    for count in (1_000, 8_000):
        tracemalloc.start()
        found = diff_snapshots(Snapshot(manifest=lines(count, 3)), Snapshot(manifest=lines(count, 5)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found.is_empty
    assert peaks[1] < peaks[0] + 500_000


def test_moves_are_counted_beyond_the_names_that_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.custom_labels.moves._NAMES_MAX", 2)
    moves = Moves()
    for at in range(10):
        moves.remove(f"old/{at}", (f"e{at}", 1))
    for at in range(10):
        moves.add(f"new/{at}", (f"e{at}", 1))
    moves.remove("old/twin", ("e1", 1))
    moves.add("new/unknown", None)
    assert moves.count() == 9
    assert list(moves.pairs()) == [("old/0", "new/0")]
    moves.add("new/twin", ("e0", 1))
    assert moves.count() == 8
    assert list(moves.pairs()) == []


def test_the_report_is_for_people() -> None:
    before = {f"a{at}.png": Image(etag=f"e{at}") for at in range(7)} | {"!gone\n\x1b[31m.png": Image(("evil\u202e",))}
    after = {f"b{at}.png": Image(etag=f"e{at}") for at in range(7)} | {"x.png": Image(("dot",), etag="")}
    text = render(diff(before, after))
    assert all(char.isprintable() or char == "\n" for char in text)
    assert f"s3://{BUCKET}/!gone\\n\\x1b[31m.png  'evil\\u202e'" in text
    assert "… 3 more" in text
    assert f"s3://{BUCKET}/a0.png → s3://{BUCKET}/b0.png" in text
    assert "labels appeared: 'dot'" in text
    assert "labels vanished: 'evil\\u202e'" in text
    assert "not known" not in text
    assert render(diff(before, after, has_ledgers=False)).count("not known") == 2


@given(snapshots(), st.sampled_from([333, 1 << 16]))
def test_each_difference_is_told_with_its_lines(sides: tuple[Images, Images], chunk_bytes: int) -> None:
    told: list[ImageDifference] = []
    before, after = sides
    found = diff_snapshots(
        *(Snapshot(manifest=manifest(images, chunk_bytes), objects=objects(images)) for images in sides),
        on_difference=told.append,
    )
    counts = Counter(each.difference for each in told)
    assert tuple(counts[kind] for kind in ("added", "removed", "changed", "relabelled", "moved")) == totals(found)
    head = len(f"s3://{BUCKET}/")
    in_place = [each for each in told if each.difference != "moved"]
    assert [each.image for each in in_place] == sorted(each.image for each in in_place)
    for each in in_place:
        key = each.image[head:]
        for images, line, about in ((before, each.before, each.before_object), (after, each.after, each.after_object)):
            image = images.get(key)
            assert line == (image_line(image, key) if image else None)
            assert about == ((image.etag, image.size_bytes) if image and image.etag else None)
    assert all(each.moved_from[head:] in before and each.image[head:] in after for each in told[len(in_place) :])
