"""Label attributes of one manifest line: what they say, and the non-terminal errors in them.

The codes, their messages, where each is attached and which come first are those of the Developer Guide's pages
on non-terminal line errors. Errors are written where the service writes them: into ``cl-errors`` of the line, the
attribute, its metadata or the annotation they belong to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from include.local_aws.quotas import (
    BOX_SCALING_SIDE_PX,
    BOXES_PER_IMAGE_MAX,
    IMAGE_SIDE_MAX_PX,
    IMAGE_SIDE_MIN_PX,
    LABEL_MAX_CHARS,
)

ERRORS_KEY: Final = "cl-errors"
METADATA_SUFFIX: Final = "-metadata"
CLASSIFICATION: Final = "groundtruth/image-classification"
DETECTION: Final = "groundtruth/object-detection"

MESSAGES: Final = {
    "ERROR_NO_LABEL_ATTRIBUTES": "No label attributes found.",
    "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT": "The format of the label attribute {} is invalid.",
    "ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT": "The format of the label attribute metadata is invalid.",
    "ERROR_NO_VALID_LABEL_ATTRIBUTES": "No valid label attributes found.",
    "ERROR_MISSING_BOUNDING_BOX_CONFIDENCE": "One or more bounding boxes has a missing confidence value.",
    "ERROR_MISSING_CLASS_MAP_ID": "One of more class ids is missing from the class map.",
    "ERROR_INVALID_IMAGE": "The image is invalid. Check S3 path and/or image properties.",
    "ERROR_INVALID_IMAGE_DIMENSION": "The image dimension(s) do not conform to allowed dimensions.",
    "ERROR_INVALID_BOUNDING_BOX": "The bounding box has off frame values.",
    "ERROR_BOUNDING_BOX_TOO_SMALL": "The height and width of the bounding box is too small.",
    "ERROR_TOO_MANY_BOUNDING_BOXES": "There are more bounding boxes than the allowed maximum.",
    "ERROR_NO_VALID_ANNOTATIONS": "No valid annotations found.",
    "ERROR_UNSUPPORTED_USE_CASE_TYPE": (
        "The use case type of the {}-metadata label attribute metadata is unsupported. Check the type field."
    ),
    # The guide names this code and gives no message for it.
    "ERROR_INVALID_LABEL_NAME_LENGTH": "The length of the label name is invalid.",
}

_CREATION_DATE: Final = re.compile(r"\d{4}-\d{1,2}-\d{1,2}[T ]\d{1,2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:?\d{2})?")


@dataclass(slots=True, kw_only=True)
class Findings:
    """What the label attributes of a line hold.

    ``labels`` maps a label to whether it is on a box; ``annotated`` says whether the line names any label at all,
    in good form or not; ``has_errors`` whether anything was written into the line; ``bad`` whether the whole line
    is lost for it; ``settled`` whether the guide's precedence forbids looking at the image.
    """

    labels: dict[str, bool] = field(default_factory=dict)
    annotated: bool = False
    has_boxes: bool = False
    has_errors: bool = False
    bad: bool = False
    settled: bool = False


def attach(target: dict[str, Any], code: str, attribute: str = "") -> None:
    """Write an error into the object it belongs to."""
    target.setdefault(ERRORS_KEY, []).append({"code": code, "message": MESSAGES[code].format(attribute)})


def without_service_fields(line: dict[str, Any]) -> dict[str, Any]:
    """A line as a client wrote it: lines that were listed come back with the service's own fields in them."""
    return {
        key: _stripped(value)
        for key, value in line.items()
        if not key.startswith("cl-") and key not in {"errors", "warnings"}
    }


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stripped(item) for key, item in value.items() if key not in {ERRORS_KEY, "cl-warnings"}}
    return [_stripped(item) for item in value] if isinstance(value, list) else value


def inspect(line: dict[str, Any]) -> Findings:
    """Read the label attributes of a line, writing the errors found into it."""
    findings = Findings()
    others = [key for key in line if key != "source-ref"]
    if not others:
        return findings
    pairs = [key for key in others if key + METADATA_SUFFIX in line]
    if not pairs:
        attach(line, "ERROR_NO_LABEL_ATTRIBUTES")
        findings.has_errors = findings.bad = findings.settled = True
        return findings

    valid = 0
    for name in pairs:
        attribute = _Attribute(name=name, value=line[name], metadata=line[name + METADATA_SUFFIX], line=line)
        attribute.read()
        valid += attribute.valid
        findings.annotated |= attribute.annotated
        findings.has_boxes |= attribute.has_boxes
        findings.has_errors |= attribute.has_errors
        findings.settled |= attribute.settled
        for label, boxed in attribute.labels.items():
            findings.labels[label] = findings.labels.get(label, False) or boxed
    if not valid:
        findings.bad = True
        if not findings.settled:
            attach(line, "ERROR_NO_VALID_LABEL_ATTRIBUTES")
    return findings


def size_conforms(width_px: int, height_px: int) -> bool:
    """Whether both sides of an image are within Custom Labels' limits."""
    return all(IMAGE_SIDE_MIN_PX <= side <= IMAGE_SIDE_MAX_PX for side in (width_px, height_px))


