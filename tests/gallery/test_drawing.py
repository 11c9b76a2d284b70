"""Pictures: small or whole, upright, without metadata, of whatever image there may be."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from include.custom_labels.orientation import is_turned, read_orientation
from include.gallery.drawing import NoPictureError, draw_picture
from tests.fixtures.places import picture

SIDE_PX = 160
STORED_AS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def saved(image: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=("JPEG",))
    image.load()
    return image


def is_near(found: Any, wanted: tuple[int, int, int]) -> bool:
    return all(abs(one - other) < 12 for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize(
    ("size", "small"),
    [((640, 480), (160, 120)), ((64, 64), (64, 64)), ((100, 1600), (10, 160)), ((4096, 4096), (160, 160))],
)
@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_a_picture_is_small(size: tuple[int, int], small: tuple[int, int], image_format: str) -> None:
    drawn = opened(draw_picture(saved(Image.new("RGB", size, "teal"), image_format), side_px=SIDE_PX))
    assert max(abs(one - other) for one, other in zip(drawn.size, small, strict=True)) <= 1
    assert is_near(drawn.getpixel((0, 0)), (0, 128, 128))


@pytest.mark.parametrize(
    ("image", "pixel"),
    [
        (Image.new("RGBA", (64, 64), (255, 0, 0, 0)), (255, 255, 255)),
        (Image.new("LA", (64, 64), (0, 128)), (127, 127, 127)),
        (Image.new("1", (64, 64), 1), (255, 255, 255)),
        (Image.new("L", (64, 64), 100), (100, 100, 100)),
        (Image.new("I;16", (64, 64), 100 * 256), (100, 100, 100)),
        (Image.new("RGB", (64, 64), "navy").quantize(4), (0, 0, 128)),
    ],
    ids=["clear", "grey alpha", "bits", "grey", "16 bits", "palette"],
)
def test_every_kind_of_png_has_its_colours(image: Image.Image, pixel: tuple[int, int, int]) -> None:
    assert is_near(opened(draw_picture(saved(image))).getpixel((30, 30)), pixel)


def test_a_cmyk_jpeg() -> None:
    drawn = opened(draw_picture(saved(Image.new("CMYK", (64, 64), (255, 0, 0, 0)), "JPEG")))
    assert drawn.mode == "RGB"


def test_nothing_but_the_picture_is_handed_on() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "somebody"
    exif[ExifTags.Base.GPSInfo] = {1: "N", 2: (52.0, 30.0, 0.0)}
    image = Image.new("RGB", (320, 200), "teal")
    jpeg = saved(image, "JPEG", exif=exif, comment=b"a comment", icc_profile=b"a profile", xmp=b"some xmp")
    text = PngInfo()
    text.add_text("Comment", "somebody")
    for original in (jpeg, saved(image, pnginfo=text, exif=exif)):
        drawn = draw_picture(original)
        assert opened(drawn).info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert not any(word in drawn for word in (b"Exif", b"somebody", b"comment", b"profile", b"xmp"))


@pytest.mark.parametrize("side_px", [None, SIDE_PX])
@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_stands_upright(orientation: int, image_format: str, side_px: int | None) -> None:
    upright = Image.new("RGB", (160, 80), "teal")
    upright.paste("white", (0, 0, 40, 40))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = upright.transpose(STORED_AS[orientation]) if orientation > 1 else upright
    data = saved(stored, image_format, exif=exif)
    assert read_orientation(data) == orientation
    assert is_turned(orientation) == (stored.size != upright.size)
    drawn = opened(draw_picture(data, side_px=side_px))
    assert drawn.size == upright.size
    assert is_near(drawn.getpixel((15, 15)), (255, 255, 255))
    assert is_near(drawn.getpixel((140, 15)), (0, 128, 128))
    assert is_near(drawn.getpixel((15, 65)), (0, 128, 128))


@pytest.mark.parametrize("size", [(4096, 4096), (640, 480)])
def test_a_whole_picture_has_every_pixel(size: tuple[int, int]) -> None:
    assert opened(draw_picture(saved(Image.new("RGB", size, "teal")))).size == size


def png_with_size(width: int, height: int) -> bytes:
    """A small file that says it is large."""
    body = struct.pack(">II5B", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", body), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def jpeg_with_two_sizes() -> bytes:
    """A JPEG whose second frame header, which Pillow believes, is larger than its first."""
    data = picture("JPEG")
    at = data.index(b"\xff\xc0")
    length = struct.unpack(">H", data[at + 2 : at + 4])[0]
    frame = data[at : at + 2 + length]
    large = frame[:5] + struct.pack(">HH", 60_000, 60_000) + frame[9:]
    return data[: at + len(frame)] + large + data[at + len(frame) :]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "No image that Rekognition reads (EMPTY_OBJECT)."),
        (b"GIF89a" + bytes(100), "No image that Rekognition reads (NOT_PNG_OR_JPEG)."),
        (b"<svg onload=alert(1)>", "No image that Rekognition reads (NOT_PNG_OR_JPEG)."),
        (picture("PNG")[:20], "No image that Rekognition reads (DAMAGED_HEADER)."),
        (png_with_size(100_000, 100_000), "No image that Rekognition reads (SIDE_TOO_LONG)."),
        (png_with_size(4096, 4096), "The image cannot be decoded (OSError)."),
        (picture("JPEG")[:400], "The image cannot be decoded (OSError)."),
    ],
    ids=["empty", "gif", "svg", "cut header", "bomb", "cut pixels", "cut jpeg"],
)
def test_there_is_no_picture_of_something_else(data: bytes, reason: str) -> None:
    with pytest.raises(NoPictureError) as caught:
        draw_picture(data)
    assert str(caught.value) == reason


def test_a_file_with_two_sizes_is_not_decoded() -> None:
    with pytest.raises(NoPictureError):
        draw_picture(jpeg_with_two_sizes())


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([picture("PNG"), picture("JPEG"), saved(Image.effect_noise((80, 80), 50), "JPEG")]),
    st.lists(st.tuples(st.integers(0, 5000), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4),
)
def test_a_damaged_file_gives_a_picture_or_a_reason(data: bytes, damages: list[tuple[int, bytes]]) -> None:
    broken = bytearray(data)
    for at, damage in damages:
        start = at % len(broken)
        broken[start : start + len(damage)] = damage
    try:
        drawn = draw_picture(bytes(broken), side_px=SIDE_PX)
    except NoPictureError:
        return
    assert max(opened(drawn).size) <= SIDE_PX
