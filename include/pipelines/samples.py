"""Small pictures of what a run would change, for the person whom it asks for approval.

A picture is a help and never a condition: an image that is gone, refused by S3, damaged or too large leaves a word on
why there is no picture of it, and the run goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from include.custom_labels.errors import AccessError, RequestError
from include.custom_labels.locations import S3Uri
from include.custom_labels.quotas import MAX_IMAGE_FILE_BYTES
from include.gallery.addresses import MAX_SAMPLES
from include.gallery.drawing import NoPictureError, draw_picture
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

_GONE = frozenset({"OBJECT_NOT_FOUND", "BUCKET_NOT_FOUND"})

log = logging.getLogger(__name__)


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
    return draw_picture(data, side_px=SIDE_PX)