@dataclass(slots=True, kw_only=True)
class _Attribute:
    """One attribute and its metadata. ``settled``: an error of the kind that stops other checks was found."""

    name: str
    value: Any
    metadata: Any
    line: dict[str, Any]
    labels: dict[str, bool] = field(default_factory=dict)
    valid: bool = False
    annotated: bool = False
    has_boxes: bool = False
    has_errors: bool = False
    settled: bool = False

    def read(self) -> None:
        if not isinstance(self.metadata, dict) or not isinstance(self.metadata.get("type"), str):
            self._refuse(self.metadata, "ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT", settled=True)
            return
        if self.metadata["type"] == CLASSIFICATION:
            self._read_classification()
        elif self.metadata["type"] == DETECTION:
            self._read_detection()
        else:
            self.annotated = "class-name" in self.metadata or bool(self.metadata.get("class-map"))
            self._refuse(self.metadata, "ERROR_UNSUPPORTED_USE_CASE_TYPE")

    def _refuse(self, target: Any, code: str, *, settled: bool = False) -> None:
        attach(target if isinstance(target, dict) else self.line, code, self.name)
        self.has_errors = True
        self.settled |= settled

    def _common_metadata_is_valid(self) -> bool:
        date = self.metadata.get("creation-date")
        return (
            self.metadata.get("human-annotated") in ("yes", "no")
            and isinstance(date, str)
            and _CREATION_DATE.fullmatch(date) is not None
        )

    def _read_classification(self) -> None:
        label = self.metadata.get("class-name")
        self.annotated = isinstance(label, str)
        if not _is_class_number(self.value):
            self._refuse(self.value, "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT", settled=True)
        elif (
            not isinstance(label, str)
            or "\n" in label
            or not _is_confidence(self.metadata.get("confidence"))
            or not self._common_metadata_is_valid()
        ):
            self._refuse(self.metadata, "ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT", settled=True)
        elif not 1 <= len(label) <= LABEL_MAX_CHARS:
            self._refuse(self.metadata, "ERROR_INVALID_LABEL_NAME_LENGTH")
        else:
            self.labels[label] = False
            self.valid = True

    def _read_detection(self) -> None:
        frame = _frame(self.value)
        if frame is None:
            self._refuse(self.value, "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT", settled=True)
            return
        annotations: list[dict[str, Any]] = self.value["annotations"]
        class_map, objects = self.metadata.get("class-map"), self.metadata.get("objects")
        self.annotated = self.has_boxes = bool(annotations)
        if (
            not isinstance(class_map, dict)
            or not all(isinstance(label, str) and "\n" not in label for label in class_map.values())
            or not isinstance(objects, list)
            or not self._common_metadata_is_valid()
        ):
            self._refuse(self.metadata, "ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT", settled=True)
        elif len(objects) != len(annotations) or not all(
            isinstance(item, dict) and _is_confidence(item.get("confidence")) for item in objects
        ):
            self._refuse(self.metadata, "ERROR_MISSING_BOUNDING_BOX_CONFIDENCE", settled=True)
        elif any(str(annotation["class_id"]) not in class_map for annotation in annotations):
            self._refuse(self.metadata, "ERROR_MISSING_CLASS_MAP_ID", settled=True)
        elif not all(1 <= len(label) <= LABEL_MAX_CHARS for label in class_map.values()):
            self._refuse(self.metadata, "ERROR_INVALID_LABEL_NAME_LENGTH")
        elif len(annotations) > BOXES_PER_IMAGE_MAX:
            self._refuse(self.value, "ERROR_TOO_MANY_BOUNDING_BOXES")
        else:
            self._read_boxes(annotations, class_map, *frame)

    def _read_boxes(
        self, annotations: list[dict[str, Any]], class_map: dict[str, str], width: int, height: int
    ) -> None:
        valid = 0
        for annotation in annotations:
            code = _box_error(annotation, width, height)
            if code:
                self._refuse(annotation, code)
            else:
                valid += 1
                self.labels[class_map[str(annotation["class_id"])]] = True
        if annotations and not valid:
            self._refuse(self.value, "ERROR_NO_VALID_ANNOTATIONS")
        else:
            self.valid = True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_confidence(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_class_number(value: Any) -> bool:
    # Ground Truth's own samples also write the number as text.
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value.isdecimal())


def _frame(value: Any) -> tuple[int, int] | None:
    """Width and height of a bounding-box attribute in proper form, else None."""
    match value:
        case {
            "image_size": [{"width": int(width), "height": int(height), "depth": int()}],
            "annotations": list(annotations),
        } if width > 0 and height > 0 and all(_is_annotation(annotation) for annotation in annotations):
            return width, height
    return None


def _is_annotation(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("class_id"), int)
        and not isinstance(value["class_id"], bool)
        and all(_is_number(value.get(side)) for side in ("top", "left", "width", "height"))
    )


def _box_error(box: dict[str, Any], width: int, height: int) -> str | None:
    if (
        min(box["left"], box["top"], box["width"], box["height"]) < 0
        or box["left"] + box["width"] > width
        or box["top"] + box["height"] > height
    ):
        return "ERROR_INVALID_BOUNDING_BOX"
    scale = min(1.0, BOX_SCALING_SIDE_PX / max(width, height))
    if min(box["width"], box["height"]) * scale <= 1:
        return "ERROR_BOUNDING_BOX_TOO_SMALL"
    return None


def declared_sizes(line: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Width and height in pixels that each bounding-box attribute in proper form gives its image."""
    for name, value in line.items():
        if name + METADATA_SUFFIX in line and (frame := _frame(value)) is not None:
            yield frame
