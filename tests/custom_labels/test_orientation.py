"""EXIF's orientation from a file's first bytes; that pictures are turned by it is tested where they are drawn."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.custom_labels.orientation import HEAD_BYTES, read_orientation

END = b"\xff\xda\x00\x02"


def tiff(value: int, *, order: str = "<", kind: int = 3, count: int = 1) -> bytes:
    """An image file directory with another tag in front of the orientation."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    other = struct.pack(order + "HHIHH", 0x0100, 3, 1, 640, 0)
    return mark + struct.pack(order + "IH", 8, 2) + other + struct.pack(order + "HHIHH", 0x0112, kind, count, value, 0)


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def jpeg(*segments: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(segments) + END


def exif(content: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + content)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I4s", len(data), kind) + data + bytes(4) for kind, data in chunks
    )


JFIF = segment(0xE0, b"JFIF\0" + bytes(9))
XMP = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")


@pytest.mark.parametrize(
    ("data", "orientation"),
    [
        (jpeg(exif(tiff(6))), 6),
        (jpeg(exif(tiff(8, order=">"))), 8),
        (jpeg(JFIF, XMP, exif(tiff(3))), 3),
        (jpeg(b"\xff\xff", exif(tiff(6))), 6),
        (jpeg(JFIF), 1),
        (jpeg(exif(tiff(0))), 1),
        (jpeg(exif(tiff(9))), 1),
        (jpeg(exif(tiff(6, kind=4))), 1),
        (jpeg(exif(tiff(6, count=2))), 1),
        (jpeg(exif(b"XX*\0" + tiff(6)[4:])), 1),
        (jpeg() + exif(tiff(6)), 1),
        (jpeg(exif(tiff(6)))[:20], 1),
        (jpeg(segment(0xE2, bytes(60_000)), exif(tiff(6))), 6),
        (jpeg(segment(0xE2, bytes(60_000)), segment(0xE2, bytes(6_000)), exif(tiff(6))), 1),
        (png((b"IHDR", bytes(13)), (b"eXIf", tiff(5)), (b"IDAT", b"")), 5),
        (png((b"IHDR", bytes(13)), (b"IDAT", b""), (b"eXIf", tiff(5))), 1),
        (png((b"IHDR", bytes(13)), (b"IEND", b"")), 1),
        (b"", 1),
        (b"GIF89a", 1),
    ],
)
def test_orientation(data: bytes, orientation: int) -> None:
    assert read_orientation(data) == orientation
    assert read_orientation(data[:HEAD_BYTES] + b"anything") == orientation


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([jpeg(JFIF, exif(tiff(6))), png((b"IHDR", bytes(13)), (b"eXIf", tiff(6)))]),
    st.integers(0, 200),
    st.binary(max_size=6),
)
def test_any_bytes_have_an_orientation(data: bytes, at: int, damage: bytes) -> None:
    assert 1 <= read_orientation(data[:at] + damage + data[at + len(damage) :]) <= 8
