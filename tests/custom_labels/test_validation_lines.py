"""The rules of one line, one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from include.custom_labels.line_rules import ImageFacts, LineVerdict, Status, check_line
from tests.custom_labels.manifest_lines import BUCKET, boxes_pair, label_pair, line_of


def codes_of(verdict: LineVerdict) -> list[str]:
    return [problem.code.value for problem in verdict.problems]


def boxes_line(*boxes: dict[str, Any], width: int = 640, height: int = 480, **metadata: Any) -> bytes:
    pair = boxes_pair(**{"objects": [{"confidence": 1}] * len(boxes), **metadata})
    pair["bounding-box"]["image_size"] = [{"width": width, "height": height, "depth": 3}]
    pair["bounding-box"]["annotations"] = list(boxes)
    return line_of(pair)


def box(left: float = 10, top: float = 10, width: float = 20, height: float = 20, class_id: int = 1) -> dict[str, Any]:
    return {"class_id": class_id, "top": top, "left": left, "width": width, "height": height}


def without(pair: dict[str, Any], *path: str) -> dict[str, Any]:
    copy = json.loads(json.dumps(pair))
    member = copy
    for name in path[:-1]:
        member = member[name]
    del member[path[-1]]
    return copy


@pytest.mark.parametrize(
    "line",
    [
        line_of(label_pair()),
        line_of(label_pair()) + b"\r",
        line_of(label_pair("echo dot", "echo dot")),
        line_of(label_pair(label="x" * 255)),
        line_of(label_pair(label="\N{MICROSCOPE}" * 255)),
        line_of(label_pair() | {"label-0": -7}),
        line_of(label_pair() | {"label-0": "0"}),
        line_of(label_pair(confidence=0)),
        line_of(label_pair(confidence=0.25)),
        line_of(label_pair(**{"human-annotated": "no"})),
        line_of(label_pair(**{"job-name": "labeling-job/echo", "unknown": [1]})),
        line_of(label_pair(**{"creation-date": "2020-03-06T17:46:39.176"})),
        line_of(label_pair(**{"creation-date": "2013-11-18 02:53:27"})),
        line_of(label_pair(**{"creation-date": "2020-03-06T17:46:39Z"})),
        line_of(label_pair("a", "one"), label_pair("b", "two"), label_pair("c", "three")),
        line_of(*(label_pair(f"a{n}", f"label {n}") for n in range(50))),
        line_of(label_pair(), {"errors": [], "warnings": [], "cl-errors": [], "cl-metadata": {"is_labeled": True}}),
        line_of(boxes_pair()),
        line_of(boxes_pair(), label_pair()),
        boxes_line(*[box()] * 50),
        boxes_line(box(0, 0, 640, 480)),
        boxes_line(box(1, 1, 1.01, 1.01)),
        boxes_line(box(), **{"class-map": {"1": "Echo", "7": "unused"}}),
    ],
)
def test_valid_lines(line: bytes) -> None:
    verdict = check_line(line)
    assert codes_of(verdict) == []
    assert verdict.status is Status.VALID
    assert verdict.bucket == BUCKET
    assert verdict.image_labels | verdict.box_labels


BASE = json.loads(line_of())


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", "ERROR_INVALID_JSON_LINE"),
        (b"   \r", "ERROR_INVALID_JSON_LINE"),
        (b"{", "ERROR_INVALID_JSON_LINE"),
        (b'["s3://example-bucket/a.png"]', "ERROR_INVALID_JSON_LINE"),
        (b"\xef\xbb\xbf" + line_of(label_pair()), "ERROR_INVALID_JSON_LINE"),
        (b'{"source-ref":"s3://example-bucket/\xff.png"}', "ERROR_INVALID_JSON_LINE"),
        (b'{"source-ref":"s3://example-bucket/\\ud800.png"}', "ERROR_INVALID_JSON_LINE"),
        (line_of(label_pair()) + line_of(label_pair()), "ERROR_INVALID_JSON_LINE"),
        (b"{}", "ERROR_MISSING_SOURCE_REF"),
        (b'{"source_ref":"s3://example-bucket/a.png"}', "ERROR_MISSING_SOURCE_REF"),
        (b'{"source-ref":null}', "ERROR_INVALID_SOURCE_REF_FORMAT"),
        (line_of(source_ref="https://example-bucket/a.png"), "ERROR_INVALID_SOURCE_REF_FORMAT"),
        (line_of(source_ref="s3://example-bucket/"), "ERROR_INVALID_SOURCE_REF_FORMAT"),
        (line_of(label_pair(padding="x" * 100_000)), "ERROR_JSON_LINE_TOO_LONG"),
        (b"x" * 100_001, "ERROR_JSON_LINE_TOO_LONG"),
    ],
)
def test_lines_that_the_service_drops_without_a_word(line: bytes, code: str) -> None:
    verdict = check_line(line)
    assert codes_of(verdict) == [code]
    assert verdict.is_dropped
    assert verdict.status is Status.INVALID


def test_length_counts_characters_and_not_bytes() -> None:
    pair = label_pair(padding="\N{MICROSCOPE}" * 90_000)
    line = json.dumps({**BASE, **pair}, ensure_ascii=False).encode()
    assert len(line) > 300_000
    assert check_line(line).status is Status.VALID


@pytest.mark.parametrize(
    ("line", "code", "attribute"),
    [
        (line_of(without(label_pair(), "label-0-metadata")), "ERROR_NO_LABEL_ATTRIBUTES", None),
        (line_of(without(label_pair(), "label-0")), "ERROR_NO_LABEL_ATTRIBUTES", None),
        (line_of({"label-0": 1, "label-1-metadata": {}}), "ERROR_NO_LABEL_ATTRIBUTES", None),
        (line_of(label_pair() | {"label-0": 0.5}), "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT", "label-0"),
        (line_of(label_pair() | {"label-0": True}), "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT", "label-0"),
        (line_of(label_pair() | {"label-0": "echo"}), "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT", "label-0"),
        (line_of(label_pair() | {"label-0": None}), "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT", "label-0"),
        (
            line_of(boxes_pair() | {"bounding-box": {"image_size": {"width": 1, "height": 1, "depth": 3}}}),
            "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT",
            "bounding-box",
        ),
        (
            line_of(without(boxes_pair(), "bounding-box", "image_size")),
            "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT",
            "bounding-box",
        ),
        (boxes_line(box() | {"class_id": "1"}), "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT", "bounding-box"),
        (boxes_line(without(box(), "top")), "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT", "bounding-box"),
        *(
            (
                line_of(without(label_pair(), "label-0-metadata", name)),
                "ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT",
                "label-0-metadata",
            )
            for name in ("class-name", "confidence", "type", "human-annotated", "creation-date")
        ),
        *(
            (
                line_of(without(boxes_pair(), "bounding-box-metadata", name)),
                "ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT",
                "bounding-box-metadata",
            )
            for name in ("objects", "class-map", "type", "human-annotated", "creation-date")
        ),
        *(
            (
                line_of(label_pair(**{name: value})),
                "ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT",
                "label-0-metadata",
            )
            for name, value in (
                ("class-name", 7),
                ("confidence", 1.01),
                ("confidence", -0.01),
                ("confidence", "1"),
                ("human-annotated", "maybe"),
                ("human-annotated", True),
                ("creation-date", 0),
                ("type", 7),
            )
        ),
        (
            line_of({"label-0": 1, "label-0-metadata": "echo"}),
            "ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT",
            "label-0-metadata",
        ),
        (boxes_line(box(), objects=[]), "ERROR_MISSING_BOUNDING_BOX_CONFIDENCE", "bounding-box-metadata"),
        (boxes_line(box(), objects=[{}]), "ERROR_MISSING_BOUNDING_BOX_CONFIDENCE", "bounding-box-metadata"),
        (
            boxes_line(box(), objects=[{"confidence": 1}] * 2),
            "ERROR_MISSING_BOUNDING_BOX_CONFIDENCE",
            "bounding-box-metadata",
        ),
        (boxes_line(box(class_id=9)), "ERROR_MISSING_CLASS_MAP_ID", "bounding-box-metadata"),
    ],
)
def test_findings_of_the_first_group_stand_alone(line: bytes, code: str, attribute: str | None) -> None:
    verdict = check_line(line)
    assert codes_of(verdict) == [code]
    assert verdict.problems[0].attribute == attribute
    assert verdict.status is Status.INVALID
    assert not verdict.is_dropped


def test_the_first_group_ends_the_checks_and_comes_in_aws_order() -> None:
    """The long label, the tiny image and the missing image would be found later."""
    boxes = boxes_pair(objects=[], **{"class-map": {"0": "x" * 256}})
    boxes["bounding-box"]["image_size"] = [{"width": 1, "height": 1, "depth": 3}]
    line = line_of(boxes, label_pair(confidence=7), label_pair("second") | {"second": None})
    assert codes_of(check_line(line, lambda source_ref: None)) == [
        "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT",
        "ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT",
        "ERROR_MISSING_BOUNDING_BOX_CONFIDENCE",
        "ERROR_MISSING_CLASS_MAP_ID",
    ]


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        (
            line_of(label_pair(label="x" * 256)),
            ["ERROR_INVALID_LABEL_NAME_LENGTH", "ERROR_NO_VALID_LABEL_ATTRIBUTES"],
        ),
        (line_of(label_pair(label="")), ["ERROR_INVALID_LABEL_NAME_LENGTH", "ERROR_NO_VALID_LABEL_ATTRIBUTES"]),
        (line_of(label_pair(label="a\nb")), ["ERROR_INVALID_LABEL_NAME", "ERROR_NO_VALID_LABEL_ATTRIBUTES"]),
        *(
            (
                line_of(label_pair(type=kind)),
                ["ERROR_UNSUPPORTED_USE_CASE_TYPE", "ERROR_NO_VALID_LABEL_ATTRIBUTES"],
            )
            for kind in (
                "groundtruth/image-classification-multilabel",
                "groundtruth/label-verification",
                "groundtruth/semantic-segmentation",
                "",
            )
        ),
        (
            line_of(*(label_pair(f"a{n}", f"label {n}") for n in range(51))),
            ["ERROR_TOO_MANY_LABELS_PER_IMAGE"],
        ),
        (
            boxes_line(box(), width=63),
            ["ERROR_INVALID_IMAGE_DIMENSION", "ERROR_NO_VALID_LABEL_ATTRIBUTES"],
        ),
        (
            boxes_line(box(), height=4097),
            ["ERROR_INVALID_IMAGE_DIMENSION", "ERROR_NO_VALID_LABEL_ATTRIBUTES"],
        ),
        (
            boxes_line(*[box()] * 51),
            ["ERROR_TOO_MANY_BOUNDING_BOXES", "ERROR_NO_VALID_LABEL_ATTRIBUTES"],
        ),
        (
            boxes_line(box(left=-1)),
            ["ERROR_INVALID_BOUNDING_BOX", "ERROR_NO_VALID_ANNOTATIONS", "ERROR_NO_VALID_LABEL_ATTRIBUTES"],
        ),
        (
            boxes_line(box(width=1)),
            ["ERROR_BOUNDING_BOX_TOO_SMALL", "ERROR_NO_VALID_ANNOTATIONS", "ERROR_NO_VALID_LABEL_ATTRIBUTES"],
        ),
    ],
)
def test_lines_that_are_lost(line: bytes, codes: list[str]) -> None:
    verdict = check_line(line)
    assert codes_of(verdict) == codes
    assert verdict.status is Status.INVALID
    assert not verdict.image_labels | verdict.box_labels


@pytest.mark.parametrize(
    ("bad", "width", "height", "code"),
    [
        (box(left=-0.5), 640, 480, "ERROR_INVALID_BOUNDING_BOX"),
        (box(top=-1), 640, 480, "ERROR_INVALID_BOUNDING_BOX"),
        (box(width=-20), 640, 480, "ERROR_INVALID_BOUNDING_BOX"),
        (box(left=621), 640, 480, "ERROR_INVALID_BOUNDING_BOX"),
        (box(top=461), 640, 480, "ERROR_INVALID_BOUNDING_BOX"),
        (box(height=1), 640, 480, "ERROR_BOUNDING_BOX_TOO_SMALL"),
        (box(height=0), 640, 480, "ERROR_BOUNDING_BOX_TOO_SMALL"),
        (box(height=2), 1280, 1280, None),
        (box(height=1.5), 1280, 480, None),
        (box(height=2), 2560, 480, "ERROR_BOUNDING_BOX_TOO_SMALL"),
        (box(height=2), 480, 2560, "ERROR_BOUNDING_BOX_TOO_SMALL"),
        (box(width=2), 2559, 480, None),
        (box(width=3), 3840, 480, "ERROR_BOUNDING_BOX_TOO_SMALL"),
        (box(width=3.01), 3840, 480, None),
    ],
)
def test_a_bad_box_loses_only_itself(bad: dict[str, Any], width: int, height: int, code: str | None) -> None:
    verdict = check_line(boxes_line(box(class_id=0), bad, width=width, height=height))
    assert codes_of(verdict) == ([code] if code else [])
    assert verdict.status is Status.VALID
    assert verdict.box_labels == ({"Echo"} if code else {"Echo", "Echo Dot"})


def test_an_invalid_attribute_beside_a_valid_one_loses_only_itself() -> None:
    verdict = check_line(line_of(label_pair(), label_pair("odd", type="groundtruth/label-verification")))
    assert codes_of(verdict) == ["ERROR_UNSUPPORTED_USE_CASE_TYPE"]
    assert verdict.problems[0].attribute == "odd-metadata"
    assert verdict.status is Status.VALID
    assert verdict.image_labels == {"echo"}


@pytest.mark.parametrize(
    "extra", [{}, {"errors": []}, {"cl-metadata": {"is_labeled": False}}, {"cl-errors": [], "warnings": []}]
)
def test_a_bare_line_is_ignored_with_a_warning(extra: dict[str, Any]) -> None:
    verdict = check_line(line_of(extra))
    assert codes_of(verdict) == ["WARNING_UNANNOTATED_RECORD"]
    assert verdict.status is Status.IGNORED


@pytest.mark.parametrize("annotated", ["yes", "no"])
def test_boxes_without_annotations_are_ignored_with_warnings(annotated: str) -> None:
    line = boxes_line(**{"class-map": {}, "human-annotated": annotated})
    for each in (line, line.replace(b', "annotations": []', b"")):
        verdict = check_line(each)
        assert codes_of(verdict) == ["WARNING_NO_ATTRIBUTE_ANNOTATIONS", "WARNING_NO_ANNOTATIONS"]
        assert verdict.status is Status.IGNORED


def test_empty_boxes_beside_a_label_are_a_warning_on_a_valid_line() -> None:
    line = json.loads(boxes_line(**{"class-map": {}})) | label_pair()
    verdict = check_line(json.dumps(line).encode())
    assert codes_of(verdict) == ["WARNING_NO_ATTRIBUTE_ANNOTATIONS"]
    assert verdict.status is Status.VALID


def test_half_a_pair_beside_a_whole_one_is_a_warning_on_a_valid_line() -> None:
    verdict = check_line(line_of(label_pair(), {"id": 17}))
    assert codes_of(verdict) == ["WARNING_INCOMPLETE_LABEL_ATTRIBUTE"]
    assert verdict.problems[0].attribute == "id"
    assert verdict.status is Status.VALID


def test_a_creation_date_that_is_none_is_a_warning_on_a_valid_line() -> None:
    verdict = check_line(line_of(label_pair(**{"creation-date": "yesterday"})))
    assert codes_of(verdict) == ["WARNING_CREATION_DATE_FORMAT"]
    assert verdict.image_labels == {"echo"}


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (ImageFacts(64, 64), None),
        (ImageFacts(4096, 4096, 15_000_000, "PNG"), None),
        (ImageFacts(1280, 64, 1, "JPEG"), None),
        (ImageFacts(640, 480, 15_000_001), "WARNING_LARGE_IMAGE_FILE"),
        (ImageFacts(640, 480, 15 * 1024**2), "WARNING_LARGE_IMAGE_FILE"),
        (ImageFacts(640, 480, 15 * 1024**2 + 1), "ERROR_INVALID_IMAGE"),
        (ImageFacts(63, 640), "ERROR_INVALID_IMAGE"),
        (ImageFacts(640, 63), "ERROR_INVALID_IMAGE"),
        (ImageFacts(4097, 640), "ERROR_INVALID_IMAGE"),
        (ImageFacts(1281, 64), "ERROR_INVALID_IMAGE"),
        (ImageFacts(640, 480, 1, "GIF"), "ERROR_INVALID_IMAGE"),
        (None, "ERROR_INVALID_IMAGE"),
    ],
)
@pytest.mark.parametrize("line", [line_of(label_pair()), line_of()])
def test_images(line: bytes, facts: ImageFacts | None, code: str | None) -> None:
    def facts_of(source_ref: str) -> ImageFacts | None:
        assert source_ref == f"s3://{BUCKET}/a.png"
        return facts

    verdict = check_line(line, facts_of)
    assert [each for each in codes_of(verdict) if each != "WARNING_UNANNOTATED_RECORD"] == ([code] if code else [])
    is_lost = code == "ERROR_INVALID_IMAGE"
    assert (verdict.status is Status.INVALID) == is_lost
    assert not (is_lost and verdict.image_labels)
