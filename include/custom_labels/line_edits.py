"""What a person's edit makes of an entry: the same line with other labels or boxes, and everything else as it was.

Label attributes that an edit does not concern keep their names, values and places, also those of types that
Rekognition does not train on. What the service wrote into the line is left out, as it may not be sent again. The same
entry and edit give the same bytes.

Sources: Custom Labels Developer Guide, *Assigning image-level labels to an image*, *Labeling objects with bounding
boxes*: an update replaces the whole entry.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import msgspec

from include.custom_labels.codes import Code
from include.custom_labels.entries import LabelledBox
from include.custom_labels.errors import ManifestError
from include.custom_labels.label_attributes import (
    METADATA_SUFFIX,
    OBJECT_DETECTION,
    SOURCE_REF,
    AttributeFault,
    BoxLabels,
    ImageLabel,
    attribute_names,
    read_attribute,
    without_service_members,
)
from include.custom_labels.line_rules import check_line
from include.custom_labels.manifest import decode_line, image_level_metadata, whole_number

_ENCODER: Final = msgspec.json.Encoder()
_DEPTH: Final = 3
_CLASS_ID: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")
_CLASS_NAME, _CLASS_MAP, _CREATION_DATE = "class-name", "class-map", "creation-date"

Line = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignLabels:
    """Image-level labels that the image gets and loses; boxes of these labels stay."""

    assign: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameLabel:
    """A label gets another name, on the image and on its boxes; one that is there already takes it in."""

    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Redraw:
    """The image-level labels and boxes that the image shall have, and no others.

    :ivar width: stored pixels, of the image's header
    :ivar height: likewise
    """

    labels: tuple[str, ...]
    boxes: tuple[LabelledBox, ...]
    width: int = 0
    height: int = 0


LineEdit = AssignLabels | RenameLabel | Redraw


@dataclass(frozen=True, slots=True, kw_only=True)
class LineContent:
    """What a person sees of an entry.

    :ivar labels: image-level ones, sorted, each once
    :ivar boxes: of all attributes, in their order
    """

    labels: tuple[str, ...] = ()
    boxes: tuple[LabelledBox, ...] = ()


def read_content(data: bytes) -> LineContent:
    """The labels and boxes of a line; none for what cannot be read."""
    line = decode_line(data)
    if isinstance(line, str):
        return LineContent()
    attributes = _attributes(line)
    return LineContent(
        labels=tuple(sorted({each.metadata.class_name for each in attributes if isinstance(each, ImageLabel)})),
        boxes=tuple(box for each in attributes if isinstance(each, BoxLabels) for box, _ in _labelled_boxes(each)),
    )


def edit_line(data: bytes, edits: Sequence[LineEdit], creation_date: str) -> bytes | None:
    r"""The line after edits, in their order, ended by ``\n``; None where they change nothing.

    :param data: an entry as the service lists it, or a manifest line
    :param creation_date: of the edits, UTC as ``YYYY-MM-DDTHH:MM:SS``
    :raises ManifestError: with AWS's code, where the line would have an error that it did not have before
    """
    raw = decode_line(data)
    if isinstance(raw, str) or not isinstance(raw.get(SOURCE_REF), str):
        code = Code.ERROR_INVALID_JSON_LINE if isinstance(raw, str) else Code.ERROR_MISSING_SOURCE_REF
        raise ManifestError(code, code.message, code.next_step)
    before = without_service_members(raw)
    after = dict(before)
    for edit in edits:
        match edit:
            case AssignLabels():
                _assign(after, edit, creation_date)
            case RenameLabel():
                _rename(after, edit)
            case Redraw():
                _redraw(after, edit, creation_date)
    if after == before:
        return None
    line = _ENCODER.encode(after)
    _check(_ENCODER.encode(before), line)
    return line + b"\n"


def _check(before: bytes, after: bytes) -> None:
    """:raises ManifestError: the first error that was not there before"""
    known = {(problem.code, problem.attribute) for problem in check_line(before).problems}
    for problem in check_line(after).problems:
        if problem.code.severity == "error" and (problem.code, problem.attribute) not in known:
            raise ManifestError(
                problem.code, f"{problem.code.message} {problem.detail}".strip(), problem.code.next_step
            )


def _pairs(line: Line) -> list[str]:
    """Names of the label attributes, in the line's order."""
    pairs = set(attribute_names(line).pairs)
    return [name for name in line if name in pairs]


