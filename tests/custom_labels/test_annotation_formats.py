"""COCO, Pascal VOC and CSV annotations: what is carried, what is left out, and that nothing crashes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.coco import read_coco
from include.custom_labels.csv_labels import read_csv_row
from include.custom_labels.entries import AnnotatedImage, Mending, Repair
from include.custom_labels.errors import ManifestError
from include.custom_labels.pascal_voc import MAX_FILE_BYTES, read_pascal_voc
from include.custom_labels.reasons import Reason
from tests.fixtures.annotation_samples import LABELS, coco, voc

WRITTEN = "2026-11-22T20:00:00"


def below(name: str) -> str:
    return f"s3://example-images/{name}"


def of_coco(file: Any, *repairs: Repair) -> list[AnnotatedImage]:
    data = file if isinstance(file, bytes) else json.dumps(file).encode()
    return list(read_coco(data, source_ref_of=below, creation_date=WRITTEN, mending=Mending(frozenset(repairs))))


def of_voc(data: bytes, *repairs: Repair) -> AnnotatedImage:
    return read_pascal_voc(
        data, place="a.xml", source_ref_of=below, creation_date=WRITTEN, mending=Mending(frozenset(repairs))
    )


def of_csv(data: bytes, number: int = 2) -> AnnotatedImage:
    return read_csv_row(data, number, source_ref_of=below, creation_date=WRITTEN, mending=Mending())


def content(image: AnnotatedImage) -> dict[str, Any]:
    assert image.entry is not None, image
    found: dict[str, Any] = json.loads(image.entry)
    return found


def one(**more: Any) -> dict[str, Any]:
    """A file of one image with one box."""
    annotation = {"image_id": 1, "category_id": 2, "bbox": [1.25, 2, 30, 40]} | more.pop("annotation", {})
    image = {"id": 1, "file_name": "a.png", "width": 64, "height": 64} | more.pop("image", {})
    return {"images": [image], "annotations": [annotation], "categories": [{"id": 2, "name": "Echo"}], **more}


def test_a_coco_box_keeps_its_place_and_its_fractions() -> None:
    (image,) = of_coco(one())
    line = content(image)
    assert line["bounding-box-0"] == {
        "image_size": [{"width": 64, "height": 64, "depth": 3}],
        "annotations": [{"class_id": 0, "top": 2, "left": 1.25, "width": 30, "height": 40}],
    }
    assert line["bounding-box-0-metadata"]["creation-date"] == WRITTEN
    assert line["bounding-box-0-metadata"]["class-map"] == {"0": "Echo"}


@pytest.mark.parametrize(
    ("captured", "date"),
    [("2013-11-14 17:02:52", "2013-11-14T17:02:52"), (None, WRITTEN), ("", WRITTEN), (5, WRITTEN), ("soon", WRITTEN)],
)
def test_a_date_is_optional(captured: object, date: str) -> None:
    (image,) = of_coco(one(image={"date_captured": captured}))
    assert content(image)["bounding-box-0-metadata"]["creation-date"] == date


def test_a_crowd_is_no_box() -> None:
    (image,) = of_coco(one(annotation={"iscrowd": 1}))
    assert (image.labels, image.remarks) == ((), ("1 crowd annotations left out",))
    assert list(content(image)) == ["source-ref"]


@pytest.mark.parametrize(
    ("file", "places", "code"),
    [
        (one(annotation={"category_id": 3}), ["image 1"], "ERROR_MISSING_CLASS_MAP_ID"),
        (one(annotation={"bbox": None}), ["image 1"], "ERROR_NO_VALID_ANNOTATIONS"),
        (one(annotation={"bbox": [1, 2, 3]}), ["image 1"], "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT"),
        (one(annotation={"bbox": [1, 2, 300, 4]}), ["image 1"], "ERROR_INVALID_BOUNDING_BOX"),
        (one(annotation={"bbox": [1, 2, 0, 4]}), ["image 1"], "ERROR_BOUNDING_BOX_TOO_SMALL"),
        (one(image={"width": 0}), ["image 1"], "ERROR_INVALID_IMAGE_DIMENSION"),
        (one(image={"file_name": None}), ["annotation 1", "image 1"], "ERROR_MISSING_SOURCE_REF"),
        (one(image={"id": 7}), ["annotation 1", "image 1"], "ERROR_MISSING_SOURCE_REF"),
    ],
)
def test_what_is_wrong_in_a_coco_file_is_rejected_and_counted(file: Any, places: list[str], code: str) -> None:
    images = of_coco(file)
    assert [image.place for image in images] == places
    assert images[0].entry is None
    assert str(images[0].problems[0].code) == code


def test_images_with_the_same_id() -> None:
    file = one()
    file["images"] *= 2
    first, second = of_coco(file)
    assert first.labels == ("Echo",)
    assert "belongs to an earlier image" in second.detail


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"images": 5}', b"\xff", b"[" * 10_000])
def test_what_is_no_coco_file_at_all(data: bytes) -> None:
    with pytest.raises(ManifestError) as caught:
        of_coco(data)
    assert caught.value.code == "ERROR_MANIFEST_INACCESSIBLE_OR_UNSUPPORTED_FORMAT"


def test_300_images_of_a_coco_file() -> None:
    images = of_coco(coco(300))
    assert len(images) == 300
    assert {image.reason for image in images} == {Reason.IN_ANNOTATIONS, Reason.NO_ANNOTATIONS}
    assert {label for image in images for label in image.labels} == set(LABELS)
    rounded = of_coco(coco(300), Repair.ROUND_FLOATS)
    assert [image.labels for image in rounded] == [image.labels for image in images]
    sides = [
        side
        for image in rounded
        for box in content(image).get("bounding-box-0", {}).get("annotations", [])
        for side in box.values()
    ]
    assert sides
    assert all(isinstance(side, int) for side in sides)


@pytest.mark.parametrize(
    ("first", "box"),
    [(1, {"left": 0, "top": 9, "width": 20, "height": 21}), (0, {"left": 0, "top": 9, "width": 19, "height": 20})],
)
def test_voc_boxes_count_from_one_or_from_zero(first: int, box: dict[str, int]) -> None:
    (found,) = content(of_voc(voc(0, objects=1, first=first)))["bounding-box-0"]["annotations"]
    assert {name: found[name] for name in box} == box


@pytest.mark.parametrize(
    ("data", "code", "detail"),
    [
        (b"", "ERROR_INVALID_JSON_LINE", "not XML"),
        (b"<annotation>", "ERROR_INVALID_JSON_LINE", "not XML"),
        (b"<?xml version='1.0' encoding='nonsense'?><annotation/>", "ERROR_INVALID_JSON_LINE", "not XML"),
        (b"<svg/>", "ERROR_INVALID_JSON_LINE", "<svg>"),
        (b"<!DOCTYPE x><annotation/>", "ERROR_INVALID_JSON_LINE", "document type declaration"),
        (
            b"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><annotation><filename>&a;</filename></annotation>",
            "ERROR_INVALID_JSON_LINE",
            "document type declaration",
        ),
        (b"<annotation/>", "ERROR_MISSING_SOURCE_REF", "filename"),
        (voc(0).replace(b"<width>64</width>", b""), "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT", "<size/width>"),
        (voc(0).replace(b"<width>64<", b"<width>0<"), "ERROR_INVALID_IMAGE_DIMENSION", "0×64"),
        (voc(0).replace(b"<xmin>1<", b"<xmin>nan<", 1), "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT", "'nan'"),
        (voc(0).replace(b"<name>Echo<", b"<name> <", 1), "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT", "object 1"),
        (voc(0).replace(b"<xmax>20.0<", b"<xmax>99<", 1), "ERROR_INVALID_BOUNDING_BOX", "99"),
        (b" " * (MAX_FILE_BYTES + 1), "ERROR_JSON_LINE_TOO_LONG", "bytes"),
    ],
)
def test_what_is_wrong_in_a_voc_file_is_rejected(data: bytes, code: str, detail: str) -> None:
    image = of_voc(data)
    assert image.entry is None
    assert str(image.problems[0].code) == code
    assert detail in image.detail


def test_a_voc_file_may_be_mended_and_may_be_empty() -> None:
    assert of_voc(voc(0).replace(b"<xmax>20.0<", b"<xmax>99<"), Repair.CLIP_BOXES).labels == ("Echo",)
    assert of_voc(voc(0, objects=0)).reason is Reason.NO_ANNOTATIONS
    assert of_voc(voc(5)).labels == (LABELS[5],)


@pytest.mark.parametrize(
    ("row", "labels"),
    [
        (b"a.png", ()),
        (b"a.png,,\r\n", ()),
        (b"a.png,Echo,Echo\n", ("Echo",)),
        (b'a.png,"Echo, Dot",|Echo|\n', ("Echo, Dot", "|Echo|")),
        (b"a.png, Echo ,source-ref,x-metadata,$y\n", ("$y", "Echo", "source-ref", "x-metadata")),
    ],
)
def test_labels_of_a_row(row: bytes, labels: tuple[str, ...]) -> None:
    image = of_csv(row)
    assert image.labels == labels
    names = [name for name in content(image) if name != "source-ref" and not name.endswith("-metadata")]
    assert names == [f"label-{number}" for number in range(len(labels))]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (b'"a.png,Echo', "ERROR_INVALID_JSON_LINE"),
        (b'"a"b.png,Echo', "ERROR_INVALID_JSON_LINE"),
        (b"\xff.png,Echo", "ERROR_INVALID_JSON_LINE"),
        (b",Echo", "ERROR_MISSING_SOURCE_REF"),
        (b"a.png," + b"l" * 256, "ERROR_INVALID_LABEL_NAME_LENGTH"),
        (b"a.png" + b",Echo" * 30_000, "ERROR_JSON_LINE_TOO_LONG"),
        (b"a.png," + b",".join(b"%d" % number for number in range(51)), "ERROR_TOO_MANY_LABELS_PER_IMAGE"),
    ],
)
def test_a_row_that_is_rejected(row: bytes, code: str) -> None:
    image = of_csv(row)
    assert image.entry is None
    assert str(image.problems[0].code) == code


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    assert of_csv(b"\xef\xbb\xbfa.png,Echo", 1).source_ref == below("a.png")


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_any_row_has_an_outcome(data: bytes) -> None:
    image = of_csv(data)
    assert image.entry is not None or image.problems or image.reason is Reason.BLANK_LINE


@given(st.binary(max_size=40), st.integers(0, 500), st.integers(0, 500))
def test_any_voc_file_has_an_outcome(noise: bytes, start: int, stop: int) -> None:
    data = voc(1)
    image = of_voc(data[:start] + noise + data[stop:], *Repair)
    assert (image.entry is None) == bool(image.problems and image.reason is Reason.UNUSABLE_ANNOTATION)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["id", "file_name", "width", "height", "date_captured"]), JSON, max_size=2),
    st.dictionaries(st.sampled_from(["image_id", "category_id", "bbox", "iscrowd"]), JSON, max_size=2),
    st.lists(JSON, max_size=2),
)
def test_any_coco_entry_has_an_outcome(image: dict[str, Any], annotation: dict[str, Any], more: list[Any]) -> None:
    file = one(image=image, annotation=annotation)
    file["images"] += more
    file["annotations"] += more
    found = of_coco(file, *Repair)
    assert {f"image {number}" for number in range(1, len(file["images"]) + 1)} <= {each.place for each in found}
