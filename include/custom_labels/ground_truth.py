"""Manifest lines of Amazon SageMaker Ground Truth jobs, as they really are, into canonical entries.

Jobs of three types are read: image classification, bounding boxes, and multi-label image classification, whose one
attribute becomes a pair for each label with the type that Custom Labels takes. What cannot be carried: semantic
segmentation, label verification, video, point clouds and custom types. An attribute of such a type is left out
beside a good one, with a remark, and a line of nothing else is rejected.

Where jobs were chained, a line has several label attributes of one kind, and importing all would count each box
twice: the one that the request names is taken, else the newest by creation date. Image-level attributes of the same
second are one person's work on several labels, and stay together.

Keys are taken raw: never trimmed, normalized or percent-decoded.

Sources: SageMaker Developer Guide, *Labeling job output data*; Custom Labels Developer Guide, *Transforming
multi-label SageMaker AI Ground Truth manifest files*, *JSON line error precedence*.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from include.custom_labels.codes import Code
from include.custom_labels.entries import AnnotatedImage, Mending, Repair, annotated, rejected
from include.custom_labels.label_attributes import (
    IMAGE_CLASSIFICATION,
    METADATA_SUFFIX,
    OBJECT_DETECTION,
    SOURCE_REF,
    AttributeFault,
    BoxLabels,
    ImageLabel,
    ImageLevelMetadata,
    attribute_names,
    read_attribute,
)
from include.custom_labels.line_rules import Problem, is_too_long
from include.custom_labels.manifest import (
    ManifestLine,
    canonical_creation_date,
    decode_line,
    split_source_ref,
)
from include.custom_labels.reasons import Reason

MULTI_LABEL: Final = "groundtruth/image-classification-multilabel"
ALL_ATTRIBUTES: Final = "*"
"""Value of ``label_attribute`` that takes every label attribute of a line."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_PLACEHOLDER: Final = re.compile(
    r"s3://(<[^/]*>|\{[^/]*\}|\$\{?[^/]*\}?|\[[^/]*\]|%[^/]*%|[A-Z0-9_\-]*BUCKET[A-Z0-9_\-]*|bucket)/(.+)", re.DOTALL
)
_INTEGER_TEXT: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_NUMBER_TEXT: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)
_LISTED_NAMES: Final = 5


class MultiLabelMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata of a multi-label job; its attribute is a list of class ids."""

    class_map: dict[str, str] = msgspec.field(name="class-map")
    confidence_map: dict[str, float] = msgspec.field(name="confidence-map", default_factory=dict)
    human_annotated: str = msgspec.field(name="human-annotated")
    creation_date: str = msgspec.field(name="creation-date")
    job_name: str | msgspec.UnsetType = msgspec.field(name="job-name", default=msgspec.UNSET)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundTruthLines:
    """How the lines of one manifest are read.

    :ivar label_attribute: the attribute to take; None for the newest of each kind, `ALL_ATTRIBUTES` for all
    :ivar mending: what is allowed
    :ivar bucket: what a placeholder in a source-ref stands for
    """

    label_attribute: str | None = None
    mending: Mending
    bucket: str = ""

    def read(self, data: bytes, number: int) -> AnnotatedImage:
        """One line, with or without its line end; any bytes at all have an outcome.

        :param number: counted from 1
        """
        place = f"line {number}"
        mending = self.mending.fresh()
        if not data.strip():
            return AnnotatedImage(place=place, reason=Reason.BLANK_LINE)
        if is_too_long(data):
            return rejected(place, Problem(Code.ERROR_JSON_LINE_TOO_LONG))
        if data.startswith(_BYTE_ORDER_MARK) and Repair.STRIP_BYTE_ORDER_MARK in mending.allowed:
            data = data.removeprefix(_BYTE_ORDER_MARK)
            mending.done(Repair.STRIP_BYTE_ORDER_MARK, "3 bytes")
        line = decode_line(data)
        if isinstance(line, str):
            return rejected(place, Problem(Code.ERROR_INVALID_JSON_LINE, detail=line), mending=mending)
        source_ref = self._source_ref(line, mending)
        if isinstance(source_ref, Problem):
            written = line.get(SOURCE_REF)
            return rejected(place, source_ref, source_ref=written if isinstance(written, str) else "", mending=mending)
        return self._content(place, source_ref, line, mending)

    def _source_ref(self, line: Mapping[str, object], mending: Mending) -> str | Problem:
        if SOURCE_REF not in line:
            return Problem(Code.ERROR_MISSING_SOURCE_REF, detail=f"the line has {_names(line)}")
        written = line[SOURCE_REF]
        if not isinstance(written, str):
            return Problem(Code.ERROR_INVALID_SOURCE_REF_FORMAT, SOURCE_REF, "not a text")
        placeholder = _PLACEHOLDER.fullmatch(written)
        if placeholder is None:
            if _location(written) is None:
                return Problem(Code.ERROR_INVALID_SOURCE_REF_FORMAT, SOURCE_REF, written)
            return written
        source_ref = f"s3://{self.bucket}/{placeholder[2]}"
        if Repair.SUBSTITUTE_BUCKET not in mending.allowed or _location(source_ref) is None:
            detail = f"{placeholder[1]} stands for a bucket and is none"
            return Problem(Code.ERROR_INVALID_SOURCE_REF_FORMAT, SOURCE_REF, detail)
        mending.done(Repair.SUBSTITUTE_BUCKET, placeholder[1])
        return source_ref

    def _content(self, place: str, source_ref: str, line: dict[str, object], mending: Mending) -> AnnotatedImage:
        pairs, halves = attribute_names(line)
        if not pairs and Repair.RENAME_METADATA in mending.allowed:
            pairs, halves = _paired(line, halves, mending)
        if not pairs:
            if not halves:
                return annotated(place, ManifestLine(source_ref=source_ref), mending)
            problem = Problem(Code.ERROR_NO_LABEL_ATTRIBUTES, detail=_halves(line, halves))
            return rejected(place, problem, source_ref=source_ref, mending=mending)
        chosen = self._chosen(line, pairs, mending)
        if isinstance(chosen, Problem):
            return rejected(place, chosen, source_ref=source_ref, mending=mending)
        if halves:
            mending.remarks.append(f"left out: {_names(halves)}")
        labels: list[ImageLabel] = []
        boxes: list[BoxLabels] = []
        faults: list[Problem] = []
        unsupported: list[Problem] = []
        for name in chosen:
            for read in _read(name, line[name], line[name + METADATA_SUFFIX], mending):
                match read:
                    case ImageLabel():
                        labels.append(read)
                    case BoxLabels():
                        boxes.append(read)
                    case AttributeFault(code=Code.ERROR_UNSUPPORTED_USE_CASE_TYPE):
                        unsupported.append(Problem(*read))
                    case AttributeFault():
                        faults.append(Problem(*read))
        if faults or (unsupported and not labels and not boxes):
            return rejected(place, *faults, *unsupported, source_ref=source_ref, mending=mending)
        content = ManifestLine(source_ref=source_ref, labels=tuple(labels), boxes=tuple(boxes))
        return annotated(place, content, mending, unsupported)

    def _chosen(self, line: Mapping[str, Any], pairs: list[str], mending: Mending) -> list[str] | Problem:
        wanted = self.label_attribute
        if wanted == ALL_ATTRIBUTES:
            return pairs
        if wanted is not None:
            if wanted not in pairs:
                detail = f"there is no label attribute {wanted!r}, but {_names(pairs)}"
                return Problem(Code.ERROR_NO_LABEL_ATTRIBUTES, detail=detail)
            chosen = [wanted]
        else:
            by_kind: dict[str, list[str]] = {}
            for name in pairs:
                by_kind.setdefault(_kind(line[name + METADATA_SUFFIX]), []).append(name)
            chosen = [name for kind, names in by_kind.items() for name in _newest(line, names, kind)]
        left_out = [name for name in pairs if name not in chosen]
        if left_out:
            mending.remarks.append(f"label attribute {_names(chosen)} chosen, left out: {_names(left_out)}")
        return chosen


def _location(source_ref: str) -> tuple[str, str] | None:
    try:
        return split_source_ref(source_ref)
    except UnicodeEncodeError:
        return None


def _names(names: Mapping[str, object] | list[str]) -> str:
    listed = [repr(name) if len(name) <= 80 else repr(name[:80]) + "…" for name in list(names)[:_LISTED_NAMES]]
    return ", ".join(listed) + (f" and {len(names) - _LISTED_NAMES} more" if len(names) > _LISTED_NAMES else "")


def _halves(line: Mapping[str, object], halves: list[str]) -> str:
    """Which halves there are; a job that failed on an image leaves its reason in a half."""
    reasons = [
        f"; failure-reason: {about['failure-reason']}"
        for name in halves
        if isinstance(about := line[name], dict) and isinstance(about.get("failure-reason"), str)
    ]
    return f"without its other half: {_names(halves)}" + "".join(reasons)


def _paired(line: dict[str, object], halves: list[str], mending: Mending) -> tuple[list[str], list[str]]:
    """The one attribute and the one metadata of a line as a pair, where there is exactly one of each."""
    metadata = [name for name in halves if name.endswith(METADATA_SUFFIX) and isinstance(line[name], dict)]
    attributes = [name for name in halves if name not in metadata]
    if len(metadata) != 1 or len(attributes) != 1:
        return [], halves
    (name,), (about,) = attributes, metadata
    line[name + METADATA_SUFFIX] = line.pop(about)
    mending.done(Repair.RENAME_METADATA, f"{about!r} to {name + METADATA_SUFFIX!r}")
    return [name], []


def _kind(metadata: object) -> str:
    kind = metadata.get("type") if isinstance(metadata, dict) else None
    if kind in (IMAGE_CLASSIFICATION, MULTI_LABEL):
        return IMAGE_CLASSIFICATION
    return OBJECT_DETECTION if kind == OBJECT_DETECTION else ""


def _newest(line: Mapping[str, Any], names: list[str], kind: str) -> list[str]:
    """Of boxes the last, of image-level labels all of the last second; of anything else all, to be reported."""
    if len(names) == 1 or not kind:
        return names
    dates = {name: _creation_date(line[name + METADATA_SUFFIX]) for name in names}
    last = max(dates.values())
    newest = [name for name in line if dates.get(name) == last]
    return newest[-1:] if kind == OBJECT_DETECTION else newest


def _creation_date(metadata: Mapping[str, object]) -> str:
    date = metadata.get("creation-date")
    return (canonical_creation_date(date) or "") if isinstance(date, str) else ""


def _read(
    name: str, value: object, metadata: object, mending: Mending
) -> list[ImageLabel | BoxLabels | AttributeFault]:
    if isinstance(metadata, dict):
        kind = metadata.get("type")
        if kind == MULTI_LABEL:
            return _multi_label(name, value, metadata, mending)
        if kind == IMAGE_CLASSIFICATION and "confidence" not in metadata and Repair.FILL_CONFIDENCE in mending.allowed:
            mending.done(Repair.FILL_CONFIDENCE, name)
            metadata = {**metadata, "confidence": 1}
        if kind == OBJECT_DETECTION:
            value = _mended_value(name, value, mending)
            metadata = _mended_metadata(name, value, metadata, mending)
    read = read_attribute(name, value, metadata)
    if isinstance(read, BoxLabels) and (fault := _pairing_fault(read)):
        return [fault]
    return [read]


def _pairing_fault(attribute: BoxLabels) -> AttributeFault | None:
    """Confidences that do not fit the boxes, found here because `min_confidence` and repairs need the pairs."""
    name, boxes, metadata = attribute
    confidences = sum(not isinstance(each.confidence, msgspec.UnsetType) for each in metadata.objects)
    if confidences == len(metadata.objects) == len(boxes.annotations):
        return None
    detail = f"{confidences} confidences for {len(boxes.annotations)} annotations"
    return AttributeFault(Code.ERROR_MISSING_BOUNDING_BOX_CONFIDENCE, name + METADATA_SUFFIX, detail)


def _multi_label(
    name: str, value: object, metadata: dict[str, object], mending: Mending
) -> list[ImageLabel | BoxLabels | AttributeFault]:
    """A pair for each class id, with the type of a single label: the multi-label type is not one of Custom Labels'."""
    try:
        ids = msgspec.convert(value, list[int], strict=Repair.READ_TEXT_NUMBERS not in mending.allowed)
    except msgspec.ValidationError as error:
        return [AttributeFault(Code.ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT, name, str(error))]
    try:
        about = msgspec.convert(metadata, MultiLabelMetadata)
    except msgspec.ValidationError as error:
        return [AttributeFault(Code.ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT, name + METADATA_SUFFIX, str(error))]
    ids = list(dict.fromkeys(ids))
    missing = [str(each) for each in ids if str(each) not in about.class_map]
    if missing:
        detail = f"class ids: {', '.join(missing[:_LISTED_NAMES])}"
        return [AttributeFault(Code.ERROR_MISSING_CLASS_MAP_ID, name + METADATA_SUFFIX, detail)]
    unsure = [each for each in ids if str(each) not in about.confidence_map]
    if unsure and Repair.FILL_CONFIDENCE not in mending.allowed:
        detail = f"confidence-map has no {', '.join(map(str, unsure[:_LISTED_NAMES]))}"
        return [AttributeFault(Code.ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT, name + METADATA_SUFFIX, detail)]
    if unsure:
        mending.done(Repair.FILL_CONFIDENCE, f"{name}: {len(unsure)} labels")
    pairs: list[ImageLabel | BoxLabels | AttributeFault] = []
    for number, each in enumerate(ids):
        single: dict[str, object] = {
            "class-name": about.class_map[str(each)],
            "confidence": about.confidence_map.get(str(each), 1),
            "type": IMAGE_CLASSIFICATION,
            "human-annotated": about.human_annotated,
            "creation-date": about.creation_date,
        }
        if not isinstance(about.job_name, msgspec.UnsetType):
            single["job-name"] = about.job_name
        try:
            pairs.append(ImageLabel(f"{name}{number}", msgspec.convert(single, ImageLevelMetadata)))
        except msgspec.ValidationError as error:
            code = Code.ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT
            return [AttributeFault(code, name + METADATA_SUFFIX, str(error))]
    return pairs


