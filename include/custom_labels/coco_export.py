"""Canonical entries into a COCO object detection file, in pieces of any number of images.

Boxes become annotations with their categories. COCO has no labels for whole images: these stand in a member
``labels`` of their image, which other readers step over. `include.custom_labels.coco` reads the boxes back.

Source: Custom Labels Developer Guide, *Transforming COCO datasets*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from include.custom_labels.errors import ManifestError
from include.custom_labels.manifest import ManifestLine, canonical_creation_date, parse_line, split_source_ref

_ENCODER: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedImage:
    """A line, and what is known of its image beside it.

    :ivar width: stored pixels, 0 where they are not known
    """

    line: bytes
    width: int = 0
    height: int = 0


class _Image(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: int
    file_name: str
    width: int
    height: int
    date_captured: str = ""
    labels: list[str] = []


class _Annotation(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float
    iscrowd: int = 0


class _Category(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    name: str


def coco_chunks(images: Callable[[], Iterable[ExportedImage]]) -> Iterator[bytes]:
    """The file in pieces; the same bytes for the same images.

    Lines that have not the format of a manifest are left out.

    :param images: gives the same images each time; it is called twice, so that nothing has to be kept
    """
    yield b'{"images":['
    yield from _separated(_ENCODER.encode(_image(number, line, each)) for number, line, each in _numbered(images()))
    yield b'],"annotations":['
    categories: dict[str, int] = {}
    yield from _separated(map(_ENCODER.encode, _annotations(images(), categories)))
    yield b'],"categories":'
    yield _ENCODER.encode([_Category(id=id, name=name) for name, id in categories.items()])
    yield b"}\n"


def _numbered(images: Iterable[ExportedImage]) -> Iterator[tuple[int, ManifestLine, ExportedImage]]:
    number = 0
    for each in images:
        try:
            line = parse_line(each.line)
        except ManifestError:
            continue
        number += 1
        yield number, line, each


def _image(number: int, line: ManifestLine, image: ExportedImage) -> _Image:
    drawn_on = [size for boxes in line.boxes for size in boxes.boxes.image_size]
    width, height = (drawn_on[0].width, drawn_on[0].height) if drawn_on else (image.width, image.height)
    dates = [
        *(boxes.metadata.creation_date for boxes in line.boxes),
        *(label.metadata.creation_date for label in line.labels),
    ]
    place = split_source_ref(line.source_ref)
    return _Image(
        id=number,
        file_name=place[1] if place else line.source_ref,
        width=width,
        height=height,
        date_captured=(canonical_creation_date(dates[0]) or "") if dates else "",
        labels=sorted({label.metadata.class_name for label in line.labels}),
    )


def _annotations(images: Iterable[ExportedImage], categories: dict[str, int]) -> Iterator[_Annotation]:
    """All annotations; numbers the categories as they come."""
    count = 0
    for number, line, _ in _numbered(images):
        for boxes in line.boxes:
            for box in boxes.boxes.annotations:
                count += 1
                label = boxes.metadata.class_map.get(str(box.class_id), str(box.class_id))
                yield _Annotation(
                    id=count,
                    image_id=number,
                    category_id=categories.setdefault(label, len(categories) + 1),
                    bbox=(box.left, box.top, box.width, box.height),
                    area=box.width * box.height,
                )


def _separated(items: Iterable[bytes]) -> Iterator[bytes]:
    separator = b"\n"
    for item in items:
        yield separator + item
        separator = b",\n"
