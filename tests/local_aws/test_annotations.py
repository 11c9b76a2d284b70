"""Non-terminal errors of a line: which code, and on which object of the line it is written."""

from __future__ import annotations

from typing import Any

import pytest

from include.local_aws.annotations import ERRORS_KEY, MESSAGES, inspect, without_service_fields
from tests.local_aws.samples import box, boxed, classification, labelled


def written(value: Any, path: str = "") -> list[tuple[str, str]]:
    """(path, code) of every error in a line."""
    if isinstance(value, list):
        return [found for number, item in enumerate(value) for found in written(item, f"{path}[{number}]")]
    if not isinstance(value, dict):
        return []
    here = [(path, error["code"]) for error in value.get(ERRORS_KEY, [])]
    return here + [
        found for key, item in value.items() if key != ERRORS_KEY for found in written(item, f"{path}.{key}".strip("."))
    ]


def image_level(value: Any = 1, **metadata: Any) -> dict[str, Any]:
    return {"source-ref": "s3://example-images/a.png", "x": value, "x-metadata": classification("Cup", **metadata)}


FORMAT = "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT"
METADATA = "ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT"
NO_VALID = ("", "ERROR_NO_VALID_LABEL_ATTRIBUTES")


@pytest.mark.parametrize(
    "line",
    [
        labelled("a.png"),
        labelled("a.png", "Cup"),
        labelled("a.png", "Cup", "Plate"),
        image_level(0),
        image_level("0"),
        image_level(**{"creation-date": "2020-03-06T17:46:39.176"}),
        image_level(**{"creation-date": "2020-03-06 17:46:39Z"}),
        image_level(**{"class-name": "x" * 255}),
        image_level(confidence=0.0),
        boxed("a.png", box()),
        boxed("a.png", box(left=0.5, width=20.25)),
        boxed("a.png", box(left=0, top=0, width=200, height=100)),
        boxed("a.png", class_map={}),
        boxed("a.png", *[box()] * 50),
        labelled("a.png", "Cup") | {"width": 640},
        labelled("a.png", "Cup") | boxed("a.png", box()),
    ],
)
def test_a_line_without_errors(line: dict[str, Any]) -> None:
    findings = inspect(line)
    assert written(line) == []
    assert not findings.has_errors
    assert not findings.bad


