"""Label attributes of a manifest line: which there are, and what they say.

A label attribute is a pair of members, ``<name>`` and ``<name>-metadata``, and the metadata's ``type`` says of
which kind. Unknown members of metadata are let through, as Ground Truth adds some.

Sources: Custom Labels Developer Guide, *Image-level labels in manifest files*, *Object localization in manifest
files*; SageMaker Developer Guide, *Labeling job output data*.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from include.custom_labels.codes import Code

SOURCE_REF: Final = "source-ref"
METADATA_SUFFIX: Final = "-metadata"
IMAGE_CLASSIFICATION: Final = "groundtruth/image-classification"
OBJECT_DETECTION: Final = "groundtruth/object-detection"

SERVICE_KEYS: Final = frozenset({"errors", "warnings"})
SERVICE_PREFIX: Final = "cl-"
"""What Amazon Rekognition writes into the lines that it lists: these members, and names that start like this."""

_Share = Annotated[int, msgspec.Meta(ge=0, le=1)] | Annotated[float, msgspec.Meta(ge=0, le=1)]
_INTEGER_TEXT = re.compile(r"-?[0-9]+", re.ASCII)


class ImageLevelMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata of an image-level label; ``confidence`` is required and unused."""

    class_name: str = msgspec.field(name="class-name")
    confidence: _Share
    type: Literal["groundtruth/image-classification"]
    human_annotated: Literal["yes", "no"] = msgspec.field(name="human-annotated")
    creation_date: str = msgspec.field(name="creation-date")
    job_name: str | msgspec.UnsetType = msgspec.field(name="job-name", default=msgspec.UNSET)


class ImageSize(msgspec.Struct, frozen=True, kw_only=True):
    """Pixels; ``depth`` is required and unused."""

    width: int
    height: int
    depth: int


class Annotation(msgspec.Struct, frozen=True, kw_only=True):
    """A bounding box in stored pixels, from the top left corner. Ground Truth writes fractions at times."""

    class_id: int
    top: int | float
    left: int | float
    width: int | float
    height: int | float


class Boxes(msgspec.Struct, frozen=True, kw_only=True):
    """Bounding boxes of an image. Absent annotations mean none, as the guide's WARNING_NO_ATTRIBUTE_ANNOTATIONS."""

    image_size: Annotated[tuple[ImageSize, ...], msgspec.Meta(min_length=1, max_length=1)]
    annotations: tuple[Annotation, ...] = ()


class BoxConfidence(msgspec.Struct, frozen=True, kw_only=True):
    """Confidence of the box at the same place; its absence has a code of its own."""

    confidence: _Share | msgspec.UnsetType = msgspec.UNSET


class BoxesMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata of bounding boxes; ``class_map`` gives the label of each ``class_id``, which is text here."""

    objects: tuple[BoxConfidence, ...]
    class_map: dict[str, str] = msgspec.field(name="class-map")
    type: Literal["groundtruth/object-detection"]
    human_annotated: Literal["yes", "no"] = msgspec.field(name="human-annotated")
    creation_date: str = msgspec.field(name="creation-date")
    job_name: str | msgspec.UnsetType = msgspec.field(name="job-name", default=msgspec.UNSET)


class ImageLabel(NamedTuple):
    """An image-level label and the attribute that gives it."""

    attribute: str
    metadata: ImageLevelMetadata


class BoxLabels(NamedTuple):
    """Bounding boxes and the attribute that gives them."""

    attribute: str
    boxes: Boxes
    metadata: BoxesMetadata


class AttributeFault(NamedTuple):
    """What stops an attribute from being read.

    :ivar attribute: name of the member concerned: the attribute, or its metadata
    """

    code: Code
    attribute: str
    detail: str


class AttributeNames(NamedTuple):
    """Names of a line's label attributes.

    :ivar pairs: attributes that have their metadata
    :ivar halves: every other member, ``source-ref`` and what the service writes apart
    """

    pairs: list[str]
    halves: list[str]


def attribute_names(line: Mapping[str, object]) -> AttributeNames:
    """Find the pairs of a line; a pair's metadata is not taken for an attribute again."""
    pairs: list[str] = []
    halves: list[str] = []
    paired = {SOURCE_REF}
    # Shorter names first, so that of `a`, `a-metadata` and `a-metadata-metadata` the first two are the pair.
    for name in sorted(line, key=len):
        if name in paired:
            continue
        metadata = name + METADATA_SUFFIX
        if metadata in line:
            pairs.append(name)
            paired.add(metadata)
        elif not is_service_name(name):
            halves.append(name)
    return AttributeNames(pairs, halves)


