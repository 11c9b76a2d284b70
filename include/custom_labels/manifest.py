"""Ground Truth manifest lines: written fast, read typed, and the same bytes for the same content.

A canonical line has ``source-ref`` first, then one ``label-<n>`` pair for every image-level label in the order of
their names, then one pair for every set of bounding boxes. Attribute names are ours, because a label's text is not
always a possible attribute name (``source-ref``, ``cl-metadata``, anything that ends in ``-metadata``); the label
itself stands in ``class-name`` or ``class-map``. The encoding is msgspec's: UTF-8, nothing escaped that JSON does
not require, no spaces, ``\\n`` at the end.

Sources: Custom Labels Developer Guide, *Image-level labels in manifest files*, *Object localization in manifest
files*; SageMaker Developer Guide, *Labeling job output data*.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from include.custom_labels.codes import Code
from include.custom_labels.errors import ManifestError
from include.custom_labels.label_attributes import (
    IMAGE_CLASSIFICATION,
    METADATA_SUFFIX,
    SOURCE_REF,
    AttributeFault,
    Boxes,
    BoxesMetadata,
    BoxLabels,
    ImageLabel,
    ImageLevelMetadata,
    attribute_names,
    read_attribute,
    without_service_members,
)
from include.custom_labels.objects import ObjectPage
from include.custom_labels.quotas import MAX_BUCKET_NAME_LENGTH, MAX_OBJECT_KEY_BYTES, MIN_BUCKET_NAME_LENGTH

_ENCODER: Final = msgspec.json.Encoder()
# What JSON requires a string to escape. A page without any of these bytes is its own encoding.
ESCAPED_BYTES: Final = bytes([*range(0x20), ord('"'), ord("\\")])


_SOURCE_REF: Final = re.compile(
    rf"s3://([0-9A-Za-z.\-_]{{{MIN_BUCKET_NAME_LENGTH.value},{MAX_BUCKET_NAME_LENGTH.value}}})/(.+)", re.DOTALL
)


class ImageLevelLine(msgspec.Struct, frozen=True, kw_only=True):
    """One image with one image-level label, as this project writes it."""

    source_ref: str = msgspec.field(name="source-ref")
    label: int = msgspec.field(default=1, name="label-0")
    metadata: ImageLevelMetadata = msgspec.field(name="label-0-metadata")


class UnlabelledLine(msgspec.Struct, frozen=True, kw_only=True):
    """One image without a label."""

    source_ref: str = msgspec.field(name="source-ref")


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestLine:
    """What a line says, apart from how it is written.

    :ivar unsupported: names of label attributes whose type Rekognition does not train on
    """

    source_ref: str
    labels: tuple[ImageLabel, ...] = ()
    boxes: tuple[BoxLabels, ...] = ()
    unsupported: tuple[str, ...] = ()


def image_level_metadata(label: str, creation_date: str) -> ImageLevelMetadata:
    """Metadata of a label that a person gave, as by a folder's name.

    :param creation_date: UTC as ``YYYY-MM-DDTHH:MM:SS``
    """
    return ImageLevelMetadata(
        class_name=label,
        confidence=1,
        type=IMAGE_CLASSIFICATION,
        human_annotated="yes",
        creation_date=creation_date,
    )


def image_level_lines(bucket: str, page: ObjectPage, start: int, stop: int, label: str | None) -> bytes:
    """The manifest lines of the page's objects ``start`` to ``stop`` (exclusive), in their order.

    :param label: of all these objects, or None for lines without a label
    :returns: the lines, each ended by ``\\n``; empty for an empty range
    :raises UnicodeEncodeError: a key or the label holds half of a surrogate pair, which no S3 key can
    """
    keys = page.stored_keys(start, stop)
    if not keys:
        return b""
    times = page.last_modified[start:stop] if label is not None else []
    if _needs_escapes(keys, times):
        return _escaped_lines(bucket, keys, times, label)
    head, middle, tail = _template(bucket, label)
    if label is None:
        joined = f"{tail}\n{head}".join(keys)
    else:
        joined = f"{tail}\n{head}".join([f"{key}{middle}{time}" for key, time in zip(keys, times, strict=True)])
    return f"{head}{joined}{tail}\n".encode()


def _needs_escapes(keys: list[str], times: list[str]) -> bool:
    text = "".join(keys).encode() + "".join(times).encode()
    return len(text.translate(None, ESCAPED_BYTES)) != len(text)


def _template(bucket: str, label: str | None) -> tuple[str, str, str]:
    """What stands before the key, between key and time, and behind the time, cut out of one encoded line."""
    mark = "\x00"
    line = _escaped_lines(bucket, [mark], [mark], label).decode().removesuffix("\n")
    parts = line.split("\\u0000")
    if label is None:
        return parts[0], "", parts[1]
    # The label comes between the two marks and may hold the same character.
    return parts[0], "\\u0000".join(parts[1:-1]), parts[-1]


def _escaped_lines(bucket: str, keys: Sequence[str], times: Sequence[str], label: str | None) -> bytes:
    if label is None:
        return _ENCODER.encode_lines([UnlabelledLine(source_ref=f"s3://{bucket}/{key}") for key in keys])
    return _ENCODER.encode_lines(
        [
            ImageLevelLine(
                source_ref=f"s3://{bucket}/{key}",
                metadata=image_level_metadata(label, creation_date=time),
            )
            for key, time in zip(keys, times, strict=True)
        ]
    )


def split_source_ref(source_ref: str) -> tuple[str, str] | None:
    """Bucket and raw key of a ``source-ref``, or None where it is not ``s3://bucket/key``."""
    match = _SOURCE_REF.fullmatch(source_ref)
    if match is None or len(match[2].encode()) > MAX_OBJECT_KEY_BYTES.value:
        return None
    return match[1], match[2]


