"""Odd lines of Ground Truth manifests: each has an outcome, a code, and a repair where one is safe."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.custom_labels.entries import AnnotatedImage, Mending, Repair, moved
from include.custom_labels.ground_truth import GroundTruthLines
from include.custom_labels.line_rules import Status, check_line
from include.custom_labels.reasons import Reason
from tests.fixtures.annotation_samples import boxes, boxes_metadata, line, metadata

OLD, NEW = "2020-03-06T17:46:39.176", "2021-03-06T17:46:39.176"


def read(
    data: bytes, *repairs: Repair, label_attribute: str | None = None, min_confidence: float | None = None
) -> AnnotatedImage:
    mending = Mending(frozenset(repairs), min_confidence)
    return GroundTruthLines(label_attribute=label_attribute, mending=mending, bucket="example-own").read(data, 7)


def made(**attributes: Any) -> bytes:
    return line("example-images", "a/b.png", **attributes)


def content(image: AnnotatedImage) -> dict[str, Any]:
    assert image.entry is not None, image
    found: dict[str, Any] = json.loads(image.entry)
    return found


def codes(image: AnnotatedImage) -> list[str]:
    return [str(problem.code) for problem in image.problems]


def of_boxes(value: Any = None, **more: Any) -> bytes:
    return made(BB=boxes((1, 2, 30, 40)) if value is None else value, BB_metadata=boxes_metadata(**more))


WITHOUT_CONFIDENCE = {name: value for name, value in metadata().items() if name != "confidence"}
TEXT_IDS = boxes((1, 2, 30, 40))
TEXT_IDS["annotations"][0] |= {"class_id": "0", "left": "1.5"}
BARE_SIZE = {**boxes((1, 2, 30, 40)), "image_size": {"width": 64, "height": 64}}
FIFTY_FOUR = boxes(*[(1, 2, 10 + at % 40, 40) for at in range(54)])
MIXED_BOXES = boxes((1, 2, 30, 40), (50, 50, 30, 5), (5, 5, 1, 1))
MULTI = {
    "class-map": {"0": "Echo", "1": "Echo Dot", "8": "Spot"},
    "confidence-map": {"1": 0.99, "0": 0.69, "8": 0.2},
    "type": "groundtruth/image-classification-multilabel",
    "human-annotated": "yes",
    "creation-date": OLD,
    "job-name": "labeling-job/multi",
}


@pytest.mark.parametrize(
    ("data", "code", "repair"),
    [
        (b"{broken", "ERROR_INVALID_JSON_LINE", None),
        (b"\xff\xfe", "ERROR_INVALID_JSON_LINE", None),
        (b"[]", "ERROR_INVALID_JSON_LINE", None),
        (b"[" * 100_000, "ERROR_INVALID_JSON_LINE", None),
        (b"{" + b" " * 100_000 + b"}", "ERROR_JSON_LINE_TOO_LONG", None),
        (b"\xef\xbb\xbf" + made(a=0, a_metadata=metadata()), "ERROR_INVALID_JSON_LINE", Repair.STRIP_BYTE_ORDER_MARK),
        (b'{"source_ref": "s3://example-images/a.png"}', "ERROR_MISSING_SOURCE_REF", None),
        (b'{"source-ref": 5}', "ERROR_INVALID_SOURCE_REF_FORMAT", None),
        (b'{"source-ref": "https://example.com/a.png"}', "ERROR_INVALID_SOURCE_REF_FORMAT", None),
        (b'{"source-ref": "s3://BUCKET/a.png"}', "ERROR_INVALID_SOURCE_REF_FORMAT", Repair.SUBSTITUTE_BUCKET),
        (b'{"source-ref": "s3://<bucket>/a.png"}', "ERROR_INVALID_SOURCE_REF_FORMAT", Repair.SUBSTITUTE_BUCKET),
        (b'{"source-ref": "s3://YOUR-BUCKET-NAME/a.png"}', "ERROR_INVALID_SOURCE_REF_FORMAT", Repair.SUBSTITUTE_BUCKET),
        (b'{"source-ref": "s3://${bucket}/a.png"}', "ERROR_INVALID_SOURCE_REF_FORMAT", Repair.SUBSTITUTE_BUCKET),
        (made(id=5), "ERROR_NO_LABEL_ATTRIBUTES", None),
        (made(label=0, job_metadata=metadata()), "ERROR_NO_LABEL_ATTRIBUTES", Repair.RENAME_METADATA),
        (made(a=0, b=1, c_metadata=metadata()), "ERROR_NO_LABEL_ATTRIBUTES", None),
        (made(a=[0], a_metadata=metadata()), "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT", None),
        (
            made(a=0, a_metadata=WITHOUT_CONFIDENCE),
            "ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT",
            Repair.FILL_CONFIDENCE,
        ),
        (of_boxes(count=0), "ERROR_MISSING_BOUNDING_BOX_CONFIDENCE", Repair.FILL_CONFIDENCE),
        (of_boxes(objects=[{}]), "ERROR_MISSING_BOUNDING_BOX_CONFIDENCE", Repair.FILL_CONFIDENCE),
        (of_boxes(count=2), "ERROR_MISSING_BOUNDING_BOX_CONFIDENCE", None),
        (of_boxes(**{"class-map": {"1": "Echo"}}), "ERROR_MISSING_CLASS_MAP_ID", None),
        (of_boxes(TEXT_IDS), "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT", Repair.READ_TEXT_NUMBERS),
        (of_boxes(BARE_SIZE), "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT", Repair.FIX_IMAGE_SIZE),
        (of_boxes(FIFTY_FOUR, count=54), "ERROR_TOO_MANY_BOUNDING_BOXES", Repair.KEEP_50_BOXES),
        (of_boxes(boxes((30, 2, 40, 40))), "ERROR_INVALID_BOUNDING_BOX", Repair.CLIP_BOXES),
        (of_boxes(MIXED_BOXES, count=3), "ERROR_INVALID_BOUNDING_BOX", Repair.DROP_BAD_BOXES),
        (of_boxes(boxes((1, 2, 1, 1))), "ERROR_BOUNDING_BOX_TOO_SMALL", None),
        (of_boxes(boxes((1, 2, 3, 4), width=63)), "ERROR_INVALID_IMAGE_DIMENSION", None),
        (of_boxes(**{"class-map": {"0": "l" * 256}}), "ERROR_INVALID_LABEL_NAME_LENGTH", None),
        (made(a=0, a_metadata=metadata(type="groundtruth/custom")), "ERROR_UNSUPPORTED_USE_CASE_TYPE", None),
        (made(a_ref="s3://x/y.png", a_ref_metadata={}), "ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT", None),
        (made(a=[0, 5], a_metadata=MULTI), "ERROR_MISSING_CLASS_MAP_ID", None),
        (
            made(a=[0, 8], a_metadata={**MULTI, "confidence-map": {"0": 1}}),
            "ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT",
            Repair.FILL_CONFIDENCE,
        ),
    ],
)
def test_an_unusable_line_has_aws_code_and_a_repair_where_one_is_safe(
    data: bytes, code: str, repair: Repair | None
) -> None:
    image = read(data)
    assert image.entry is None
    assert codes(image)[0] == code
    assert image.reason is Reason.UNUSABLE_ANNOTATION
    mended = read(data, *Repair)
    if repair is None:
        assert mended.entry is None
        assert codes(mended)
        return
    alone = read(data, repair)
    assert alone.entry is not None
    assert [text for text in alone.repairs if text.startswith(repair)]
    assert repair in alone.detail
    if alone.labels:
        assert alone.reason is Reason.REPAIRED


def test_every_repair_has_a_sample_above_and_words() -> None:
    (mark,) = test_an_unusable_line_has_aws_code_and_a_repair_where_one_is_safe.pytestmark  # type: ignore[attr-defined]
    sampled = {sample[2] for sample in mark.args[1]} - {None}
    assert sampled == set(Repair) - {Repair.ROUND_FLOATS}
    assert all(repair.explanation for repair in Repair)


def test_fractions_are_accepted_and_rounded_where_that_was_asked_for() -> None:
    data = of_boxes(boxes((1.4, 2.6, 10.2, 20.7)))
    (box,) = content(read(data))["bounding-box-0"]["annotations"]
    assert (box["left"], box["top"], box["width"], box["height"]) == (1.4, 2.6, 10.2, 20.7)
    image = read(data, Repair.ROUND_FLOATS)
    (box,) = content(image)["bounding-box-0"]["annotations"]
    assert (box["left"], box["top"], box["width"], box["height"]) == (1, 3, 11, 20)
    assert image.repairs == ("round_floats (1 boxes)",)


@pytest.mark.parametrize(
    ("wanted", "label", "left_out"),
    [(None, "New", ["old"]), ("old", "Old", ["new"]), ("*", None, [])],
)
def test_of_chained_box_attributes_one_is_taken(wanted: str | None, label: str | None, left_out: list[str]) -> None:
    data = made(
        new=boxes((1, 2, 30, 40)),
        new_metadata=boxes_metadata(
            **{"creation-date": NEW, "class-map": {"0": "New"}, "adjustment-status": "adjusted"}
        ),
        old=boxes((1, 2, 30, 40)),
        old_metadata=boxes_metadata(**{"creation-date": OLD, "class-map": {"0": "Old"}}),
    )
    image = read(data, label_attribute=wanted)
    assert image.labels == ((label,) if label else ("New", "Old"))
    assert all(repr(name) in image.detail for name in left_out)


def test_image_level_labels_of_one_second_stay_together_and_later_ones_replace_them() -> None:
    together = made(sport0=1, sport0_metadata=metadata("a"), sport1=1, sport1_metadata=metadata("b"))
    assert read(together).labels == ("a", "b")
    chained = made(first=1, first_metadata=metadata("a"), next=1, next_metadata=metadata("b", **{"creation-date": NEW}))
    image = read(chained)
    assert image.labels == ("b",)
    assert "left out: 'first'" in image.detail


def test_labels_and_boxes_of_one_line_stay_together() -> None:
    image = read(
        made(
            a=0,
            a_metadata=metadata("c", **{"creation-date": NEW}),
            b=boxes((1, 2, 30, 40)),
            b_metadata=boxes_metadata(),
        )
    )
    assert image.labels == ("Echo", "c")


def test_a_label_attribute_that_a_line_has_not() -> None:
    image = read(made(a=0, a_metadata=metadata()), label_attribute="b")
    assert codes(image) == ["ERROR_NO_LABEL_ATTRIBUTES"]
    assert "'b'" in image.detail
    assert "'a'" in image.detail


def test_several_labels_become_pairs_of_the_type_that_custom_labels_takes() -> None:
    line = content(read(made(multi=[1, 0, 8, 1], multi_metadata=MULTI)))
    found = [line[f"label-{number}-metadata"] for number in range(3)]
    assert [each["class-name"] for each in found] == ["Echo", "Echo Dot", "Spot"]
    assert [each["confidence"] for each in found] == [0.69, 0.99, 0.2]
    assert {each["type"] for each in found} == {"groundtruth/image-classification"}
    assert read(made(multi=[], multi_metadata=MULTI)).reason is Reason.NO_ANNOTATIONS


def test_classes_are_told_by_name_and_not_by_id() -> None:
    other = of_boxes(**{"class-map": {"0": "Echo Dot", "1": "Echo"}})
    assert read(of_boxes()).labels == ("Echo",)
    assert read(other).labels == ("Echo Dot",)


def test_a_class_written_as_text_and_a_key_that_looks_empty() -> None:
    key = "스피커/\u200b한\u200b.png"
    image = read(line("example-images", key, species="0", species_metadata=metadata("0")))
    assert image.labels == ("0",)
    assert content(image)["source-ref"] == f"s3://example-images/{key}"


def test_empty_boxes_and_bare_lines_are_imported_without_a_label() -> None:
    empty = read(of_boxes(boxes(), count=0, **{"class-map": {}}))
    assert (empty.labels, codes(empty)) == ((), ["WARNING_NO_ANNOTATIONS"])
    bare = read(made())
    assert (bare.labels, bare.reason, codes(bare)) == ((), Reason.NO_ANNOTATIONS, [])
    assert read(b"  \r\n").reason is Reason.BLANK_LINE


def test_a_failed_image_of_a_job_says_why() -> None:
    image = read(made(job_metadata={"failure-reason": "ClientError: no such image"}))
    assert "ClientError: no such image" in image.detail


def test_an_unsupported_attribute_beside_a_good_one_is_left_out_and_said() -> None:
    image = read(of_boxes()[:-2] + b', "check": 1, "check-metadata": {"type": "groundtruth/label-verification"}}')
    assert image.labels == ("Echo",)
    assert codes(image) == ["ERROR_UNSUPPORTED_USE_CASE_TYPE"]
    assert list(content(image)) == ["source-ref", "bounding-box-0", "bounding-box-0-metadata"]


@pytest.mark.parametrize(
    ("least", "labels", "reason"),
    [
        (0.5, ("Echo", "Echo Dot"), Reason.IN_ANNOTATIONS),
        (0.8, ("Echo Dot",), Reason.IN_ANNOTATIONS),
        (1.0, (), Reason.BELOW_MIN_CONFIDENCE),
    ],
)
def test_labels_below_the_minimum_confidence_are_left_out(
    least: float, labels: tuple[str, ...], reason: Reason
) -> None:
    image = read(made(a=[0, 1, 8], a_metadata=MULTI), min_confidence=least)
    assert (image.labels, image.reason) == (labels, reason)
    assert "below min_confidence" in image.detail


def test_boxes_below_the_minimum_confidence_are_left_out() -> None:
    data = of_boxes(boxes((1, 2, 30, 40), (5, 6, 7, 8)), objects=[{"confidence": 0.9}, {"confidence": 0.1}])
    (box,) = content(read(data, min_confidence=0.5))["bounding-box-0"]["annotations"]
    assert box["left"] == 1
    nothing = read(data, min_confidence=0.95)
    assert (nothing.reason, list(content(nothing))) == (Reason.BELOW_MIN_CONFIDENCE, ["source-ref"])


def test_an_entry_that_moves_keeps_everything_but_its_address() -> None:
    entry = read(of_boxes()).entry
    assert entry is not None
    before, after = json.loads(entry), json.loads(moved(entry, 's3://example-own/x "y".png'))
    assert after.pop("source-ref") == 's3://example-own/x "y".png'
    assert list(before).index("source-ref") == 0
    assert after == {name: value for name, value in before.items() if name != "source-ref"}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
NAMES = st.sampled_from(
    [
        "a",
        "a-metadata",
        "b",
        "b-metadata",
        "type",
        "class-map",
        "confidence-map",
        "objects",
        "confidence",
        "class-name",
        "creation-date",
        "image_size",
        "annotations",
        "class_id",
        "left",
        "top",
        "width",
        "height",
        "depth",
        "human-annotated",
    ]
)
KINDS = st.sampled_from(
    ["groundtruth/image-classification", "groundtruth/object-detection", MULTI["type"], "groundtruth/custom"]
)
VALUES = st.recursive(
    SCALARS | KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def mutated(base: Iterable[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Good pairs with members replaced by anything."""
    return st.builds(
        lambda line, changes, more: {
            **{name: {**value, **changes} if isinstance(value, dict) else value for name, value in line.items()},
            **more,
        },
        st.sampled_from(list(base)),
        st.dictionaries(NAMES, VALUES, max_size=3),
        st.dictionaries(NAMES, VALUES, max_size=2),
    )


