"""Images as pictures that a browser may have: JPEGs that were drawn anew, upright and without any metadata.

Nothing is decoded before its header says that Rekognition would read the image, so that it has at most 4,096 pixels
on either side: decoding takes some 150 MB at most.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Final

from PIL import Image

from include.custom_labels.image_headers import NeedMore, NotAnImage, read_header
from include.custom_labels.images import image_fault
from include.custom_labels.orientation import read_orientation
from include.custom_labels.quotas import MAX_IMAGE_SIDE_PX

_SMALL_QUALITY = 85
_WHOLE_QUALITY = 92
# What Pillow raises on files that are broken or made to do harm; it has no error of its own for them.
_PILLOW_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
# EXIF orientation: how the stored picture is turned to stand upright.
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class NoPictureError(Exception):
    """There is no picture of an image; the text says why."""


def draw_picture(data: bytes, *, side_px: int | None = None) -> bytes:
    """A JPEG of the image's bytes.

    :param side_px: longer side at most; None for as many pixels as are stored
    :raises NoPictureError: with the reason
    """
    header = read_header(data, size_bytes=len(data))
    if isinstance(header, NeedMore):
        raise NoPictureError("The image is cut off.")
    fault = header if isinstance(header, NotAnImage) else image_fault(header, len(data))
    if fault is not None:
        raise NoPictureError(f"No image that Rekognition reads ({fault.reason}).")
    try:
        return _draw(data, side_px)
    except _PILLOW_ERRORS as error:
        raise NoPictureError(f"The image cannot be decoded ({type(error).__name__}).") from error


def _draw(data: bytes, side_px: int | None) -> bytes:
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
        if max(image.size) > MAX_IMAGE_SIDE_PX.value:
            # A file may have two headers, of which Pillow believes the other one.
            raise NoPictureError("The image has more pixels than its first header says.")
        if side_px is not None:
            # A JPEG is decoded at a fraction of its size.
            image.draft("RGB", (2 * side_px, 2 * side_px))
        picture = _with_8_bits(image)
    if side_px is not None:
        picture.thumbnail((side_px, side_px))
    if picture.mode == "RGBA":
        clear, picture = picture, Image.new("RGB", picture.size, "white")
        picture.paste(clear, mask=clear.getchannel("A"))
    turned = _UPRIGHT.get(read_orientation(data))
    if turned is not None:
        picture = picture.transpose(turned)
    # Pillow would hand on a comment of the original.
    picture.info = {}
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_WHOLE_QUALITY if side_px is None else _SMALL_QUALITY)
    return file.getvalue()


def _with_8_bits(image: Image.Image) -> Image.Image:
    """The picture as RGB, or as RGBA where parts of it can be seen through."""
    if image.mode.startswith("I"):
        # Pillow would make white of everything above 255.
        return image.convert("I").point(lambda value: value / 256).convert("L").convert("RGB")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    if image.mode == mode:
        # A copy of the largest image would be 50 MB more.
        image.load()
        return image
    return image.convert(mode)