def decode_line(data: bytes) -> dict[str, object] | str:
    """The line's JSON object, or why it is none."""
    try:
        value = msgspec.json.decode(data)
    except UnicodeDecodeError:
        return "not UTF-8"
    except RecursionError:
        return "nested too deeply"
    except msgspec.DecodeError as error:
        if not data.strip():
            return "blank line"
        return "starts with a byte order mark" if data.startswith(b"\xef\xbb\xbf") else str(error)
    return value if isinstance(value, dict) else "not a JSON object"


def parse_line(data: bytes) -> ManifestLine:
    """Read one line by its schema. Limits are not checked: that is `include.custom_labels.validation`'s.

    :param data: with or without its line end
    :raises ManifestError: the line has not the format; its code is one of `Code`, the first by AWS's precedence
    """
    line = decode_line(data)
    if isinstance(line, str):
        raise _line_error(Code.ERROR_INVALID_JSON_LINE, line)
    if SOURCE_REF not in line:
        raise _line_error(Code.ERROR_MISSING_SOURCE_REF, "")
    source_ref = line[SOURCE_REF]
    if not isinstance(source_ref, str) or split_source_ref(source_ref) is None:
        raise _line_error(Code.ERROR_INVALID_SOURCE_REF_FORMAT, repr(source_ref))
    names = attribute_names(line)
    if names.halves and not names.pairs:
        raise _line_error(Code.ERROR_NO_LABEL_ATTRIBUTES, ", ".join(names.halves))
    labels: list[ImageLabel] = []
    boxes: list[BoxLabels] = []
    faults: list[AttributeFault] = []
    for name in names.pairs:
        match read_attribute(name, line[name], line[name + METADATA_SUFFIX]):
            case ImageLabel() as label:
                labels.append(label)
            case BoxLabels() as box_labels:
                boxes.append(box_labels)
            case AttributeFault() as fault:
                faults.append(fault)
    for code in (Code.ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT, Code.ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT):
        for fault in faults:
            if fault.code is code:
                raise _line_error(code, f"{fault.attribute}: {fault.detail}")
    return ManifestLine(
        source_ref=source_ref,
        labels=tuple(labels),
        boxes=tuple(boxes),
        unsupported=tuple(fault.attribute.removesuffix(METADATA_SUFFIX) for fault in faults),
    )


