"""What an image is, and what an entry says of it, read and written without the project's own code."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from hashlib import md5
from typing import Any, NamedTuple

from PIL import Image

_CLASSIFICATION = "groundtruth/image-classification"
_DETECTION = "groundtruth/object-detection"
_WRITTEN_AT = "2026-11-22T20:00:00"
_SIZES = ((64, 64), (80, 64))


class Box(NamedTuple):
    """A box in pixels."""

    label: str
    left: float
    top: float
    width: float
    height: float


class Said(NamedTuple):
    """What an entry says.

    :ivar drawn_on: width and height of the image that the boxes were drawn on; None without boxes
    """

    labels: frozenset[str] = frozenset()
    boxes: frozenset[Box] = frozenset()
    drawn_on: tuple[int, int] | None = None

    def __str__(self) -> str:
        boxes = [f"□{box.label}@{box.left:g}" for box in sorted(self.boxes)]
        return "+".join([*sorted(self.labels), *boxes]) or "nothing"


def says(*labels: str) -> Said:
    """Image-level labels alone."""
    return Said(frozenset(labels))


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of an object, by their number.

    :ivar size: width and height; None for bytes that are no image
    """

    number: int
    data: bytes
    size: tuple[int, int] | None

    @property
    def etag(self) -> str:
        return md5(self.data, usedforsecurity=False).hexdigest()


@cache
def content(number: int) -> Content:
    """An image like no other; those of odd hundreds have another size, and negative numbers are no images."""
    if number < 0:
        return Content(number, f"no image {number}".encode(), None)
    size = _SIZES[number // 100 % 2]
    file = io.BytesIO()
    Image.new("RGB", size, (number % 256, number // 256 % 256, 90)).save(file, "PNG")
    return Content(number, file.getvalue(), size)


def read_line(line: str | bytes) -> tuple[str, Said]:
    """The source-ref of an entry, and what it says."""
    members: dict[str, Any] = json.loads(line)
    labels: set[str] = set()
    boxes: set[Box] = set()
    drawn_on: tuple[int, int] | None = None
    for name, about in members.items():
        if not name.endswith("-metadata") or not isinstance(about, dict):
            continue
        if about.get("type") == _CLASSIFICATION:
            labels.add(about["class-name"])
        elif about.get("type") == _DETECTION:
            value = members[name.removesuffix("-metadata")]
            for box in value["annotations"]:
                label = about["class-map"][str(box["class_id"])]
                boxes.add(Box(label, box["left"], box["top"], box["width"], box["height"]))
            if value["annotations"]:
                drawn_on = (value["image_size"][0]["width"], value["image_size"][0]["height"])
    return members["source-ref"], Said(frozenset(labels), frozenset(boxes), drawn_on)


def read_lines(lines: Iterable[str | bytes]) -> dict[str, Said]:
    """What entries say, by source-ref."""
    return dict(read_line(line) for line in lines if line.strip())


def write_line(source_ref: str, said: Said) -> str:
    """An entry as the console writes it, without a line end."""
    line: dict[str, Any] = {"source-ref": source_ref}
    for number, label in enumerate(sorted(said.labels)):
        line[f"by-hand-{number}"] = 1
        line[f"by-hand-{number}-metadata"] = {
            "class-name": label,
            "confidence": 1.0,
            "type": _CLASSIFICATION,
            "human-annotated": "yes",
            "creation-date": _WRITTEN_AT,
        }
    if said.boxes and said.drawn_on:
        boxes = sorted(said.boxes)
        classes = sorted({box.label for box in boxes})
        width, height = said.drawn_on
        line["bounding-box"] = {
            "image_size": [{"width": width, "height": height, "depth": 3}],
            "annotations": [
                {
                    "class_id": classes.index(box.label),
                    "left": box.left,
                    "top": box.top,
                    "width": box.width,
                    "height": box.height,
                }
                for box in boxes
            ],
        }
        line["bounding-box-metadata"] = {
            "objects": [{"confidence": 1} for _ in boxes],
            "class-map": {str(number): label for number, label in enumerate(classes)},
            "type": _DETECTION,
            "human-annotated": "yes",
            "creation-date": _WRITTEN_AT,
        }
    return json.dumps(line)