GOOD = [
    {"a": 0, "a-metadata": metadata()},
    {"a": boxes((1, 2, 30, 40)), "a-metadata": boxes_metadata()},
    {"a": [0, 1], "a-metadata": MULTI},
]


@given(
    mutated(GOOD),
    st.sampled_from(["s3://example-images/a.png", "s3://BUCKET/a.png", "s3://example-images/\ud800.png", "x", 5]),
    st.sets(st.sampled_from(list(Repair))),
    st.none() | st.floats(0, 1),
    st.sampled_from([None, "a", "*"]),
)
def test_any_line_has_an_outcome_and_what_is_imported_is_valid(
    members: dict[str, Any], source_ref: object, repairs: set[Repair], least: float | None, wanted: str | None
) -> None:
    data = json.dumps({"source-ref": source_ref, **members}).encode()
    image = read(data, *repairs, label_attribute=wanted, min_confidence=least)
    assert (image.entry is None) == (image.reason is Reason.UNUSABLE_ANNOTATION)
    if image.entry is None:
        assert codes(image)
        return
    verdict = check_line(image.entry.removesuffix(b"\n"))
    assert verdict.status is not Status.INVALID
    assert set(image.labels) == verdict.image_labels | verdict.box_labels
    assert read(image.entry, label_attribute="*").entry == image.entry


@given(st.binary(max_size=60))
def test_any_bytes_have_an_outcome(data: bytes) -> None:
    assert read(data, *Repair).place == "line 7"