def has_members_of_its_own(line: Mapping[str, object]) -> bool:
    """Whether the line says anything that its labels and boxes, as they are read here, do not.

    Rekognition takes such members beside labels, and gives them no meaning: members of the line that are no pair, and
    members that this project's schemas of attributes and metadata do not have.
    """
    pairs, others = attribute_names(line)
    if others:
        return True
    for name in pairs:
        value, metadata = line[name], line[name + METADATA_SUFFIX]
        match read_attribute(name, value, metadata):
            case ImageLabel() as label:
                if _says_more(metadata, label.metadata):
                    return True
            case BoxLabels() as boxes:
                if _says_more(value, boxes.boxes) or _says_more(metadata, boxes.metadata):
                    return True
            case AttributeFault():
                return True
    return False


def _says_more(value: object, read: msgspec.Struct) -> bool:
    return _has_more(value, msgspec.to_builtins(read))


def _has_more(value: object, read: object) -> bool:
    if isinstance(value, dict) and isinstance(read, dict):
        return any(name not in read or _has_more(member, read[name]) for name, member in value.items())
    if isinstance(value, list) and isinstance(read, list | tuple):
        return any(_has_more(*pair) for pair in zip(value, read, strict=True))
    return False


def is_service_name(name: str) -> bool:
    """Whether Amazon Rekognition writes members of this name; half of a pair is a label all the same."""
    return name in SERVICE_KEYS or name.startswith(SERVICE_PREFIX)


def read_attribute(name: str, value: object, metadata: object) -> ImageLabel | BoxLabels | AttributeFault:
    """Read one pair by its schema, which the metadata's ``type`` chooses; limits are not checked.

    The fault is the first one by AWS's precedence: the attribute's format before its metadata's. An unsupported
    ``type`` comes back as ERROR_UNSUPPORTED_USE_CASE_TYPE.
    """
    metadata_name = name + METADATA_SUFFIX
    kind = metadata.get("type") if isinstance(metadata, dict) else None
    if kind == IMAGE_CLASSIFICATION and not _is_integer(value):
        return AttributeFault(Code.ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT, name, "not an integer")
    try:
        if kind == OBJECT_DETECTION:
            boxes = msgspec.convert(value, Boxes)
    except msgspec.ValidationError as error:
        return AttributeFault(Code.ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT, name, str(error))
    try:
        if kind == IMAGE_CLASSIFICATION:
            return ImageLabel(name, msgspec.convert(metadata, ImageLevelMetadata))
        if kind == OBJECT_DETECTION:
            return BoxLabels(name, boxes, msgspec.convert(metadata, BoxesMetadata))
    except msgspec.ValidationError as error:
        return AttributeFault(Code.ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT, metadata_name, str(error))
    if isinstance(kind, str):
        return AttributeFault(Code.ERROR_UNSUPPORTED_USE_CASE_TYPE, metadata_name, f"type is {kind!r}")
    detail = "type is missing or no text" if isinstance(metadata, dict) else "not an object"
    return AttributeFault(Code.ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT, metadata_name, detail)


def _is_integer(value: object) -> bool:
    """The guide asks for an integer and gives it no meaning; Ground Truth also writes it as text."""
    if isinstance(value, str):
        return _INTEGER_TEXT.fullmatch(value) is not None
    return isinstance(value, int) and not isinstance(value, bool)


def without_service_members(line: Mapping[str, object]) -> dict[str, object]:
    """A parsed line without what Amazon Rekognition wrote into it: in the line, in attributes and in annotations."""
    pairs = attribute_names(line).pairs
    labels = {*pairs, *(name + METADATA_SUFFIX for name in pairs)}
    return {
        name: _without_reports(value) for name, value in line.items() if name in labels or not is_service_name(name)
    }


def _without_reports(value: object) -> object:
    if isinstance(value, dict):
        return {
            name: _without_reports(member)
            for name, member in value.items()
            if not (is_service_name(name) and isinstance(member, list))
        }
    if isinstance(value, list):
        return [_without_reports(member) for member in value]
    return value
