"""Small pictures of what a run would change, for the person whom it asks for approval.

A picture is a help and never a condition: an image that is gone, refused by S3, damaged or too large leaves a word on
why there is no picture of it, and the run goes on.
"""

from __future__ import annotations

import io
import logging
import struct
import zlib
from collections.abc import Iterable
from typing import Final

from PIL import ExifTags, Image

from include.custom_labels.errors import AccessError, RequestError
from include.custom_labels.image_headers import NeedMore, NotAnImage, read_header
from include.custom_labels.images import image_fault
from include.custom_labels.locations import S3Uri
from include.custom_labels.quotas import MAX_IMAGE_FILE_BYTES, MAX_IMAGE_SIDE_PX
from include.gallery.addresses import MAX_SAMPLES
from include.object_store.ranged_reads import read_range
from include.object_store.session import S3Session
from include.object_store.streams import put_bytes
from include.pipelines.runs import ImportRun
from include.pipelines.snapshot_report import (
    ADDED,
    CHANGED,
    RELABELLED,
    REMOVED,
    BaseDifference,
    ImageChange,
    SampleImage,
)

SIDE_PX: Final = 160

_QUALITY = 85
_GONE = frozenset({"OBJECT_NOT_FOUND", "BUCKET_NOT_FOUND"})
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
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

log = logging.getLogger(__name__)


class NoPictureError(Exception):
    """There is no picture of an image; the text says why."""


def choose_samples(difference: BaseDifference) -> list[tuple[str, ImageChange]]:
    """At most `MAX_SAMPLES` images to look at, with the kind of difference of each.

    Removed images come first, then images of new labels, then the rest. Half of the places are free for others than
    removed images, as long as there are others.
    """
    removed = [(REMOVED, change) for change in difference.samples.get(REMOVED, ())]
    others = [(kind, change) for kind in (ADDED, RELABELLED, CHANGED) for change in difference.samples.get(kind, ())]
    new_labels = [repr(label) for label in difference.labels_appeared]
    others.sort(key=lambda each: not any(label in each[1].after for label in new_labels))
    for_removed = max(MAX_SAMPLES // 2, MAX_SAMPLES - len(others))
    return [*removed[:for_removed], *others][:MAX_SAMPLES]


def write_samples(run: ImportRun, chosen: Iterable[tuple[str, ImageChange]]) -> list[SampleImage]:
    """Put a picture of each image where the gallery shows it; the first `MAX_SAMPLES` of them."""
    samples = []
    for number, (what, change) in zip(range(MAX_SAMPLES), chosen, strict=False):
        address = run.sample_address(number)
        try:
            picture = read_picture(run.s3, change.image)
            put_bytes(run.s3, run.sample_place(address), picture, content_type="image/jpeg")
        except (NoPictureError, AccessError) as error:
            log.info("No picture of %r: %s", change.image, error)
            missing = str(error) if isinstance(error, NoPictureError) else f"{error.code} while it was stored"
            samples.append(SampleImage(what=what, change=change, missing=missing))
        else:
            samples.append(SampleImage(what=what, change=change, url=address.url))
    return samples


def read_picture(session: S3Session, image: str) -> bytes:
    """A JPEG of at most `SIDE_PX` on either side, without the metadata of the original.

    :param image: its ``s3://`` address
    :raises NoPictureError: with the reason
    """
    try:
        data = read_range(session, S3Uri.parse(image), 0, MAX_IMAGE_FILE_BYTES.value + 1)
    except RequestError as error:
        raise NoPictureError("The entry names no object of S3.") from error
    except AccessError as error:
        reason = "The object is gone." if error.code in _GONE else f"The object cannot be read ({error.code})."
        raise NoPictureError(reason) from error
    return draw_picture(data)


def draw_picture(data: bytes) -> bytes:
    """The same of the image's bytes.

    Nothing is decoded before the header says that Rekognition would read the image, and so that it has at most
    4,096 pixels on either side: decoding takes some 130 MB at most.

    :raises NoPictureError: with the reason
    """
    header = read_header(data, size_bytes=len(data))
    if isinstance(header, NeedMore):
        raise NoPictureError("The image is cut off.")
    fault = header if isinstance(header, NotAnImage) else image_fault(header, len(data))
    if fault is not None:
        raise NoPictureError(f"No image that Rekognition reads ({fault.reason}).")
    try:
        return _draw(data)
    except _PILLOW_ERRORS as error:
        raise NoPictureError(f"The image cannot be decoded ({type(error).__name__}).") from error


def _draw(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
        if max(image.size) > MAX_IMAGE_SIDE_PX.value:
            # A file may have two headers, of which Pillow believes the other one.
            raise NoPictureError("The image has more pixels than its first header says.")
        # A JPEG is decoded at a fraction of its size.
        image.draft("RGB", (2 * SIDE_PX, 2 * SIDE_PX))
        turned = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
        small = _with_8_bits(image)
    small.thumbnail((SIDE_PX, SIDE_PX))
    # A new picture has none of the original's metadata: even Pillow would hand on a comment.
    clean = Image.new("RGB", small.size, "white")
    clean.paste(small, mask=small.getchannel("A") if small.mode == "RGBA" else None)
    file = io.BytesIO()
    (clean.transpose(turned) if turned else clean).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def _with_8_bits(image: Image.Image) -> Image.Image:
    """The picture as RGB, or as RGBA where parts of it can be seen through."""
    if image.mode.startswith("I"):
        # Pillow would make white of everything above 255.
        return image.convert("I").point(lambda value: value / 256).convert("L").convert("RGB")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")
