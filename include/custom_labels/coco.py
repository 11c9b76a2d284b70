"""COCO object detection files into canonical entries.

Read: images, categories, and the ``bbox`` of annotations, with fractions as they are. ``date_captured`` becomes the
creation date where it is a date, and is optional, as it is in real files. What a manifest cannot carry is left out
and said: segmentation masks, keypoints, captions, supercategories, licences, and crowd regions (``iscrowd``), whose
box stands for many objects. Images without annotations become entries without labels, and annotations of images
that the file does not have are rejected one by one.

Source: Custom Labels Developer Guide, *Transforming COCO datasets*.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from include.custom_labels.codes import Code
from include.custom_labels.entries import (
    AnnotatedImage,
    LabelledBox,
    Mending,
    SourceRefOf,
    annotated,
    box_labels,
    rejected,
)
from include.custom_labels.errors import ManifestError
from include.custom_labels.label_attributes import ImageSize
from include.custom_labels.line_rules import Problem
from include.custom_labels.manifest import ManifestLine, canonical_creation_date

Id = int | str
T = TypeVar("T")
_DEPTH: Final = 3


class CocoImage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An image of the file; sizes are pixels."""

    id: Id
    file_name: str
    width: int
    height: int
    # Some files have a number or null here.
    date_captured: object = None


class CocoAnnotation(msgspec.Struct, frozen=True, kw_only=True):
    """An object in an image; ``bbox`` is left, top, width, height in pixels."""

    image_id: Id
    category_id: Id
    bbox: tuple[float, float, float, float] | None = None
    iscrowd: int | bool = 0


class CocoCategory(msgspec.Struct, frozen=True, kw_only=True):
    id: Id
    name: str


class _File(msgspec.Struct, frozen=True, kw_only=True):
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw] = []
    categories: list[msgspec.Raw] = []


@dataclass(slots=True)
class _Objects:
    """What the annotations say of one image."""

    boxes: list[LabelledBox]
    problems: list[Problem]
    crowds: int = 0
    boxless: int = 0


def read_coco(
    data: bytes, *, source_ref_of: SourceRefOf, creation_date: str, mending: Mending
) -> Iterator[AnnotatedImage]:
    """Every image of the file, and every annotation that belongs to none.

    :param creation_date: where an image has none, UTC as ``YYYY-MM-DDTHH:MM:SS``
    :raises ManifestError: ERROR_MANIFEST_INACCESSIBLE_OR_UNSUPPORTED_FORMAT: the file as a whole is not COCO's
    """
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unreadable("a COCO file", str(error)) from error
    categories = dict(_categories(file))
    images = [_read(raw, CocoImage) for raw in file.images]
    known = {image.id for image in images if isinstance(image, CocoImage)}
    objects: defaultdict[Id, _Objects] = defaultdict(lambda: _Objects([], []))
    for number, raw in enumerate(file.annotations, start=1):
        annotation = _read(raw, CocoAnnotation)
        if isinstance(annotation, CocoAnnotation) and annotation.image_id in known:
            _collect(objects[annotation.image_id], annotation, categories, number)
            continue
        image_id = _image_id(raw)
        if isinstance(annotation, str) and image_id in known:
            problem = Problem(Code.ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT, detail=f"annotation {number}: {annotation}")
            objects[image_id].problems.append(problem)
            continue
        detail = annotation if isinstance(annotation, str) else f"there is no image {annotation.image_id!r}"
        yield rejected(f"annotation {number}", Problem(Code.ERROR_MISSING_SOURCE_REF, detail=detail))
    first: set[Id] = set()
    for number, image in enumerate(images, start=1):
        place = f"image {number}"
        if isinstance(image, str):
            yield rejected(place, Problem(Code.ERROR_MISSING_SOURCE_REF, detail=image))
        elif image.id in first:
            detail = f"the id {image.id!r} belongs to an earlier image"
            yield rejected(place, Problem(Code.ERROR_INVALID_SOURCE_REF_FORMAT, detail=detail))
        else:
            first.add(image.id)
            found = objects.get(image.id) or _Objects([], [])
            yield _entry(place, image, found, source_ref_of, creation_date, mending.fresh())


def unreadable(what: str, why: str) -> ManifestError:
    """The error for annotations of which nothing can be read."""
    code = Code.ERROR_MANIFEST_INACCESSIBLE_OR_UNSUPPORTED_FORMAT
    return ManifestError(
        code,
        f"{code.message} It is not {what}: {why}.",
        "Check `annotation_format`, and that the file is whole.",
    )


def _read(raw: msgspec.Raw, kind: type[T]) -> T | str:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return str(error)


class _OfImage(msgspec.Struct):
    image_id: Id


def _image_id(raw: msgspec.Raw) -> Id:
    """Of an annotation that cannot be read otherwise; empty where it has none either."""
    found = _read(raw, _OfImage)
    return "" if isinstance(found, str) else found.image_id


def _categories(file: _File) -> Iterator[tuple[Id, str]]:
    for raw in file.categories:
        category = _read(raw, CocoCategory)
        # One that cannot be read is missed by the annotations that name it.
        if isinstance(category, CocoCategory):
            yield category.id, category.name


def _collect(found: _Objects, annotation: CocoAnnotation, categories: dict[Id, str], number: int) -> None:
    if annotation.iscrowd:
        found.crowds += 1
    elif annotation.bbox is None:
        found.boxless += 1
    elif annotation.category_id not in categories:
        detail = f"annotation {number}: there is no category {annotation.category_id!r}"
        found.problems.append(Problem(Code.ERROR_MISSING_CLASS_MAP_ID, detail=detail))
    else:
        left, top, width, height = annotation.bbox
        label = categories[annotation.category_id]
        found.boxes.append(LabelledBox(label=label, left=left, top=top, width=width, height=height))


def _entry(
    place: str, image: CocoImage, found: _Objects, source_ref_of: SourceRefOf, creation_date: str, mending: Mending
) -> AnnotatedImage:
    source_ref = source_ref_of(image.file_name)
    if isinstance(source_ref, Problem):
        return rejected(place, source_ref, source_ref=image.file_name)
    if found.problems:
        return rejected(place, *found.problems, source_ref=source_ref)
    if found.crowds:
        mending.remarks.append(f"{found.crowds} crowd annotations left out")
    if found.boxless:
        mending.remarks.append(f"{found.boxless} annotations without a box left out")
        if not found.boxes:
            detail = "no annotation of the image has a bbox"
            return rejected(place, Problem(Code.ERROR_NO_VALID_ANNOTATIONS, detail=detail), source_ref=source_ref)
    if not found.boxes:
        return annotated(place, ManifestLine(source_ref=source_ref), mending)
    captured = image.date_captured
    date = canonical_creation_date(captured) if isinstance(captured, str) else None
    size = ImageSize(width=image.width, height=image.height, depth=_DEPTH)
    boxes = box_labels(size, found.boxes, date or creation_date)
    return annotated(place, ManifestLine(source_ref=source_ref, boxes=(boxes,)), mending)
