"""Pascal VOC annotation files, one XML file an image, into canonical entries.

Read: ``filename``, ``size``, and name and ``bndbox`` of each object. Boxes are one-based and take in their last
pixel, as the format says; a file with a coordinate of 0 is zero-based, as some tools write, and its last pixel
counts as the one behind the box. What a manifest cannot carry is left out: pose, ``truncated``, ``difficult``,
``occluded``, parts of objects, segmentation, and where the image came from. Objects that are marked as difficult are
imported like the others.

The XML is parsed without document type declarations, so that it can neither define entities nor name other files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

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
from include.custom_labels.label_attributes import ImageSize
from include.custom_labels.line_rules import Problem
from include.custom_labels.manifest import ManifestLine

MAX_FILE_BYTES: Final = 4 * 1024 * 1024
"""An object takes about 300 bytes, so that this is no limit for real files."""

_SIDES: Final = ("xmin", "ymin", "xmax", "ymax")


def read_pascal_voc(
    data: bytes, *, place: str, source_ref_of: SourceRefOf, creation_date: str, mending: Mending
) -> AnnotatedImage:
    """One file; any bytes at all have an outcome.

    :param place: the file's address
    :param creation_date: UTC as ``YYYY-MM-DDTHH:MM:SS``
    """
    mending = mending.fresh()
    if len(data) > MAX_FILE_BYTES:
        return rejected(place, Problem(Code.ERROR_JSON_LINE_TOO_LONG, detail=f"{len(data):,} bytes of XML"))
    try:
        root = _parse(data)
    except (expat.ExpatError, ValueError, LookupError) as error:
        return rejected(place, Problem(Code.ERROR_INVALID_JSON_LINE, detail=f"not XML to read: {error}"))
    if root.tag != "annotation":
        return rejected(place, Problem(Code.ERROR_INVALID_JSON_LINE, detail=f"<{root.tag[:80]}> for <annotation>"))
    name = (root.findtext("filename") or "").strip()
    if not name:
        return rejected(place, Problem(Code.ERROR_MISSING_SOURCE_REF, detail="there is no <filename>"))
    source_ref = source_ref_of(name)
    if isinstance(source_ref, Problem):
        return rejected(place, source_ref, source_ref=name)
    objects = root.findall("object")
    if not objects:
        return annotated(place, ManifestLine(source_ref=source_ref), mending)
    try:
        size = _size(root)
        boxes = list(_boxes(objects, mending))
    except ValueError as error:
        problem = Problem(Code.ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT, detail=str(error))
        return rejected(place, problem, source_ref=source_ref)
    content = ManifestLine(source_ref=source_ref, boxes=(box_labels(size, boxes, creation_date),))
    return annotated(place, content, mending)


def _parse(data: bytes) -> Element:
    builder = TreeBuilder()
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise ValueError("a document type declaration")

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.Parse(data, True)
    return builder.close()


def _size(root: Element) -> ImageSize:
    width, height = (_pixels(root, f"size/{side}") for side in ("width", "height"))
    return ImageSize(width=int(width), height=int(height), depth=int(_pixels(root, "size/depth", 3)))


def _pixels(element: Element, path: str, default: float | None = None) -> float:
    text = element.findtext(path)
    if not text or not text.strip():
        if default is not None:
            return default
        raise ValueError(f"there is no <{path}>")
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"<{path}> is {text[:40]!r}") from None
    # Also keeps out nan and infinity, which are floats to Python.
    if not abs(number) < 2**31:
        raise ValueError(f"<{path}> is {text[:40]!r}")
    return number


def _boxes(objects: list[Element], mending: Mending) -> Iterator[LabelledBox]:
    boxes = [tuple(_pixels(each, f"bndbox/{side}") for side in _SIDES) for each in objects]
    first = 1.0
    if any(0 <= min(left, top) < 1 for left, top, _, _ in boxes):
        first = 0.0
        mending.remarks.append("coordinates taken as zero-based")
    for number, (each, (left, top, right, bottom)) in enumerate(zip(objects, boxes, strict=True), start=1):
        label = (each.findtext("name") or "").strip()
        if not label:
            raise ValueError(f"object {number} has no <name>")
        yield LabelledBox(
            label=label, left=left - first, top=top - first, width=right - left + first, height=bottom - top + first
        )
