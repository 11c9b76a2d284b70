from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from include.custom_labels.image_headers import (
    FIRST_READ_BYTES,
    ImageFormat,
    ImageHeader,
    NeedMore,
    NotAnImage,
    read_header,
)
from include.custom_labels.reasons import Reason


def picture(image_format: str, size: tuple[int, int] = (640, 480), mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, image_format, **options)
    return file.getvalue()


def follow(data: bytes) -> tuple[ImageHeader | NotAnImage, int]:
    """Read as the data plane does, and count the reads."""
    offset, reads = 0, 0
    while True:
        reads += 1
        outcome = read_header(data[offset : offset + FIRST_READ_BYTES], size_bytes=len(data), offset=offset)
        if not isinstance(outcome, NeedMore):
            return outcome, reads
        assert offset < outcome.offset < len(data)
        offset = outcome.offset


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return picture("JPEG", exif=exif)


@pytest.mark.parametrize(
    ("data", "image_format", "reads"),
    [
        (picture("PNG"), ImageFormat.PNG, 1),
        (picture("PNG", mode="P"), ImageFormat.PNG, 1),
        (
            picture("PNG", save_all=True, append_images=[Image.new("RGB", (640, 480), "red")]),
            ImageFormat.PNG,
            1,
        ),
        (picture("JPEG"), ImageFormat.JPEG, 1),
        (picture("JPEG", progressive=True), ImageFormat.JPEG, 1),
        (picture("JPEG", mode="CMYK"), ImageFormat.JPEG, 1),
        (picture("JPEG", mode="L"), ImageFormat.JPEG, 1),
        (picture("JPEG", exif=b"Exif\0\0" + b"x" * 60_000), ImageFormat.JPEG, 2),
        (picture("JPEG", icc_profile=b"x" * 200_000), ImageFormat.JPEG, 4),
    ],
)
def test_formats(data: bytes, image_format: ImageFormat, reads: int) -> None:
    assert follow(data) == (ImageHeader(image_format, 640, 480), reads)


def test_an_exif_rotation_is_not_applied() -> None:
    assert follow(rotated())[0] == ImageHeader(ImageFormat.JPEG, 640, 480)


def test_600_megapixels_cost_one_small_read() -> None:
    assert follow(png_header(30_000, 20_000)) == (ImageHeader(ImageFormat.PNG, 30_000, 20_000), 1)


def test_fill_bytes_before_a_marker_are_passed_over() -> None:
    data = picture("JPEG")
    filled = data[:2] + b"\xff" * 10_000 + data[2:]
    assert follow(filled)[0] == ImageHeader(ImageFormat.JPEG, 640, 480)


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [
        (b"", Reason.EMPTY_OBJECT, "0 bytes"),
        (b"hello", Reason.NOT_PNG_OR_JPEG, "unknown content"),
        (picture("GIF"), Reason.NOT_PNG_OR_JPEG, "GIF"),
        (picture("WEBP"), Reason.NOT_PNG_OR_JPEG, "WebP"),
        (picture("BMP"), Reason.NOT_PNG_OR_JPEG, "BMP"),
        (picture("TIFF"), Reason.NOT_PNG_OR_JPEG, "TIFF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Reason.NOT_PNG_OR_JPEG, "XML or HTML"),
        (picture("PNG")[:20], Reason.DAMAGED_HEADER, "PNG of 20 bytes"),
        (png_header(0, 10), Reason.DAMAGED_HEADER, "PNG of 0×10 pixels"),
        (png_header(64, 64)[:-1] + b"\0", Reason.DAMAGED_HEADER, "PNG header with a wrong checksum"),
        (picture("JPEG")[:100], Reason.DAMAGED_HEADER, "JPEG cut off before its frame header"),
        (
            b"\xff\xd8\xff\xe0\x00\x01aaaaaaaaaa",
            Reason.DAMAGED_HEADER,
            "JPEG with a broken segment at byte 2",
        ),
        (b"\xff\xd8\xff\xd9aaaaaaaaaaaa", Reason.DAMAGED_HEADER, "JPEG without a frame header"),
        (b"\xff\xd8\xff\xe0\x00\x04aaXXXXXXXXXX", Reason.DAMAGED_HEADER, "JPEG without a marker at byte 8"),
    ],
)
def test_what_is_not_an_image_says_what_it_is(data: bytes, reason: Reason, detail: str) -> None:
    assert follow(data)[0] == NotAnImage(reason, detail)


@settings(max_examples=300)
@given(
    st.binary(max_size=9000),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", picture("JPEG")[:200]]),
)
def test_any_bytes_end_in_an_outcome(tail: bytes, start: bytes) -> None:
    outcome, reads = follow(start + tail)
    assert isinstance(outcome, ImageHeader | NotAnImage)
    assert reads <= len(start + tail) + 1


@settings(max_examples=200)
@given(st.integers(0, 700), st.binary(min_size=1, max_size=4))
def test_a_damaged_jpeg_never_breaks_the_reader(at: int, damage: bytes) -> None:
    data = bytearray(picture("JPEG"))
    data[at : at + len(damage)] = damage
    follow(bytes(data))
