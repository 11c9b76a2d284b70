"""Limits of Custom Labels datasets (Developer Guide, "Guidelines and quotas"), with their units."""

from __future__ import annotations

from typing import Final

LINE_MAX_CHARS: Final = 100_000
LABEL_MAX_CHARS: Final = 255
LABELS_MAX: Final = 250
BOXES_PER_IMAGE_MAX: Final = 50
PROJECTS_MAX: Final = 100
TAGS_MAX: Final = 200

# AWS says "1 GB" and "15 MB" without saying which; the larger reading never refuses what AWS accepts.
MANIFEST_MAX_BYTES: Final = 1024**3
IMAGE_MAX_BYTES: Final = 15 * 1024**2

IMAGE_SIDE_MIN_PX: Final = 64
IMAGE_SIDE_MAX_PX: Final = 4096
# The longer side over the shorter one has to stay below this.
IMAGE_ASPECT_LIMIT: Final = 20
# Boxes are measured after a longer side has been scaled down to this.
BOX_SCALING_SIDE_PX: Final = 1280

# More than this share of bad lines ends the operation; exactly this share does not.
BAD_LINES_MAX_SHARE: Final = 0.20
TEST_SHARE: Final = 0.20

_IMAGES_MAX: Final = 250_000
_SMALL_REGIONS: Final = frozenset({"ap-south-1", "eu-west-2"})  # Mumbai, London
_SMALL_REGION_IMAGES_MAX: Final = {"TRAIN": 28_000, "TEST": 7_000}


def images_max(region: str, dataset_type: str) -> int:
    """How many images a dataset of a type (``TRAIN`` or ``TEST``) may hold in a Region."""
    return _SMALL_REGION_IMAGES_MAX[dataset_type] if region in _SMALL_REGIONS else _IMAGES_MAX
