"""How a stored picture is turned to stand upright, as its EXIF data say; boxes of manifests do not know of it.

Only the first bytes of a file are looked at, so that whoever draws the picture and whoever only reads its header come
to the same answer.

Sources: CIPA DC-008 (Exif 2.32) 4.6.2, 4.6.4 A, 4.7.2; PNG Third Edition 11.3.3.6 (eXIf); JPEG (ITU-T T.81) B.1.
"""

from __future__ import annotations

import struct
from typing import Final

HEAD_BYTES: Final = 64 * 1024
"""What is looked at: in every file that cameras and phones write, the orientation stands in its first kilobyte."""

UPRIGHT: Final = 1

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE: Final = b"\xff\xd8"
_EXIF: Final = b"Exif\0\0"
_APP1, _START_OF_SCAN = 0xE1, 0xDA
_ORIENTATION, _SHORT = 0x0112, 3


def read_orientation(head: bytes) -> int:
    """EXIF's orientation, from 1 (upright) to 8; 1 also where there is none, or none that can be understood.

    :param head: the file's first bytes; what comes after `HEAD_BYTES` does not count
    """
    head = head[:HEAD_BYTES]
    try:
        if head.startswith(_PNG_SIGNATURE):
            return _of_png(head)
        return _of_jpeg(head) if head.startswith(_JPEG_SIGNATURE) else UPRIGHT
    except struct.error:
        # The file ends, or goes on after what is looked at.
        return UPRIGHT


def is_turned(orientation: int) -> bool:
    """Whether width and height change places when the picture is put upright."""
    return orientation >= 5


def _of_png(head: bytes) -> int:
    at = len(_PNG_SIGNATURE)
    while True:
        length, kind = struct.unpack_from(">I4s", head, at)
        if kind == b"eXIf":
            return _of_tiff(head[at + 8 : at + 8 + length])
        if kind in (b"IDAT", b"IEND"):
            return UPRIGHT
        at += 12 + length


def _of_jpeg(head: bytes) -> int:
    at = len(_JPEG_SIGNATURE)
    while True:
        mark, marker, length = struct.unpack_from(">BBH", head, at)
        if mark != 0xFF or marker == _START_OF_SCAN:
            return UPRIGHT
        if marker == 0xFF:
            at += 1
            continue
        if marker == _APP1 and head.startswith(_EXIF, at + 4):
            return _of_tiff(head[at + 4 + len(_EXIF) : at + 2 + length])
        at += 2 + length


def _of_tiff(data: bytes) -> int:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return UPRIGHT
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    for number in range(count):
        tag, kind, values, value = struct.unpack_from(order + "HHIH", data, at + 2 + 12 * number)
        if tag == _ORIENTATION:
            return value if kind == _SHORT and values == 1 and 1 <= value <= 8 else UPRIGHT
    return UPRIGHT