def _attributes(line: Line) -> list[ImageLabel | BoxLabels | AttributeFault]:
    return [read_attribute(name, line[name], line[name + METADATA_SUFFIX]) for name in _pairs(line)]


def _assign(line: Line, edit: AssignLabels, creation_date: str) -> None:
    labels = [each for each in _attributes(line) if isinstance(each, ImageLabel)]
    for each in labels:
        if each.metadata.class_name in edit.remove:
            _remove_pair(line, each.attribute)
    kept = {each.metadata.class_name for each in labels} - set(edit.remove)
    for label in dict.fromkeys(edit.assign):
        if label not in kept:
            _add_pair(line, "label", 1, msgspec.to_builtins(image_level_metadata(label, creation_date)))


def _rename(line: Line, edit: RenameLabel) -> None:
    if edit.old == edit.new:
        return
    attributes = _attributes(line)
    has_new = any(isinstance(each, ImageLabel) and each.metadata.class_name == edit.new for each in attributes)
    for each in attributes:
        if isinstance(each, ImageLabel) and each.metadata.class_name == edit.old:
            if has_new:
                _remove_pair(line, each.attribute)
            else:
                name = each.attribute + METADATA_SUFFIX
                line[name] = {**line[name], _CLASS_NAME: edit.new}
                has_new = True
        elif isinstance(each, BoxLabels) and edit.old in each.metadata.class_map.values():
            _rename_class(line, each, edit)


def _rename_class(line: Line, attribute: BoxLabels, edit: RenameLabel) -> None:
    name = attribute.attribute
    class_map = {key: edit.new if value == edit.old else value for key, value in attribute.metadata.class_map.items()}
    ids = [key for key, value in class_map.items() if value == edit.new and _CLASS_ID.fullmatch(key)]
    # A label has one class: the first one takes the boxes of the others.
    merged = dict.fromkeys(ids[1:], ids[0])
    line[name + METADATA_SUFFIX] = {
        **line[name + METADATA_SUFFIX],
        _CLASS_MAP: {key: value for key, value in class_map.items() if key not in merged},
    }
    if merged:
        annotations = [
            {**each, "class_id": int(merged[str(each["class_id"])])} if str(each["class_id"]) in merged else each
            for each in line[name].get("annotations", ())
        ]
        line[name] = {**line[name], "annotations": annotations}


