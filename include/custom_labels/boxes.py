"""Rules about bounding boxes.

Source: Custom Labels Developer Guide, *Non-terminal JSON line validation errors*. Boxes are in stored pixels with
the origin in the top left corner; fractions are no fault.
"""

from __future__ import annotations

from include.custom_labels.codes import Code
from include.custom_labels.label_attributes import Annotation, ImageSize
from include.custom_labels.quotas import (
    BOX_SCALING_SIDE_PX,
    BOX_SIDE_OVER_PX,
    MAX_IMAGE_SIDE_PX,
    MIN_IMAGE_SIDE_PX,
)


def dimension_fault(size: ImageSize) -> str | None:
    """Why ``image_size`` is out of the quotas (ERROR_INVALID_IMAGE_DIMENSION), or None."""
    if MIN_IMAGE_SIDE_PX.value <= min(size.width, size.height) and (
        max(size.width, size.height) <= MAX_IMAGE_SIDE_PX.value
    ):
        return None
    return f"image_size is {size.width}×{size.height} pixels"


def box_fault(box: Annotation, size: ImageSize) -> Code | None:
    """The first rule that the box breaks, or None.

    Rekognition scales images down to 1280 pixels on the longer side before training, and a box must be wider and
    higher than one pixel *afterwards*.
    """
    if min(box.left, box.top, box.width, box.height) < 0 or (
        box.left + box.width > size.width or box.top + box.height > size.height
    ):
        return Code.ERROR_INVALID_BOUNDING_BOX
    longer = max(size.width, size.height, BOX_SCALING_SIDE_PX.value)
    if min(box.width, box.height) * BOX_SCALING_SIDE_PX.value <= BOX_SIDE_OVER_PX.value * longer:
        return Code.ERROR_BOUNDING_BOX_TOO_SMALL
    return None
