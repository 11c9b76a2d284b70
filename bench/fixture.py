"""What the benchmark's bucket holds, and the manifest that must come out of it."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from include.custom_labels.image_headers import ImageFormat, ImageHeader

BUCKET = "example-images"
PREFIX = "photos/"
LAST_MODIFIED = "2026-11-22T20:00:00"
"""Of every object: `S3Hook.list_keys` tells no times, and both sides are to write the same bytes."""
AS_OF = "2026-11-22T20:30:00"
"""Between the two versions that a listing of versions has of each key."""
LATER = "2026-11-22T21:00:00"
IMAGES_PER_LABEL = 1000
# Names that need percent-encoding in the listing or escapes in JSON, in one folder out of fifty.
_HOSTILE_LABEL = 7
OTHERS = ("", "notes.txt", ".DS_Store")
"""Objects beside the folders that are no images."""


@dataclass(frozen=True, slots=True)
class Content:
    """A file that many keys share."""

    data: bytes
    header: ImageHeader

    @property
    def etag(self) -> str:
        return hashlib.md5(self.data, usedforsecurity=False).hexdigest()


@cache
def contents() -> tuple[Content, ...]:
    """Ten files: five JPEGs and four PNGs that 4 KiB tell everything about, one JPEG behind 60 KB of metadata."""
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", 800, 600, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr)) + bytes(9000)
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 480, 640, 3) + bytes(9)
    metadata = b"\xff\xe1" + struct.pack(">H", 60_002) + bytes(60_000)
    tail = b"\xff\xda" + bytes(9000)
    jpeg_header = ImageHeader(ImageFormat.JPEG, 640, 480)
    small = Content(b"\xff\xd8" + frame + tail, jpeg_header)
    large = Content(b"\xff\xd8" + metadata + frame + tail, jpeg_header)
    return (small,) * 5 + (Content(png, ImageHeader(ImageFormat.PNG, 800, 600)),) * 4 + (large,)


def content_number(key: str) -> int:
    """Which of `contents` the key holds."""
    return zlib.crc32(key.encode()) % len(contents())


def label_name(number: int) -> str:
    return f"label-{number:05d}"


def image_keys(images: int) -> Iterator[str]:
    """Keys of the images, in key order: folders of 1,000, and in each fiftieth of them awkward names."""
    for number, start in enumerate(range(0, images, IMAGES_PER_LABEL)):
        count = min(IMAGES_PER_LABEL, images - start)
        name = 'é+%20 "&\\ ' if number % 50 == _HOSTILE_LABEL else "image-"
        yield from (f"{PREFIX}{label_name(number)}/{name}{at:08d}.jpg" for at in range(count))


def all_keys(images: int) -> list[str]:
    """Keys of the images and of a few objects that are none, in key order."""
    return sorted([*(PREFIX + name for name in OTHERS), *image_keys(images)])


def _one_label(images: int) -> Iterator[str]:
    small = images // 20
    yield from (f"{PREFIX}{label_name(at // IMAGES_PER_LABEL)}/image-{at:08d}.jpg" for at in range(small))
    yield from (f"{PREFIX}{label_name(images)}/image-{at:08d}.jpg" for at in range(small, images))


SHAPES: dict[str, Callable[[int], Iterator[str]]] = {
    "no child folders": lambda images: (f"{PREFIX}image-{at:08d}.jpg" for at in range(images)),
    "95 % in one label": _one_label,
    "a folder for each image": lambda images: (f"{PREFIX}{at:08d}/image.jpg" for at in range(images)),
    "keys at the root": lambda images: (f"image-{at:08d}.jpg" for at in range(images)),
}
"""Folders that are not divided into labels of the same size; as many keys as in `all_keys`."""


def shaped_keys(images: int, shape: str) -> list[str]:
    """What a bucket of another shape lists, in key order."""
    return list(SHAPES[shape](images + len(OTHERS)))


def expected_lines(images: int) -> Iterator[bytes]:
    """The manifest, line by line, written here by hand and by neither contender's code."""
    for key in image_keys(images):
        label = key[len(PREFIX) :].partition("/")[0]
        source_ref = f"s3://{BUCKET}/{key}".replace("\\", "\\\\").replace('"', '\\"')
        yield (
            f'{{"source-ref":"{source_ref}","label-0":1,"label-0-metadata":{{"class-name":"{label}",'
            '"confidence":1,"type":"groundtruth/image-classification","human-annotated":"yes",'
            f'"creation-date":"{LAST_MODIFIED}"}}}}\n'
        ).encode()


@cache
def expected_digest(images: int) -> str:
    """SHA-256 of the manifest in key order, in hex."""
    digest = hashlib.sha256()
    for line in expected_lines(images):
        digest.update(line)
    return digest.hexdigest()


DIFFERENCE_EVERY = 1000


def later_lines(images: int) -> Iterator[bytes]:
    """The manifest of a later state: of each 1,000 images one is gone, one has another label and one is new."""
    for number, line in enumerate(expected_lines(images)):
        match number % DIFFERENCE_EVERY:
            case 10:
                continue
            case 20:
                yield line.replace(b'"class-name":"label', b'"class-name":"other')
            case 30:
                yield line
                yield line.replace(b".jpg", b".jpg.new")
            case _:
                yield line