def _line_error(code: Code, detail: str) -> ManifestError:
    return ManifestError(code, f"{code.message} {detail}".rstrip(), code.next_step, detail=detail)


def canonical_line(line: ManifestLine) -> bytes:
    """The line in canonical form, ended by ``\n``: equal content gives equal bytes, whatever it was read from.

    Labels are sorted by name, and boxes stay in their order; whole numbers lose their ``.0``, creation dates become
    UTC in whole seconds where they can be read. Attributes of unsupported types are left out.
    """
    members: dict[str, object] = {SOURCE_REF: line.source_ref}
    metadata = [_canonical_metadata(label.metadata) for label in line.labels]
    metadata.sort(key=lambda each: (each.class_name.encode(), _ENCODER.encode(each)))
    for number, each in enumerate(metadata):
        members[f"label-{number}"] = 1
        members[f"label-{number}{METADATA_SUFFIX}"] = each
    sets = [(_canonical_boxes(each.boxes), _canonical_boxes_metadata(each.metadata)) for each in line.boxes]
    sets.sort(key=_ENCODER.encode)
    for number, (boxes, boxes_metadata) in enumerate(sets):
        members[f"bounding-box-{number}"] = boxes
        members[f"bounding-box-{number}{METADATA_SUFFIX}"] = boxes_metadata
    return _ENCODER.encode(members) + b"\n"


def submission_line(data: bytes) -> bytes:
    """A line that Amazon Rekognition listed, as it may be sent again, ended by ``\n``.

    Its ``cl-*``, ``errors`` and ``warnings`` members are left out; everything else keeps its value and its place.

    :raises ManifestError: ERROR_INVALID_JSON_LINE
    """
    line = decode_line(data)
    if isinstance(line, str):
        raise _line_error(Code.ERROR_INVALID_JSON_LINE, line)
    return _ENCODER.encode(without_service_members(line)) + b"\n"


def read_creation_date(text: str) -> datetime | None:
    """The date and time in any of the forms that Ground Truth jobs write, or None where the text is none."""
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None


def canonical_creation_date(text: str) -> str | None:
    """``YYYY-MM-DDTHH:MM:SS`` in UTC, or None where the text is no date and time. Without an offset it is UTC."""
    moment = read_creation_date(text)
    if moment is None:
        return None
    if moment.tzinfo is not None:
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            return None
    return moment.replace(tzinfo=None).isoformat(timespec="seconds")


def whole_number(number: float) -> float:
    """The number without its ``.0``, where it is a whole one."""
    return int(number) if abs(number) < 2**53 and number == int(number) else number


def _canonical_metadata(metadata: ImageLevelMetadata) -> ImageLevelMetadata:
    return msgspec.structs.replace(
        metadata,
        confidence=whole_number(metadata.confidence),
        creation_date=canonical_creation_date(metadata.creation_date) or metadata.creation_date,
    )


def _canonical_boxes(boxes: Boxes) -> Boxes:
    return msgspec.structs.replace(
        boxes,
        annotations=tuple(
            msgspec.structs.replace(
                each,
                top=whole_number(each.top),
                left=whole_number(each.left),
                width=whole_number(each.width),
                height=whole_number(each.height),
            )
            for each in boxes.annotations
        ),
    )


def _canonical_boxes_metadata(metadata: BoxesMetadata) -> BoxesMetadata:
    return msgspec.structs.replace(
        metadata,
        objects=tuple(
            msgspec.structs.replace(each, confidence=whole_number(each.confidence))
            if each.confidence is not msgspec.UNSET
            else each
            for each in metadata.objects
        ),
        class_map=dict(sorted(metadata.class_map.items())),
        creation_date=canonical_creation_date(metadata.creation_date) or metadata.creation_date,
    )