@pytest.mark.parametrize(
    ("line", "errors"),
    [
        ({"source-ref": "s3://b/a.png", "x": 1}, [("", "ERROR_NO_LABEL_ATTRIBUTES")]),
        ({"source-ref": "s3://b/a.png", "x-metadata": {}}, [("", "ERROR_NO_LABEL_ATTRIBUTES")]),
        ({"source-ref": "s3://b/a.png", "x": 1, "y-metadata": {}}, [("", "ERROR_NO_LABEL_ATTRIBUTES")]),
        (image_level(1.5), [("", FORMAT)]),
        (image_level(True), [("", FORMAT)]),
        (image_level({"a": 1}), [("x", FORMAT)]),
        (image_level() | {"x-metadata": 1}, [("", METADATA)]),
        (image_level(type=None), [("x-metadata", METADATA)]),
        (image_level(confidence=1.1), [("x-metadata", METADATA)]),
        (image_level(confidence="1"), [("x-metadata", METADATA)]),
        (image_level(**{"human-annotated": True}), [("x-metadata", METADATA)]),
        (image_level(**{"creation-date": "yesterday"}), [("x-metadata", METADATA)]),
        (image_level(**{"class-name": None}), [("x-metadata", METADATA)]),
        (image_level(**{"class-name": "x" * 256}), [NO_VALID, ("x-metadata", "ERROR_INVALID_LABEL_NAME_LENGTH")]),
        (image_level(**{"class-name": ""}), [NO_VALID, ("x-metadata", "ERROR_INVALID_LABEL_NAME_LENGTH")]),
        (
            image_level(type="groundtruth/image-classification-multilabel"),
            [NO_VALID, ("x-metadata", "ERROR_UNSUPPORTED_USE_CASE_TYPE")],
        ),
        (boxed("a.png", box()) | {"boxes": 1}, [("", FORMAT)]),
        (boxed("a.png", box()) | {"boxes": {"annotations": []}}, [("boxes", FORMAT)]),
        (
            boxed("a.png") | {"boxes": {"image_size": {"width": 640, "height": 480, "depth": 3}, "annotations": []}},
            [("boxes", FORMAT)],
        ),
        (boxed("a.png", box() | {"class_id": "0"}), [("boxes", FORMAT)]),
        (boxed("a.png", {"class_id": 0, "left": 1, "top": 1, "width": 5}), [("boxes", FORMAT)]),
        (boxed("a.png", box(), **{"class-map": {"0": 7}}), [("boxes-metadata", METADATA)]),
        (boxed("a.png", box(), objects=[]), [("boxes-metadata", "ERROR_MISSING_BOUNDING_BOX_CONFIDENCE")]),
        (boxed("a.png", box(), objects=[{}]), [("boxes-metadata", "ERROR_MISSING_BOUNDING_BOX_CONFIDENCE")]),
        (boxed("a.png", box(class_id=7)), [("boxes-metadata", "ERROR_MISSING_CLASS_MAP_ID")]),
        (boxed("a.png", *[box()] * 51), [NO_VALID, ("boxes", "ERROR_TOO_MANY_BOUNDING_BOXES")]),
        (boxed("a.png", box(), box(left=190)), [("boxes.annotations[1]", "ERROR_INVALID_BOUNDING_BOX")]),
        (boxed("a.png", box(), box(top=-1)), [("boxes.annotations[1]", "ERROR_INVALID_BOUNDING_BOX")]),
        (boxed("a.png", box(), box(width=1)), [("boxes.annotations[1]", "ERROR_BOUNDING_BOX_TOO_SMALL")]),
        (
            # Two of 2560 pixels are one of 1280.
            boxed("a.png", box(), box(width=2), size=(2560, 100)),
            [("boxes.annotations[1]", "ERROR_BOUNDING_BOX_TOO_SMALL")],
        ),
        (
            boxed("a.png", box(left=-1)),
            [
                NO_VALID,
                ("boxes", "ERROR_NO_VALID_ANNOTATIONS"),
                ("boxes.annotations[0]", "ERROR_INVALID_BOUNDING_BOX"),
            ],
        ),
    ],
)
def test_errors_and_where_they_are_written(line: dict[str, Any], errors: list[tuple[str, str]]) -> None:
    findings = inspect(line)
    assert sorted(written(line)) == sorted(errors)
    assert findings.has_errors


def test_a_bad_box_loses_only_the_box() -> None:
    findings = inspect(boxed("a.png", box(), box(class_id=1, left=-5)))
    assert findings.labels == {"Cup": True}
    assert not findings.bad


def test_one_good_attribute_keeps_the_line() -> None:
    findings = inspect(image_level() | {"y": 1, "y-metadata": classification("Plate", type="groundtruth/text")})
    assert findings.labels == {"Cup": False}
    assert findings.has_errors
    assert not findings.bad


def test_a_label_on_a_class_and_on_a_box_is_one_label() -> None:
    assert inspect(labelled("a.png", "Cup") | boxed("a.png", box())).labels == {"Cup": True}


@pytest.mark.parametrize(
    ("line", "annotated"),
    [
        (labelled("a.png"), False),
        (boxed("a.png"), False),
        (labelled("a.png", "Cup"), True),
        (boxed("a.png", box()), True),
        # AWS's sample of an unsupported type is shown as labelled.
        (image_level(type="groundtruth/label-verification"), True),
    ],
)
def test_whether_a_line_counts_as_labelled(line: dict[str, Any], annotated: bool) -> None:
    assert inspect(line).annotated is annotated


def test_messages_name_the_attribute() -> None:
    line = image_level({"a": 1})
    inspect(line)
    assert line["x"][ERRORS_KEY][0]["message"] == "The format of the label attribute x is invalid."
    assert set(MESSAGES) == {code for code in MESSAGES if code.startswith("ERROR_")}


def test_a_listed_line_is_stripped_of_what_the_service_wrote() -> None:
    line = boxed("a.png", box(), box(left=-5))
    original = boxed("a.png", box(), box(left=-5))
    inspect(line)
    line |= {"cl-metadata": {"is_labeled": True}, "errors": [], "warnings": []}
    assert without_service_fields(line) == original