def _redraw(line: Line, edit: Redraw, creation_date: str) -> None:
    attributes = _attributes(line)
    for name, each in zip(_pairs(line), attributes, strict=True):
        # What is broken says nothing that could be kept; a person has now said what holds.
        if isinstance(each, AttributeFault) and each.code is not Code.ERROR_UNSUPPORTED_USE_CASE_TYPE:
            _remove_pair(line, name)
    found = {each.metadata.class_name for each in attributes if isinstance(each, ImageLabel)}
    remove = tuple(sorted(found - set(edit.labels)))
    _assign(line, AssignLabels(assign=edit.labels, remove=remove), creation_date)
    drawn = [each for each in attributes if isinstance(each, BoxLabels)]
    boxes = tuple(_whole(box) for box in edit.boxes)
    before = [box for each in drawn for box, _ in _labelled_boxes(each)]
    if sorted(before, key=_order) == sorted(boxes, key=_order) and not any(_is_faulty(each, edit) for each in drawn):
        return
    first = drawn[0] if drawn else None
    kept = (line[first.attribute], line[first.attribute + METADATA_SUFFIX]) if first else ({}, {})
    for each in drawn[1:] if boxes else drawn:
        _remove_pair(line, each.attribute)
    if not boxes:
        return
    confidences = {box: about for each in reversed(drawn) for box, about in reversed(_labelled_boxes(each))}
    class_ids = _class_ids(first, boxes)
    value = {
        **kept[0],
        "image_size": [{"width": edit.width, "height": edit.height, "depth": _depth(first)}],
        "annotations": [
            {
                "class_id": class_ids[box.label],
                "top": box.top,
                "left": box.left,
                "width": box.width,
                "height": box.height,
            }
            for box in boxes
        ],
    }
    metadata = {
        **kept[1],
        "objects": [confidences.get(box, {"confidence": 1}) for box in boxes],
        _CLASS_MAP: {str(number): label for label, number in sorted(class_ids.items(), key=lambda item: item[1])},
        "type": OBJECT_DETECTION,
        "human-annotated": "yes",
        _CREATION_DATE: creation_date,
    }
    if first is None:
        _add_pair(line, "bounding-box", value, metadata)
    else:
        line[first.attribute], line[first.attribute + METADATA_SUFFIX] = value, metadata


def _labelled_boxes(attribute: BoxLabels) -> list[tuple[LabelledBox, Any]]:
    """Each box with its member of ``objects``; a box without a class has the empty label."""
    _, boxes, metadata = attribute
    abouts = [msgspec.to_builtins(each) for each in metadata.objects]
    abouts += [{"confidence": 1}] * (len(boxes.annotations) - len(abouts))
    return [
        (
            LabelledBox(
                label=metadata.class_map.get(str(each.class_id), ""),
                left=whole_number(each.left),
                top=whole_number(each.top),
                width=whole_number(each.width),
                height=whole_number(each.height),
            ),
            about,
        )
        for each, about in zip(boxes.annotations, abouts, strict=False)
    ]


def _is_faulty(attribute: BoxLabels, edit: Redraw) -> bool:
    """Whether the attribute holds something that drawing it anew would mend."""
    (size,) = attribute.boxes.image_size
    return (
        not attribute.boxes.annotations
        or len(attribute.metadata.objects) != len(attribute.boxes.annotations)
        or (size.width, size.height) != (edit.width, edit.height)
    )


def _class_ids(first: BoxLabels | None, boxes: Sequence[LabelledBox]) -> dict[str, int]:
    """Class ids of the boxes' labels: those that the attribute has, and the next free ones in the labels' order."""
    known = {
        label: int(key)
        for key, label in reversed((first.metadata.class_map if first else {}).items())
        if _CLASS_ID.fullmatch(key)
    }
    wanted = sorted({box.label for box in boxes})
    found = {label: known[label] for label in wanted if label in known}
    free = iter(number for number in range(len(wanted) + len(known) + 1) if number not in set(found.values()))
    return {label: found[label] if label in found else next(free) for label in wanted}


def _depth(first: BoxLabels | None) -> int:
    return first.boxes.image_size[0].depth if first else _DEPTH


def _whole(box: LabelledBox) -> LabelledBox:
    return LabelledBox(
        label=box.label,
        left=whole_number(box.left),
        top=whole_number(box.top),
        width=whole_number(box.width),
        height=whole_number(box.height),
    )


def _order(box: LabelledBox) -> tuple[str, float, float, float, float]:
    return box.label, box.left, box.top, box.width, box.height


def _remove_pair(line: Line, name: str) -> None:
    del line[name], line[name + METADATA_SUFFIX]


def _add_pair(line: Line, stem: str, value: object, metadata: object) -> None:
    names = (f"{stem}-{number}" for number in count())
    name = next(name for name in names if name not in line and name + METADATA_SUFFIX not in line)
    line[name], line[name + METADATA_SUFFIX] = value, metadata
