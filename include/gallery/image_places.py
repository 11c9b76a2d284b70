"""Where images are, by their ids: nothing that a browser sends is an address."""

from __future__ import annotations

import logging

from include.custom_labels.errors import AccessError, RequestError
from include.custom_labels.locations import S3Uri
from include.custom_labels.orientation import UPRIGHT
from include.gallery.catalog import CatalogImage
from include.gallery.datasets import Datasets
from include.gallery.drawing import NoPictureError
from include.gallery.messages import DatasetType
from include.gallery.pictures import ImagePlace, read_facts
from include.gallery.snapshots import DatasetName

log = logging.getLogger(__name__)


class CatalogPlaces:
    """The images of a dataset's catalog; the `include.gallery.pictures.ImagePlaces` of the gallery."""

    def __init__(self, datasets: Datasets) -> None:
        self._datasets = datasets

    def find_place(
        self, project: str, dataset_type: DatasetType, image_id: str, *, snapshot: str = ""
    ) -> ImagePlace | None:
        """:raises CustomLabelsError: the dataset is not there, is being indexed, or cannot be read"""
        name = DatasetName(project=project, dataset_type=dataset_type)
        found = self._datasets.catalog(name, snapshot).find([image_id])
        if not found:
            return None
        (image,) = found
        return ImagePlace(uri=S3Uri.parse(image.place), version=image.version, etag=image.version)

    def orientation_of(self, image: CatalogImage) -> int:
        """EXIF's, 1 to 8; 1 where it cannot be told: then there is no picture either, and everything else is shown."""
        try:
            return read_facts(self._datasets.services.s3(), S3Uri.parse(image.place)).orientation
        except (NoPictureError, AccessError, RequestError) as error:
            log.info("No orientation of %r: %s", image.place, error)
            return UPRIGHT
