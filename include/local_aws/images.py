"""What the first bytes of an image tell. No pixel is ever decoded."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from include.local_aws.quotas import IMAGE_ASPECT_LIMIT, IMAGE_MAX_BYTES

_READERS: Final[dict[bytes, Callable[[io.BytesIO], JpegImageFile | PngImageFile]]] = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
}
# How much of an object is read at first, and when a long EXIF or colour profile stands before the size.
HEADER_READS_BYTES: Final = (64 * 1024, 1024**2, IMAGE_MAX_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """Stored size, before any EXIF rotation."""

    size_bytes: int
    width_px: int
    height_px: int

    @property
    def conforms_but_for_sides(self) -> bool:
        """Whether file size and aspect are within Custom Labels' limits."""
        longer, shorter = max(self.width_px, self.height_px), min(self.width_px, self.height_px)
        return self.size_bytes <= IMAGE_MAX_BYTES and longer < IMAGE_ASPECT_LIMIT * shorter


def image_size(head: bytes) -> tuple[int, int] | None:
    """Width and height in pixels of the PNG or JPEG that begins with ``head``; None when it cannot be told."""
    reader = next((reader for magic, reader in _READERS.items() if head.startswith(magic)), None)
    if reader is None:
        return None
    try:
        with reader(io.BytesIO(head)) as image:
            return image.size
    except (SyntaxError, OSError, ValueError):  # how Pillow says that a header is broken or cut off
        return None


def is_image_start(head: bytes) -> bool:
    """Whether bytes begin like a PNG or a JPEG."""
    return head.startswith(tuple(_READERS))