def _mended_value(name: str, value: object, mending: Mending) -> object:
    """Boxes with numbers for texts and a list of one full image size, as far as that is allowed."""
    if not isinstance(value, dict):
        return value
    mended = dict(value)
    if Repair.READ_TEXT_NUMBERS in mending.allowed:
        mended = {member: _numbers(each) for member, each in mended.items()}
        if mended != value:
            mending.done(Repair.READ_TEXT_NUMBERS, name)
    if Repair.FIX_IMAGE_SIZE in mending.allowed:
        size = mended.get("image_size")
        size = [size] if isinstance(size, dict) else size
        if isinstance(size, list) and len(size) == 1 and isinstance(size[0], dict):
            size = [{**size[0], "depth": size[0].get("depth", 3)}]
            if size != mended["image_size"]:
                mending.done(Repair.FIX_IMAGE_SIZE, name)
                mended["image_size"] = size
    return mended


def _numbers(value: object) -> object:
    """Texts of numbers as numbers, one level down: in the objects of a list, or in an object."""
    if isinstance(value, list):
        return [_numbers(each) if isinstance(each, dict) else each for each in value]
    if isinstance(value, dict):
        return {name: _number(each) if isinstance(each, str) else each for name, each in value.items()}
    return value


def _number(text: str) -> object:
    if _INTEGER_TEXT.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER_TEXT.fullmatch(text) else text


def _mended_metadata(name: str, value: object, metadata: dict[str, Any], mending: Mending) -> dict[str, Any]:
    """Metadata with a confidence for every box, where that is allowed and there are not too many already."""
    boxes = value.get("annotations", []) if isinstance(value, dict) else None
    objects = metadata.get("objects", [])
    if Repair.FILL_CONFIDENCE not in mending.allowed or not isinstance(boxes, list) or not isinstance(objects, list):
        return metadata
    if len(objects) > len(boxes) or not all(isinstance(each, dict) for each in objects):
        return metadata
    filled = [*objects, *({} for _ in range(len(boxes) - len(objects)))]
    missing = sum("confidence" not in each for each in filled)
    if not missing and "objects" in metadata:
        return metadata
    mending.done(Repair.FILL_CONFIDENCE, f"{name}: {missing} boxes")
    return {**metadata, "objects": [{"confidence": 1, **each} for each in filled]}
