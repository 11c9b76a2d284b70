"""Format and size of an image from its first bytes, without decoding it.

PNG says both in its first 33 bytes. JPEG says them in its frame header, behind metadata of any length: the reader
then asks for the place where the next segment starts instead of reading through.

Width and height are the *stored* ones. An EXIF rotation is not applied: Custom Labels ignores it for display, and
bounding boxes in manifests are in stored pixels. A file whose header is whole and whose pixels are damaged passes:
that takes a decode, which a listing of 250,000 images cannot afford.

Sources: PNG (ISO/IEC 15948) 5.2, 11.2.2; JPEG (ITU-T T.81) B.1, B.2.2.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import StrEnum
from struct import unpack_from

from include.custom_labels.reasons import Reason

FIRST_READ_BYTES = 4096
"""Enough for every PNG and for JPEGs with little metadata; S3 answers 4 KiB as fast as 1 byte."""


class ImageFormat(StrEnum):
    PNG = "PNG"
    JPEG = "JPEG"


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """:ivar width: stored pixels; :ivar height: stored pixels"""

    format: ImageFormat
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class NeedMore:
    """The frame header lies further on: call `read_header` again with the bytes from ``offset``."""

    offset: int


@dataclass(frozen=True, slots=True)
class NotAnImage:
    """The content is not an image that Rekognition reads.

    :ivar detail: what it is instead, as far as the first bytes tell
    """

    reason: Reason
    detail: str


_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8\xff"
# Start-of-frame markers: C0 to CF without DHT (C4), JPG (C8) and DAC (CC).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# TEM and RST0 to RST7 stand alone, without a length.
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_START_OF_SCAN, _END_OF_IMAGE, _START_OF_IMAGE = 0xDA, 0xD9, 0xD8

_OTHER_SIGNATURES = (
    (0, b"GIF8", "GIF"),
    (8, b"WEBP", "WebP"),
    (0, b"BM", "BMP"),
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftyp", "HEIF or MP4"),
    (0, b"%PDF", "PDF"),
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"OggS", "Ogg"),
    (0, b"<", "XML or HTML"),
    (0, b"version https://git-lfs", "a Git LFS pointer"),
)


def read_header(window: bytes, *, size_bytes: int, offset: int = 0) -> ImageHeader | NeedMore | NotAnImage:
    """Read the header from the bytes at ``offset``.

    :param window: the file's bytes from ``offset`` on; at least `FIRST_READ_BYTES` of them, or all that there are
    :param size_bytes: the whole file
    :param offset: 0, or what `NeedMore` asked for
    """
    if offset:
        return _read_jpeg(window, 0, offset, size_bytes)
    if not size_bytes:
        return NotAnImage(Reason.EMPTY_OBJECT, "0 bytes")
    if window.startswith(_PNG_SIGNATURE):
        return _read_png(window)
    if window.startswith(_JPEG_SIGNATURE):
        return _read_jpeg(window, 2, 0, size_bytes)
    what = next((what for at, magic, what in _OTHER_SIGNATURES if window.startswith(magic, at)), "unknown content")
    return NotAnImage(Reason.NOT_PNG_OR_JPEG, what)


def _read_png(window: bytes) -> ImageHeader | NotAnImage:
    if len(window) < 33:
        return NotAnImage(Reason.DAMAGED_HEADER, f"PNG of {len(window)} bytes")
    length, kind, width, height = unpack_from(">I4sII", window, 8)
    if kind != b"IHDR" or length != 13:
        return NotAnImage(Reason.DAMAGED_HEADER, f"PNG that starts with {kind!r} instead of IHDR")
    if zlib.crc32(window[12:29]) != unpack_from(">I", window, 29)[0]:
        return NotAnImage(Reason.DAMAGED_HEADER, "PNG header with a wrong checksum")
    if not width or not height:
        return NotAnImage(Reason.DAMAGED_HEADER, f"PNG of {width}×{height} pixels")
    return ImageHeader(ImageFormat.PNG, width, height)


def _read_jpeg(window: bytes, at: int, offset: int, size_bytes: int) -> ImageHeader | NeedMore | NotAnImage:
    """Walk the segments from ``window[at]``, which is a marker, to the frame header."""
    end = len(window)
    while True:
        start = at
        # Any number of FF bytes may fill the space before a marker (B.1.1.2).
        while at < end and window[at] == 0xFF:
            at += 1
        # Marker, length, sample precision, height and width.
        if at + 8 > end:
            if offset + end >= size_bytes:
                return NotAnImage(Reason.DAMAGED_HEADER, "JPEG cut off before its frame header")
            # Past a run of fill bytes, one FF is enough to start again.
            return NeedMore(offset + max(start, at - 1))
        if at == start:
            return NotAnImage(Reason.DAMAGED_HEADER, f"JPEG without a marker at byte {offset + start}")
        marker = window[at]
        if marker in _FRAMES:
            height, width = unpack_from(">HH", window, at + 4)
            if not width or not height:
                return NotAnImage(Reason.DAMAGED_HEADER, f"JPEG of {width}×{height} pixels")
            return ImageHeader(ImageFormat.JPEG, width, height)
        if marker in (_START_OF_SCAN, _END_OF_IMAGE, _START_OF_IMAGE, 0x00):
            return NotAnImage(Reason.DAMAGED_HEADER, "JPEG without a frame header")
        if marker in _STANDALONE:
            at += 1
            continue
        length = unpack_from(">H", window, at + 1)[0]
        if length < 2:
            return NotAnImage(Reason.DAMAGED_HEADER, f"JPEG with a broken segment at byte {offset + start}")
        at += 1 + length
        if at >= end:
            if offset + at >= size_bytes:
                return NotAnImage(Reason.DAMAGED_HEADER, "JPEG cut off before its frame header")
            return NeedMore(offset + at)
