from __future__ import annotations

import zlib

import pytest

from include.local_aws.images import ImageFacts, image_size
from tests.local_aws.samples import image

LIMIT_BYTES = 15 * 1024**2


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_the_size_stands_in_the_header(form: str) -> None:
    assert image_size(image((123, 77), form)) == (123, 77)


def test_a_huge_image_is_not_decoded() -> None:
    # The start of a PNG of 600 megapixels: signature, IHDR, and the beginning of the pixels.
    header = b"IHDR" + (30_000).to_bytes(4, "big") + (20_000).to_bytes(4, "big") + b"\x08\x02\x00\x00\x00"
    chunk = (13).to_bytes(4, "big") + header + zlib.crc32(header).to_bytes(4, "big")
    assert image_size(image()[:8] + chunk + b"\x7f\xff\xff\xffIDAT") == (30_000, 20_000)


def test_a_long_profile_hides_the_size_until_more_is_read() -> None:
    content = image((123, 77), "JPEG", icc_profile=b"p" * 300_000)
    assert image_size(content[: 64 * 1024]) is None
    assert image_size(content[: 1024**2]) == (123, 77)


@pytest.mark.parametrize(
    "content",
    [b"", b"text", image(form="GIF"), image(form="WEBP"), image()[:12], image(form="JPEG")[:30]],
    ids=["empty", "text", "gif", "webp", "cut png", "cut jpeg"],
)
def test_anything_else_has_no_size(content: bytes) -> None:
    assert image_size(content) is None


@pytest.mark.parametrize(
    ("width_px", "height_px", "size_bytes", "conforms"),
    [
        (4000, 201, 100, True),
        (4000, 200, 100, False),  # 20:1
        (200, 4000, 100, False),
        (100, 100, LIMIT_BYTES, True),
        (100, 100, LIMIT_BYTES + 1, False),
    ],
)
def test_file_size_and_aspect(width_px: int, height_px: int, size_bytes: int, conforms: bool) -> None:
    facts = ImageFacts(size_bytes=size_bytes, width_px=width_px, height_px=height_px)
    assert facts.conforms_but_for_sides is conforms
