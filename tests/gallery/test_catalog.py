"""Catalogs and views against a plain reading of the same images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.custom_labels.history import image_id
from include.custom_labels.ledger import LedgerRow, State
from include.custom_labels.reasons import Reason
from include.gallery.catalog import Catalog, Facts, id_of, number_of, seen_of
from include.gallery.catalog_building import Sources, build_catalog
from include.gallery.messages import Count, ImageRow, View
from include.gallery.statistics import CountsReader, read_statistics
from include.gallery.views import Views, view_ids
from tests.custom_labels.manifest_lines import boxes_pair
from tests.gallery.worlds import BUCKET, entry, row

LABELS = ("echo", "Écho", 'quo"ted', "line\nbreak", "%_", "' OR 1=1 --")
KEYS = ("a.png", "B/ÄÖ.png", "b/äö.png", "c%_.png", "d'.png", 'e".png', "straße.png", "STRASSE.png", "\U0001f3f4.png")

images = st.dictionaries(
    st.sampled_from(KEYS),
    st.tuples(
        st.sampled_from([State.REGISTERED, State.UNLABELLED, State.QUARANTINED, State.SKIPPED]),
        st.lists(st.sampled_from(LABELS), max_size=2, unique=True),
        st.booleans(),
        st.integers(0, 3),
    ),
    min_size=1,
)
views = st.builds(
    View,
    label=st.lists(st.sampled_from(LABELS), max_size=2),
    labelled=st.sampled_from([None, True, False]),
    boxed=st.sampled_from([None, True, False]),
    state=st.lists(st.sampled_from([str(state) for state in State]), max_size=2),
    key=st.sampled_from(["", "PNG", "äö", "%", "_", "'", "ß", "ss"]),
    sort=st.sampled_from(["key", "label", "boxes", "pixels", "size", "modified", "change"]),
    descending=st.booleans(),
)


def line_of(key: str, labels: list[str], is_boxed: bool) -> bytes:
    return entry(key, *labels, **(boxes_pair() if is_boxed else {}))


def catalog_of(folder: Path, made: dict[str, tuple[State, list[str], bool, int]]) -> Catalog:
    ledger: list[LedgerRow] = []
    manifest: list[bytes] = []
    for key, (state, labels, is_boxed, size) in sorted(made.items()):
        ledger.append(row(key, None, state=state, size_bytes=size, width=size * 100))
        if state in (State.REGISTERED, State.UNLABELLED):
            manifest.append(line_of(key, labels, is_boxed))
    path = folder / "catalog.sqlite"
    build_catalog(path, Sources(bucket=BUCKET, ledger=ledger, manifest=manifest), Facts(), lambda _: None)
    return Catalog(path)


def all_rows(catalog: Catalog) -> list[ImageRow]:
    with catalog.connection() as connection:
        numbers = [number for (number,) in connection.execute("SELECT n FROM images ORDER BY key")]
    return catalog.rows(numbers)


def is_in(view: View, image: ImageRow) -> bool:
    """What the contract says of a view."""
    return (
        (image.is_in_dataset or bool(view.state))
        and (not view.label or bool({*image.labels, *image.box_labels} & {*view.label}))
        and (view.labelled is None or bool(image.labels or image.boxes) is view.labelled)
        and (view.boxed is None or bool(image.boxes) is view.boxed)
        and (not view.state or image.state in view.state)
        and view.key.casefold() in image.key.casefold()
    )


ORDERS: dict[str, Callable[[ImageRow], Any]] = {
    "key": lambda image: image.key,
    "boxes": lambda image: image.boxes,
    "pixels": lambda image: image.width * image.height,
    "size": lambda image: image.size_bytes,
}


@settings(max_examples=40, deadline=None)
@given(
    images, st.lists(views, min_size=1, max_size=4), st.dictionaries(st.sampled_from(KEYS), st.booleans(), max_size=2)
)
def test_views_and_counts(
    made: dict[str, tuple[State, list[str], bool, int]], asked: list[View], put: dict[str, bool]
) -> None:
    with TemporaryDirectory() as folder:
        catalog = catalog_of(Path(folder), made)
        recent = Views()
        for revision in range(2):
            rows = all_rows(catalog)
            for view in asked:
                numbers = recent.numbers(catalog, view)
                found = catalog.rows(numbers)
                expected = [image for image in rows if is_in(view, image)]
                assert sorted(image.key for image in found) == sorted(image.key for image in expected)
                if order := ORDERS.get(view.sort):
                    values = [order(image) for image in found]
                    assert values == sorted(values, reverse=view.descending)
                assert view_ids(catalog, view) == [image.id for image in found if image.is_in_dataset]
                statistics = read_statistics(catalog, view)
                labels = Counter(label for image in expected for label in {*image.labels, *image.box_labels})
                assert {each.label: each.images for each in statistics.labels} == labels
            counts = CountsReader().read(catalog, revision)
            shown = [image for image in rows if image.is_in_dataset]
            assert counts.shown_images == len(shown)
            assert counts.labelled == sum(bool(image.labels or image.boxes) for image in shown)
            assert counts.boxed == sum(image.boxes > 0 for image in shown)
            labels = Counter(label for image in shown for label in {*image.labels, *image.box_labels})
            assert {each.label: each.images for each in counts.labels} == labels
            assert {each.value: each.count for each in counts.states} == Counter(image.state for image in rows)
            catalog.put([line_of(key, ["new"], is_boxed) for key, is_boxed in put.items()], 1)


def test_what_was_put_counts_once_however_often_it_is_put(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, {"a.png": (State.REGISTERED, ["echo"], True, 1)})
    for _ in range(2):
        catalog.put([entry("a.png", "dot", errors=[{"code": "ERROR_INVALID_IMAGE"}]) + b"\n"], 1)
    assert (catalog.revision, catalog.entries_revision()) == (1, 1)
    counts = CountsReader().read(catalog, 1)
    assert [(each.label, each.images, each.boxed_images) for each in counts.labels] == [("dot", 1, 0)]
    assert counts.errors == [Count(value="ERROR_INVALID_IMAGE", count=1, explanation=counts.errors[0].explanation)]
    catalog.put([b"no JSON", b'{"source-ref":"s3:nothing"}'], 2)
    assert CountsReader().read(catalog, 2).shown_images == 1


def test_an_image_that_lies_at_a_place_of_its_history(tmp_path: Path) -> None:
    place = "custom-labels-history/v1/a.png"
    path = tmp_path / "catalog.sqlite"
    sources = Sources(bucket=BUCKET, ledger=[row("a.png", place=place)], manifest=[entry(place, "echo")])
    build_catalog(path, sources, Facts(), lambda _: None)
    id = image_id(f"s3://{BUCKET}/a.png")
    (image,) = Catalog(path).find([id])
    assert (image.key, image.source_ref, image.place) == ("a.png", f"s3://{BUCKET}/{place}", f"s3://{BUCKET}/{place}")
    assert image_id(f"s3://{BUCKET}/{place}") == id


def test_an_entry_that_is_held_or_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    held = row("a.png", None, state=State.HELD, reason=Reason.HELD_UNTIL_REPLACED, entry=entry("a.png", "echo"))
    aside = row("b.png", None, state=State.QUARANTINED, reason=Reason.BOXES_DO_NOT_FIT, entry=entry("b.png", "dot"))
    build_catalog(
        path, Sources(bucket=BUCKET, ledger=[held, aside], manifest=[entry("b.png", "old")]), Facts(), lambda _: None
    )
    catalog = Catalog(path)
    assert [(image.key, image.labels, image.is_in_dataset) for image in all_rows(catalog)] == [
        ("a.png", ["echo"], True),
        ("b.png", ["old"], False),
    ]
    number = catalog.number(image_id(f"s3://{BUCKET}/b.png"))
    assert number is not None
    assert catalog.beside(number).aside == entry("b.png", "dot")


def test_ids_are_stored_as_numbers() -> None:
    for id in ("0" * 16, "f" * 16, "8000000000000000", "7fffffffffffffff", "0123456789abcdef"):
        assert id_of(number_of(id)) == id


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (entry("a.png", "echo"), True),
        (entry("elsewhere.png", "echo", errors=[{"code": "X"}]), True),
        (entry("a.png", "dot"), False),
        (entry("a.png"), False),
        (None, False),
    ],
)
def test_what_an_entry_says_has_a_name(other: bytes | None, is_same: bool) -> None:
    assert (seen_of(other) == seen_of(entry("a.png", "echo"))) is is_same
