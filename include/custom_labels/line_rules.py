"""The rules for one manifest line, in AWS's order.

Findings of the first group end the checks of the line: what is not JSON, has no usable ``source-ref``, no label
attributes, or attributes that have not the format. Only then come images, boxes, labels and types. A bad box loses
the box; a line is lost when nothing of it is left to train on.

Sources: Custom Labels Developer Guide, *JSON line error precedence*, *Non-terminal JSON line validation errors*,
*Terminal errors* (datasets).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import msgspec

from include.custom_labels.boxes import box_fault, dimension_fault
from include.custom_labels.codes import Code
from include.custom_labels.image_headers import ImageFormat, ImageHeader
from include.custom_labels.images import image_fault
from include.custom_labels.label_attributes import (
    METADATA_SUFFIX,
    SOURCE_REF,
    AttributeFault,
    BoxLabels,
    ImageLabel,
    attribute_names,
    read_attribute,
)
from include.custom_labels.label_names import is_allowed
from include.custom_labels.manifest import decode_line, read_creation_date, split_source_ref
from include.custom_labels.quotas import (
    IMAGE_FILE_WARNING_BYTES,
    IMAGE_FORMATS,
    MAX_BOXES_PER_IMAGE,
    MAX_JSON_LINE_LENGTH,
    MAX_LABEL_NAME_LENGTH,
    MAX_LABELS_PER_IMAGE,
)


class ImageFacts(NamedTuple):
    """What is known about an image.

    :ivar width_px: stored, without EXIF rotation
    :ivar height_px: stored, without EXIF rotation
    :ivar size_bytes: of the file, or None where unknown
    :ivar image_format: such as ``PNG``, or None where unknown
    """

    width_px: int
    height_px: int
    size_bytes: int | None = None
    image_format: str | None = None


ImageFactsOf = Callable[[str], ImageFacts | None]


class Status(Enum):
    """What training does with a line: ``IGNORED`` ones are neither used nor counted as invalid."""

    VALID = "valid"
    INVALID = "invalid"
    IGNORED = "ignored"


class Problem(NamedTuple):
    """A finding before it has a line number."""

    code: Code
    attribute: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineVerdict:
    """What the rules say about a line.

    :ivar is_dropped: Rekognition leaves the line out of the dataset without a word
    :ivar source_ref: as written, where it is text
    :ivar bucket: where ``source_ref`` is well-formed
    :ivar declared_labels: labels of the attributes that could be read
    :ivar image_labels: those that training can use, from image-level attributes
    :ivar box_labels: those that training can use, from bounding boxes
    """

    status: Status
    problems: tuple[Problem, ...]
    is_dropped: bool = False
    source_ref: str | None = None
    bucket: str | None = None
    declared_labels: frozenset[str] = frozenset()
    image_labels: frozenset[str] = frozenset()
    box_labels: frozenset[str] = frozenset()


def check_line(data: bytes, image_facts: ImageFactsOf | None = None) -> LineVerdict:
    """Apply every rule that needs one line only.

    :param data: the line without its ``\\n``
    :param image_facts: gives what is known about the image of a ``source-ref``, None where there is no image;
        without it images are not checked
    """
    if is_too_long(data):
        return _dropped(Problem(Code.ERROR_JSON_LINE_TOO_LONG))
    line = decode_line(data)
    if isinstance(line, str):
        return _dropped(Problem(Code.ERROR_INVALID_JSON_LINE, detail=line))
    if SOURCE_REF not in line:
        return _dropped(Problem(Code.ERROR_MISSING_SOURCE_REF))
    source_ref = line[SOURCE_REF]
    if not isinstance(source_ref, str):
        return _dropped(Problem(Code.ERROR_INVALID_SOURCE_REF_FORMAT, SOURCE_REF, "not a text"))
    location = split_source_ref(source_ref)
    if location is None:
        return _dropped(Problem(Code.ERROR_INVALID_SOURCE_REF_FORMAT, SOURCE_REF, source_ref), source_ref)
    return _check_content(line, source_ref, location[0], image_facts)


def is_too_long(data: bytes) -> bool:
    """Whether the line has more characters than the API admits; what is not UTF-8 is counted by bytes."""
    limit = MAX_JSON_LINE_LENGTH.value
    if len(data) <= limit:
        return False
    try:
        return len(data.decode().removesuffix("\r")) > limit
    except UnicodeDecodeError:
        return True


def _dropped(problem: Problem, source_ref: str | None = None) -> LineVerdict:
    return LineVerdict(status=Status.INVALID, problems=(problem,), is_dropped=True, source_ref=source_ref)


def _check_content(
    line: Mapping[str, object], source_ref: str, bucket: str, image_facts: ImageFactsOf | None
) -> LineVerdict:
    names = attribute_names(line)
    if names.halves and not names.pairs:
        detail = f"without its other half: {', '.join(names.halves)}"
        problem = Problem(Code.ERROR_NO_LABEL_ATTRIBUTES, detail=detail)
        return LineVerdict(status=Status.INVALID, problems=(problem,), source_ref=source_ref, bucket=bucket)
    attributes = [read_attribute(name, line[name], line[name + METADATA_SUFFIX]) for name in names.pairs]
    first = [problem for attribute in attributes for problem in _format_problems(attribute)]
    if first:
        first.sort(key=lambda problem: _PRECEDENCE[problem.code])
        return LineVerdict(status=Status.INVALID, problems=tuple(first), source_ref=source_ref, bucket=bucket)

    problems = list(_image_problems(source_ref, image_facts)) if image_facts else []
    is_lost = any(problem.code is Code.ERROR_INVALID_IMAGE for problem in problems)
    if names.halves:
        detail = f"halves of pairs: {', '.join(names.halves)}"
        problems.append(Problem(Code.WARNING_INCOMPLETE_LABEL_ATTRIBUTE, names.halves[0], detail))
    if not names.pairs:
        problems.append(Problem(Code.WARNING_UNANNOTATED_RECORD))
        status = Status.INVALID if is_lost else Status.IGNORED
        return LineVerdict(status=status, problems=tuple(problems), source_ref=source_ref, bucket=bucket)

    declared: set[str] = set()
    image_labels: set[str] = set()
    box_labels: set[str] = set()
    faulty = empty = 0
    for attribute in attributes:
        match attribute:
            case AttributeFault():
                usable: set[str] = set()
                found = [Problem(*attribute)]
            case ImageLabel():
                declared.add(attribute.metadata.class_name)
                usable, found = _check_image_label(attribute)
                image_labels |= usable
            case BoxLabels():
                declared.update(attribute.metadata.class_map.values())
                usable, found = _check_boxes(attribute)
                box_labels |= usable
        problems += found
        if not usable:
            is_empty = any(problem.code is Code.WARNING_NO_ATTRIBUTE_ANNOTATIONS for problem in found)
            empty, faulty = empty + is_empty, faulty + (not is_empty)
    if len(image_labels | box_labels) > MAX_LABELS_PER_IMAGE.value:
        is_lost = True
        count = len(image_labels | box_labels)
        problems.append(Problem(Code.ERROR_TOO_MANY_LABELS_PER_IMAGE, detail=f"{count} labels"))
    status = Status.VALID
    if not image_labels and not box_labels:
        if faulty:
            is_lost = True
            problems.append(Problem(Code.ERROR_NO_VALID_LABEL_ATTRIBUTES))
        else:
            status = Status.IGNORED
            problems.append(Problem(Code.WARNING_NO_ANNOTATIONS))
    return LineVerdict(
        status=Status.INVALID if is_lost else status,
        problems=tuple(problems),
        source_ref=source_ref,
        bucket=bucket,
        declared_labels=frozenset(declared),
        image_labels=frozenset() if is_lost else frozenset(image_labels),
        box_labels=frozenset() if is_lost else frozenset(box_labels),
    )


_PRECEDENCE = {code: place for place, code in enumerate(Code)}


def _format_problems(attribute: ImageLabel | BoxLabels | AttributeFault) -> list[Problem]:
    """Findings of the first group about one attribute."""
    match attribute:
        case AttributeFault(code=Code.ERROR_UNSUPPORTED_USE_CASE_TYPE) | ImageLabel():
            return []
        case AttributeFault():
            return [Problem(*attribute)]
        case BoxLabels(name, boxes, metadata):
            problems = []
            confidences = sum(each.confidence is not msgspec.UNSET for each in metadata.objects)
            if not confidences == len(metadata.objects) == len(boxes.annotations):
                detail = f"{confidences} confidences for {len(boxes.annotations)} annotations"
                problems.append(Problem(Code.ERROR_MISSING_BOUNDING_BOX_CONFIDENCE, name + METADATA_SUFFIX, detail))
            used = {str(box.class_id) for box in boxes.annotations}
            if missing := used - metadata.class_map.keys():
                detail = f"class ids: {', '.join(sorted(missing))}"
                problems.append(Problem(Code.ERROR_MISSING_CLASS_MAP_ID, name + METADATA_SUFFIX, detail))
            return problems


def _image_problems(source_ref: str, image_facts: ImageFactsOf) -> list[Problem]:
    facts = image_facts(source_ref)
    if facts is None:
        return [Problem(Code.ERROR_INVALID_IMAGE, detail="there is no such image")]
    if facts.image_format is not None and facts.image_format not in IMAGE_FORMATS:
        return [Problem(Code.ERROR_INVALID_IMAGE, detail=f"the format is {facts.image_format}")]
    header = ImageHeader(ImageFormat(facts.image_format or IMAGE_FORMATS[0]), facts.width_px, facts.height_px)
    if fault := image_fault(header, facts.size_bytes or 0):
        return [Problem(Code.ERROR_INVALID_IMAGE, detail=f"{fault.reason}: {fault.detail}")]
    if facts.size_bytes is not None and facts.size_bytes > IMAGE_FILE_WARNING_BYTES.value:
        return [Problem(Code.WARNING_LARGE_IMAGE_FILE, detail=f"{facts.size_bytes:,} bytes")]
    return []


def _metadata_problems(name: str, labels: list[str], creation_date: str) -> list[Problem]:
    metadata_name = name + METADATA_SUFFIX
    problems = []
    for label in labels:
        if not 1 <= len(label) <= MAX_LABEL_NAME_LENGTH.value:
            detail = f"{len(label)} characters: {label[:40]}"
            problems.append(Problem(Code.ERROR_INVALID_LABEL_NAME_LENGTH, metadata_name, detail))
        elif not is_allowed(label):
            problems.append(Problem(Code.ERROR_INVALID_LABEL_NAME, metadata_name, repr(label)))
    if read_creation_date(creation_date) is None:
        problems.append(Problem(Code.WARNING_CREATION_DATE_FORMAT, metadata_name, creation_date))
    return problems


def _check_image_label(attribute: ImageLabel) -> tuple[set[str], list[Problem]]:
    label = attribute.metadata.class_name
    problems = _metadata_problems(attribute.attribute, [label], attribute.metadata.creation_date)
    is_usable = all(problem.code.severity == "warning" for problem in problems)
    return {label} if is_usable else set(), problems


def _check_boxes(attribute: BoxLabels) -> tuple[set[str], list[Problem]]:
    name, boxes, metadata = attribute
    (size,) = boxes.image_size
    problems = _metadata_problems(name, list(metadata.class_map.values()), metadata.creation_date)
    is_usable = all(problem.code.severity == "warning" for problem in problems)
    if detail := dimension_fault(size):
        is_usable = False
        problems.append(Problem(Code.ERROR_INVALID_IMAGE_DIMENSION, name, detail))
    if len(boxes.annotations) > MAX_BOXES_PER_IMAGE.value:
        is_usable = False
        detail = f"{len(boxes.annotations)} boxes"
        problems.append(Problem(Code.ERROR_TOO_MANY_BOUNDING_BOXES, name, detail))
    if not is_usable:
        return set(), problems
    if not boxes.annotations:
        problems.append(Problem(Code.WARNING_NO_ATTRIBUTE_ANNOTATIONS, name))
        return set(), problems
    usable = set()
    for place, box in enumerate(boxes.annotations):
        fault = box_fault(box, size)
        if fault is None:
            usable.add(metadata.class_map[str(box.class_id)])
        else:
            detail = f"annotation {place + 1}: left {box.left}, top {box.top}, {box.width}×{box.height}"
            detail += f" in {size.width}×{size.height} pixels"
            problems.append(Problem(fault, name, detail))
    if not usable:
        problems.append(Problem(Code.ERROR_NO_VALID_ANNOTATIONS, name))
    return usable, problems
